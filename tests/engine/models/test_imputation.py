"""Completion by imputation networks; the networks themselves are an optional extra."""

import importlib.util

import numpy as np
import pytest

from engine.errors import InputError
from engine.models.baselines.historical import split_by_share, usual_frames
from engine.models.baselines.imputation import (
    EARLIER,
    ImputedShare,
    Imputer,
    train_imputer,
    window_lags,
)
from engine.models.baselines.profile import fit_profile
from engine.models.flows import coarsen
from engine.models.masks import named_masks
from engine.models.observations import observe_in_order
from tests.engine.models.small_flows import small_series


class KnowsTheAnswer:
    """An imputer that fills gaps with a given standardised root."""

    def __init__(self, value):
        self.value = value

    def predict(self, test_set, **settings):
        windows = test_set["X"]
        assert windows.shape[1] == EARLIER + 1
        return {"imputation": np.where(np.isnan(windows), self.value, windows)}


def test_missing_totals_are_the_networks_and_observed_ones_are_kept():
    series = small_series(days=3)
    profile = fit_profile(series)
    masks = named_masks("fix40", len(series.regular_starts()), series.coarse_shape)
    method = ImputedShare(Imputer.IMPUTEFORMER, KnowsTheAnswer(0.5), profile, (2.0, 4.0))
    seen = observe_in_order(series, masks, method.lags)
    maps = method.estimate(seen)
    totals = np.where(masks, coarsen(series.values, 2), 16.0).astype(np.float32)
    expected = split_by_share(totals, usual_frames(profile)[seen.slots], 2)
    assert np.allclose(maps, expected, rtol=1e-4)


def test_windows_are_consecutive_frames():
    assert window_lags(3) == tuple(3 * back for back in range(EARLIER, 0, -1))


@pytest.mark.skipif(importlib.util.find_spec("pypots") is not None, reason="pypots is installed")
def test_without_the_extra_the_error_says_what_to_install():
    with pytest.raises(InputError) as caught:
        train_imputer(Imputer.CSDI, small_series(days=3), epochs=1)
    assert caught.value.fix == "pip install pypots"


def test_a_series_shorter_than_a_window_is_refused():
    with pytest.raises(InputError, match="shorter than a window"):
        train_imputer(Imputer.CSDI, small_series(days=1, slots=8), epochs=1)
