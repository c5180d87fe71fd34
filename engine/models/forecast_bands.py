"""Bands that hold nine of ten values, measured on windows that were not trained on.

Shapes: B windows, H horizon, N sensors.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

from dataclasses import dataclass

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
def calibrate(method: Forecaster, windows: WindowSet, batch_size: int = 64) -> Banded:
    """The method with margins such that 5 % of the windows' truth lies beyond each edge.

    A method with a band of its own knows its sensors already: its margins are one a step. For
    a point forecast they are one a step and sensor.

    Source: Romano, Patterson and Candès, "Conformalized Quantile Regression", NeurIPS 2019.

    Args:
        method: as it was trained.
        windows: not trained on.
        batch_size: windows at a time.
    """
    below, above, known = [], [], []
    has_band = False
    for batch in windows.batches(batch_size):
        plain = method.forecast(batch)
        has_band = plain.lower_BHN is not None
        lower = plain.middle_BHN if plain.lower_BHN is None else plain.lower_BHN
        upper = plain.middle_BHN if plain.upper_BHN is None else plain.upper_BHN
        below.append(lower - batch.truth_BHN)
        above.append(batch.truth_BHN - upper)
        known.append(batch.truth_valid_BHN)
    valid_BHN = torch.cat(known)
    edges = [
        _margin(torch.cat(parts), valid_BHN, per_sensor=not has_band) for parts in (below, above)
    ]
    return Banded(method, torch.stack(edges))


def _margin(excess_BHN: Tensor, valid_BHN: Tensor, *, per_sensor: bool) -> Tensor:
    """(H, N): what 95 % of the valid excesses do not exceed; zero where nothing is valid."""
    known_BHN = torch.where(valid_BHN, excess_BHN, torch.nan)
    if per_sensor:
        return torch.nanquantile(known_BHN, 1 - OUTSIDE, dim=0).nan_to_num(0.0)
    rows = [torch.nanquantile(step.flatten().double(), 1 - OUTSIDE) for step in known_BHN.unbind(1)]
    return torch.stack(rows).float().nan_to_num(0.0)[:, None].expand(-1, known_BHN.shape[2])
