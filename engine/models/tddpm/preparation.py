"""From GPS points as recorded to trips at equal time steps.

A trip is cut where the recorder paused or jumped, and what remains is interpolated linearly.
Shapes: P recorded points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cities.importers.gps import GpsPoints
from engine.errors import InputError
from engine.models.tddpm.tracks import UNKNOWN, Floats, Indices, LocalPlane, Tracks


@dataclass(frozen=True)
class PreparationConfig:
    """How recorded points become trips.

    Args:
        step_s: time between two points of a prepared trip, seconds.
        max_gap_s: a longer pause ends the trip, seconds.
        max_speed_m_s: a faster move is an error of the receiver and ends the trip.
        min_points: shorter trips are dropped.
        max_points: longer trips are cut into pieces of at most this many points.
    """

    step_s: float = 5.0
    max_gap_s: float = 60.0
    max_speed_m_s: float = 50.0
    min_points: int = 16
    max_points: int = 1024

    def __post_init__(self) -> None:
        if not (0 < self.step_s <= self.max_gap_s and self.max_speed_m_s > 0):
            raise InputError("Step, gap and speed of the preparation do not fit.", str(self))
        if not 2 <= self.min_points <= self.max_points:
            raise InputError("The numbers of points of the preparation do not fit.", str(self))


def prepare_tracks(
    points: GpsPoints, plane: LocalPlane, config: PreparationConfig | None = None
) -> Tracks:
    """Cut, interpolate and project recorded points; vectorised over all trips.

    Raises:
        InputError: no trip is long enough.
    """
    config = config or PreparationConfig()
    xy_m = plane.to_metres(points.lon_deg, points.lat_deg)
    keep = _moves_on(points)
    trip, time_s, xy_m = points.trip[keep], points.time_s[keep], xy_m[keep]
    starts = _stretch_starts(trip, time_s, xy_m, config)
    lasts = np.append(starts[1:], len(time_s)) - 1
    counts = ((time_s[lasts] - time_s[starts]) // config.step_s).astype(np.int64) + 1
    cuts = _cut_stretches(counts, config)
    if not len(cuts.counts):
        raise InputError(
            "No trip is long enough to be used.",
            f"{len(points.trip):,} points",
            f"Trips need {config.min_points} points at most {config.max_gap_s:g} s apart.",
        )
    first = starts[cuts.stretch]
    person = points.person[keep][first].astype(np.int32)
    return Tracks(
        _interpolate(time_s, xy_m, starts, cuts, config.step_s).astype(np.float32),
        np.concatenate([[0], np.cumsum(cuts.counts)]).astype(np.int64),
        time_s[first] + cuts.skip * config.step_s,
        person,
        np.full(len(first), UNKNOWN, np.int16),
        config.step_s,
    )


def _moves_on(points: GpsPoints) -> NDArray[np.bool_]:
    """True where time goes on within a trip: repeated times are dropped."""
    same = points.trip[1:] == points.trip[:-1]
    return np.concatenate([[True], ~same | (np.diff(points.time_s) != 0)])[: len(points.trip)]


def _stretch_starts(
    trip: NDArray[np.integer], time_s: Floats, xy_m: Floats, config: PreparationConfig
) -> Indices:
    """Index of the first point of each unbroken stretch."""
    if not len(trip):
        return np.zeros(0, np.int64)
    gap_s = np.diff(time_s)
    moved_m = np.linalg.norm(np.diff(xy_m, axis=0), axis=1)
    broken = (trip[1:] != trip[:-1]) | (gap_s <= 0) | (gap_s > config.max_gap_s)
    broken |= moved_m > config.max_speed_m_s * np.abs(gap_s)
    return np.concatenate([[0], np.flatnonzero(broken) + 1]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Cuts:
    """Trips as parts of stretches: which, from which step on, and of how many points."""

    stretch: Indices
    skip: Indices
    counts: Indices


def _cut_stretches(counts: Indices, config: PreparationConfig) -> _Cuts:
    """Cut stretches at ``max_points`` and drop what is shorter than ``min_points``."""
    pieces = -(-counts // config.max_points)
    number = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    skip = number * config.max_points
    rest = np.minimum(np.repeat(counts, pieces) - skip, config.max_points)
    long_enough = rest >= config.min_points
    stretch = np.repeat(np.arange(len(counts)), pieces)
    return _Cuts(stretch[long_enough], skip[long_enough], rest[long_enough])


def _interpolate(
    time_s: Floats, xy_m: Floats, starts: Indices, cuts: "_Cuts", step_s: float
) -> Floats:
    """(sum of counts, 2) positions at equal steps.

    All stretches are laid end to end on one rising axis of time, so that one call per
    coordinate interpolates them all.
    """
    lasts = np.append(starts[1:], len(time_s)) - 1
    durations = time_s[lasts] - time_s[starts]
    shift = np.concatenate([[0.0], np.cumsum(durations + step_s)[:-1]]) - time_s[starts]
    axis = time_s + np.repeat(shift, lasts - starts + 1)
    within = np.arange(int(cuts.counts.sum()))
    within = within - np.repeat(np.cumsum(cuts.counts) - cuts.counts, cuts.counts)
    begin = time_s[starts[cuts.stretch]] + shift[cuts.stretch] + cuts.skip * step_s
    asked = np.repeat(begin, cuts.counts) + within * step_s
    return np.stack([np.interp(asked, axis, xy_m[:, 0]), np.interp(asked, axis, xy_m[:, 1])], -1)
