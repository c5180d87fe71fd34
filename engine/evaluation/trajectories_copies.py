"""Are generated trips copies of training trips? The distance to the closest one tells.

A trip that was learned by heart lies closer to a training trip than the trips of people who were
held out do. Both are measured alike: windows of trips, root mean square distance between points
at the same place in the window, the smallest over all windows of all training trips.

Shapes: W windows, D = 2 x points compared of a window.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.models.tddpm.tracks import Floats, Tracks

WINDOW_POINTS = 64
"""Points of a window: 320 s at 5 s."""
COMPARED_POINTS = 16
STRIDE = 8
"""Points between the beginnings of two training windows."""
_CHUNK = 256


@dataclass(frozen=True)
class CopyTest:
    """Closest training distances of generated and of held-out trips.

    Args:
        made_p5_m: 5th percentile for the generated trips, metres.
        held_out_p5_m: 5th percentile for real trips of people that were held out.
        made_median_m: median for the generated trips.
        held_out_median_m: median for the held-out trips.
    """

    made_p5_m: float
    held_out_p5_m: float
    made_median_m: float
    held_out_median_m: float

    @property
    def passes(self) -> bool:
        """True when generated trips are no closer to training than held-out ones are."""
        return self.made_p5_m >= self.held_out_p5_m


def has_windows(tracks: Tracks) -> bool:
    """True when at least one trip is long enough for the copy test."""
    return bool((tracks.num_points >= WINDOW_POINTS).any())


def cut_windows(tracks: Tracks, stride: int) -> NDArray[np.float32]:
    """(W, D) windows of all trips that are long enough, every ``stride`` points."""
    counts = np.maximum(tracks.num_points - WINDOW_POINTS, -1) // stride + 1
    counts = np.where(tracks.num_points < WINDOW_POINTS, 0, counts)
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.repeat(tracks.offsets[:-1], counts) + within * stride
    picked = np.linspace(0, WINDOW_POINTS - 1, COMPARED_POINTS).round().astype(np.int64)
    return tracks.points_m[first[:, None] + picked].reshape(len(first), 2 * COMPARED_POINTS)


def closest_distances_m(made: Tracks, training: Tracks) -> Floats:
    """(W,) distance of each window of the first trips to the closest window of the others.

    Exact; memory is bounded by chunks of windows.

    Raises:
        InputError: no trip is long enough on one side.
    """
    queries, stored = cut_windows(made, WINDOW_POINTS), cut_windows(training, STRIDE)
    if not len(queries) or not len(stored):
        raise InputError(
            "No trip is long enough for the copy test.", f"{WINDOW_POINTS} points are needed"
        )
    middle = stored.mean(axis=0)
    queries, stored = queries - middle, stored - middle
    norms = np.einsum("wd,wd->w", stored, stored)
    best = np.empty(len(queries))
    for begin in range(0, len(queries), _CHUNK):
        part = queries[begin : begin + _CHUNK]
        closest = _closest(part, stored, norms)
        best[begin : begin + _CHUNK] = np.linalg.norm(part - stored[closest], axis=1)
    return best / np.sqrt(COMPARED_POINTS)


def _closest(
    part: NDArray[np.float32], stored: NDArray[np.float32], norms: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Index of the closest stored window of each; |q|² is common and left out."""
    index = np.zeros(len(part), np.int64)
    lowest = np.full(len(part), np.inf)
    for begin in range(0, len(stored), 65_536):
        block = slice(begin, begin + 65_536)
        score = norms[block] - 2 * part @ stored[block].T
        here = score.argmin(axis=1)
        value = score[np.arange(len(part)), here]
        better = value < lowest
        lowest[better], index[better] = value[better], here[better] + begin
    return index


def compare_copies(made: Tracks, held_out: Tracks, training: Tracks) -> CopyTest:
    """Compare closest training distances of generated and held-out trips."""
    distances = [closest_distances_m(tracks, training) for tracks in (made, held_out)]
    return CopyTest(
        made_p5_m=float(np.percentile(distances[0], 5)),
        held_out_p5_m=float(np.percentile(distances[1], 5)),
        made_median_m=float(np.median(distances[0])),
        held_out_median_m=float(np.median(distances[1])),
    )
