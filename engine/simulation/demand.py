"""A day's trips, drawn from the seed.

Every tour owns its random numbers: they come from a generator keyed by (seed, date, kind), in a
table with one row a tour. Factors (day, weather, edits) only decide which rows take part, so two
versions of a day differ in no trip that the edit does not touch.
"""

from dataclasses import dataclass
from datetime import date
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from engine.simulation.calendar import DAY_S, Day, DayType, describe_day
from engine.simulation.events import Event, day_events
from engine.simulation.model import TrafficModel
from engine.simulation.tours import (
    MOST_FACTOR,
    PURPOSES,
    RUSH_DIRECTION,
    TOUR_KINDS,
    WEEKDAY_FACTOR,
    Mixture,
    Place,
    Purpose,
    TourKind,
)
from engine.simulation.weather import day_weather, generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TRIP = np.dtype(
    [
        ("key", np.int64),  # kind, tour and leg: the same trip has the same key in every version
        ("purpose", np.uint8),  # position in PURPOSES
        ("depart_s", np.float64),  # wall clock, seconds after midnight
        ("origin", np.int32),  # position of the edge in the model
        ("target", np.int32),
        ("origin_zone", np.int32),  # position of the zone, or -1 for a gate
        ("target_zone", np.int32),
        ("origin_gate", np.int32),  # position of the gate, or -1 for a zone
        ("target_gate", np.int32),
        ("origin_share", np.float32),  # where along the edge, 0 to 1
        ("target_share", np.float32),
        ("speed_factor", np.float32),  # this driver's speed relative to the limit
        ("manner", np.uint8),  # 0 brisk, 1 usual, 2 calm
        ("scale_draw", np.float32),  # the tour's number for ScaleDemand
    ]
)

KEYS_PER_KIND = 10_000_000
"""Keys are kind x 10,000,000 + tour x 10 + leg."""

VISITOR_KEY, CLONE_KEY = 81, 82
EVENT_KIND, ATTRACTION_KIND = 20, 40
NUM_DRAWS = 24


@dataclass(frozen=True, eq=False)
class _Ends:
    """One end of a leg for many tours: edges, zones (or -1), gates (or -1), shares."""

    edge: Ints
    zone: Ints
    gate: Ints
    share: Floats


def draw_day(model: TrafficModel, day: date, seed: int = 0) -> np.ndarray:
    """All trips that depart on that day, before any edit.

    Args:
        model: the city.
        day: local date.
        seed: 0 is the day as the city has it; others are further draws of the same day.

    Returns:
        Records of :data:`TRIP`, sorted by departure, then key.
    """
    described = describe_day(day)
    parts = [_draw_kind(model, kind, described, seed) for kind in TOUR_KINDS]
    for number, event in enumerate(day_events(model, day)):
        if event.visitors:
            parts.append(_draw_event(model, event, number, (day, seed)))
    return sort_trips(np.concatenate(parts))


def sort_trips(trips: np.ndarray) -> np.ndarray:
    """The trips by departure, then key."""
    return trips[np.lexsort((trips["key"], trips["depart_s"]))]


def _draw_kind(model: TrafficModel, kind: TourKind, day: Day, seed: int) -> np.ndarray:
    rows = int(np.ceil(kind.count * model.volume * MOST_FACTOR))
    u = generator(model.seed, day.date.toordinal(), kind.number, seed, 0).random((rows, NUM_DRAWS))
    free = day.type in (DayType.SATURDAY, DayType.SUNDAY, DayType.HOLIDAY)
    first_s = 3600 * _mixture(kind.free_times if free else kind.times, u[:, 0], u[:, 1])
    if day.date.weekday() == 4 and not free and kind.purposes[0] is Purpose.WORK:
        stay_cut_h = 0.8
    else:
        stay_cut_h = 0.0
    chosen = u[:, 2] * MOST_FACTOR < _factor(model, kind, day, first_s)
    u, first_s = u[chosen], first_s[chosen]
    keys = kind.number * KEYS_PER_KIND + 10 * np.flatnonzero(chosen)
    places = _places(model, kind, u, first_s)
    legs, depart_s = [], first_s
    for leg, purpose in enumerate(kind.purposes):
        if leg:
            stay_h = kind.stay_h[0] - stay_cut_h + kind.stay_h[1] * ndtri(u[:, 4 + leg])
            depart_s = depart_s + 3600 * np.maximum(stay_h, 0.2)
        begin, end = _leaving(model, places[leg]), _coming(model, places[leg + 1])
        legs.append(_leg(keys + leg, purpose, depart_s, begin, end, u))
    return np.concatenate(legs)


