"""Forecasts against what happened: masked errors and coverage by horizon, and speed.

Shapes: B windows, H horizon, N sensors.
"""

import time
from collections.abc import Mapping
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.models.forecast_windows import Forecaster, WindowSet

HORIZONS_MIN = (15, 30, 60)
TIMED_WINDOWS = 15
Figures = dict[str, float | None]


class _Sums:
    """Running sums over valid entries, one number a step of the horizon."""

    def __init__(self, horizon: int) -> None:
        names = ("valid", "absolute", "squared", "relative", "nonzero", "covered")
        self.by_name = {name: np.zeros(horizon) for name in names}
        self.has_band = True

    def add(
        self, middle: Tensor, band: tuple[Tensor, Tensor] | None, truth: Tensor, valid: Tensor
    ) -> None:
        """Add one batch, all (B, H, N)."""
        error = torch.where(valid, (middle - truth).abs(), 0.0).double()
        nonzero = valid & (truth != 0)
        relative = torch.where(nonzero, error / truth.abs().clamp(min=1e-9), 0.0)
        terms = {
            "valid": valid,
            "absolute": error,
            "squared": error.square(),
            "relative": relative,
            "nonzero": nonzero,
        }
        if band is None:
            self.has_band = False
        else:
            terms["covered"] = valid & (truth >= band[0]) & (truth <= band[1])
        for name, term in terms.items():
            self.by_name[name] += term.double().sum((0, 2)).cpu().numpy()

    def figures(self, steps: slice) -> Figures:
        """MAE, RMSE, MAPE in percent and coverage over some steps; None without valid entries."""
        total = {name: float(sums[steps].sum()) for name, sums in self.by_name.items()}
        if not total["valid"]:
            return {"mae": None, "rmse": None, "mape": None, "coverage90": None}
        return {
            "mae": total["absolute"] / total["valid"],
            "rmse": (total["squared"] / total["valid"]) ** 0.5,
            "mape": 100 * total["relative"] / total["nonzero"] if total["nonzero"] else None,
            "coverage90": total["covered"] / total["valid"] if self.has_band else None,
        }


@torch.no_grad()
def evaluate_method(
    method: Forecaster,
    windows: WindowSet,
    step_min: float = 5.0,
    stride: int = 1,
    batch_size: int = 32,
) -> dict[str, Figures | float]:
    """Errors of one method on all windows, or each ``stride``-th.

    The mask is the windows' own: where it says a value is valid, zero is data. MAPE leaves
    zeros out, since an error relative to zero means nothing.

    Args:
        method: what is tried; sees no truth.
        windows: what it is tried on.
        step_min: minutes of a step.
        stride: take each ``stride``-th window.
        batch_size: windows at a time.

    Returns:
        ``{"15": {mae, rmse, mape, coverage90}, "30": ..., "60": ..., "mean": ...,
        "seconds_per_window": ...}``: errors in the data's unit, MAPE in percent, coverage as a
        share (None without a band). Horizons beyond the windows' are left out.
    """
    sums = _Sums(windows.horizon)
    for batch in windows.batches(batch_size, stride):
        forecast = method.forecast(batch)
        lower, upper = forecast.lower_BHN, forecast.upper_BHN
        band = None if lower is None or upper is None else (lower, upper)
        sums.add(forecast.middle_BHN, band, batch.truth_BHN, batch.truth_valid_BHN)
    result: dict[str, Figures | float] = {}
    for minutes in HORIZONS_MIN:
        step = round(minutes / step_min)
        if 1 <= step <= windows.horizon:
            result[str(minutes)] = sums.figures(slice(step - 1, step))
    result["mean"] = sums.figures(slice(None))
    result["seconds_per_window"] = time_window(method, windows)
    return result


@torch.no_grad()
def time_window(method: Forecaster, windows: WindowSet, repeats: int = TIMED_WINDOWS) -> float:
    """Median seconds of a forecast of one window for all sensors, the first call left out."""
    starts: NDArray[np.int64] = np.linspace(0, len(windows) - 1, repeats + 1).astype(np.int64)
    seconds = []
    for start in starts:
        batch = windows.batch(start[None])
        begun = time.perf_counter()
        method.forecast(batch)
        seconds.append(time.perf_counter() - begun)
    return median(seconds[1:])


def evaluate_methods(
    methods: Mapping[str, Forecaster], windows: WindowSet, step_min: float = 5.0, stride: int = 1
) -> dict[str, dict[str, Figures | float]]:
    """:func:`evaluate_method` of several methods on the same windows."""
    return {
        name: evaluate_method(method, windows, step_min, stride) for name, method in methods.items()
    }
