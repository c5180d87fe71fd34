"""A fast traffic assignment: where the same demand drives when streets are closed.

The simulator answers that exactly and slowly. Here each trip takes a quickest way through the
network, with times on each street as drivers reckon with them (:class:`StreetHabits`), scattered a
little from driver to driver. Without a closure nothing changes, exactly; with one, only what is
driven differently does.

Method: stochastic loading with probit choice (Sheffi 1985, Urban Transportation Networks, chapter
11). Drivers go by the times that the streets showed at one of K moments of the observed day. Times
that grow with the volume made the answers worse on the training closures: most of the delay is at
signals, which the observed times hold already.

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
FEW_POINTS = 100.0
"""Points of a period beside those of a place: where hardly anyone was, shares say little."""


@dataclass(frozen=True, eq=False)
class Assigned:
    """A day by assignment.

    Args:
        volume: (T, E) vehicles entering each edge.
        points: (T, G) points, one for each 5 s that a vehicle is in the cell.
        not_made: trips for which no way was found.
    """

    volume: Floats
    points: Floats
    not_made: int


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

    def change(
        self, grid_shape: tuple[int, int], observed: Floats, periods: Sequence[int] | None = None
    ) -> Floats:
        """(R, C) points more or fewer in each cell, all periods or some of them.

        The assignment tells by which part the traffic of a place changes; that part is taken of
        what was observed there (pivoting; Daly, Fox and Patruni 2011, European Transport
        Conference).

        Args:
            grid_shape: (R, C).
            observed: (R, C) points of the same periods on the day without edits.
            periods: which; all if not given.
        """
        chosen = list(range(len(self.before.points))) if periods is None else list(periods)
        before, after = (
            day.points[chosen].sum(axis=0).reshape(grid_shape) for day in (self.before, self.after)
        )
        few = FEW_POINTS * len(chosen)
        return np.asarray((after - before) * (observed + few) / (before + few))


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
    before, after = (_assign(model, habits, trips) for trips in (untouched, plan))
    return Reassignment(before, after, plan)


def load_day(model: TrafficModel, habits: StreetHabits, plan: Plan) -> Floats:
    """(T, E) vehicles that enter each edge in each period of a day.

    Args:
        model: the city.
        habits: of its streets.
        plan: the day's trips and closures.
    """
    return _load_day(model, habits, plan)[0]


def _assign(model: TrafficModel, habits: StreetHabits, plan: Plan) -> Assigned:
    volume, not_made = _load_day(model, habits, plan)
    points = np.asarray((volume * habits.dwell_s / POINT_STEP_S) @ habits.cells)
    return Assigned(volume, points, not_made)


def _load_day(model: TrafficModel, habits: StreetHabits, plan: Plan) -> tuple[Floats, int]:
    parts = []
    for period in range(len(PERIODS_S) - 1):
        trips = plan.trips[_departing(plan.trips["depart_s"], period)]
        graph = _Graph.of(model, _closed(plan.closures, period))
        parts.append(_assign_period(graph, habits, period, _Pairs.of(trips)))
    return np.stack([part[0] for part in parts]), sum(part[1] for part in parts)


def _assign_period(
    graph: "_Graph", habits: StreetHabits, period: int, pairs: "_Pairs"
) -> tuple[Floats, int]:
    """(E,) mean vehicles on each edge over the moments of a period, and trips without a way."""
    volumes: list[Floats] = []
    lost = 0
    for number, seen_s in enumerate(habits.seen_s[period]):
        rng = np.random.default_rng((period, number))
        loaded, lost = graph.load(pairs, seen_s * np.exp(rng.normal(0, SCATTER, len(seen_s))))
        volumes.append(loaded)
    return np.mean(volumes, axis=0), lost


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
