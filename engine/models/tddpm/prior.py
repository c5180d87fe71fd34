"""How long trips take and when they begin: what is drawn before any point is.

Only counts of trips by duration and hour are kept, no trip of anybody.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.models.tddpm.tracks import Indices, Tracks

HOUR_S = 3_600.0
NUM_HOURS = 24
NUM_BINS = 32
"""Bins of duration, equally wide in the logarithm of the number of points."""


@dataclass(frozen=True, eq=False)
class TripPrior:
    """Counts of trips by number of points and hour.

    Args:
        edges: (bins + 1,) float64, rising numbers of points; a bin holds edge <= n < next edge.
        counts: (bins, 24) float64, trips by bin and hour of their start, UTC.

    Raises:
        InputError: the arrays do not fit, or no trip was counted.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]

    def __post_init__(self) -> None:
        fits = self.counts.shape == (len(self.edges) - 1, NUM_HOURS)
        if not fits or (np.diff(self.edges) <= 0).any():
            raise InputError("The counts of trips by duration and hour do not fit.")
        if not (self.counts >= 0).all() or not self.counts.sum() > 0:
            raise InputError("No trip was counted, or a count is negative.")

    def draw(
        self, rng: np.random.Generator, num: int, within_s: tuple[float, float] | None = None
    ) -> tuple[Indices, NDArray[np.float64]]:
        """Numbers of points and starts of ``num`` trips.

        Args:
            rng: of the draw.
            num: N.
            within_s: earliest and latest start, seconds after midnight UTC; the latest may lie
                on the next day. Within them, hours count as they did in training; hours without
                any trip count evenly.

        Returns:
            (N,) number of points, and (N,) start in seconds after midnight, UTC.
        """
        begin, end = within_s or (0.0, NUM_HOURS * HOUR_S)
        hours = np.arange(int(begin // HOUR_S), int(np.ceil(end / HOUR_S)))
        low, high = np.maximum(hours * HOUR_S, begin), np.minimum((hours + 1) * HOUR_S, end)
        counts = self.counts[:, hours % NUM_HOURS] * (high - low)
        if not counts.sum() > 0:
            counts = self.counts.sum(axis=1)[:, None] * (high - low)
        share = counts.ravel() / counts.sum()
        picked = rng.choice(len(share), size=num, p=share)
        row, column = np.divmod(picked, len(hours))
        few, many = self.edges[row], self.edges[row + 1]
        points = np.floor(few * (many / few) ** rng.random(num)).astype(np.int64)
        start_s = low[column] + rng.random(num) * (high - low)[column]
        return points, start_s % (NUM_HOURS * HOUR_S)


def count_trips(tracks: Tracks, num_bins: int = NUM_BINS) -> TripPrior:
    """The prior of a set of trips."""
    points = tracks.num_points
    low, high = int(points.min()), int(points.max()) + 1
    edges = np.unique(np.round(np.geomspace(low, high, num_bins + 1)))
    row = np.searchsorted(edges, points, side="right") - 1
    hour = (tracks.start_s % (NUM_HOURS * HOUR_S) // HOUR_S).astype(np.int64)
    counts = np.bincount(row * NUM_HOURS + hour, minlength=(len(edges) - 1) * NUM_HOURS)
    return TripPrior(edges, counts.reshape(-1, NUM_HOURS).astype(np.float64))
