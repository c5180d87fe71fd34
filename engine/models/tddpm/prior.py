"""How long trips take, when they begin and how fast they are: what is drawn before any point is.

It is that of the training trips, or that of a city in which somebody asked: a travel survey.

Only counts of trips by duration, hour and mean speed are kept, no trip of anybody.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.models.tddpm.tracks import Floats, Indices, Tracks, path_lengths_m

HOUR_S = 3_600.0
NUM_HOURS = 24
NUM_BINS = 32
"""Bins of duration, equally wide in the logarithm of the number of points."""
SPEED_EDGES_M_S = np.geomspace(0.01, 50.0, 49)
"""Edges of the bins of mean speed, metres a second; slower and faster trips count at the ends."""


@dataclass(frozen=True, eq=False)
class TripPrior:
    """Counts of trips by number of points and hour.

    Args:
        edges: (bins + 1,) float64, rising numbers of points; a bin holds edge <= n < next edge.
        counts: (bins, 24) float64, trips by bin and hour of their start, UTC.
        speeds: (bins, speeds) float64, trips by bin and mean speed along their points; None where
            it was not counted.

    Raises:
        InputError: the arrays do not fit, or no trip was counted.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    speeds: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        fits = self.counts.shape == (len(self.edges) - 1, NUM_HOURS)
        if not fits or (np.diff(self.edges) <= 0).any():
            raise InputError("The counts of trips by duration and hour do not fit.")
        if not (self.counts >= 0).all() or not self.counts.sum() > 0:
            raise InputError("No trip was counted, or a count is negative.")
        speeds = self.speeds
        if speeds is not None:
            shape = len(self.counts), len(SPEED_EDGES_M_S) - 1
            if speeds.shape != shape or not (speeds >= 0).all() or not speeds.sum() > 0:
                raise InputError("The counts of trips by duration and speed do not fit.")

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

    def weigh(self, tracks: Tracks, weight: Floats) -> Floats:
        """Weights of trips, changed so that durations and speeds together have these counts.

        Post-stratification: every class of duration and speed that has a trip of a positive
        weight receives its share; what is in the others is left out.

        Args:
            tracks: N trips.
            weight: (N,) non-negative.

        Returns:
            (N,) weights that sum to 1.

        Raises:
            InputError: speeds were not counted, or no trip is like those that were.
        """
        if self.speeds is None:
            raise InputError("The survey does not count trips by speed.")
        number = _classes(tracks, self.edges)
        lasting = (tracks.num_points >= self.edges[0]) & (tracks.num_points < self.edges[-1])
        weight = weight * lasting
        have = np.bincount(number, weight, minlength=self.speeds.size)
        out = weight * self.speeds.ravel()[number] / np.where(have > 0, have, 1)[number]
        if not out.sum() > 0:
            raise InputError("No trip is as long and as fast as those of the survey.")
        return np.asarray(out / out.sum())

    def draw_speeds(self, rng: np.random.Generator, num_points: Indices) -> Floats | None:
        """(N,) mean speeds of trips of so many points, metres a second; None if not counted."""
        if self.speeds is None:
            return None
        counts = self.speeds[_rows(num_points, self.edges)]
        # of a duration that nobody had, nothing is known but the speeds of all
        counts = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, self.speeds.sum(axis=0))
        ends = counts.cumsum(axis=1)
        wanted = rng.random(len(counts)) * ends[:, -1]
        column = np.minimum((ends <= wanted[:, None]).sum(axis=1), counts.shape[1] - 1)
        slow, fast = SPEED_EDGES_M_S[column], SPEED_EDGES_M_S[column + 1]
        return np.asarray(slow * (fast / slow) ** rng.random(len(column)))


def count_trips(tracks: Tracks, num_bins: int = NUM_BINS) -> TripPrior:
    """The prior of a set of trips."""
    points = tracks.num_points
    low, high = int(points.min()), int(points.max()) + 1
    edges = np.unique(np.round(np.geomspace(low, high, num_bins + 1)))
    row = _rows(points, edges)
    hour = (tracks.start_s % (NUM_HOURS * HOUR_S) // HOUR_S).astype(np.int64)
    counts = np.bincount(row * NUM_HOURS + hour, minlength=(len(edges) - 1) * NUM_HOURS)
    num_speeds = len(SPEED_EDGES_M_S) - 1
    speeds = np.bincount(_classes(tracks, edges), minlength=(len(edges) - 1) * num_speeds)
    return TripPrior(
        edges,
        counts.reshape(-1, NUM_HOURS).astype(np.float64),
        speeds.reshape(-1, num_speeds).astype(np.float64),
    )


def _classes(tracks: Tracks, edges: Floats) -> Indices:
    """(N,) flat numbers of the classes of duration and mean speed that trips lie in."""
    num_speeds = len(SPEED_EDGES_M_S) - 1
    lasting_s = np.maximum((tracks.num_points - 1) * tracks.step_s, tracks.step_s)
    speed = path_lengths_m(tracks) / lasting_s
    column = np.clip(np.searchsorted(SPEED_EDGES_M_S, speed, side="right") - 1, 0, num_speeds - 1)
    return np.asarray(_rows(tracks.num_points, edges) * num_speeds + column)


def _rows(num_points: Indices, edges: Floats) -> Indices:
    """(N,) bins of duration; shorter and longer trips count at the ends."""
    row = np.searchsorted(edges, num_points, side="right") - 1
    return np.asarray(np.clip(row, 0, len(edges) - 2))
