"""A city's own trips for training and as a base for what-ifs: who is trained on, and the raster.

Only for cities that one region can hold (:data:`MAX_SIDE_M`); their raster is that region's map.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.cities import City
from engine.cities.interventions import Split
from engine.cities.recordings import Recordings, TripFilter
from engine.cities.trajectories import TrajectoryBatch
from engine.domain import Grid
from engine.errors import InputError
from engine.models.tddpm.exchange import tracks_of_batches
from engine.models.tddpm.frames import MAP_SIZE
from engine.models.tddpm.occupancy import CityMap, map_of_points
from engine.models.tddpm.tracks import Floats, LocalPlane, Tracks

STEP_S = 5.0
MAX_SIDE_M = 3_000.0
BORDER = 1.08
"""Side of the region over that of the city: trips reach the border, pieces must not."""
HELD_OUT_DAYS = 14
"""The last days of a city's trips are kept for measuring."""


@dataclass(frozen=True)
class CityFrame:
    """The plane, the square and the bounds that a city's trips lie in.

    Args:
        plane: its origin is the middle of the city's grid.
        west_m: western edge of the grid on the plane; the eastern one is its negative.
        south_m: southern edge; the northern one is its negative.
    """

    plane: LocalPlane
    west_m: float
    south_m: float

    @property
    def side_m(self) -> float:
        """Side of the one region, metres."""
        return 2 * BORDER * max(-self.west_m, -self.south_m)

    @property
    def cell_m(self) -> float:
        """Side of a raster cell, metres."""
        return self.side_m / MAP_SIZE

    @property
    def center_m(self) -> Floats:
        """(2,) middle of the region."""
        return np.zeros(2)

    def raster(self, tracks: Tracks, factor: int = 1) -> CityMap:
        """How many points of trips lie in each cell of the region.

        Args:
            tracks: the trips.
            factor: cells on the side of one of the region's.
        """
        half = self.side_m / 2
        box = (-half, -half, half - 1e-6, half - 1e-6)
        return map_of_points(tracks.points_m, self.cell_m / factor, box)

    def raster_of(self, counts: Floats | None) -> CityMap:
        """Counts of the region as a raster.

        Raises:
            InputError: there are none, or not of this region.
        """
        if counts is None or counts.shape != (MAP_SIZE, MAP_SIZE):
            raise InputError("The weights do not hold the city's usual map.")
        half = self.side_m / 2
        return CityMap(counts, -half, half, self.cell_m)


def city_frame(grid: Grid) -> CityFrame:
    """The frame of a city's grid.

    Raises:
        InputError: the city is too large for one region.
    """
    plane = LocalPlane((grid.west + grid.east) / 2, (grid.south + grid.north) / 2)
    corner = plane.to_metres(np.array([grid.west]), np.array([grid.south]))[0]
    frame = CityFrame(plane, float(corner[0]), float(corner[1]))
    if frame.side_m > MAX_SIDE_M:
        raise InputError(
            "The city is too large to be one region.", f"{frame.side_m:.0f} m of {MAX_SIDE_M:.0f} m"
        )
    return frame


def purposes_of(batches: Iterable[TrajectoryBatch]) -> tuple[str, ...]:
    """Names of the trips' purposes, sorted; a purpose's number is its place here."""
    names: set[str] = set()
    for batch in batches:
        names.update(batch.purposes)
    return tuple(sorted(names - {""}))


def tested_days(city: City) -> NDArray[np.datetime64]:
    """Local days of the test interventions: nothing of them is trained on."""
    days = [
        _days(batch, city)
        for item in city.interventions()
        if item.spec.split is Split.TEST
        for batch in item.untouched.trajectories(TripFilter(limit=1))
    ]
    return np.unique(np.concatenate(days)) if days else np.zeros(0, "datetime64[D]")


def split_days(
    batches: Sequence[TrajectoryBatch], city: City
) -> tuple[list[TrajectoryBatch], list[TrajectoryBatch]]:
    """The city's trips to train on, and those of the held-out days.

    Held out are the last :data:`HELD_OUT_DAYS` days and those of the test interventions; of few
    days, at most a third.
    """
    days = [_days(batch, city) for batch in batches]
    every = np.unique(np.concatenate(days))
    first = every[-min(HELD_OUT_DAYS, max(len(every) // 3, 1))]
    tests = tested_days(city)
    sides: tuple[list[TrajectoryBatch], list[TrajectoryBatch]] = ([], [])
    for batch, part in zip(batches, days, strict=True):
        held = (part >= first) | np.isin(part, tests)
        sides[0].append(batch.take(~held))
        sides[1].append(batch.take(held))
    return sides


def edited_trips(
    city: City, frame: CityFrame, purposes: tuple[str, ...], split: Split = Split.TRAIN
) -> list[Tracks]:
    """Trips of each day on which something was changed, and may be trained on (or tested)."""
    items = [item for item in city.interventions() if item.spec.split is split]
    return [recorded_trips(item.edited, frame, purposes) for item in items]


def recorded_trips(recordings: Recordings, frame: CityFrame, purposes: tuple[str, ...]) -> Tracks:
    """All trips of one folder of recordings."""
    return tracks_of(recordings.trajectories(), frame, purposes)


def tracks_of(
    batches: Iterable[TrajectoryBatch], frame: CityFrame, purposes: tuple[str, ...]
) -> Tracks:
    """Trips on the city's plane at :data:`STEP_S`."""
    return tracks_of_batches(batches, frame.plane, STEP_S, purposes)


def _days(batch: TrajectoryBatch, city: City) -> NDArray[np.datetime64]:
    """Local day of each trip."""
    import pandas as pd

    local = pd.DatetimeIndex(batch.depart).tz_localize("UTC").tz_convert(city.zone)
    return np.asarray(local.tz_localize(None).to_numpy().astype("datetime64[D]"))


def most_moved(city: City, field: str = "occupancy") -> float:
    """Largest share of the traffic that a training intervention moved elsewhere.

    Source: half of the absolute difference of both days' maps, each summing to one.
    """
    shares = [0.0]
    for item in city.interventions():
        if item.spec.split is Split.TRAIN:
            maps = [
                part.field(field).values.sum(axis=0, dtype=np.float64)
                for part in (item.untouched, item.edited)
            ]
            shares.append(
                float(np.abs(maps[0] / maps[0].sum() - maps[1] / maps[1].sum()).sum() / 2)
            )
    return max(shares)
