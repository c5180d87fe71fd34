"""Baselines on a city small enough to work out by hand."""

import numpy as np
import pytest

from engine.models.baselines.historical import (
    HistoricalMean,
    HistoricalShare,
    half_hour_width,
    split_by_share,
)
from engine.models.baselines.interpolation import Bicubic, NearestFill, fill_nearest
from engine.models.baselines.profile import OtherDays, find_clock, fit_profile
from engine.models.flows import FlowSeries, coarsen
from engine.models.masks import named_masks
from engine.models.observations import observe_in_order
from tests.engine.models.small_flows import small_series


def two_days():
    """Two slots a day; the second day is twice the first."""
    day = np.zeros((2, 4, 4), dtype=np.float32)
    day[0] = np.arange(16).reshape(4, 4)
    day[1] = 1
    return FlowSeries(np.concatenate([day, 2 * day]), slots_per_day=2, magnification=2)


def test_profile_is_the_mean_day():
    means = fit_profile(two_days()).step_means(0)
    assert np.allclose(means[0], 1.5 * np.arange(16).reshape(4, 4))
    assert np.allclose(means[1], 1.5)


def test_smoothing_is_circular():
    means = fit_profile(two_days()).step_means(1)
    plain = fit_profile(two_days()).step_means(0)
    assert np.allclose(means[0], (2 * plain[1] + plain[0]) / 3)


def test_other_days_leave_the_own_day_out():
    series = two_days()
    other = OtherDays(series, (0,)).frame_means(np.array([0, 2]))
    assert np.allclose(other[0, 0], series.values[2])
    assert np.allclose(other[1, 0], series.values[0])


def test_other_days_leave_both_days_of_a_blend_out():
    day = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    series = FlowSeries(np.concatenate([day, 2 * day, 6 * day]), slots_per_day=1, magnification=2)
    starts = np.array([0, 0, 2])
    other = OtherDays(series, (0,)).frame_means(starts, np.array([1, 0, 0]))
    assert np.allclose(other[:, 0], np.stack([6 * day[0], 4 * day[0], 2 * day[0]]))


def test_other_days_equal_the_profile_when_nothing_is_left_out():
    series = small_series(days=3)
    profile = fit_profile(series)
    far = OtherDays(series, (1,)).frame_means(np.array([-5]))
    assert np.allclose(far[0, 0], profile.frame_means(1)[series.slots(np.array([-5]))[0]])


def test_historical_share_by_hand():
    series = two_days()
    masks = np.ones((4, 2, 2), dtype=bool)
    masks[2, 1, 1] = False
    seen = observe_in_order(series, masks)
    estimate = HistoricalShare(fit_profile(series)).estimate(seen)
    # frame 2 is 4/3 of its history everywhere, so that level and shares give it back exactly
    assert np.allclose(estimate[2], series.values[2], atol=1e-4)


def test_historical_share_keeps_observed_totals():
    series = small_series()
    masks = named_masks("random40", len(series.regular_starts()), series.coarse_shape, 1)
    seen = observe_in_order(series, masks)
    estimate = HistoricalShare(fit_profile(series)).estimate(seen)
    gap = np.abs(coarsen(estimate, 2) - seen.coarse)[masks]
    assert gap.max() <= 1e-4 * seen.coarse.max()
    assert estimate.min() >= 0


def test_a_place_without_history_is_split_evenly():
    split = split_by_share(np.array([[8.0]]), np.zeros((2, 2)), 2)
    assert split.tolist() == [[2, 2], [2, 2]]


def test_half_an_hour_in_slots():
    assert [half_hour_width(n) for n in (24, 48, 96, 144, 288)] == [0, 1, 2, 3, 6]


def test_historical_mean_ignores_what_is_seen():
    series = small_series()
    frames = len(series.regular_starts())
    full = observe_in_order(series, named_masks("fix20", frames, series.coarse_shape))
    thin = observe_in_order(series, named_masks("fix80", frames, series.coarse_shape))
    method = HistoricalMean(fit_profile(series))
    assert np.array_equal(method.estimate(full), method.estimate(thin))


def test_nearest_fill():
    coarse = np.array([[[8.0, 0.0], [0.0, 4.0]]], dtype=np.float32)
    observed = np.array([[[True, False], [False, True]]])
    filled = fill_nearest(coarse, observed)
    assert filled[0, 0, 0] == 8
    assert filled[0, 1, 1] == 4
    assert set(filled[0].ravel()) == {8, 4}
    assert fill_nearest(coarse, np.zeros_like(observed)).sum() == 0


@pytest.mark.parametrize("method", [NearestFill(2), Bicubic(2)])
def test_interpolation_of_an_even_city_is_exact(method):
    series = FlowSeries(np.full((2, 8, 8), 3.0), 1, magnification=2)
    seen = observe_in_order(series, named_masks("fix40", 2, (4, 4)))
    assert np.allclose(method.estimate(seen), 3, atol=1e-5)


@pytest.mark.parametrize("shift", [0, 5, 11])
def test_the_clock_of_a_series_is_found(shift):
    series = small_series(days=4, seed=1)
    late = FlowSeries(series.values[shift:], series.slots_per_day, 1, 2)
    assert find_clock(late, fit_profile(small_series(days=4, seed=2))) == shift
