import numpy as np
import pytest
import torch

from engine.domain.sensors import TimeAxis
from engine.evaluation.forecast import evaluate_method, evaluate_methods
from engine.evaluation.forecast_kernels import time_decoder
from engine.models.forecast_windows import Forecast, WindowSet


class _Constant:
    """Forecasts one value, perhaps with a band around it."""

    def __init__(self, value, half_width=None):
        self.value, self.half_width = value, half_width

    def forecast(self, batch):
        middle = torch.full_like(batch.truth_BHN, self.value)
        if self.half_width is None:
            return Forecast(middle)
        return Forecast(middle, middle - self.half_width, middle + self.half_width)


def _windows(values, valid=None, horizon=2):
    values = np.asarray(values, dtype=np.float32)
    valid = np.ones_like(values, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    return WindowSet(values, valid, TimeAxis.counted(len(values), 0, 48), 1, horizon)


def test_errors_by_hand():
    # one window; truth 4 and 8 after 30 min, 10 and 0 after 60 min; the forecast is 5
    windows = _windows([[1, 1], [4, 8], [10, 0]])
    rows = evaluate_method(_Constant(5.0, 3.0), windows, step_min=30)
    assert "15" not in rows
    assert rows["30"]["mae"] == (1 + 3) / 2
    assert rows["30"]["rmse"] == pytest.approx(((1 + 9) / 2) ** 0.5)
    assert rows["30"]["mape"] == pytest.approx(100 * (1 / 4 + 3 / 8) / 2)
    assert rows["30"]["coverage90"] == 1
    assert rows["60"]["mae"] == 5  # the zero is data
    assert rows["60"]["mape"] == pytest.approx(50)  # but nothing is relative to it
    assert rows["60"]["coverage90"] == 0
    assert rows["mean"]["mae"] == (1 + 3 + 5 + 5) / 4
    assert rows["seconds_per_window"] > 0


def test_mask_drops_what_is_not_valid():
    windows = _windows([[1, 1], [4, 8], [10, 0]], [[1, 1], [1, 0], [1, 0]])
    rows = evaluate_method(_Constant(5.0, 3.0), windows, step_min=30)
    assert rows["mean"]["mae"] == (1 + 5) / 2
    assert rows["mean"]["coverage90"] == 0.5


def test_nothing_valid_has_no_error():
    windows = _windows([[1], [2], [3]], [[1], [0], [1]])
    assert evaluate_method(_Constant(0.0), windows, step_min=30)["30"] == {
        "mae": None,
        "rmse": None,
        "mape": None,
        "coverage90": None,
    }


def test_point_forecast_has_no_coverage():
    rows = evaluate_method(_Constant(0.0), _windows([[1], [2], [3]]), step_min=30)
    assert rows["mean"]["coverage90"] is None


def test_every_method_sees_the_same_windows():
    windows = _windows(np.arange(50)[:, None])
    rows = evaluate_methods({"a": _Constant(0.0), "b": _Constant(10.0)}, windows, 30, stride=7)
    expected = np.arange(0, 48, 7)
    assert rows["a"]["30"]["mae"] == pytest.approx((expected + 1).mean())
    assert rows["b"]["30"]["mae"] == pytest.approx(np.abs(expected + 1 - 10).mean())


def test_kernels_agree():
    rows = time_decoder(2, 6, repeats=1)
    assert set(rows) == {"regenerated", "hoisted", "reassociated"}
    assert all(row["difference"] < 1e-5 for row in rows.values())
    assert all(row["seconds"] > 0 for row in rows.values())
