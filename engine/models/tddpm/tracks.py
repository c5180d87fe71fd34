"""Trips as the model sees them: points on a plane in metres, at equal time steps.

Shapes: P points of all trips together, N trips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, isfinite, radians

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius, metres."""
UNKNOWN = -1
"""Person or purpose of a trip that does not tell."""

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class LocalPlane:
    """Metres east and north of a point: equirectangular, true to 0.3 % within 20 km.

    Args:
        lon_deg: longitude of the origin.
        lat_deg: latitude of the origin, away from the poles.
    """

    lon_deg: float
    lat_deg: float

    def __post_init__(self) -> None:
        if not (isfinite(self.lon_deg) and isfinite(self.lat_deg) and abs(self.lat_deg) < 85):
            raise InputError("The plane's origin is not on the map.", f"{self}")

    @property
    def _metres_per_degree(self) -> tuple[float, float]:
        north = radians(1) * EARTH_RADIUS_M
        return north * cos(radians(self.lat_deg)), north

    def to_metres(self, lon_deg: Floats, lat_deg: Floats) -> Floats:
        """(P, 2) metres east and north of the origin."""
        east, north = self._metres_per_degree
        return np.stack(
            [(lon_deg - self.lon_deg) * east, (lat_deg - self.lat_deg) * north], axis=-1
        )

    def to_degrees(self, points_m: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Longitude and latitude of (P, 2) metres; the inverse of :meth:`to_metres`."""
        east, north = self._metres_per_degree
        points = np.asarray(points_m, dtype=np.float64)
        return points[..., 0] / east + self.lon_deg, points[..., 1] / north + self.lat_deg


@dataclass(frozen=True, eq=False)
class Tracks:
    """Trips of different lengths in flat arrays.

    Args:
        points_m: (P, 2) float32, metres east and north of the plane's origin.
        offsets: (N + 1,) int64; trip i is ``points_m[offsets[i]:offsets[i + 1]]``.
        start_s: (N,) float64, seconds of the first point, UTC.
        person: (N,) int32, who travelled, or :data:`UNKNOWN`.
        purpose: (N,) int16, why, or :data:`UNKNOWN`.
        step_s: time between two points, seconds.

    Raises:
        InputError: the arrays do not fit each other, or hold values that are no numbers.
    """

    points_m: NDArray[np.float32]
    offsets: Indices
    start_s: Floats
    person: NDArray[np.int32]
    purpose: NDArray[np.int16]
    step_s: float

    def __post_init__(self) -> None:
        num = len(self.offsets) - 1
        if self.points_m.ndim != 2 or self.points_m.shape[1] != 2:
            raise InputError("Points need two coordinates.", str(self.points_m.shape))
        ordered = num >= 0 and self.offsets[0] == 0 and bool(np.all(np.diff(self.offsets) > 0))
        if not ordered or self.offsets[-1] != len(self.points_m):
            raise InputError("The trips' offsets do not fit their points.")
        if not len(self.start_s) == len(self.person) == len(self.purpose) == num:
            raise InputError("Each trip needs a start, a person and a purpose.", f"{num} trips")
        if not np.isfinite(self.points_m).all():
            raise InputError("A point holds a value that is no number.")
        if not self.step_s > 0:
            raise InputError("The time step must be longer than zero.", str(self.step_s))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def num_points(self) -> Indices:
        """(N,) number of points of each trip."""
        return np.diff(self.offsets)

    def trip_of_point(self) -> NDArray[np.int32]:
        """(P,) the trip that each point belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.num_points)

    def trip(self, index: int) -> NDArray[np.float32]:
        """(n, 2) points of one trip, metres."""
        return self.points_m[self.offsets[index] : self.offsets[index + 1]]

    def ends_m(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, 2) first and (N, 2) last points, metres."""
        return self.points_m[self.offsets[:-1]], self.points_m[self.offsets[1:] - 1]

    def select(self, trips: NDArray[np.integer] | NDArray[np.bool_]) -> "Tracks":
        """The trips of an index or a mask, in its order."""
        chosen = np.flatnonzero(trips) if trips.dtype == np.bool_ else np.asarray(trips, np.int64)
        counts = self.num_points[chosen]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        points = np.repeat(self.offsets[:-1][chosen], counts) + within
        return Tracks(
            self.points_m[points],
            offsets,
            self.start_s[chosen],
            self.person[chosen],
            self.purpose[chosen],
            self.step_s,
        )


def join_tracks(parts: Sequence[Tracks]) -> Tracks:
    """Several sets of trips as one, in order.

    Raises:
        InputError: there are none, or their time steps differ.
    """
    if not parts or len({part.step_s for part in parts}) != 1:
        raise InputError("Trips to join need one common time step.")
    counts = np.concatenate([part.num_points for part in parts])
    return Tracks(
        np.concatenate([part.points_m for part in parts]),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([part.start_s for part in parts]),
        np.concatenate([part.person for part in parts]),
        np.concatenate([part.purpose for part in parts]),
        parts[0].step_s,
    )


def tracks_from_trips(
    trips: Sequence[NDArray[np.floating]], step_s: float, start_s: Floats | None = None
) -> Tracks:
    """Trips of unknown people from a list of (n, 2) metres."""
    counts = [len(trip) for trip in trips]
    points = np.concatenate(trips) if trips else np.zeros((0, 2))
    return Tracks(
        points.astype(np.float32),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.zeros(len(trips)) if start_s is None else start_s,
        np.full(len(trips), UNKNOWN, np.int32),
        np.full(len(trips), UNKNOWN, np.int16),
        step_s,
    )


def path_lengths_m(tracks: Tracks) -> Floats:
    """(N,) length of each trip along its points, metres."""
    steps = np.linalg.norm(np.diff(tracks.points_m, axis=0), axis=1).astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(steps)])
    return total[tracks.offsets[1:] - 1] - total[tracks.offsets[:-1]]
