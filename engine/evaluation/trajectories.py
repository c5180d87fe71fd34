"""How alike two sets of trips are: where they are, how they begin and end, how they move.

Names and definitions follow DiffTraj (arXiv 2304.11582, appendix B) where it has them. All
divergences use natural logarithms: JS lies in [0, 0.693]. Smaller is better but for ``pattern``.

Shapes: P points, N trips, G cells a side.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.models.tddpm.tracks import Floats, Tracks, path_lengths_m

OCCUPANCY_CELLS = 256
DIFFTRAJ_CELLS = 16
NUM_PATTERNS = 50
"""Busiest cells whose overlap is the pattern score."""
LENGTH_BINS = 50
SPEED_BINS = 50
TURN_BINS = 36
MIN_MOVE_M = 3.0
"""Shorter moves have no direction: they are the receiver's noise."""
KL_FLOOR = 1e-8
"""Added to every cell's share before a KL divergence, which has no value for empty cells."""


@dataclass(frozen=True)
class Bounds:
    """The rectangle that is compared, metres."""

    west_m: float
    south_m: float
    east_m: float
    north_m: float

    def __post_init__(self) -> None:
        if not (self.west_m < self.east_m and self.south_m < self.north_m):
            raise InputError("The rectangle to be compared is empty.", str(self))


@dataclass(frozen=True)
class TrajectoryMeasures:
    """One comparison.

    Args:
        js: Jensen-Shannon divergence of 256 x 256 occupancy.
        kl_sym: mean of both Kullback-Leibler divergences of the same.
        density: JS of 16 x 16 occupancy.
        trip: mean JS of the 16 x 16 maps of first and of last points.
        length: JS of the trips' lengths.
        pattern: F1 of the 50 busiest of 16 x 16 cells; 1 is best.
        js_speed: JS of speeds between points.
        kl_speed: mean of both KL divergences of speeds.
        js_turn: JS of turning angles.
        num_trips: compared trips of the first set.
        num_points: their points.
    """

    js: float
    kl_sym: float
    density: float
    trip: float
    length: float
    pattern: float
    js_speed: float
    kl_speed: float
    js_turn: float
    num_trips: int
    num_points: int

    def to_json(self) -> dict[str, float | int | None]:
        """Plain values by name."""
        return asdict(self)


def bounds_of(tracks: Tracks) -> Bounds:
    """The rectangle around all points."""
    west, south = (float(v) for v in tracks.points_m.min(axis=0))
    east, north = (float(v) for v in tracks.points_m.max(axis=0))
    return Bounds(west, south, east, north)


def histogram(points_m: NDArray[np.floating], bounds: Bounds, cells: int) -> Floats:
    """(G, G) share of the points in each cell; those outside are left out.

    Raises:
        InputError: no point is inside.
    """
    x = (points_m[:, 0].astype(np.float64) - bounds.west_m) / (bounds.east_m - bounds.west_m)
    y = (bounds.north_m - points_m[:, 1].astype(np.float64)) / (bounds.north_m - bounds.south_m)
    inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    if not inside.any():
        raise InputError("No point lies in the rectangle to be compared.")
    col = np.minimum((x[inside] * cells).astype(np.int64), cells - 1)
    row = np.minimum((y[inside] * cells).astype(np.int64), cells - 1)
    counts = np.bincount(row * cells + col, minlength=cells * cells)
    return (counts / counts.sum()).reshape(cells, cells)


def kl_divergence(p: Floats, q: Floats) -> float:
    """Sum p ln(p / q); zero where p is zero.

    Raises:
        InputError: q is zero where p is not.
    """
    used = p > 0
    if (q[used] <= 0).any():
        raise InputError("The divergence is infinite: a cell is empty on one side only.")
    return float((p[used] * np.log(p[used] / q[used])).sum())


def js_divergence(p: Floats, q: Floats) -> float:
    """Jensen-Shannon divergence of two distributions, in nats."""
    middle = (p + q) / 2
    # rounding alone can give a tiny negative value for equal distributions
    return max(0.0, (kl_divergence(p, middle) + kl_divergence(q, middle)) / 2)


def symmetric_kl(p: Floats, q: Floats) -> float:
    """Mean of both KL divergences, :data:`KL_FLOOR` added to every cell."""
    floored = [(d + KL_FLOOR) / (d + KL_FLOOR).sum() for d in (p, q)]
    return (kl_divergence(*floored) + kl_divergence(*reversed(floored))) / 2


