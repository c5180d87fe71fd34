import pytest
import torch

from engine.models.dropout import SeededDropout, seed_dropout


def dropped(seed, rate=0.25, size=100_000):
    layer = SeededDropout(rate)
    generator = torch.Generator()
    generator.manual_seed(seed)
    seed_dropout(torch.nn.Sequential(layer), generator)
    return layer(torch.ones(size))


def test_share_and_mean_are_kept():
    values = dropped(0)
    assert (values == 0).float().mean().item() == pytest.approx(0.25, abs=0.005)
    assert values.mean().item() == pytest.approx(1, abs=0.01)


def test_the_generator_decides():
    assert torch.equal(dropped(1), dropped(1))
    assert not torch.equal(dropped(1), dropped(2))


def test_every_byte_of_a_draw_is_used_evenly():
    values = dropped(3, 0.5, 80_000).reshape(-1, 8)
    assert ((values == 0).float().mean(0) - 0.5).abs().max() < 0.02


def test_nothing_is_dropped_after_training():
    layer = SeededDropout(0.5).eval()
    x = torch.ones(7)
    assert layer(x) is x
    assert SeededDropout(0.0)(x) is x
