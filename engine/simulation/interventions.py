"""What edits do to a day: which trips change, and which edges close when.

* A **closed street** closes all its edges. Trips that would begin or end on one do so on the
  nearest open edge instead: people park around the corner. Trips from or to the outside that can
  no longer get through take the nearest gate that still works, since the region has other roads.
  Trips that still cannot be made are left out and counted, never forced.
* **Scaled demand** keeps or repeats whole tours of a zone: who does not come does not go home.
* An **attraction** adds visitors on top.
"""

from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.domain import AddAttraction, CloseStreets, Edit, ScaleDemand
from engine.errors import ScenarioError
from engine.simulation.calendar import DAY_S
from engine.simulation.demand import (
    ATTRACTION_KIND,
    CLONE_KEY,
    KEYS_PER_KIND,
    VISITOR_KEY,
    draw_visitors,
    sort_trips,
    text_key,
)
from engine.simulation.model import TrafficModel
from engine.simulation.weather import generator

EN_ROUTE_S = 420.0
"""Trips that depart this long before a closure may still be on the road when it begins."""

CLONE_STEP = 100 * KEYS_PER_KIND
"""Repeated tours have keys from a multiple of this on, every repetition from its own."""

MOST_EDITS = 100
MOST_TRIPS = 150_000
MOST_ATTRACTIONS = 40


@dataclass(frozen=True)
class Closure:
    """Edges (positions, sorted) that no car may enter from begin_s to end_s (wall clock)."""

    edges: tuple[int, ...]
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Plan:
    """A day's trips after the edits.

    Args:
        trips: records of :data:`engine.simulation.demand.TRIP`.
        num_counted: how many of them the figures are about.
        closures: when which edges are closed.
        moved: trips that begin or end around the corner of a closed street.
        diverted: trips that use another gate.
        avoided: through trips that pass the city by.
        impossible: trips within the city that cannot be made.
    """

    trips: np.ndarray
    num_counted: int
    closures: tuple[Closure, ...] = ()
    moved: int = 0
    diverted: int = 0
    avoided: int = 0
    impossible: int = 0


@dataclass
class _Counts:
    """What happened to the trips of these keys."""

    keys: NDArray[np.int64]
    moved: int = 0
    diverted: int = 0
    avoided: int = 0
    impossible: int = 0


def apply_edits(
    model: TrafficModel, day: date, trips: np.ndarray, edits: tuple[Edit, ...], seed: int = 0
) -> Plan:
    """The trips and closures of a day with edits; without edits, the trips unchanged.

    Raises:
        UnknownStreetError: a closed street does not exist.
        ScenarioError: a zone does not exist, or an edit is of a kind that streets do not have.
    """
    return close_streets(model, change_demand(model, day, trips, edits, seed), edits)


def change_demand(
    model: TrafficModel, day: date, trips: np.ndarray, edits: tuple[Edit, ...], seed: int
) -> np.ndarray:
    """The trips with scaled zones and attractions, sorted.

    Raises:
        ScenarioError: a zone does not exist, an edit is of a kind that streets do not have, or
            there are more edits or trips than can be simulated.
    """
    if len(edits) > MOST_EDITS:
        raise ScenarioError(f"At most {MOST_EDITS} edits fit into one day.", f"{len(edits)} edits")
    attractions = 0
    for edit in edits:
        if isinstance(edit, ScaleDemand):
            trips = scale_zone(model, (day, seed), trips, edit)
        elif isinstance(edit, AddAttraction):
            trips = add_attraction(model, (day, seed), trips, edit, attractions)
            attractions += 1
        elif not isinstance(edit, CloseStreets):
            raise ScenarioError(
                "The simulator takes closed streets, scaled demand and attractions only.",
                type(edit).__name__,
            )
        if len(trips) > MOST_TRIPS:
            raise ScenarioError(
                "These edits make more traffic than can be simulated.",
                f"{len(trips):,} trips, at most {MOST_TRIPS:,}",
                "Scale fewer zones, or by less.",
            )
    return sort_trips(trips)


