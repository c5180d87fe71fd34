"""Bands that hold nine of ten values, measured on windows that were not trained on.

Shapes: B windows, H horizon, N sensors.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.models.forecast_windows import Forecast, Forecaster, WindowBatch, WindowSet

OUTSIDE = 0.05
"""Share of the values below the band, and as many above."""


@dataclass(frozen=True, eq=False)
class Banded:
    """A method whose band is shifted to where the truth was on other data.

    Args:
        method: with a band of its own, or a point forecast, whose band is then the margin alone.
        margin_2HN: how far the lower edge moves down and the upper edge up, in the data's unit;
            negative where the method was too cautious.
    """

    method: Forecaster
    margin_2HN: Tensor

    def forecast(self, batch: WindowBatch) -> Forecast:
        """The method's forecast with the calibrated band; the band always holds the middle."""
        return self.widen(self.method.forecast(batch))

    def widen(self, plain: Forecast) -> Forecast:
        """The same point forecast with the calibrated band."""
        middle = plain.middle_BHN
        lower = (middle if plain.lower_BHN is None else plain.lower_BHN) - self.margin_2HN[0]
        upper = (middle if plain.upper_BHN is None else plain.upper_BHN) + self.margin_2HN[1]
        return Forecast(middle, torch.minimum(lower, middle), torch.maximum(upper, middle))


@torch.no_grad()
def calibrate(
    method: Forecaster, windows: WindowSet, batch_size: int = 64, stride: int = 1
) -> Banded:
    """The method with margins such that 5 % of the windows' truth lies beyond each edge.

    A method with a band of its own knows its sensors already: its margins are one a step. For
    a point forecast they are one a step and sensor.

    Source: Romano, Patterson and Candès, "Conformalized Quantile Regression", NeurIPS 2019.

    Args:
        method: as it was trained.
        windows: not trained on.
        batch_size: windows at a time.
        stride: take each ``stride``-th window.
    """
    below, above, known = [], [], []
    has_band = False
    for batch in windows.batches(batch_size, stride):
        plain = method.forecast(batch)
        has_band = plain.lower_BHN is not None
        lower = plain.middle_BHN if plain.lower_BHN is None else plain.lower_BHN
        upper = plain.middle_BHN if plain.upper_BHN is None else plain.upper_BHN
        below.append(lower - batch.truth_BHN)
        above.append(batch.truth_BHN - upper)
        known.append(batch.truth_valid_BHN)
    valid_BHN = torch.cat(known)
    excesses = [torch.where(valid_BHN, torch.cat(parts), torch.nan) for parts in (below, above)]
    if has_band:
        return Banded(method, torch.stack([_shared_margin(excess) for excess in excesses]))
    day = windows.axis.steps_per_day // stride
    return Banded(method, torch.stack([_own_margin(excess, day) for excess in excesses]))


def _shared_margin(excess_BHN: Tensor) -> Tensor:
    """(H, N), the same for all sensors: what 95 % of the excesses do not exceed."""
    rows = [_quantile(step_BN.flatten()) for step_BN in excess_BHN.unbind(1)]
    return torch.stack(rows)[:, None].expand(-1, excess_BHN.shape[2])


def _own_margin(excess_BHN: Tensor, steps_per_day: int) -> Tensor:
    """(H, N): what 95 % of a sensor's excesses do not exceed, widened for being measured on few.

    Neighbouring windows are nearly the same, so a sensor's own quantile comes out too small for
    other days. By how much is seen on each half of the windows with the other half's margins,
    if each half is a day or longer: parts of a day differ too much to tell.
    """
    half = len(excess_BHN) // 2
    if half < steps_per_day:
        return _quantile(excess_BHN)
    shares_2H = []
    for own, other in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
        margin_HN = _quantile(excess_BHN[own]).clamp(min=1e-6)
        ratio_HM = (excess_BHN[other] / margin_HN).transpose(0, 1).flatten(1)
        shares_2H.append(torch.stack([_quantile(row_M) for row_M in ratio_HM]))
    factor_H = torch.stack(shares_2H).mean(dim=0).clamp(min=1.0)
    return _quantile(excess_BHN) * factor_H[:, None]


def _quantile(excess: Tensor) -> Tensor:
    """95 % quantile over the first axis of what is not NaN; zero where there is nothing."""
    values = np.asarray(excess, dtype=np.float32)
    known = np.isfinite(values)
    if not known.any():
        return torch.zeros(values.shape[1:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a sensor without any value
        found = np.nanquantile(values, 1 - OUTSIDE, axis=0)
    return torch.from_numpy(np.asarray(np.nan_to_num(found), dtype=np.float32))
