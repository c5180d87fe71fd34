"""Trips across a line that the user drew: how many each way, today and after the edits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.domain import Result
from engine.errors import InputError
from engine.evaluation.trajectories_difference import jackknife_spread
from engine.models.tddpm.tracks import EARTH_RADIUS_M

COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


@dataclass(frozen=True)
class Crossings:
    """Vehicles that cross a line one way, over the asked hours.

    Args:
        towards: one of :data:`COMPASS`.
        before: today.
        after: after the edits.
        spread: standard error of the change, over draws of trips.
        counted: made trips of either version that crossed, together.
    """

    towards: str
    before: float
    after: float
    spread: float
    counted: int

    @property
    def change(self) -> float:
        """After less before."""
        return self.after - self.before


def count_crossings(
    result: Result, line: tuple[float, float, float, float]
) -> tuple[Crossings, Crossings]:
    """Trips of both versions across a line, each way.

    Args:
        result: an answer with trips ``before`` and ``after``.
        line: longitude and latitude of its begin and of its end.

    Returns:
        To the left of the line, seen from its begin, and to its right.

    Raises:
        InputError: the line has no length.
    """
    ends = np.array(line, np.float64).reshape(2, 2)
    scale = np.array([np.cos(np.radians(ends[0, 1])), 1.0]) * np.radians(1) * EARTH_RADIUS_M
    along = (ends[1] - ends[0]) * scale
    if not np.isfinite(along).all() or not np.hypot(*along) > 0:
        raise InputError("The line has no length.", str(line), "Draw it anew.")
    counts = {
        version: _count(result, version, ends[0], along, scale) for version in ("before", "after")
    }
    bearing = np.degrees(np.arctan2(-along[1], along[0]))  # of its left side, from the north
    ways = []
    for side, angle in ((0, bearing), (1, bearing + 180)):
        crossed = counts["before"][side], counts["after"][side]
        before, after = _expanded(result, crossed, "expansion")
        first, second = _expanded(result, crossed, "expansion_without")
        ways.append(
            Crossings(
                COMPASS[round(angle / 45) % 8],
                float(before),
                float(after),
                float(jackknife_spread(second - first)),
                int(crossed[0].sum() + crossed[1].sum()),
            )
        )
    return ways[0], ways[1]


def _expanded(
    result: Result, crossed: tuple[NDArray[np.int64], NDArray[np.int64]], factors: str
) -> list[NDArray[np.float64]]:
    """Vehicles that cross before and after; (J,) of each for factors without a group."""
    return [
        np.asarray(result.arrays[f"{version}/{factors}"].astype(np.float64) @ times)
        for version, times in zip(("before", "after"), crossed, strict=True)
    ]


def _count(
    result: Result,
    version: str,
    begin: NDArray[np.float64],
    along: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) how often each trip crosses to the left, and to the right."""
    arrays = result.arrays
    degrees = np.stack([arrays[f"{version}/lon_udeg"], arrays[f"{version}/lat_udeg"]], axis=1)
    points = (degrees * 1e-6 - begin) * scale
    offsets = arrays[f"{version}/offsets"].astype(np.int64)
    # how far each point lies to the left of the line, and how far along it, in its lengths
    left = (along[0] * points[:, 1] - along[1] * points[:, 0]) / (along @ along)
    ahead = points @ along / (along @ along)
    step = np.diff(left)
    changes = (left[:-1] < 0) != (left[1:] < 0)
    share = np.where(changes, -left[:-1] / np.where(changes, step, 1), 0)
    place = ahead[:-1] + share * np.diff(ahead)
    crossed = changes & (place >= 0) & (place <= 1)
    crossed[offsets[1:-1] - 1] = False  # from the end of one trip to the begin of the next
    trip = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[:-1]
    leftwards, rightwards = (
        np.bincount(trip[crossed & way], minlength=len(offsets) - 1)
        for way in (step > 0, step <= 0)
    )
    return leftwards, rightwards