def close_streets(
    model: TrafficModel,
    trips: np.ndarray,
    edits: tuple[Edit, ...],
    counted: NDArray[np.bool_] | None = None,
) -> Plan:
    """The trips with detours around closed streets, in the same order.

    Args:
        model: the city.
        trips: records of :data:`engine.simulation.demand.TRIP`.
        edits: all edits; only closures matter.
        counted: (trips,) which trips the plan's figures are about; all when None.

    Raises:
        UnknownStreetError: a closed street does not exist.
    """
    closures = find_closures(model, edits)
    counts = _Counts(trips["key"] if counted is None else trips["key"][counted])
    for begin_s, end_s, closed in _periods(closures):
        trips = _detour(model, trips, (begin_s, end_s), closed, counts)
    num_counted = int(np.isin(trips["key"], counts.keys).sum())
    return Plan(
        trips,
        num_counted,
        closures,
        counts.moved,
        counts.diverted,
        counts.avoided,
        counts.impossible,
    )


def find_closures(model: TrafficModel, edits: tuple[Edit, ...]) -> tuple[Closure, ...]:
    """The closures among the edits.

    Raises:
        UnknownStreetError: a street does not exist.
    """
    closures = []
    for edit in edits:
        if isinstance(edit, CloseStreets):
            edges = {
                model.edge_index[edge]
                for street_id in edit.street_ids
                for edge in model.street(street_id).edges
            }
            closures.append(Closure(tuple(sorted(edges)), edit.begin_s, edit.end_s))
    return tuple(closures)


def scale_zone(
    model: TrafficModel, draw: tuple[date, int], trips: np.ndarray, edit: ScaleDemand
) -> np.ndarray:
    """Thin or repeat the tours that touch the zone within the edit's window."""
    zone = model.zone(edit.zone_id)
    touches = (trips["origin_zone"] == zone) | (trips["target_zone"] == zone)
    inside = (trips["depart_s"] >= edit.begin_s) & (trips["depart_s"] < edit.end_s)
    tour = trips["key"] // 10
    affected = np.isin(tour, np.unique(tour[touches & inside]))
    if edit.factor <= 1:
        return np.asarray(trips[~affected | (trips["scale_draw"] < edit.factor)])
    copies = [trips]
    next_step = int(trips["key"].max(initial=0)) // CLONE_STEP + 1
    whole, rest = divmod(edit.factor - 1, 1)
    for number in range(int(whole) + (rest > 0)):
        chosen = affected if number < int(whole) else affected & (trips["scale_draw"] < rest)
        copies.append(_repeated(model, draw, trips[chosen].copy(), next_step + number))
    return np.concatenate(copies)


