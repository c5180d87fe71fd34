"""Finished days on disk while a city is being made, so that a stop loses at most the days at work.

A day is one ``.npz`` of plain arrays and one ``.json`` with its summary, both written aside and
renamed; the json comes last and says that the day is finished.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.domain import Edit
from engine.errors import StorageError
from engine.simulation.day import Progress, SimulatedDay, Summary, never, simulate_day
from engine.simulation.model import TrafficModel
from engine.simulation.outputs import Tracks

KEPT_TRIPS = 4000
"""Trips whose points are kept, those with the lowest :func:`lottery` numbers."""


@dataclass(frozen=True, eq=False)
class FinishedDay:
    """A day as the work folder keeps it.

    Args:
        date: local date.
        start: UTC.
        flow: (T, R, C).
        occupancy: (T, R, C).
        speed_kmh: (T5, S).
        count: (T5, S).
        tracks: the kept trips.
        purposes: purpose of each kept trip, position in ``tours.PURPOSES``.
        trips: columns of all finished trips: depart_s, duration_s, length_m, loss_s, purpose.
        summary: figures.
    """

    date: date
    start: datetime
    flow: NDArray[np.uint16]
    occupancy: NDArray[np.uint16]
    speed_kmh: NDArray[np.float32]
    count: NDArray[np.uint16]
    tracks: Tracks
    purposes: NDArray[np.uint8]
    trips: dict[str, NDArray[np.float32]]
    summary: Summary


def lottery(keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A fixed, well-mixed number for each trip key (SplitMix64), whatever the edits."""
    mixed = np.asarray(keys).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def draw_tracks(tracks: Tracks, most: int) -> Tracks:
    """The whole trips with the lowest lottery numbers, at most so many.

    Trips under way when the counting began, and those of a single point, are left out.
    """
    whole = (tracks.keys > 0) & (tracks.first_s >= 0) & (np.diff(tracks.starts) > 1)
    tickets = lottery(tracks.keys)
    if whole.sum() > most:
        limit = np.partition(tickets[whole], most - 1)[most - 1]
        whole &= tickets <= limit
    return tracks.select(whole)


def produce_day(
    model: TrafficModel,
    day: date,
    edits: tuple[Edit, ...],
    target: Path,
    should_cancel: Callable[[], bool] = never,
) -> Iterator[Progress]:
    """Simulate a day and keep it as ``target.npz`` and ``target.json``; a finished one is left.

    Raises:
        SimulationError: see :func:`engine.simulation.day.simulate_day`.
        StorageError: the disk is full.
        JobCancelledError: cancelled; nothing of the day is kept.
    """
    if is_finished(target):
        return
    for step in simulate_day(model, day, edits, should_cancel=should_cancel):
        if isinstance(step, SimulatedDay):
            try:
                store_day(step, target)
            except OSError as error:
                raise StorageError(
                    "A finished day could not be stored.", str(target), "Free some space."
                ) from error
        else:
            yield step


def is_finished(target: Path) -> bool:
    """Whether the day has been produced already."""
    return target.with_suffix(".json").exists()


def store_day(day: SimulatedDay, target: Path) -> None:
    """Keep a simulated day as ``target.npz`` and ``target.json``."""
    tracks = draw_tracks(day.tracks, KEPT_TRIPS)
    order = np.argsort(day.planned["key"])
    keys = day.planned["key"][order]
    purposes = day.planned["purpose"][order]
    finished = day.trips
    own = finished.keys > 0
    arrays = {
        "flow": day.flow.values,
        "occupancy": day.occupancy.values,
        "speed_kmh": day.speed_kmh,
        "count": day.count,
        "keys": tracks.keys,
        "first_s": tracks.first_s,
        "starts": tracks.starts,
        "lon": tracks.lon,
        "lat": tracks.lat,
        "track_speed": tracks.speed_kmh,
        "purposes": purposes[np.searchsorted(keys, tracks.keys)],
        "trip_depart_s": finished.depart_s[own].astype(np.float32),
        "trip_duration_s": finished.duration_s[own].astype(np.float32),
        "trip_length_m": finished.length_m[own].astype(np.float32),
        "trip_loss_s": finished.loss_s[own].astype(np.float32),
        "trip_purpose": purposes[np.searchsorted(keys, finished.keys[own])].astype(np.float32),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".tmp.npz")
    with scratch.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(target.with_suffix(".npz"))
    about = {
        "date": day.date.isoformat(),
        "start": day.start.isoformat(),
        "summary": asdict(day.summary),
    }
    note = target.with_suffix(".tmp")
    note.write_text(json.dumps(about), "utf-8")
    note.replace(target.with_suffix(".json"))


def load_day(target: Path) -> FinishedDay:
    """Read a finished day back."""
    about: dict[str, Any] = json.loads(target.with_suffix(".json").read_text("utf-8"))
    with np.load(target.with_suffix(".npz"), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    names = ("keys", "first_s", "starts", "lon", "lat", "track_speed")
    trips = {k.removeprefix("trip_"): v for k, v in arrays.items() if k.startswith("trip_")}
    return FinishedDay(
        date.fromisoformat(about["date"]),
        datetime.fromisoformat(about["start"]),
        arrays["flow"],
        arrays["occupancy"],
        arrays["speed_kmh"],
        arrays["count"],
        Tracks(*(arrays[name] for name in names)),
        arrays["purposes"],
        trips,
        Summary(**about["summary"]),
    )
