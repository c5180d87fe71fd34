"""Days of a series on which the working sensors showed much the same at the same hour."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from engine.errors import FieldError, InputError, MaskError
from engine.models.flows import FlowSeries, Index, Maps, coarsen
from engine.models.observations import Observations

MAX_DAYS = 31


@dataclass(frozen=True, eq=False)
class SimilarDay:
    """A day like the one that was asked about.

    Args:
        day: counted from the midnight before the series; see :meth:`FlowSeries.days`.
        date: the local date.
        distance: root mean square difference of the working sensors' totals at that hour, in
            square roots of counts; a repeated Poisson count alone makes 0.7.
        values: counts of the cell in each frame of that day, from midnight to midnight.
    """

    day: int
    date: date
    distance: float
    values: Maps


def similar_days(
    series: FlowSeries,
    first_date: date,
    seen: Observations,
    cell: tuple[int, int],
    count: int = 5,
    except_for: date | None = None,
) -> tuple[SimilarDay, ...]:
    """The days most like a frame, the most similar one first.

    Args:
        series: days to choose from, such as those of training.
        first_date: local date of the midnight that the series' days are counted from.
        seen: a single frame on the same grid.
        cell: row and column of a fine cell.
        count: how many days, 1 to 31; fewer where the series has fewer whole days.
        except_for: a date to pass over: that of the frame itself.

    Raises:
        InputError: not one frame, no such cell, or a count out of range.
        MaskError: the frame is of another grid, or no sensor works.
        FieldError: the series has no whole day to compare with.
    """
    _check(series, seen, cell, count)
    per_day = series.slots_per_day
    slot = int(seen.slots[0]) % per_day
    days = np.arange(-(-series.first_slot // per_day), len(series.values) // per_day + 2)
    begins = days * per_day - series.first_slot
    whole = (begins >= 0) & (begins + per_day + series.window - 1 <= len(series.values))
    chosen = whole & (days != ((except_for or date.min) - first_date).days)
    if not chosen.any():
        raise FieldError("The series has no other whole day to compare with.")
    days, begins = days[chosen], begins[chosen]
    distances = _distances(series, begins + slot, seen)
    best = np.argsort(distances, kind="stable")[:count]
    return tuple(
        SimilarDay(
            int(days[i]),
            first_date + timedelta(days=int(days[i])),
            float(distances[i]),
            _of_cell(series, int(begins[i]), cell),
        )
        for i in best
    )


def _distances(series: FlowSeries, starts: Index, seen: Observations) -> Maps:
    totals = coarsen(series.frames(starts), series.magnification)
    gaps = (np.sqrt(totals) - np.sqrt(seen.coarse))[:, seen.observed[0]]
    return np.asarray(np.sqrt((gaps**2).mean(1)), dtype=np.float32)


def _of_cell(series: FlowSeries, begin: int, cell: tuple[int, int]) -> Maps:
    steps = series.values[begin : begin + series.slots_per_day, cell[0], cell[1]]
    num_frames = len(steps) // series.window
    frames = steps[: num_frames * series.window].reshape(num_frames, series.window)
    return np.asarray(frames.sum(1), dtype=np.float32)


def _check(series: FlowSeries, seen: Observations, cell: tuple[int, int], count: int) -> None:
    if len(seen) != 1:
        raise InputError("Days are compared with one frame at a time.", f"{len(seen)} frames")
    if seen.coarse.shape[1:] != series.coarse_shape:
        raise MaskError(
            "The coarse map has another shape than the series'.",
            f"{seen.coarse.shape[1:]}, series {series.coarse_shape}",
        )
    if not seen.observed.any():
        raise MaskError("No sensor is left, so no day can be compared.")
    rows, cols = series.shape
    if not (0 <= cell[0] < rows and 0 <= cell[1] < cols):
        raise InputError("There is no such cell.", f"row {cell[0]}, column {cell[1]}")
    if not 1 <= count <= MAX_DAYS:
        raise InputError(f"Ask for 1 to {MAX_DAYS} days.", str(count))
