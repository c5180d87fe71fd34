"""Local events that change demand or speed: what happens on some days, drawn from the seed."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from engine.simulation.calendar import DayType, describe_day
from engine.simulation.model import TrafficModel
from engine.simulation.weather import day_weather, generator

EVENT_KEY = 73
PROBABILITY = {
    DayType.WEEKDAY: 0.32,
    DayType.SCHOOL_HOLIDAY: 0.25,
    DayType.SATURDAY: 0.6,
    DayType.SUNDAY: 0.4,
    DayType.HOLIDAY: 0.35,
}
INCIDENT_PROBABILITY = 0.28
INCIDENT_SPEED_KMH = 12.0
OLD_STREETS_HOMES = 5
"""Zones with more homes than this have no room for many parked cars: fewer come by car."""
MAIN_ROAD_ACCESS = 0.6
"""Incidents happen on streets with fewer doors per metre than this: the main roads."""


@dataclass(frozen=True)
class EventKind:
    """A kind of event: names, span of begins (h) and lengths (h), cars, and on which days."""

    kind: str
    title: str
    begin_h: tuple[float, float]
    hours: tuple[float, float]
    visitors: tuple[int, int]
    weekend: bool


KINDS = (
    EventKind("concert", "Evening concert", (18.5, 20.5), (2.0, 3.0), (250, 600), False),
    EventKind("trade-fair", "Trade fair", (9.0, 10.0), (6.0, 8.0), (150, 400), False),
    EventKind("conference", "Conference", (8.5, 9.5), (7.0, 8.5), (100, 300), False),
    EventKind(
        "show-taping", "Television show with audience", (17.0, 19.0), (2.5, 3.5), (150, 400), False
    ),
    EventKind("street-festival", "Street festival", (11.0, 14.0), (5.0, 8.0), (300, 650), True),
    EventKind("sports-day", "Sports day", (9.5, 13.0), (3.0, 6.0), (150, 450), True),
    EventKind("flea-market", "Flea market", (8.5, 10.0), (5.0, 7.0), (150, 400), True),
)


@dataclass(frozen=True)
class Event:
    """Something that happens on one day.

    Args:
        id: date and number.
        name: kind and place, in words.
        kind: one of the kinds above, or ``incident``.
        zone: id of its zone.
        street: id of the street that an incident slows down; empty otherwise.
        begin_s: seconds after local midnight.
        end_s: seconds after local midnight.
        visitors: cars that come and leave again; zero for an incident.
    """

    id: str
    name: str
    kind: str
    zone: str
    street: str
    begin_s: float
    end_s: float
    visitors: int


def day_events(model: TrafficModel, day: date) -> tuple[Event, ...]:
    """The events of a day, the same for every caller."""
    rng = generator(model.seed, day.toordinal(), EVENT_KEY)
    draws = rng.random(16)
    events = []
    if draws[0] < PROBABILITY[describe_day(day).type]:
        events.append(_gathering(model, day, draws))
    if draws[8] < INCIDENT_PROBABILITY:
        events.append(_incident(model, day, draws))
    return tuple(events)


def _between(span: tuple[float, float], share: float) -> float:
    return span[0] + share * (span[1] - span[0])


def _gathering(model: TrafficModel, day: date, draws: np.ndarray) -> Event:
    free_day = describe_day(day).type not in (DayType.WEEKDAY, DayType.SCHOOL_HOLIDAY)
    kinds = [k for k in KINDS if k.weekend == free_day or k.kind == "concert"]
    kind = kinds[int(draws[1] * len(kinds))]
    weights = np.cumsum([zone.leisure + 0.3 * zone.study for zone in model.zones])
    zone = model.zones[int(np.searchsorted(weights, draws[2] * weights[-1]))]
    begin_s = 900 * round(4 * _between(kind.begin_h, draws[3])) * 1.0
    end_s = min(begin_s + 900 * round(4 * _between(kind.hours, draws[4])), 85_500.0)
    rain = max(w.rain_mm_h for w in day_weather(model.seed, day)[18:40])
    wet = 0.6 if rain > 1 and kind.weekend else 1.0
    narrow = 0.4 if zone.homes >= OLD_STREETS_HOMES else 1.0
    visitors = round(wet * narrow * _between(kind.visitors, draws[5]))
    name = f"{kind.title}, {zone.name}"
    return Event(f"{day:%Y%m%d}-1", name, kind.kind, zone.id, "", begin_s, end_s, visitors)


def _incident(model: TrafficModel, day: date, draws: np.ndarray) -> Event:
    """A broken-down vehicle or works that slow one busy street for an hour or three."""
    lanes = {edge.id: edge for edge in model.edges}
    busy = [
        street
        for street in model.streets
        if all(lanes[e].access < MAIN_ROAD_ACCESS * lanes[e].length_m for e in street.edges)
    ]
    street = (busy or list(model.streets))[int(draws[9] * len(busy or model.streets))]
    begin_s = 900 * round(4 * (6.5 + 12 * draws[10])) * 1.0
    end_s = begin_s + 900 * round(4 * (0.75 + 2.25 * draws[11]))
    middle = np.mean([(lanes[e].x_m, lanes[e].y_m) for e in street.edges], axis=0)
    centres = [
        np.mean([(lanes[e].x_m, lanes[e].y_m) for e in zone.edges], axis=0) for zone in model.zones
    ]
    nearest = int(np.argmin([float(((c - middle) ** 2).sum()) for c in centres]))
    name = f"Roadworks or breakdown, {street.name}"
    return Event(
        f"{day:%Y%m%d}-2",
        name,
        "incident",
        model.zones[nearest].id,
        street.id,
        begin_s,
        end_s,
        0,
    )
