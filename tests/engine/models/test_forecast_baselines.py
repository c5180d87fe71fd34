import numpy as np
import torch

from engine.domain.sensors import TimeAxis
from engine.models.forecast_bands import Banded, calibrate
from engine.models.forecast_baselines import HistoricalMean, LastValue
from engine.models.forecast_windows import Forecast, WindowSet


def _windows(values, valid=None, history=2, horizon=2, slots=3):
    values = np.asarray(values, dtype=np.float32)
    valid = np.ones_like(values, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    return WindowSet(values, valid, TimeAxis.counted(len(values), 0, slots), history, horizon)


def test_mean_of_each_slot():
    windows = _windows([[1], [2], [3], [5], [6], [7]])
    mean = HistoricalMean.fit(windows)
    assert mean.mean_SN.flatten().tolist() == [3, 4, 5]
    forecast = mean.forecast(windows.batch(np.array([0, 1])))
    assert forecast.middle_BHN[:, :, 0].tolist() == [[5, 3], [3, 4]]


def test_mean_knows_what_is_missing():
    values = [[1, 8], [2, 8], [3, 8], [5, 8], [99, 8], [7, 8]]
    valid = [[1, 0], [1, 0], [1, 0], [1, 0], [0, 0], [1, 0]]
    mean = HistoricalMean.fit(_windows(values, valid)).mean_SN
    assert mean[:, 0].tolist() == [3, 2, 5]
    # a sensor without values gets the mean of all
    torch.testing.assert_close(mean[:, 1], torch.full((3,), 18 / 5))


def test_slot_that_a_sensor_lacks_gets_its_mean():
    valid = [[1], [0], [1], [1], [0], [1]]
    mean = HistoricalMean.fit(_windows([[1], [9], [3], [5], [9], [7]], valid)).mean_SN
    assert mean.flatten().tolist() == [3, 4, 5]


def test_last_valid_value_is_repeated():
    windows = _windows([[4, 9, 9], [5, 6, 9], [0, 0, 0], [0, 0, 0]], [[1, 1, 0], [0, 1, 0]] * 2)
    fallback = HistoricalMean(torch.tensor([[7.0] * 3] * 3))
    forecast = LastValue(fallback).forecast(windows.batch(np.array([0]))).middle_BHN
    assert forecast[0].tolist() == [[4, 6, 7]] * 2  # the third sensor is dead


class _Noise:
    """Forecasts zero, with or without a much too narrow band."""

    def __init__(self, has_band):
        self.has_band = has_band

    def forecast(self, batch):
        middle = torch.zeros_like(batch.truth_BHN)
        return Forecast(middle, middle - 0.1, middle + 0.1) if self.has_band else Forecast(middle)


def test_calibrated_band_holds_nine_of_ten():
    rng = np.random.default_rng(0)
    spread = np.array([1.0, 10.0])
    train, test = (_windows(rng.normal(0, spread, (4000, 2))) for _ in range(2))
    for has_band in (False, True):
        banded = calibrate(_Noise(has_band), train)
        batch = test.batch(np.arange(len(test)))
        forecast = banded.forecast(batch)
        inside = (batch.truth_BHN >= forecast.lower_BHN) & (batch.truth_BHN <= forecast.upper_BHN)
        assert abs(inside.double().mean() - 0.9) < 0.01
        if not has_band:  # a point forecast's margins differ by sensor
            assert (inside.double().mean((0, 1)) - 0.9).abs().max() < 0.015


def test_calibration_ignores_what_is_invalid():
    values = np.random.default_rng(1).normal(0, 1, (500, 1))
    wild, valid = values.copy(), np.ones_like(values, dtype=bool)
    wild[::3], valid[::3] = 1e6, False
    margin = calibrate(_Noise(False), _windows(wild, valid)).margin_2HN
    assert (margin < 3).all()
    assert (margin > 1).all()


def test_band_always_holds_the_middle():
    windows = _windows(np.zeros((4, 1)))
    cautious = Banded(_Noise(True), torch.full((2, 2, 1), -5.0))
    forecast = cautious.forecast(windows.batch(np.array([0])))
    assert (forecast.lower_BHN <= 0).all()
    assert (forecast.upper_BHN >= 0).all()
