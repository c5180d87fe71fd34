"""Frames of a gridded series, and the coarse maps that sensors would see of them.

A series is kept at its base step (say 10 minutes); a frame is the sum of ``window`` base steps
that begin at any of them. Training draws every beginning, evaluation every ``window``-th.

Shapes: T base steps, B frames, R x C fine cells, I x J coarse cells, N magnification, S slots a
day.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.domain import MAX_CELLS, Aggregation, FieldSeries
from engine.errors import FieldError
from engine.models.moments import (
    DAY_KINDS,
    NUM_CONDITIONS,
    WEEKDAY,
    Conditions,
    conditions_of,
    day_kinds,
    unknown_conditions,
)

if TYPE_CHECKING:
    import pandas as pd

Maps = NDArray[np.float32]
Index = NDArray[np.int64]
SECONDS_PER_DAY = 86_400


VALID_SHARE = 0.2
"""Share of a field's days, the last ones, that weights of a city are not trained on."""


def first_held_out(num_steps: int, slots_per_day: int) -> int:
    """The first step of the days that weights of a city are not trained on.

    Args:
        num_steps: of the field.
        slots_per_day: steps of a day.
    """
    days = num_steps // slots_per_day
    return (days - max(1, round(VALID_SHARE * days))) * slots_per_day


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
        conditions: (T, 5) weekday, holiday, weather, temperature and rain of each base step, as
            :mod:`engine.models.moments` has them; nothing is known if not given.

    Raises:
        FieldError: any of these does not fit, or a value is negative or no number.
    """

    values: Maps
    slots_per_day: int
    window: int = 1
    magnification: int = 4
    first_slot: int = 0
    conditions: Conditions | None = None

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
        known = unknown_conditions(len(values)) if self.conditions is None else self.conditions
        if known.shape != (len(values), NUM_CONDITIONS):
            raise FieldError("The conditions do not fit the flow's steps.", str(known.shape))
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "conditions", known.astype(np.float32))

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

    @cached_property
    def num_day_kinds(self) -> int:
        """Kinds of days that have a mean day of their own: one where no calendar is known."""
        known = not np.isnan(self.moments(np.arange(len(self.values)))[:, WEEKDAY]).any()
        return len(DAY_KINDS) if known else 1

    def moments(self, starts: Index) -> Conditions:
        """Conditions at the beginning of each frame, (..., 5); unknown before the series."""
        if self.conditions is None:
            return unknown_conditions(len(starts))
        known = self.conditions[np.maximum(starts, 0)]
        return np.where((starts >= 0)[..., None], known, np.float32(np.nan))

    @cached_property
    def coarse_frames(self) -> Maps:
        """The coarse map of the frame at every beginning, (num_starts, I, J) counts per frame."""
        n, (rows, cols) = self.magnification, self.coarse_shape
        blocks = self.values.reshape(len(self.values), rows, n, cols, n).sum((2, 4))
        steps = (blocks[offset : self.num_starts + offset] for offset in range(self.window))
        return np.asarray(sum(steps), dtype=np.float32)

    def part(self, first: int, last: int | None = None) -> "FlowSeries":
        """The base steps from ``first`` up to ``last``; its days are counted on."""
        chosen = slice(first, last)
        return replace(
            self,
            values=self.values[chosen],
            first_slot=self.first_slot + first,
            conditions=None if self.conditions is None else self.conditions[chosen],
        )

    def slots(self, starts: Index) -> Index:
        """Slot of the mean day at which each frame begins.

        With one kind of day 0 ... S - 1; each further kind of day has the next S slots.
        """
        slot = (starts + self.first_slot) % self.slots_per_day
        if self.num_day_kinds == 1:
            return slot
        return slot + self.slots_per_day * day_kinds(self.moments(np.maximum(starts, 0)))

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


def flows_of_field(
    field: FieldSeries, context: "pd.DataFrame | None" = None, window: int = 1
) -> FlowSeries:
    """A city's count field as a flow series.

    Args:
        field: counts on the fine grid.
        context: the city's weather and calendar; without it only the time of day is known.
        window: base steps summed into a frame.

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
    times = [field.time_of(step) for step in range(len(field))]
    conditions = None if context is None else conditions_of(times, context)
    return FlowSeries(
        np.asarray(field.values, dtype=np.float32),
        SECONDS_PER_DAY // step_s,
        window,
        field.grid.magnification,
        first,
        conditions,
    )
