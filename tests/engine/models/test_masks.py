import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import MaskError
from engine.models.masks import BENCHMARK, fixed_mask, mixture_mask, named_masks


def test_fixed_masks_are_the_specifications():
    mask = fixed_mask((8, 8), 0.4)
    missing = np.random.default_rng(0).permutation(64)[:26]
    assert sorted(np.flatnonzero(~mask)) == sorted(missing)


@pytest.mark.parametrize("name", BENCHMARK)
def test_benchmark_masks_miss_what_their_names_say(name):
    masks = named_masks(name, 5, (8, 8), seed=3)
    share = 0.25 if name == "quarter" else int(name[-2:]) / 100
    assert masks.shape == (5, 8, 8)
    assert np.all((~masks).sum((1, 2)) == round(share * 64))
    is_same = bool((masks == masks[0]).all())
    assert is_same == (not name.startswith("random"))
    assert np.array_equal(masks, named_masks(name, 5, (8, 8), seed=3))


def test_quarter_is_the_lower_right():
    mask = named_masks("quarter", 1, (8, 8))[0]
    assert not mask[4:, 4:].any()
    assert mask.sum() == 48


@pytest.mark.parametrize("name", ["blocks50", "strokes50"])
def test_shapes_reach_their_share(name):
    assert (~named_masks(name, 2, (8, 8))[0]).mean() >= 0.5


@pytest.mark.parametrize("name", ["fix", "fix99", "half", "random120", ""])
def test_unknown_names_are_refused(name):
    with pytest.raises(MaskError):
        named_masks(name, 1, (8, 8))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(8, 8), (4, 6), (16, 3)]))
def test_mixture_always_leaves_a_sensor(seed, shape):
    mask = mixture_mask(shape, np.random.default_rng(seed))
    assert mask.shape == shape
    assert mask.any()
