"""Frames of a gridded series, and the coarse maps that sensors would see of them.

A series is kept at its base step (say 10 minutes); a frame is the sum of ``window`` base steps
that begin at any of them. Training draws every beginning, evaluation every ``window``-th.

Shapes: T base steps, B frames, R x C fine cells, I x J coarse cells, N magnification, S slots a
day.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.domain import MAX_CELLS, Aggregation, FieldSeries
from engine.errors import FieldError

Maps = NDArray[np.float32]
Index = NDArray[np.int64]
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, eq=False)
class FlowSeries:
    """A count series on one grid with its daily clock.

    Args:
        values: (T, R, C) float32, non-negative counts per base step.
        slots_per_day: S, base steps a day.
        window: base steps summed into a frame.
        magnification: N; must divide R and C.
        first_slot: base steps from some midnight to the series' beginning; days are counted from
            that midnight.

    Raises:
        FieldError: any of these does not fit, or a value is negative or no number.
    """

    values: Maps
    slots_per_day: int
    window: int = 1
    magnification: int = 4
    first_slot: int = 0

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, dtype=np.float32)
        if values.ndim != 3 or len(values) < self.window:
            raise FieldError(
                "A flow series needs steps, rows and columns, and at least one whole frame.",
                str(values.shape),
            )
        rows, cols = values.shape[1:]
        if rows * cols > MAX_CELLS or rows % self.magnification or cols % self.magnification:
            raise FieldError(
                "The flow's grid is too large, or the magnification does not divide it.",
                f"{rows} x {cols} cells, magnification {self.magnification}",
            )
        if not np.isfinite(values).all():
            raise FieldError("The flow holds a value that is no number.")
        if (values < 0).any():
            raise FieldError("The flow has negative values.")
        if min(self.window, self.slots_per_day, self.magnification) < 1 or self.first_slot < 0:
            raise FieldError("Window, slots per day and magnification must be positive.")
        object.__setattr__(self, "values", values)

    @property
    def shape(self) -> tuple[int, int]:
        """Fine rows and columns, (R, C)."""
        return self.values.shape[1], self.values.shape[2]

    @property
    def coarse_shape(self) -> tuple[int, int]:
        """Coarse rows and columns, (I, J)."""
        return self.shape[0] // self.magnification, self.shape[1] // self.magnification

    @property
    def num_starts(self) -> int:
        """How many base steps a frame can begin at."""
        return len(self.values) - self.window + 1

    def regular_starts(self) -> Index:
        """Beginnings of consecutive frames that do not overlap."""
        return np.arange(0, self.num_starts, self.window)

    def slots(self, starts: Index) -> Index:
        """Slot of the day in 0 ... S - 1 at which each frame begins."""
        return (starts + self.first_slot) % self.slots_per_day

    def days(self, starts: Index) -> Index:
        """Day, counted from the midnight before the series, on which each frame begins."""
        return (starts + self.first_slot) // self.slots_per_day

    def frames(self, starts: Index) -> Maps:
        """The frames that begin at ``starts``, (B, R, C) counts per frame."""
        return np.asarray(
            sum(self.values[starts + offset] for offset in range(self.window)), dtype=np.float32
        )


def coarsen(fine: Maps, magnification: int) -> Maps:
    """Sum N x N fine cells into one coarse cell, (..., R, C) to (..., I, J)."""
    *lead, rows, cols = fine.shape
    n = magnification
    blocks = fine.reshape(*lead, rows // n, n, cols // n, n)
    return np.asarray(blocks.sum((-3, -1)), dtype=np.float32)


def spread(coarse: Maps, magnification: int) -> Maps:
    """Repeat each coarse cell N x N times, (..., I, J) to (..., R, C)."""
    return np.repeat(np.repeat(coarse, magnification, -1), magnification, -2)


def flows_of_field(field: FieldSeries, window: int = 1) -> FlowSeries:
    """A city's count field as a flow series.

    Raises:
        FieldError: the field averages instead of summing, or its step does not divide a day.
    """
    step_s = int(field.step.total_seconds())
    if field.aggregation is not Aggregation.SUM:
        raise FieldError("Reconstruction needs counts that add up.", f"{field.name}, {field.unit}")
    if SECONDS_PER_DAY % step_s:
        raise FieldError("The field's step does not divide a day.", f"{step_s} s")
    midnight = field.start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = int((field.start - midnight).total_seconds()) // step_s
    return FlowSeries(
        np.asarray(field.values, dtype=np.float32),
        SECONDS_PER_DAY // step_s,
        window,
        field.grid.magnification,
        first,
    )