def _repeated(
    model: TrafficModel, draw: tuple[date, int], clone: np.ndarray, step: int
) -> np.ndarray:
    """Clones leave up to a quarter of an hour earlier or later, all legs of a tour alike."""
    own, index = np.unique(clone["key"] // 10, return_inverse=True)
    clone["key"] = CLONE_STEP * step + 10 * index + clone["key"] % 10
    table = generator(model.seed, draw[0].toordinal(), CLONE_KEY, draw[1], step).random(1 << 20)
    shift_s = 1800 * (table[own % len(table)] - 0.5)
    clone["depart_s"] = np.clip(clone["depart_s"] + shift_s[index], 0, DAY_S - 1).round(1)
    return clone


def add_attraction(
    model: TrafficModel,
    draw: tuple[date, int],
    trips: np.ndarray,
    edit: AddAttraction,
    number: int,
) -> np.ndarray:
    """Add the visitors of one attraction."""
    if number >= MOST_ATTRACTIONS:
        raise ScenarioError(f"At most {MOST_ATTRACTIONS} attractions fit into one day.")
    zone = model.zone(edit.zone_id)
    place = (text_key(edit.zone_id), int(edit.arrive_s))
    key = (model.seed, draw[0].toordinal(), VISITOR_KEY, draw[1], *place)
    times = (edit.arrive_s, edit.leave_s)
    kind = ATTRACTION_KIND + number
    extra = draw_visitors(model, zone, edit.visitors, times, generator(*key), kind)
    return np.concatenate([trips, extra])


def _periods(closures: tuple[Closure, ...]) -> list[tuple[float, float, frozenset[int]]]:
    """Stretches of the day with one set of closed edges each."""
    times = sorted({t for c in closures for t in (c.begin_s, c.end_s)})
    periods = []
    for begin_s, end_s in pairwise(times):
        closed = {e for c in closures if c.begin_s <= begin_s and end_s <= c.end_s for e in c.edges}
        if closed:
            periods.append((begin_s, end_s, frozenset(closed)))
    return periods


def _detour(
    model: TrafficModel,
    trips: np.ndarray,
    window: tuple[float, float],
    closed: frozenset[int],
    counts: _Counts,
) -> np.ndarray:
    """Adapt the trips that are on the road while the edges are closed."""
    trips = trips.copy()
    first_s = window[0] - EN_ROUTE_S if window[0] > 0 else -DAY_S
    inside = (trips["depart_s"] >= first_s) & (trips["depart_s"] < window[1])
    counted = np.isin(trips["key"], counts.keys)
    reach = model.reachable(closed)
    useful = _useful_edges(model, closed, reach)
    moved = np.zeros(len(trips), dtype=bool)
    nearest = _nearest(model, useful)
    is_useful = np.isin(np.arange(len(model.edges)), sorted(useful))
    for end in ("origin", "target"):
        lost = inside & (trips[f"{end}_gate"] < 0) & ~is_useful[trips[end]]
        trips[end][lost] = nearest[trips[end][lost]]
        moved |= lost
    counts.moved += int((moved & counted).sum())
    stuck = inside & ~reach[trips["origin"], trips["target"]]
    stuck |= inside & (
        np.isin(trips["origin"], list(closed)) | np.isin(trips["target"], list(closed))
    )
    dropped = np.zeros(len(trips), dtype=bool)
    for row in np.flatnonzero(stuck):
        dropped[row] = not _divert(model, trips, int(row), closed, reach)
    counts.diverted += int((stuck & ~dropped & counted).sum())
    through = (trips["origin_gate"] >= 0) & (trips["target_gate"] >= 0)
    counts.avoided += int((dropped & through & counted).sum())
    counts.impossible += int((dropped & ~through & counted).sum())
    return np.asarray(trips[~dropped])


def _useful_edges(
    model: TrafficModel, closed: frozenset[int], reach: NDArray[np.bool_]
) -> set[int]:
    """Open edges with access that can be reached from some gate and left through some gate."""
    entries = [model.edge_index[g.entry] for g in model.gates if g.entry]
    exits = [model.edge_index[g.exit] for g in model.gates if g.exit]
    come = np.any(reach[[e for e in entries if e not in closed]], axis=0)
    leave = np.any(reach[:, [e for e in exits if e not in closed]], axis=1)
    zoned = {model.edge_index[e] for zone in model.zones for e in zone.edges}
    return {e for e in zoned - closed if come[e] and leave[e]}


def _nearest(model: TrafficModel, useful: set[int]) -> NDArray[np.int64]:
    """For each edge the nearest useful one, itself if it is useful."""
    ids = np.array(sorted(useful), dtype=np.int64)
    if not len(ids):
        return np.arange(len(model.edges))
    gaps = ((model.positions_m[:, None] - model.positions_m[ids][None]) ** 2).sum(2)
    return np.asarray(ids[gaps.argmin(1)])


def _divert(
    model: TrafficModel,
    trips: np.ndarray,
    row: int,
    closed: frozenset[int],
    reach: NDArray[np.bool_],
) -> bool:
    """Send one trip through the nearest gate that works; False if there is none."""
    trip = trips[row]
    ends = [e for e in ("origin", "target") if trip[f"{e}_gate"] >= 0]
    if len(ends) != 1:
        return False
    end = ends[0]
    other = int(trip["target" if end == "origin" else "origin"])
    here = model.positions_m[int(trip[end])]
    options = []
    for number, gate in enumerate(model.gates):
        name = gate.entry if end == "origin" else gate.exit
        edge = model.edge_index[name] if name else -1
        if edge < 0 or edge in closed or other in closed:
            continue
        if reach[edge, other] if end == "origin" else reach[other, edge]:
            gap = float(((model.positions_m[edge] - here) ** 2).sum())
            options.append((gap, number, edge))
    if not options:
        return False
    _, number, edge = min(options)
    trips[end][row], trips[f"{end}_gate"][row] = edge, number
    return True
