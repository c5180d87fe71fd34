"""What is known about a piece of a trip besides the map.

A condition is a row of numbers and a row of flags that say which of them are known; an unknown
one is zero. The network sees both, and training hides each with some probability, so that any
subset may be given when sampling.

Shapes: N pieces, F features, G groups of features that are known or unknown together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.models.tddpm.tracks import UNKNOWN, Floats, Tracks

NUM_PURPOSES = 8
"""Purposes that the network can tell apart; larger numbers count as unknown."""
GROUPS = {"ends": 2, "duration": 1, "length": 1, "hour": 2, "purpose": NUM_PURPOSES}
"""Groups of features and their number of columns.

``ends``: 1 where the piece begins (ends) with its trip; ``duration``: of the whole trip;
``length``: of the piece along its points; ``hour``: of the trip's start, UTC, as a point on a
circle; ``purpose``: one of :data:`NUM_PURPOSES`.
"""
NUM_FEATURES = sum(GROUPS.values())
NUM_GROUPS = len(GROUPS)
DAY_S = 86_400.0
_LOG_DURATION = (6.5, 1.5)
_LOG_LENGTH = (6.5, 1.5)
"""Middle and spread of log seconds and log metres, so that features are near unit scale."""


@dataclass(frozen=True, eq=False)
class Conditions:
    """Features of N pieces, and which groups are known.

    Args:
        features: (N, F) float32, columns as in :data:`GROUPS`.
        known: (N, G) bool.
    """

    features: NDArray[np.float32]
    known: NDArray[np.bool_]

    def as_input(self) -> NDArray[np.float32]:
        """(N, F + G) float32: features with the unknown ones zeroed, then the flags."""
        flags = np.repeat(self.known, list(GROUPS.values()), axis=1)
        zeroed = np.where(flags, self.features, 0)
        return np.concatenate([zeroed, self.known], axis=1).astype(np.float32)


def describe_trips(tracks: Tracks) -> Conditions:
    """What trips tell of all their pieces; ends and lengths are filled in piece by piece."""
    none = np.zeros(len(tracks), dtype=bool)
    conditions = describe_pieces(
        begins=none,
        ends=none,
        duration_s=tracks.num_points * tracks.step_s,
        start_s=tracks.start_s,
        purpose=tracks.purpose,
    )
    conditions.known[:, list(GROUPS).index("length")] = True
    return conditions


def describe_pieces(
    begins: NDArray[np.bool_],
    ends: NDArray[np.bool_],
    duration_s: NDArray[np.floating],
    start_s: Floats,
    purpose: NDArray[np.int16],
    length_m: Floats | None = None,
) -> Conditions:
    """Conditions of N pieces.

    Args:
        begins: (N,) the piece begins with its trip.
        ends: (N,) the piece ends with its trip.
        duration_s: (N,) of the whole trip.
        start_s: (N,) of the whole trip, seconds UTC.
        purpose: (N,) number, or unknown.
        length_m: (N,) of each piece along its points; None where it is not known.
    """
    num = len(begins)
    day = 2 * np.pi * (start_s % DAY_S) / DAY_S
    kinds = np.zeros((num, NUM_PURPOSES))
    told = (purpose != UNKNOWN) & (purpose < NUM_PURPOSES)
    kinds[np.flatnonzero(told), purpose[told]] = 1
    columns = [
        np.stack([begins, ends], axis=1),
        scale_duration(duration_s.astype(np.float64))[:, None],
        (np.zeros(num) if length_m is None else scale_length(length_m))[:, None],
        np.stack([np.sin(day), np.cos(day)], axis=1),
        kinds,
    ]
    known = np.ones((num, NUM_GROUPS), dtype=bool)
    known[:, list(GROUPS).index("length")] = length_m is not None
    known[:, list(GROUPS).index("purpose")] = told
    return Conditions(np.concatenate(columns, axis=1).astype(np.float32), known)


def scale_duration(duration_s: Floats) -> Floats:
    """Seconds as the network reads them."""
    return np.asarray((np.log(np.maximum(duration_s, 1)) - _LOG_DURATION[0]) / _LOG_DURATION[1])


def scale_length(length_m: Floats) -> Floats:
    """Metres as the network reads them."""
    return np.asarray((np.log(np.maximum(length_m, 1)) - _LOG_LENGTH[0]) / _LOG_LENGTH[1])


def column_of(group: str) -> int:
    """First feature column of a group."""
    names = list(GROUPS)
    return sum(GROUPS[name] for name in names[: names.index(group)])
