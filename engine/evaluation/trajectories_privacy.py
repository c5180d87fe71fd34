"""Does a set of made trips give away trips that it was learned from? Whole trips are compared.

Each trip is described by points at equal shares of its time. The distance of two trips is the root
mean square distance of these points. A made trip is worrying when it lies closer to a training trip
than real trips of other days do, and when it looks like that one only.

Shapes: N made, T training, H held-out trips, D = 2 x points compared.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.models.tddpm.tracks import Floats, Tracks

COMPARED_POINTS = 16
LOOK_ALIKE_M = 25.0
"""A training trip this close to a made one could be recognised in it."""
_BLOCK = 4_096


@dataclass(frozen=True)
class PrivacyCard:
    """What made trips have in common with the trips that were learned from.

    Args:
        made_p5_m: 5th percentile of the distance to the closest training trip, metres.
        held_out_p5_m: the same for real trips that were not trained on.
        made_median_m: median distance of the made trips.
        held_out_median_m: median distance of the held-out trips.
        unique_share: made trips with exactly one training trip within :data:`LOOK_ALIKE_M`.
        held_out_unique_share: the same for the held-out trips.
    """

    made_p5_m: float
    held_out_p5_m: float
    made_median_m: float
    held_out_median_m: float
    unique_share: float
    held_out_unique_share: float

    @property
    def is_safe(self) -> bool:
        """Whether made trips are no closer to training than real ones of other days are."""
        return self.made_p5_m >= self.held_out_p5_m


def describe_whole(tracks: Tracks) -> NDArray[np.float32]:
    """(N, D) points at equal shares of each trip's time, interpolated."""
    share = np.linspace(0, 1, COMPARED_POINTS)
    place = share * (tracks.num_points - 1)[:, None]
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, (tracks.num_points - 1)[:, None])
    rest = (place - low)[..., None]
    first = tracks.offsets[:-1][:, None]
    points = tracks.points_m[first + low] * (1 - rest) + tracks.points_m[first + high] * rest
    return points.reshape(len(tracks), -1).astype(np.float32)


def compare_privacy(made: Tracks, held_out: Tracks, training: Tracks) -> PrivacyCard:
    """Closest training distances of made and of held-out trips.

    Raises:
        InputError: one of the sets is empty.
    """
    if not (len(made) and len(held_out) and len(training)):
        raise InputError("The privacy of no trips cannot be judged.")
    stored = describe_whole(training)
    (near_made, alone_made), (near_held, alone_held) = (
        _closest(describe_whole(tracks), stored) for tracks in (made, held_out)
    )
    return PrivacyCard(
        float(np.percentile(near_made, 5)),
        float(np.percentile(near_held, 5)),
        float(np.median(near_made)),
        float(np.median(near_held)),
        float(alone_made.mean()),
        float(alone_held.mean()),
    )


def _closest(
    asked: NDArray[np.float32], stored: NDArray[np.float32]
) -> tuple[Floats, NDArray[np.bool_]]:
    """(N,) distance to the closest stored trip in metres, and whether it is the only one near."""
    middle = stored.mean(axis=0)
    asked, stored = asked - middle, stored - middle
    own = np.einsum("nd,nd->n", asked, asked)
    best = np.full(len(asked), np.inf)
    near = np.zeros(len(asked), np.int64)
    for begin in range(0, len(stored), _BLOCK):
        block = stored[begin : begin + _BLOCK]
        square = own[:, None] + np.einsum("td,td->t", block, block) - 2 * asked @ block.T
        mean_square = np.maximum(square, 0) / COMPARED_POINTS
        best = np.minimum(best, mean_square.min(axis=1))
        near += (mean_square <= LOOK_ALIKE_M**2).sum(axis=1)
    return np.sqrt(best), near == 1
