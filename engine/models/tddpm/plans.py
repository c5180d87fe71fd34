"""What is decided of trips before any of their points is: how long, when, and where to begin.

Shapes: N trips, R regions.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from engine.errors import ScenarioError
from engine.models.tddpm.conditions import DAY_S, NUM_PURPOSES
from engine.models.tddpm.frames import MAP_SIZE
from engine.models.tddpm.occupancy import RegionGrid, map_of_points
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.tracks import UNKNOWN, Floats, Indices, Tracks, path_lengths_m

MAX_TRIP_POINTS = 1_024


@dataclass(frozen=True, eq=False)
class TripPlan:
    """N trips to be made.

    A trip is begun somewhere in its middle, with the window of its points that lies in a first
    region, and then continued both ways (:mod:`engine.models.tddpm.assembly`).

    Args:
        num_points: (N,) points of each trip.
        start_s: (N,) start, seconds UTC.
        purpose: (N,) int16, or unknown.
        begin: (N,) first point of the first window.
        row: (N,) first raster row of the first region.
        col: (N,) first raster column.
        speed_m_s: (N,) mean speed along the points; None leaves it to the network.
    """

    num_points: Indices
    start_s: Floats
    purpose: NDArray[np.int16]
    begin: Indices
    row: Indices
    col: Indices
    speed_m_s: Floats | None = None

    def __len__(self) -> int:
        return len(self.num_points)

    def select(self, trips: Indices) -> "TripPlan":
        """The plans of an index, in its order; repeated ones are further tries of one trip."""
        return TripPlan(
            self.num_points[trips],
            self.start_s[trips],
            self.purpose[trips],
            self.begin[trips],
            self.row[trips],
            self.col[trips],
            None if self.speed_m_s is None else self.speed_m_s[trips],
        )


@dataclass(frozen=True)
class TripWishes:
    """What the user asks of the trips; None leaves it to the prior.

    Args:
        purpose: number of the purpose.
        begin_s: earliest start, seconds after midnight, UTC.
        end_s: latest start; beyond the end of the day where the hours go past midnight, UTC.
        num_points: points of every trip.
    """

    purpose: int | None = None
    begin_s: float | None = None
    end_s: float | None = None
    num_points: int | None = None

    def __post_init__(self) -> None:
        if self.purpose is not None and not 0 <= self.purpose < NUM_PURPOSES:
            raise ScenarioError("There is no purpose of that number.", str(self.purpose))
        times = [t for t in (self.begin_s, self.end_s) if t is not None]
        if len(times) == 1:
            raise ScenarioError("A time of day needs both its beginning and its end.")
        if times and not (0 <= times[0] < DAY_S and times[0] < times[1] <= times[0] + DAY_S):
            raise ScenarioError(
                "The time of day does not lie within one day.", f"{times[0]} s to {times[1]} s"
            )
        num_points = self.num_points
        if num_points is not None and not 2 <= num_points <= MAX_TRIP_POINTS:
            raise ScenarioError(
                "The number of points of a trip is out of range.",
                str(num_points),
                f"Use 2 to {MAX_TRIP_POINTS:,}.",
            )


def draw_plan(
    rng: np.random.Generator,
    num: int,
    prior: TripPrior,
    piece_points: int,
    wishes: TripWishes,
) -> TripPlan:
    """Durations, hours and first windows of ``num`` trips; regions are assigned afterwards."""
    within = None
    if wishes.begin_s is not None and wishes.end_s is not None:
        within = wishes.begin_s, wishes.end_s
    num_points, start_s = prior.draw(rng, num, within)
    if wishes.num_points is not None:
        num_points = np.full(num, wishes.num_points, np.int64)
    anchor = np.floor(rng.random(num) * num_points).astype(np.int64)
    length = np.minimum(num_points, piece_points)
    lowest = np.maximum(anchor - length + 1, 0)
    highest = np.minimum(anchor, num_points - length)
    begin = lowest + np.floor(rng.random(num) * (highest - lowest + 1)).astype(np.int64)
    purpose = UNKNOWN if wishes.purpose is None else wishes.purpose
    zero = np.zeros(num, np.int64)
    speed = prior.draw_speeds(rng, num_points)
    kinds = np.full(num, purpose, np.int16)
    return TripPlan(num_points, start_s, kinds, begin, zero, zero, speed)


def assign_regions(
    rng: np.random.Generator,
    plan: TripPlan,
    regions: RegionGrid,
    weight: Floats,
    busy_length: float = 0.0,
) -> TripPlan:
    """Draw the first region of each trip, N_r in proportion to ``weight``.

    Systematic drawing: the number of trips in a region differs from its expectation by less than
    one, which a draw of each trip by itself would not give. Which trip gets which region is
    random, but for the correlation between a region's busyness and a trip's length.

    Args:
        rng: of the draw.
        plan: trips.
        regions: R regions.
        weight: (R,) non-negative, not all zero.
        busy_length: that correlation, of normal scores (a Gaussian copula).
    """
    num = len(plan)
    edges = np.cumsum(weight) / weight.sum()
    place = (np.arange(num) + rng.random()) / num
    region = np.minimum(np.searchsorted(edges, place, side="right"), len(regions) - 1)
    region = rng.permutation(region)
    if busy_length and plan.speed_m_s is not None:
        length = _normal_scores(plan.speed_m_s * plan.num_points)
        wish = busy_length * length + (1 - busy_length**2) ** 0.5 * rng.normal(size=num)
        by_busyness = region[np.argsort(regions.weight[region], kind="stable")]
        region = np.empty_like(region)
        region[np.argsort(wish, kind="stable")] = by_busyness
    return replace(plan, row=regions.row[region], col=regions.col[region])


def busy_length_correlation(tracks: Tracks, side_m: float, num: int = 20_000) -> float:
    """Rank correlation between how busy a place is and how long the trips through it are.

    Long trips pass through quiet places, short ones stay in busy ones.

    Args:
        tracks: the training trips.
        side_m: side of a region, metres: how far around a place counts.
        num: points looked at.
    """
    picked = np.random.default_rng(0).integers(len(tracks.points_m), size=num)
    city = map_of_points(tracks.points_m, side_m / MAP_SIZE)
    rows, cols = city.shape
    total = np.zeros((rows + 1, cols + 1))
    total[1:, 1:] = city.counts.cumsum(axis=0).cumsum(axis=1)
    row, col = np.divmod(np.maximum(city.cell_of(tracks.points_m[picked]), 0), cols)
    half = MAP_SIZE // 2
    top, low = np.maximum(row - half, 0), np.minimum(row + half, rows)
    left, right = np.maximum(col - half, 0), np.minimum(col + half, cols)
    busy = total[low, right] - total[top, right] - total[low, left] + total[top, left]
    length = path_lengths_m(tracks)[tracks.trip_of_point()[picked]]
    return float(np.corrcoef(_normal_scores(busy), _normal_scores(length))[0, 1])


def _normal_scores(values: Floats) -> Floats:
    """Normal quantiles of the ranks of values."""
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray(ndtri((rank + 0.5) / len(values)))
