import numpy as np
import pytest

from engine.domain.sensors import UNKNOWN_WEEKDAY, TimeAxis
from engine.models.forecast_calendar import WeekdayProfile
from engine.models.forecast_windows import WindowSet

DAYS = (0, 1, 2, 3, 4)


def _days(num_days, start_weekday, seed=0, contrast=5.0):
    """Hourly readings whose level depends on the weekday."""
    axis = TimeAxis.counted(24 * num_days, 0, 24, start_weekday, DAYS)
    noise = np.random.default_rng(seed).normal(0, 1, (24 * num_days, 2))
    level = np.array([0, 3, 1, 4, 2]) * contrast
    return (50 + level[axis.weekday_T][:, None] + noise).astype(np.float32), axis


def _profile(contrast=5.0):
    values, axis = _days(15, 1, contrast=contrast)
    return WeekdayProfile.fit(WindowSet(values, values > 0, axis, 2, 2), DAYS)


@pytest.mark.parametrize("weekday", DAYS)
def test_weekday_is_read_off_the_readings(weekday):
    profile = _profile()
    values, _ = _days(6, weekday, seed=1)
    assert profile.find_start(values[5:], 5, 24) == weekday
    values[::3] = np.nan
    assert profile.find_start(values[5:], 5, 24) == weekday


def test_nothing_clear_is_unknown():
    profile = _profile(contrast=0.0)
    values, _ = _days(6, 2, seed=1, contrast=0.0)
    assert profile.find_start(values, 0, 24) == UNKNOWN_WEEKDAY
    values[:] = np.nan
    assert profile.find_start(values, 0, 24) == UNKNOWN_WEEKDAY


def test_training_without_weekdays_knows_none():
    values, _ = _days(6, 2)
    axis = TimeAxis.counted(len(values), 0, 24)
    blind = WeekdayProfile.fit(WindowSet(values, values > 0, axis, 2, 2), DAYS)
    assert blind.find_start(values, 0, 24) == UNKNOWN_WEEKDAY
