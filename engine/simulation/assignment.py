"""A fast traffic assignment: where the same demand drives when streets are closed.

The simulator answers that exactly and slowly. Here each trip takes a quickest way through the
network, with times on each street as they were observed (:class:`StreetHabits`), scattered a
little from driver to driver, and growing where more vehicles come than on that observed day.
Without a closure nothing changes, exactly; with one, only what is driven differently does.

Method: stochastic user equilibrium by successive averages (Sheffi 1985, Urban Transportation
Networks, chapter 12): probit choice, delays that grow with a power of the volume. Drivers go by
the times that the streets showed at one of K moments of the observed day.

Legend: T periods of the day, K moments of a period, E edges, G cells of the grid, N pairs of edges
with trips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from engine.domain import Edit
from engine.errors import ScenarioError
from engine.simulation.day import make_clock, plan_trips
from engine.simulation.habits import PERIODS_S, StreetHabits
from engine.simulation.inputs import POINT_STEP_S
from engine.simulation.interventions import Closure, Plan
from engine.simulation.model import TrafficModel
from engine.simulation.turns import turn_times

Floats = NDArray[np.float64]
SCATTER = 0.15
"""Spread of the logarithm of a street's time from driver to driver."""
GROWTH = 1.5
"""Delays grow with this power of the volume."""
FEW = 3.0
"""Vehicles an hour that are added to volumes, so that a change on an empty street says little."""
MOST_GROWTH = 6.0


@dataclass(frozen=True, eq=False)
class Assigned:
    """A day by assignment.

    Args:
        course: (T, K, E) vehicles entering each edge, mean of the moments up to each.
        time_s: (T, E) seconds that each is on it.
        points: (T, G) points, one for each 5 s that a vehicle is in the cell.
        not_made: trips for which no way was found.
    """

    course: Floats
    time_s: Floats
    points: Floats
    not_made: int

    @property
    def volume(self) -> Floats:
        """(T, E) vehicles entering each edge."""
        return np.asarray(self.course[:, -1])


@dataclass(frozen=True, eq=False)
class Reassignment:
    """A day without and with edits, by assignment.

    Args:
        before: the day as it is.
        after: the day with the edits.
        plan: the edited day's trips, and how many were moved, diverted or left out.
    """

    before: Assigned
    after: Assigned
    plan: Plan

    def change(self, grid_shape: tuple[int, int], periods: Sequence[int] | None = None) -> Floats:
        """(R, C) points more or fewer in each cell, all periods or some of them."""
        chosen = list(range(len(self.before.points))) if periods is None else list(periods)
        difference = self.after.points[chosen] - self.before.points[chosen]
        return np.asarray(difference.sum(axis=0).reshape(grid_shape))


def reassign(
    model: TrafficModel,
    habits: StreetHabits,
    day: date,
    edits: tuple[Edit, ...],
    seed: int = 0,
) -> Reassignment:
    """Assign a day's demand without and with edits; a few seconds.

    Args:
        model: the city.
        habits: observed on days without edits.
        day: local day, whose demand is drawn.
        edits: closed streets, scaled demand, attractions.
        seed: which draw of the day's demand.

    Raises:
        UnknownStreetError: a closed street does not exist.
        ScenarioError: an edit is of another kind, or the habits are of another network.
    """
    if habits.dwell_s.shape != (len(PERIODS_S) - 1, len(model.edges)):
        raise ScenarioError(
            "What is known of the streets belongs to another network.",
            f"{habits.dwell_s.shape[-1]} edges, the city has {len(model.edges)}",
        )
    clock = make_clock(model, day, (0, 24))
    untouched, _ = plan_trips(model, day, (), clock, seed)
    plan, _ = plan_trips(model, day, edits, clock, seed)
    before = _assign(model, habits, untouched, None)
    return Reassignment(before, _assign(model, habits, plan, before), plan)


def _assign(
    model: TrafficModel, habits: StreetHabits, plan: Plan, before: Assigned | None
) -> Assigned:
    """All periods of a day; ``before`` is what delays are compared with, None for itself."""
    parts = []
    for period in range(len(PERIODS_S) - 1):
        trips = plan.trips[_departing(plan.trips["depart_s"], period)]
        closed = _closed(plan.closures, period)
        usual = None if before is None else before.course[period]
        parts.append(_assign_period(model, habits, period, (trips, closed), usual))
    course, time_s = (np.stack([part[i] for part in parts]) for i in range(2))
    points = np.asarray((course[:, -1] * time_s / POINT_STEP_S) @ habits.cells)
    return Assigned(course, time_s, points, sum(part[2] for part in parts))


