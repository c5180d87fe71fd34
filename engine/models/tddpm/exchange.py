"""Between a city's trajectories on disk and the trips that the model works on."""

from collections.abc import Iterable

import numpy as np

from engine.cities.trajectories import MAX_TRIP_POINTS, TrajectoryBatch
from engine.errors import InputError
from engine.models.tddpm.conditions import NUM_PURPOSES
from engine.models.tddpm.tracks import UNKNOWN, LocalPlane, Tracks, join_tracks

_MICRO = 1e6


def tracks_of_batches(
    batches: Iterable[TrajectoryBatch],
    plane: LocalPlane,
    step_s: float,
    purposes: tuple[str, ...] = (),
    min_points: int = 2,
) -> Tracks:
    """A city's trips; each is taken as a trip of a person of its own.

    Args:
        batches: all at the same step or a divisor of ``step_s``.
        plane: to project to.
        step_s: time between two points of the result, seconds; a multiple of the batches' step.
        purposes: names in the order of their numbers; others count as unknown.
        min_points: shorter trips are dropped.

    Raises:
        InputError: the steps do not fit, there are too many purposes, or no trip is left.
    """
    if len(purposes) > NUM_PURPOSES:
        raise InputError(f"The model tells {NUM_PURPOSES} purposes apart.", f"{len(purposes)}")
    numbers = {name: number for number, name in enumerate(purposes)}
    parts: list[Tracks] = []
    first = 0
    for batch in batches:
        parts += _tracks_of_batch(batch, plane, step_s, numbers, min_points, first)
        first += len(batch)
    if not parts:
        raise InputError("The city has no trips that are long enough.", f"{min_points} points")
    return join_tracks(parts)


def _tracks_of_batch(
    batch: TrajectoryBatch,
    plane: LocalPlane,
    step_s: float,
    numbers: dict[str, int],
    min_points: int,
    first: int,
) -> list[Tracks]:
    every = round(step_s / batch.step_s)
    if every < 1 or abs(every * batch.step_s - step_s) > 1e-6:
        raise InputError(
            "The trips' time step does not divide the model's.",
            f"{batch.step_s:g} s and {step_s:g} s",
        )
    within = np.arange(len(batch.lon_udeg)) - np.repeat(batch.offsets[:-1], batch.num_points)
    kept = within % every == 0
    counts = -(-batch.num_points // every)
    if not len(counts):
        return []
    tracks = Tracks(
        plane.to_metres(batch.lon_deg[kept], batch.lat_deg[kept]).astype(np.float32),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        batch.depart.astype("datetime64[ms]").astype(np.int64) / 1e3,
        np.arange(first, first + len(batch), dtype=np.int32),
        np.array([numbers.get(name, UNKNOWN) for name in batch.purposes], np.int16),
        step_s,
    )
    long_enough = counts >= min_points
    return [tracks.select(long_enough)] if long_enough.any() else []


def batch_of_tracks(
    tracks: Tracks,
    plane: LocalPlane,
    day: np.datetime64,
    purposes: tuple[str, ...] = (),
    first_trip: int = 0,
) -> TrajectoryBatch:
    """Generated trips as a city's trajectories, for the map and for export.

    Args:
        tracks: the trips; starts are seconds after midnight, UTC.
        plane: that they lie on.
        day: midnight, UTC, that starts are counted from.
        purposes: names in the order of their numbers.
        first_trip: number of the first trip, for the names ``made-000000`` and on.
    """
    if len(tracks) and int(tracks.num_points.max()) > MAX_TRIP_POINTS:
        raise InputError(f"A trip has more than {MAX_TRIP_POINTS:,} points.")
    lon, lat = plane.to_degrees(tracks.points_m)
    moves = np.linalg.norm(np.diff(tracks.points_m, axis=0, append=0), axis=1) / tracks.step_s
    ends = tracks.offsets[1:] - 1
    # the last point has no move: it keeps the speed of the one before
    moves[ends] = np.where(tracks.num_points > 1, moves[np.maximum(ends - 1, 0)], 0)
    start_ms = np.rint(tracks.start_s * 1e3).astype("timedelta64[ms]")
    return TrajectoryBatch(
        tuple(f"made-{first_trip + i:06d}" for i in range(len(tracks))),
        tuple(purposes[p] if 0 <= p < len(purposes) else "" for p in tracks.purpose),
        day.astype("datetime64[ms]") + start_ms,
        tracks.offsets,
        np.rint(lon * _MICRO).astype(np.int32),
        np.rint(lat * _MICRO).astype(np.int32),
        (moves * 3.6).astype(np.float32),
        tracks.step_s,
    )
