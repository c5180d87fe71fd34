import numpy as np
import pytest

from engine.domain.sensors import SensorSeries, TimeAxis
from engine.errors import SensorError
from engine.models.forecast_windows import Scale, WindowSet


def _series(num_steps=30, weekday=4):
    values = np.arange(num_steps * 2, dtype=np.float32).reshape(num_steps, 2)
    axis = TimeAxis.counted(num_steps, 20, 24, weekday)
    return SensorSeries("speed", ("a", "b"), values, axis, "mph")


def test_window_holds_history_then_truth():
    windows = WindowSet.of(_series(), 4, 3)
    assert len(windows) == 30 - 7 + 1
    batch = windows.batch(np.array([5]))
    assert batch.history_BTN[0, :, 0].tolist() == [10, 12, 14, 16]
    assert batch.truth_BHN[0, :, 1].tolist() == [19, 21, 23]
    assert batch.slot_BS[0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert batch.weekday_BS[0].tolist() == [5] * 7  # began on a Friday at 20:00


def test_missing_values_are_zero_and_marked():
    series = _series()
    values = np.array(series.values_TN)
    values[3, 1] = np.nan
    batch = WindowSet(values, np.isfinite(values), series.axis, 4, 3).batch(np.array([0]))
    assert batch.history_BTN[0, 3].tolist() == [6, 0]
    assert batch.history_valid_BTN[0, 3].tolist() == [True, False]


def test_batches_cover_every_window_once():
    windows = WindowSet.of(_series(), 4, 3)
    first = [float(v) for b in windows.batches(7) for v in b.history_BTN[:, 0, 0]]
    assert first == [2.0 * i for i in range(24)]
    assert sum(len(b) for b in windows.batches(7, stride=5)) == 5


def test_window_ahead_of_a_series_has_no_truth():
    series = _series()
    batch = WindowSet.ahead_of(series, 4, 3).batch(np.array([0]))
    assert batch.history_BTN[0, :, 0].tolist() == [52, 54, 56, 58]
    assert not batch.truth_valid_BHN.any()
    assert batch.slot_BS[0].tolist() == [22, 23, 0, 1, 2, 3, 4]  # the series ends at slot 1
    assert batch.weekday_BS[0].tolist() == [5, 5, 6, 6, 6, 6, 6]


@pytest.mark.parametrize("cut", [WindowSet.of, WindowSet.ahead_of])
def test_short_series_is_refused(cut):
    with pytest.raises(SensorError, match="too short for a forecast"):
        cut(_series().part(0, 3), 4, 3)


def test_scale_counts_only_valid_values():
    values = np.array([[1.0], [3.0], [99.0]], dtype=np.float32)
    axis = TimeAxis.counted(3, 23, 24, 6)
    scale = Scale.of(WindowSet(values, values < 50, axis, 1, 1))
    assert (scale.mean, scale.std) == (2, 1)
    assert scale.weekday_share == pytest.approx((2 / 3, 0, 0, 0, 0, 0, 1 / 3))


def test_unknown_weekdays_are_even():
    windows = WindowSet.of(_series(weekday=-1), 4, 3)
    assert Scale.of(windows).weekday_share == pytest.approx((1 / 7,) * 7)


def test_nothing_that_varies_is_refused():
    values = np.full((9, 1), 5, dtype=np.float32)
    windows = WindowSet(values, values > 0, TimeAxis.counted(9, 0, 24), 1, 1)
    with pytest.raises(SensorError, match="no valid value that varies"):
        Scale.of(windows)


def test_earlier_steps_do_not_move_the_windows():
    plain, reaching = WindowSet.of(_series(), 4, 3), WindowSet.of(_series(), 4, 3, earlier=3)
    assert len(plain) == len(reaching)
    batch = reaching.batch(np.array([1, 9]))
    assert batch.history_BTN[:, 0, 0].tolist() == [2, 18]
    assert batch.earlier_valid_BPN[0, :, 0].tolist() == [False, False, True]  # before the series
    assert batch.earlier_BPN[0, :, 0].tolist() == [0, 0, 0]
    assert batch.earlier_BPN[1, :, 0].tolist() == [12, 14, 16]


def test_earlier_steps_of_the_window_ahead():
    series = _series()
    last = WindowSet.ahead_of(series, 4, 3, earlier=2).last()
    assert last.earlier_BPN[0, :, 0].tolist() == [48, 50]
    assert last.history_BTN[0, :, 0].tolist() == [52, 54, 56, 58]
    short = WindowSet.ahead_of(series.part(0, 5), 4, 3, earlier=2).last()
    assert short.earlier_valid_BPN[0, :, 0].tolist() == [False, True]
    assert short.history_BTN[0, :, 0].tolist() == [2, 4, 6, 8]
