"""Windows of a sensor series: what a forecast sees and what it is asked for.

Shapes: T steps of the series or of the history, H of the horizon, N sensors, B windows.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import InputError

UNKNOWN_WEEKDAY = -1
"""Stands where the series does not say which day of the week a step belongs to."""


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """Which slot of the day, and which weekday, each step of a series belongs to.

    Args:
        slot_T: int64, 0 <= slot < steps_per_day.
        weekday_T: int64, Monday 0 ... Sunday 6, or :data:`UNKNOWN_WEEKDAY`.
        steps_per_day: number of slots of a day.
    """

    slot_T: NDArray[np.int64]
    weekday_T: NDArray[np.int64]
    steps_per_day: int

    def __post_init__(self) -> None:
        if self.slot_T.shape != self.weekday_T.shape or self.slot_T.ndim != 1:
            raise InputError("Slots and weekdays of a time axis differ in length.")
        if len(self.slot_T) and not (
            self.slot_T.min() >= 0 and self.slot_T.max() < self.steps_per_day
        ):
            raise InputError(
                "A time slot lies outside the day.",
                f"slots {self.slot_T.min()} to {self.slot_T.max()}, day of {self.steps_per_day}",
            )

    def __len__(self) -> int:
        return len(self.slot_T)

    @classmethod
    def counted(
        cls,
        num_steps: int,
        start_slot: int,
        steps_per_day: int,
        start_weekday: int = UNKNOWN_WEEKDAY,
        days: tuple[int, ...] = tuple(range(7)),
    ) -> "TimeAxis":
        """An axis without dates: steps follow each other, and so do the weekdays in ``days``.

        Args:
            num_steps: T.
            start_slot: slot of the first step.
            steps_per_day: number of slots of a day.
            start_weekday: weekday of the first step, if known.
            days: the weekdays that the series has, in order (Monday to Friday: 0 to 4).

        Raises:
            InputError: the slot is not in the day, or the weekday not among the days.
        """
        if not 0 <= start_slot < steps_per_day:
            raise InputError(
                f"The first step's number in the day must be from 0 to {steps_per_day - 1}.",
                str(start_slot),
            )
        count = start_slot + np.arange(num_steps, dtype=np.int64)
        if start_weekday == UNKNOWN_WEEKDAY:
            weekday = np.full(num_steps, UNKNOWN_WEEKDAY, dtype=np.int64)
        elif start_weekday in days:
            order = np.array(days, dtype=np.int64)
            weekday = order[(days.index(start_weekday) + count // steps_per_day) % len(days)]
        else:
            raise InputError("The first step's weekday is not among the series' days.")
        return cls(count % steps_per_day, weekday, steps_per_day)

    def part(self, begin: int, end: int) -> "TimeAxis":
        """Steps ``begin`` to ``end``, the latter excluded."""
        return TimeAxis(self.slot_T[begin:end], self.weekday_T[begin:end], self.steps_per_day)


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Windows as tensors; values in the data's own unit, zero where invalid.

    Args:
        history_BTN: what was measured.
        history_valid_BTN: bool, where it was.
        truth_BHN: what followed.
        truth_valid_BHN: bool, where it is known.
        slot_BS: slots of the day of the S = T + H steps.
        weekday_BS: weekdays, or :data:`UNKNOWN_WEEKDAY`.
    """

    history_BTN: Tensor
    history_valid_BTN: Tensor
    truth_BHN: Tensor
    truth_valid_BHN: Tensor
    slot_BS: Tensor
    weekday_BS: Tensor

    def __len__(self) -> int:
        return len(self.history_BTN)

    def to(self, device: torch.device | str) -> "WindowBatch":
        """The same batch on a device."""
        return WindowBatch(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Every window of a series, cut on demand.

    Args:
        values_TN: float32; anything where invalid.
        valid_TN: bool, where a value was measured.
        axis: the series' time axis.
        history: steps that a forecast sees.
        horizon: steps that it is asked for.

    Raises:
        InputError: shapes differ, or the series is too short for one window.
    """

    values_TN: NDArray[np.float32]
    valid_TN: NDArray[np.bool_]
    axis: TimeAxis
    history: int = 12
    horizon: int = 12

    def __post_init__(self) -> None:
        if self.values_TN.ndim != 2 or self.values_TN.shape != self.valid_TN.shape:
            raise InputError(
                "Values and validity of a series must both have the shape (steps, sensors).",
                f"{self.values_TN.shape} and {self.valid_TN.shape}",
            )
        if len(self.axis) != len(self.values_TN):
            raise InputError("The time axis is not as long as the series.")
        if len(self) < 1:
            raise InputError(
                "The series is too short for a forecast.",
                f"{len(self.values_TN)} steps",
                f"Give at least {self.history + self.horizon} steps.",
            )

    def __len__(self) -> int:
        return len(self.values_TN) - self.history - self.horizon + 1

    @property
    def num_sensors(self) -> int:
        """N."""
        return self.values_TN.shape[1]

    def batch(self, starts_B: NDArray[np.int64]) -> WindowBatch:
        """The windows that begin at these steps."""
        index_BS = starts_B[:, None] + np.arange(self.history + self.horizon)
        valid_BSN = self.valid_TN[index_BS]
        values_BSN = np.where(valid_BSN, self.values_TN[index_BS], np.float32(0))
        values, valid = torch.from_numpy(values_BSN), torch.from_numpy(valid_BSN)
        t = self.history
        return WindowBatch(
            values[:, :t],
            valid[:, :t],
            values[:, t:],
            valid[:, t:],
            torch.from_numpy(self.axis.slot_T[index_BS]),
            torch.from_numpy(self.axis.weekday_T[index_BS]),
        )

    def batches(self, size: int, stride: int = 1) -> Iterator[WindowBatch]:
        """All windows in order (or each ``stride``-th), ``size`` at a time."""
        starts = np.arange(0, len(self), stride, dtype=np.int64)
        for begin in range(0, len(starts), size):
            yield self.batch(starts[begin : begin + size])


def measure_scale(
    values_TN: NDArray[np.float32], valid_TN: NDArray[np.bool_]
) -> tuple[float, float]:
    """Mean and standard deviation of the valid values, in the data's unit.

    Raises:
        InputError: nothing is valid, or nothing varies.
    """
    known = values_TN[valid_TN].astype(np.float64)
    if not known.size or not known.std() > 0:
        raise InputError(
            "The series has no valid value that varies.", "", "Check the missing-value rule."
        )
    return float(known.mean()), float(known.std())