def pattern_score(p: Floats, q: Floats, num: int = NUM_PATTERNS) -> float:
    """F1 of the ``num`` busiest cells of two maps; empty cells are never busy."""
    first, second = (
        {int(cell) for cell in np.argsort(-d.ravel(), kind="stable")[:num] if d.ravel()[cell] > 0}
        for d in (p, q)
    )
    return 2 * len(first & second) / (len(first) + len(second))


def speeds_m_s(tracks: Tracks) -> Floats:
    """Speed of every move from one point to the next of the same trip."""
    moves = np.linalg.norm(np.diff(tracks.points_m, axis=0), axis=1)
    trip = tracks.trip_of_point()
    return np.asarray(moves[trip[1:] == trip[:-1]] / tracks.step_s, dtype=np.float64)


def turning_angles_rad(tracks: Tracks) -> Floats:
    """Change of direction, in (-pi, pi], at each point between two real moves of one trip."""
    moves = np.diff(tracks.points_m.astype(np.float64), axis=0)
    trip = tracks.trip_of_point()
    real = (trip[1:] == trip[:-1]) & (np.linalg.norm(moves, axis=1) >= MIN_MOVE_M)
    both = real[1:] & real[:-1]
    direction = np.arctan2(moves[:, 1], moves[:, 0])
    change = np.diff(direction)[both]
    return np.asarray((change + np.pi) % (2 * np.pi) - np.pi)


def compare(made: Tracks, real: Tracks, bounds: Bounds) -> TrajectoryMeasures:
    """All measures of one set of trips against another.

    Args:
        made: generated trips, or one half of the real ones.
        real: the trips to compare with.
        bounds: rectangle of all maps.
    """
    fine = [histogram(t.points_m, bounds, OCCUPANCY_CELLS) for t in (made, real)]
    coarse = [histogram(t.points_m, bounds, DIFFTRAJ_CELLS) for t in (made, real)]
    ends = [[histogram(e, bounds, DIFFTRAJ_CELLS) for e in t.ends_m()] for t in (made, real)]
    lengths = _shares([path_lengths_m(t) for t in (made, real)], LENGTH_BINS)
    speeds = _shares([speeds_m_s(t) for t in (made, real)], SPEED_BINS)
    turns = [_turn_shares(turning_angles_rad(t)) for t in (made, real)]
    return TrajectoryMeasures(
        js=js_divergence(*fine),
        kl_sym=symmetric_kl(*fine),
        density=js_divergence(*coarse),
        trip=(js_divergence(ends[0][0], ends[1][0]) + js_divergence(ends[0][1], ends[1][1])) / 2,
        length=js_divergence(*lengths),
        pattern=pattern_score(coarse[0], coarse[1]),
        js_speed=js_divergence(*speeds),
        kl_speed=symmetric_kl(*speeds),
        js_turn=js_divergence(*turns),
        num_trips=len(made),
        num_points=len(made.points_m),
    )


def split_halves(tracks: Tracks, seed: int) -> tuple[Tracks, Tracks]:
    """Two random halves of the trips: the floor below which no model is expected to come."""
    order = np.random.default_rng(seed).permutation(len(tracks))
    half = len(tracks) // 2
    if half == 0:
        raise InputError("Two halves need at least two trips.")
    return tracks.select(np.sort(order[:half])), tracks.select(np.sort(order[half:]))


def share_near(
    points_m: NDArray[np.floating], streets_m: NDArray[np.floating], within_m: float = 20.0
) -> float:
    """Share of points at most ``within_m`` from a street.

    Args:
        points_m: (P, 2).
        streets_m: (S, 2) points along the streets, closer to each other than ``within_m``.
        within_m: a lane's width and the receiver's error.
    """
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(streets_m).query(points_m, distance_upper_bound=within_m)
    return float(np.isfinite(distance).mean())


def _shares(values: list[Floats], bins: int) -> list[Floats]:
    """Histograms over the range of the second set up to its 99th percentile, and beyond."""
    top = max(float(np.percentile(values[1], 99)), 1e-6)
    edges = np.append(np.linspace(0, top, bins), np.inf)
    counts = [np.histogram(v, edges)[0].astype(np.float64) for v in values]
    return [c / c.sum() for c in counts]


def _turn_shares(angles: Floats) -> Floats:
    counts = np.histogram(angles, np.linspace(-np.pi, np.pi, TURN_BINS + 1))[0].astype(np.float64)
    # trips that never move have no turns: an even distribution stands for "nothing known"
    return counts / counts.sum() if counts.any() else np.full(TURN_BINS, 1 / TURN_BINS)