def _assign_period(
    model: TrafficModel,
    habits: StreetHabits,
    period: int,
    asked: tuple[np.ndarray, frozenset[int]],
    usual: Floats | None,
) -> tuple[Floats, Floats, int]:
    trips, closed = asked
    pairs = _Pairs.of(trips)
    graph = _Graph.of(model, closed)
    hours = (PERIODS_S[period + 1] - PERIODS_S[period]) / 3_600
    dwell, delay = habits.dwell_s[period], habits.dwell_s[period] - habits.calm_s
    time_s, volume, growth, lost = dwell, np.zeros(len(dwell)), np.ones(len(dwell)), 0
    course: list[Floats] = []
    for number, seen_s in enumerate(habits.seen_s[period]):
        rng = np.random.default_rng((period, number))
        expected_s = habits.free_s + (seen_s - habits.free_s) * growth
        loaded, lost = graph.load(pairs, expected_s * np.exp(rng.normal(0, SCATTER, len(dwell))))
        volume = volume + (loaded - volume) / (number + 1)
        course.append(volume)
        if usual is not None:
            few = FEW * hours
            growth = np.minimum(((volume + few) / (usual[number] + few)) ** GROWTH, MOST_GROWTH)
            time_s = habits.calm_s + delay * growth
    return np.stack(course), time_s, lost


@dataclass(frozen=True, eq=False)
class _Pairs:
    """(N,) edges that trips lead from and to, and how many."""

    origin: NDArray[np.int64]
    target: NDArray[np.int64]
    trips: Floats

    @classmethod
    def of(cls, trips: np.ndarray) -> "_Pairs":
        both = np.stack([trips["origin"], trips["target"]], axis=1).astype(np.int64)
        pairs, counts = np.unique(both.reshape(-1, 2), axis=0, return_counts=True)
        return cls(pairs[:, 0], pairs[:, 1], counts.astype(np.float64))


@dataclass(frozen=True, eq=False)
class _Graph:
    """Edges as nodes; going from one to the next costs the turn and the time on the next."""

    tail: NDArray[np.int64]
    head: NDArray[np.int64]
    turn_s: Floats

    @classmethod
    def of(cls, model: TrafficModel, closed: frozenset[int]) -> "_Graph":
        links = np.array(model.links, np.int64)
        open_links = ~np.isin(links[:, 1], sorted(closed))
        return cls(links[open_links, 0], links[open_links, 1], turn_times(model)[open_links])

    def load(self, pairs: _Pairs, time_s: Floats) -> tuple[Floats, int]:
        """(E,) vehicles on each edge when all take the quickest way, and trips without one."""
        num = len(time_s)
        volume = np.zeros(num)
        if not len(pairs.trips):
            return volume, 0
        cost_s = time_s[self.head] + self.turn_s
        matrix = sparse.csr_matrix((cost_s, (self.tail, self.head)), shape=(num, num))
        origins, row = np.unique(pairs.origin, return_inverse=True)
        _, before = dijkstra(matrix, indices=origins, return_predecessors=True)
        reached = (before[row, pairs.target] >= 0) | (pairs.origin == pairs.target)
        lost = int(pairs.trips[~reached].sum())
        row, at, weight = row[reached], pairs.target[reached], pairs.trips[reached]
        while len(at):
            volume += np.bincount(at, weight, minlength=num)
            at = before[row, at].astype(np.int64)
            going = at >= 0
            row, at, weight = row[going], at[going], weight[going]
        return volume, lost


def _departing(depart_s: Floats, period: int) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (depart_s >= PERIODS_S[period]) & (depart_s < PERIODS_S[period + 1])
    return inside


def _closed(closures: tuple[Closure, ...], period: int) -> frozenset[int]:
    """Edges that are closed for at least half of a period."""
    begin, end = PERIODS_S[period : period + 2]
    return frozenset(
        edge
        for closure in closures
        if min(end, closure.end_s) - max(begin, closure.begin_s) >= (end - begin) / 2
        for edge in closure.edges
    )
