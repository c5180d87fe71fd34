"""Which weekday a series begins on, read off the series where nobody says.

Shapes: T steps, N sensors, D days of the week in the series, S slots of a coarse day.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.domain.sensors import UNKNOWN_WEEKDAY, TimeAxis
from engine.models.forecast_windows import WindowSet

SLOT_MIN = 30
CLEARLY = 0.05
"""The best weekday must fit by so much better than the next; otherwise none is named."""


@dataclass(frozen=True, eq=False)
class WeekdayProfile:
    """The mean of each sensor by weekday and half hour.

    Args:
        mean_DSN: NaN where training had no such weekday.
        days: the D weekdays, in order.
    """

    mean_DSN: Tensor
    days: tuple[int, ...]

    @classmethod
    def fit(cls, windows: WindowSet, days: tuple[int, ...]) -> "WeekdayProfile":
        """Average a training set whose weekdays are known; elsewhere there is no mean."""
        axis = windows.axis
        num_slots = 24 * 60 // SLOT_MIN
        slot_T = axis.slot_T * num_slots // axis.steps_per_day
        total_DSN = np.zeros((len(days), num_slots, windows.num_sensors))
        count_DSN = np.zeros_like(total_DSN)
        for place, day in enumerate(days):
            is_day_T = axis.weekday_T == day
            known_TN = np.where(windows.valid_TN, windows.values_TN, 0)[is_day_T]
            np.add.at(total_DSN[place], slot_T[is_day_T], known_TN)
            np.add.at(count_DSN[place], slot_T[is_day_T], windows.valid_TN[is_day_T])
        mean_DSN = np.where(count_DSN > 0, total_DSN / count_DSN.clip(1), np.nan)
        return cls(torch.from_numpy(mean_DSN.astype(np.float32)), days)

    def find_start(
        self, values_TN: NDArray[np.float32], start_slot: int, steps_per_day: int
    ) -> int:
        """The weekday of a series' first step, or :data:`UNKNOWN_WEEKDAY`.

        It looks at all readings, also at those that are to be forecast: what a calendar would
        say. A series of a day or two is rarely clear enough.

        Args:
            values_TN: NaN where missing.
            start_slot: slot of the first step.
            steps_per_day: slots of a day.
        """
        mean_DSN = self.mean_DSN.numpy()
        if len(self.days) < 2 or not np.isfinite(mean_DSN).any():
            return UNKNOWN_WEEKDAY
        misfits = []
        for day in self.days:
            axis = TimeAxis.counted(len(values_TN), start_slot, steps_per_day, day, self.days)
            place_T = np.searchsorted(self.days, axis.weekday_T)
            slot_T = axis.slot_T * mean_DSN.shape[1] // steps_per_day
            gap_TN = np.abs(values_TN - mean_DSN[place_T, slot_T])
            misfits.append(float(np.nanmean(gap_TN)) if np.isfinite(gap_TN).any() else np.inf)
        best, second = sorted(misfits)[:2]
        is_clear = best < (1 - CLEARLY) * second
        return self.days[int(np.argmin(misfits))] if is_clear else UNKNOWN_WEEKDAY
