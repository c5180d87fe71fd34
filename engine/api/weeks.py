"""A field week by week, in local time, beside what is usual for the weekday and hour.

The usual value is the plainest forecast there is, and a strong one: the mean of the *other* weeks
at the same weekday and time of day. It stands beside every series that the product shows.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.domain import FieldSeries, TimeAxis
from engine.errors import FieldError

DAYS_A_WEEK = 7
LOW, HIGH = 10, 90
"""Percentiles of the usual band."""


@dataclass(frozen=True)
class Week:
    """Steps of a series that fall into one local week.

    Args:
        monday: its first day.
        first: index of its first step in the series.
        times: beginning of each of its T steps, local time.
    """

    monday: date
    first: int
    times: tuple[datetime, ...]

    @property
    def steps(self) -> slice:
        """Where the week lies in the series."""
        return slice(self.first, self.first + len(self.times))


def _local_times(axis: TimeAxis) -> list[datetime]:
    return [axis.time_of(index) for index in range(len(axis))]


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


@lru_cache(maxsize=8)
def list_weeks(axis: TimeAxis) -> tuple[Week, ...]:
    """The weeks of an axis, Monday to Sunday in local time; the first and last may be shorter."""
    times = _local_times(axis)
    mondays = [_monday(time.date()) for time in times]
    firsts = [i for i, monday in enumerate(mondays) if i == 0 or monday != mondays[i - 1]]
    ends = [*firsts[1:], len(times)]
    return tuple(
        Week(mondays[first], first, tuple(times[first:end]))
        for first, end in zip(firsts, ends, strict=True)
    )


def find_week(weeks: tuple[Week, ...], monday: date | None) -> Week:
    """The week that begins on a Monday, or the first one where none is named.

    Raises:
        FieldError: there is no such week.
    """
    if monday is None:
        return weeks[0]
    for week in weeks:
        if week.monday == monday:
            return week
    raise FieldError(
        "There is no such week.",
        monday.isoformat(),
        f"Choose one from {weeks[0].monday.isoformat()} to {weeks[-1].monday.isoformat()}.",
    )


def _slot(time: datetime, step: timedelta) -> int:
    """Number of the time's slot in its local week, so that an hour lost or won shifts nothing."""
    since_midnight = timedelta(hours=time.hour, minutes=time.minute, seconds=time.second)
    return time.weekday() * (timedelta(days=1) // step) + since_midnight // step


def _other_weeks(
    axis: TimeAxis, week: Week
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """Slot of each step, which steps lie outside the week, slot of each of the week's steps."""
    slots = np.array([_slot(time, axis.step) for time in _local_times(axis)])
    outside = np.ones(len(axis), dtype=bool)
    outside[week.steps] = False
    return slots, outside, slots[week.steps]


def usual_maps(field: FieldSeries, week: Week) -> NDArray[np.float32]:
    """Mean map of the other weeks for each step of a week.

    Returns:
        (T, R, C) in the field's unit; NaN where no other week has that weekday and hour.
    """
    slots, outside, wanted = _other_weeks(field.axis, week)
    num_slots = int(slots.max()) + 1
    order = np.flatnonzero(outside)
    sums = np.zeros((num_slots, *field.grid.shape), dtype=np.float64)
    np.add.at(sums, slots[order], field.values[order])
    counts = np.bincount(slots[order], minlength=num_slots)[:, None, None]
    with np.errstate(invalid="ignore"):
        return np.asarray((sums / counts)[wanted], dtype=np.float32)


def usual_series(
    values: NDArray[np.floating], axis: TimeAxis, week: Week
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, 10th and 90th percentile of the other weeks for each step of a week.

    Args:
        values: (all steps of the axis,), one place's series; NaN where nothing was measured.
        axis: the values' steps.
        week: the week that is shown.

    Returns:
        Three arrays (T,); NaN where no other week has that weekday and hour.
    """
    slots, outside, wanted = _other_weeks(axis, week)
    outside &= np.isfinite(values)
    rows = np.full((3, int(slots.max()) + 1), np.nan)
    for slot in np.unique(wanted):
        others = values[outside & (slots == slot)]
        if len(others):
            rows[:, slot] = others.mean(), *np.percentile(others, (LOW, HIGH))
    mean, low, high = rows[:, wanted]
    return mean, low, high
