"""The usual day as the other days of a training set tell it.

Shapes: B windows, S = T + H steps, N sensors.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.models.forecast_baselines import HistoricalMean
from engine.models.forecast_windows import WindowBatch, WindowSet


@dataclass(frozen=True, eq=False)
class OtherDays:
    """Means of a training set that leave out the value that they stand beside.

    A network that is given the usual value of the steps it is asked for would otherwise find a
    little of the answer in it (a twentieth, with twenty days), and rely on what is not there later.

    Args:
        mean_SN: of all days, by slot of the day.
        count_SN: how many values each mean has.
    """

    mean_SN: Tensor
    count_SN: Tensor

    @classmethod
    def of(cls, train: WindowSet) -> "OtherDays":
        """Means and counts of a training set."""
        count_SN = np.zeros((train.axis.steps_per_day, train.num_sensors), dtype=np.float32)
        np.add.at(count_SN, train.axis.slot_T, train.valid_TN)
        return cls(HistoricalMean.fit(train).mean_SN, torch.from_numpy(count_SN))

    def usual(self, windows: WindowBatch) -> Tensor:
        """The usual values of windows of this training set, (B, S, N), in the data's unit."""
        values = torch.cat([windows.history_BTN, windows.truth_BHN], dim=1)
        valid = torch.cat([windows.history_valid_BTN, windows.truth_valid_BHN], dim=1)
        mean, count = self.mean_SN[windows.slot_BS], self.count_SN[windows.slot_BS]
        others = (count * mean - values) / (count - 1).clamp(min=1)
        return torch.where(valid & (count > 1), others, mean)

    def all_days(self, windows: WindowBatch) -> Tensor:
        """The same of windows that are not part of this training set."""
        return self.mean_SN[windows.slot_BS]
