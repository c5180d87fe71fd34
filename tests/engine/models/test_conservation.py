import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models.conservation import block_sums, conserve, repeat_blocks


def generator(seed):
    g = torch.Generator()
    g.manual_seed(seed)
    return g


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_observed_totals_are_kept_and_nothing_is_negative(seed):
    g = generator(seed)
    fine = torch.randn(3, 8, 8, generator=g) * 5
    coarse = torch.rand(3, 4, 4, generator=g) * 100
    observed = torch.rand(3, 4, 4, generator=g) < 0.6
    kept = conserve(fine, coarse, observed, torch.rand(3, 8, 8, generator=g))
    assert (kept >= 0).all()
    gap = (block_sums(kept, 2) - coarse).abs() / coarse
    assert gap[observed].max() < 1e-5
    hidden = repeat_blocks(~observed, 2)
    assert torch.equal(kept[hidden], fine.clamp_min(0)[hidden])


def test_an_empty_block_takes_the_fallback_then_an_even_split():
    coarse, observed = torch.tensor([[6.0, 8.0]]), torch.tensor([[True, True]])
    fallback = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    kept = conserve(-torch.ones(2, 4), coarse, observed, fallback)
    assert kept.tolist() == [[2, 2, 2, 2], [2, 0, 2, 2]]


def test_a_total_of_zero_empties_its_block():
    kept = conserve(torch.ones(2, 2), torch.zeros(1, 1), torch.tensor([[True]]), torch.ones(2, 2))
    assert kept.sum() == 0
