"""The error card of a forecast: by horizon and by hour of the day, on days that nobody trained on.

Shapes: B windows, H horizon, N sensors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.models.forecast_windows import Forecast, Forecaster, WindowBatch, WindowSet

HOURS = 24
BATCH = 32
Answers = Callable[[WindowBatch], Forecast]


@torch.no_grad()
def assess_method(method: Forecaster, windows: WindowSet, stride: int = 1) -> dict[str, Any]:
    """Errors of a method with its band on all windows, or each ``stride``-th.

    Returns:
        ``{"by_step": {mae, rmse, coverage90, width}, "by_hour": {mae, num}}``: lists of H and of
        24 numbers; errors and the band's mean width in the data's unit, coverage as a share, None
        where there is nothing to tell. An hour is that of the last step seen.
    """
    horizon, history = windows.horizon, windows.history
    sums = {name: np.zeros(horizon) for name in ("num", "absolute", "squared", "inside", "width")}
    hours = {name: np.zeros(HOURS) for name in ("num", "absolute")}
    for batch in windows.batches(BATCH, stride):
        answer = method.forecast(batch)
        valid = batch.truth_valid_BHN
        error = torch.where(valid, (answer.middle_BHN - batch.truth_BHN).abs(), 0.0).double()
        _add(sums, {"num": valid, "absolute": error, "squared": error.square()})
        if answer.lower_BHN is not None and answer.upper_BHN is not None:
            truth = batch.truth_BHN
            inside = valid & (truth >= answer.lower_BHN) & (truth <= answer.upper_BHN)
            width = torch.where(valid, answer.upper_BHN - answer.lower_BHN, 0.0)
            _add(sums, {"inside": inside, "width": width})
        hour_B = (batch.slot_BS[:, history - 1] * HOURS // windows.axis.steps_per_day).numpy()
        np.add.at(hours["num"], hour_B, valid.sum((1, 2)).numpy())
        np.add.at(hours["absolute"], hour_B, error.sum((1, 2)).numpy())
    return {
        "by_step": {
            "mae": _shares(sums["absolute"], sums["num"]),
            "rmse": [None if v is None else v**0.5 for v in _shares(sums["squared"], sums["num"])],
            "coverage90": _shares(sums["inside"], sums["num"]),
            "width": _shares(sums["width"], sums["num"]),
        },
        "by_hour": {
            "mae": _shares(hours["absolute"], hours["num"]),
            "num": hours["num"].astype(int).tolist(),
        },
    }


def _add(sums: dict[str, NDArray[np.float64]], terms: dict[str, Tensor]) -> None:
    for name, term_BHN in terms.items():
        sums[name] += term_BHN.double().sum((0, 2)).numpy()


def _shares(total: NDArray[np.float64], num: NDArray[np.float64]) -> list[float | None]:
    return [
        round(t / n, 5) if n else None for t, n in zip(total.tolist(), num.tolist(), strict=True)
    ]


@torch.no_grad()
def compare_edit(
    untouched: Answers,
    edited: Answers,
    windows: tuple[WindowSet, WindowSet],
    starts: NDArray[np.int64],
    changed: float,
) -> dict[str, float | int | None]:
    """What a method says an edit does, beside what the simulator says, averaged over a day.

    Args:
        untouched: the method on the day as it was.
        edited: the method told of the edit, on the same histories.
        windows: of the day as it was, and of the same day with the edit in force.
        starts: first steps of the windows to look at.
        changed: sensors whose mean truly changes by more than this are compared, in the data's
            unit.

    Returns:
        ``sensors`` compared, ``same_sign`` share of them, ``slope`` of said on true change, and
        ``correlation``; None where nothing changed enough.
    """
    batch, after = windows[0].batch(starts), windows[1].batch(starts)
    said_BHN = edited(batch).middle_BHN - untouched(batch).middle_BHN
    return _compare_changes(said_BHN, batch, after, changed)


@torch.no_grad()
def compare_readings(
    method: Answers,
    windows: tuple[WindowSet, WindowSet],
    starts: NDArray[np.int64],
    changed: float,
) -> dict[str, float | int | None]:
    """What a method says of an edit that it was told nothing of, from the readings alone.

    Arguments and figures as :func:`compare_edit`: the method is given the history of the edited
    day, and of the untouched one; what it says of the hours after is compared.
    """
    batch, after = windows[0].batch(starts), windows[1].batch(starts)
    said_BHN = method(after).middle_BHN - method(batch).middle_BHN
    return _compare_changes(said_BHN, batch, after, changed)


def _compare_changes(
    said_BHN: Tensor, batch: WindowBatch, after: WindowBatch, changed: float
) -> dict[str, float | int | None]:
    both_BHN = batch.truth_valid_BHN & after.truth_valid_BHN
    true_BHN = after.truth_BHN - batch.truth_BHN
    num_N = both_BHN.sum((0, 1)).clamp(min=1)
    said_N = (torch.where(both_BHN, said_BHN, 0.0).sum((0, 1)) / num_N).numpy()
    true_N = (torch.where(both_BHN, true_BHN, 0.0).sum((0, 1)) / num_N).numpy()
    kept_N = np.abs(true_N) > changed
    if kept_N.sum() < 2:
        return {"sensors": int(kept_N.sum()), "same_sign": None, "slope": None, "correlation": None}
    said, true = said_N[kept_N], true_N[kept_N]
    return {
        "sensors": int(kept_N.sum()),
        "same_sign": round(float((np.sign(said) == np.sign(true)).mean()), 3),
        "slope": round(float((said * true).sum() / (true**2).sum()), 3),
        "correlation": round(float(np.corrcoef(said, true)[0, 1]), 3) if said.std() else None,
    }
