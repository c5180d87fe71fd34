import dataclasses

import numpy as np
import pytest

from engine.errors import FieldError, MaskError
from engine.models.flows import coarsen
from engine.models.observations import observe, observe_in_order
from tests.engine.models.small_flows import small_series


def test_hidden_totals_are_not_in_the_observation():
    series = small_series()
    masks = np.zeros((2, 4, 4), dtype=bool)
    masks[:, 0, 0] = True
    seen = observe(series, np.array([3, 4]), masks, lags=(1,))
    assert np.count_nonzero(seen.coarse[:, 1:]) == 0
    assert np.array_equal(seen.coarse[:, 0, 0], coarsen(series.values[[3, 4]], 2)[:, 0, 0])
    assert np.count_nonzero(seen.past[:, :, 1:]) == 0


def test_earlier_frames_have_the_masks_of_their_time():
    series = small_series(window=2)
    frames = len(series.regular_starts())
    masks = np.random.default_rng(0).random((frames, 4, 4)) < 0.5
    seen = observe_in_order(series, masks, lags=(2, 6))
    assert np.array_equal(seen.past_observed[4, 0], masks[3])
    assert np.array_equal(seen.past_observed[4, 1], masks[1])
    truth = coarsen(series.frames(np.array([2])), 2)[0]
    assert np.array_equal(seen.past[4, 1], np.where(masks[1], truth, 0))


def test_nothing_is_known_before_the_first_frame():
    series = small_series()
    masks = np.ones((len(series.regular_starts()), 4, 4), dtype=bool)
    seen = observe_in_order(series, masks, lags=(1, 12))
    assert not seen.past_observed[0].any()
    assert seen.past_observed[1, 0].all()
    assert not seen.past_observed[11, 1].any()


def test_bad_input_is_refused():
    series = small_series()
    with pytest.raises(MaskError, match="another shape"):
        observe(series, np.array([0]), np.ones((1, 5, 5), dtype=bool))
    with pytest.raises(MaskError, match="one mask per frame"):
        observe_in_order(series, np.ones((3, 4, 4), dtype=bool))
    seen = observe(series, np.array([0]), np.ones((1, 4, 4), dtype=bool))
    for value, words in ((np.nan, "no number"), (-1, "negative")):
        with pytest.raises(FieldError, match=words):
            dataclasses.replace(seen, coarse=np.full((1, 4, 4), value))