def _factor(model: TrafficModel, kind: TourKind, day: Day, first_s: Floats) -> Floats:
    weather = day_weather(model.seed, day.date)
    slot = np.clip(first_s % DAY_S // 1800, 0, 47).astype(int)
    rain = np.array([w.rain_mm_h > 0 for w in weather])[slot]
    warm = np.array([w.temperature_c for w in weather])[slot]
    noise = generator(model.seed, day.date.toordinal(), kind.number, 0, 1).normal(1.0, 0.025)
    season = np.clip(1 + kind.warmth * (warm - 14), 0.8, 1.2)
    level = kind.factor(day.type) * WEEKDAY_FACTOR[day.date.weekday()] * noise
    return np.asarray(level * season * np.where(rain, kind.rain_factor, 1.0))


def _mixture(parts: Mixture, u_part: Floats, u_value: Floats) -> Floats:
    """Hours drawn from a mixture of normals by two uniform numbers each."""
    shares, means, deviations = (np.array(column) for column in zip(*parts, strict=True))
    part = np.searchsorted(np.cumsum(shares) / shares.sum(), u_part).clip(0, len(parts) - 1)
    return means[part] + deviations[part] * ndtri(np.clip(u_value, 1e-6, 1 - 1e-6))


def _pick(weights: Floats, u: Floats) -> Ints:
    total = np.cumsum(weights)
    picked = np.searchsorted(total, u * total[-1], side="right")
    return np.minimum(picked, len(weights) - 1).astype(np.int64)


def _places(model: TrafficModel, kind: TourKind, u: Floats, first_s: Floats) -> list[_Ends]:
    """The stops of each tour. A tour that begins at a gate or at home ends there again."""
    if kind.places == (Place.GATE, Place.GATE):
        return _through(model, u, first_s)
    stops: list[_Ends] = []
    for number, place in enumerate(kind.places):
        if number and place is kind.places[0] and number == len(kind.places) - 1:
            stops.append(stops[0])
        elif place is Place.GATE:
            stops.append(_at_gates(_pick(_gate_weights(model), u[:, 8 + number]), len(u)))
        else:
            weights = np.array([getattr(zone, place.value) for zone in model.zones], dtype=float)
            zones = _pick(weights, u[:, 8 + number])
            stops.append(_in_zones(model, zones, u[:, 12 + number], u[:, 16 + number]))
    return stops


def _gate_weights(model: TrafficModel) -> Floats:
    return np.array([gate.weight for gate in model.gates], dtype=float)


def _at_gates(gates: Ints, size: int) -> _Ends:
    none = np.full(size, -1, dtype=np.int64)
    return _Ends(none, none, gates, np.zeros(size))


def _in_zones(model: TrafficModel, zones: Ints, u_edge: Floats, share: Floats) -> _Ends:
    edges = np.empty(len(zones), dtype=np.int64)
    for number in np.unique(zones):
        ids = np.array([model.edge_index[e] for e in model.zones[number].edges])
        access = np.array([model.edges[i].access for i in ids])
        here = zones == number
        edges[here] = ids[_pick(access, u_edge[here])]
    return _Ends(edges, zones, np.full(len(zones), -1, dtype=np.int64), 0.1 + 0.8 * share)


def _through(model: TrafficModel, u: Floats, first_s: Floats) -> list[_Ends]:
    """Pairs of gates; the morning rush leans one way and the afternoon's the other."""
    pairs = [(i, j) for i, j, _ in model.through]
    weights = np.array([weight for _, _, weight in model.through])
    hour = first_s / 3600
    lean = np.where((hour > 6) & (hour < 10), 1, np.where((hour > 15) & (hour < 19), -1, 0))
    picked = np.empty(len(u), dtype=np.int64)
    for side in (-1, 0, 1):
        inward = np.array([1 + side * RUSH_DIRECTION * (1 if a > b else -1) for a, b in pairs])
        here = lean == side
        picked[here] = _pick(weights * inward, u[here, 8])
    ends = np.array(pairs, dtype=np.int64)[picked]
    return [_at_gates(ends[:, 0], len(u)), _at_gates(ends[:, 1], len(u))]


def _coming(model: TrafficModel, ends: _Ends) -> _Ends:
    """The ends as targets: gates become the edges that go out."""
    return _at_gate_edges(model, ends, [gate.exit for gate in model.gates])


def _leaving(model: TrafficModel, ends: _Ends) -> _Ends:
    """The ends as origins: gates become the edges that come in."""
    return _at_gate_edges(model, ends, [gate.entry for gate in model.gates])


def _at_gate_edges(model: TrafficModel, ends: _Ends, edges: list[str]) -> _Ends:
    if not (ends.gate >= 0).any():
        return ends
    usable = np.array([bool(edge) for edge in edges])
    place = np.array([_gate_position(model, i) for i in range(len(edges))])
    gaps = ((place[:, None] - place[None]) ** 2).sum(2)
    gaps[:, ~usable] = np.inf
    gate = gaps.argmin(1)[ends.gate]
    index = np.array([model.edge_index[e] if e else -1 for e in edges], dtype=np.int64)
    return _Ends(index[gate], ends.zone, gate, ends.share)


def _gate_position(model: TrafficModel, number: int) -> Floats:
    gate = model.gates[number]
    return model.positions_m[model.edge_index[gate.entry or gate.exit]]


def _leg(
    keys: Ints, purpose: Purpose, depart_s: Floats, begin: _Ends, end: _Ends, u: Floats
) -> np.ndarray:
    trips = np.zeros(len(keys), dtype=TRIP)
    trips["key"] = keys
    trips["purpose"] = PURPOSES.index(purpose)
    trips["depart_s"] = np.round(depart_s % DAY_S, 1)
    trips["origin"], trips["target"] = begin.edge, end.edge
    trips["origin_zone"], trips["target_zone"] = begin.zone, end.zone
    trips["origin_gate"], trips["target_gate"] = begin.gate, end.gate
    trips["origin_share"], trips["target_share"] = begin.share, end.share
    trips["speed_factor"] = np.clip(1 + 0.09 * ndtri(u[:, 20]), 0.75, 1.25).round(3)
    trips["manner"] = np.searchsorted([0.25, 0.8], u[:, 21])
    trips["scale_draw"] = u[:, 22]
    return trips


def _draw_event(
    model: TrafficModel, event: Event, number: int, draw: tuple[date, int]
) -> np.ndarray:
    zone = model.zone(event.zone)
    rng = generator(model.seed, draw[0].toordinal(), VISITOR_KEY, draw[1], number)
    times = (event.begin_s - 1500, event.end_s)
    return draw_visitors(model, zone, event.visitors, times, rng, EVENT_KIND + number)


def draw_visitors(
    model: TrafficModel,
    zone: int,
    visitors: int,
    times: tuple[float, float],
    rng: np.random.Generator,
    kind: int,
) -> np.ndarray:
    """Cars that come to a zone and leave it again.

    Args:
        model: the city.
        zone: position of the zone.
        visitors: number of cars.
        times: middle of the arrivals and of the departures, seconds after midnight.
        rng: where the visitors' numbers come from.
        kind: part of the trips' keys.
    """
    u = rng.random((visitors, NUM_DRAWS))
    arrive_s = np.clip(times[0] + 1000 * ndtri(u[:, 0]), 0, DAY_S - 1)
    leave_s = np.clip(times[1] + 600 * ndtri(u[:, 1]), arrive_s + 300, DAY_S - 1)
    there = _in_zones(model, np.full(visitors, zone), u[:, 12], u[:, 16])
    homes = np.array([z.homes for z in model.zones])
    local = _in_zones(model, _pick(homes, u[:, 9]), u[:, 13], u[:, 17])
    outside = _at_gates(_pick(_gate_weights(model), u[:, 8]), visitors)
    begin, end = _leaving(model, outside), _coming(model, outside)
    near = u[:, 10] < 0.12
    keys = kind * KEYS_PER_KIND + 10 * np.arange(visitors)
    come = _leg(keys, Purpose.EVENT, arrive_s, _mixed(near, local, begin), there, u)
    leave = _leg(keys + 1, Purpose.HOME, leave_s, there, _mixed(near, local, end), u)
    return np.concatenate([come, leave])


def _mixed(first: NDArray[np.bool_], one: _Ends, other: _Ends) -> _Ends:
    names = ("edge", "zone", "gate", "share")
    return _Ends(*(np.where(first, getattr(one, n), getattr(other, n)) for n in names))


def text_key(text: str) -> int:
    """A number for a text, the same on every machine, for use in generator keys."""
    return crc32(text.encode())
