"""Trips cut along the border of a rectangle: a part of the map that is left out, or only looked at.

Shapes: P points, N trips.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.models.tddpm.tracks import LocalPlane, Tracks

MIN_POINTS = 16
"""Parts of cut trips with fewer points are dropped, as in the preparation."""


@dataclass(frozen=True)
class DegreeBox:
    """A rectangle in degrees; its border belongs to it.

    Args:
        west: longitude.
        south: latitude.
        east: longitude.
        north: latitude.

    Raises:
        InputError: it is empty or not on the map.
    """

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        on_map = -180 <= self.west < self.east <= 180 and -90 <= self.south < self.north <= 90
        if not on_map:
            raise InputError(
                "The rectangle has no area.",
                f"{self.west}, {self.south}, {self.east}, {self.north}",
                "Give degrees in the order west, south, east, north.",
            )

    def contains(self, tracks: Tracks, plane: LocalPlane) -> NDArray[np.bool_]:
        """(P,) True for the points of trips inside."""
        edges = np.array([self.west, self.east]), np.array([self.south, self.north])
        low, high = plane.to_metres(*edges)
        return np.asarray(((tracks.points_m >= low) & (tracks.points_m <= high)).all(axis=1))


def cut_outside(tracks: Tracks, box: DegreeBox, plane: LocalPlane) -> Tracks:
    """What of the trips lies outside: no point in the rectangle remains.

    Raises:
        InputError: nothing remains, or nothing lies inside, so that the rectangle is wrong.
    """
    inside = box.contains(tracks, plane)
    if not inside.any():
        raise InputError("None of the points lies in the rectangle to leave out.", str(box))
    return keep_points(tracks, ~inside)


def cut_inside(tracks: Tracks, box: DegreeBox, plane: LocalPlane) -> Tracks:
    """What of the trips lies inside.

    Raises:
        InputError: no part inside is long enough.
    """
    return keep_points(tracks, box.contains(tracks, plane))


def keep_points(tracks: Tracks, kept: NDArray[np.bool_], min_points: int = MIN_POINTS) -> Tracks:
    """Trips cut where points are left out: each unbroken part becomes a trip of the same person.

    Args:
        tracks: N trips of P points.
        kept: (P,) which points stay.
        min_points: shorter parts are dropped.

    Raises:
        InputError: no part is long enough.
    """
    trip = tracks.trip_of_point()
    joined = np.zeros(len(kept), dtype=bool)
    joined[1:] = kept[:-1] & (trip[1:] == trip[:-1])
    begins = np.flatnonzero(kept & ~joined)
    part = np.cumsum(kept & ~joined) - 1
    counts = np.bincount(part[kept], minlength=len(begins))
    long_enough = counts >= min_points
    if not long_enough.any():
        raise InputError(
            "No part of a trip is long enough to be used.", f"at least {min_points} points"
        )
    begins, counts = begins[long_enough], counts[long_enough]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    whole = trip[begins]
    return Tracks(
        tracks.points_m[np.repeat(begins, counts) + within],
        offsets,
        tracks.start_s[whole] + (begins - tracks.offsets[whole]) * tracks.step_s,
        tracks.person[whole],
        tracks.purpose[whole],
        tracks.step_s,
    )
