"""The files that SUMO reads: trips with drivers, closures, incidents and outputs."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from engine.simulation.calendar import real_seconds
from engine.simulation.events import INCIDENT_SPEED_KMH, Event
from engine.simulation.interventions import Plan
from engine.simulation.model import TrafficModel
from engine.simulation.tours import PURPOSES, Purpose
from engine.simulation.weather import Weather

WARM_UP_S = 1200
"""Traffic that departs this long before the asked hours fills the streets and is not counted."""

SERIES_STEP_S = 300
POINT_STEP_S = 5

MANNERS = ((2.9, 4.6, 1.6, 2.1), (2.6, 4.5, 1.95, 2.5), (2.2, 4.2, 2.3, 2.8))
"""Acceleration, braking (m/s²), headway (s) and gap at rest (m) of brisk, usual, calm drivers."""

WEATHER_KINDS = ("dry", "light-rain", "heavy-rain")
RAIN_SPEED = (1.0, 0.94, 0.87)
RAIN_HEADWAY_S = (0.0, 0.12, 0.3)
RAIN_BRAKING = (1.0, 0.93, 0.85)
"""Effects of light and heavy rain: of the size that the Highway Capacity Manual's chapter on
weather gives for free-flow speed and capacity."""


@dataclass(frozen=True)
class Clock:
    """How wall-clock seconds of a day become seconds of a SUMO run.

    Args:
        begin_s: real seconds after local midnight at which the counted hours begin.
        end_s: real seconds after local midnight at which they end.
    """

    begin_s: int
    end_s: int

    def to_sumo(self, real_s: float) -> float:
        """Seconds of the run; the counted hours begin at :data:`WARM_UP_S`."""
        return real_s - self.begin_s + WARM_UP_S

    @property
    def length_s(self) -> int:
        """Counted seconds."""
        return self.end_s - self.begin_s


def write_trips(
    model: TrafficModel, trips: np.ndarray, sumo_s: np.ndarray, wet: np.ndarray, path: Path
) -> None:
    """Write the trips, sorted by departure.

    Args:
        model: the city.
        trips: records of :data:`engine.simulation.demand.TRIP`.
        sumo_s: departure of each in seconds of the run, ascending.
        wet: position in :data:`WEATHER_KINDS` at each departure.
        path: the file to write.
    """
    ids = [quoteattr(edge.id) for edge in model.edges]
    lengths = [edge.length_m for edge in model.edges]
    types = [f"m{m}w{w}" for m in range(len(MANNERS)) for w in range(len(WEATHER_KINDS))]
    lines = ["<routes>", *(_driver(m, w) for m in range(3) for w in range(3))]
    columns = (
        trips["key"].tolist(),
        np.round(sumo_s, 1).tolist(),
        trips["origin"].tolist(),
        trips["target"].tolist(),
        trips["origin_gate"].tolist(),
        trips["target_gate"].tolist(),
        trips["origin_share"].tolist(),
        trips["target_share"].tolist(),
        (trips["speed_factor"] * np.array(RAIN_SPEED)[wet]).round(3).tolist(),
        (trips["manner"] * 3 + wet).tolist(),
    )
    for key, time_s, a, b, gate_a, gate_b, share_a, share_b, factor, kind in zip(
        *columns, strict=True
    ):
        begin = (
            'departPos="base" departSpeed="max"'
            if gate_a >= 0
            else f'departPos="{share_a * lengths[a]:.1f}" departSpeed="0"'
        )
        end = "" if gate_b >= 0 else f' arrivalPos="{max(share_b * lengths[b], 0.5):.1f}"'
        lines.append(
            f'<trip id="{key}" depart="{time_s}" from={ids[a]} to={ids[b]} departLane="best"'
            f' {begin}{end} type="{types[kind]}" speedFactor="{factor:.3f}"/>'
        )
    lines.append("</routes>")
    path.write_text("\n".join(lines), "utf-8")


def _driver(manner: int, wet: int) -> str:
    acceleration, braking, headway_s, gap_m = MANNERS[manner]
    return (
        f'<vType id="m{manner}w{wet}" sigma="0" speedDev="0" accel="{acceleration}"'
        f' decel="{braking * RAIN_BRAKING[wet]:.2f}" tau="{headway_s + RAIN_HEADWAY_S[wet]:.2f}"'
        f' minGap="{gap_m}"/>'
    )


def write_additional(
    model: TrafficModel, day: date, plan: Plan, events: tuple[Event, ...], clock: Clock, path: Path
) -> None:
    """Write sensors, closures and incidents."""
    sensors = quoteattr(" ".join(model.sensors))
    lines = [
        "<additional>",
        f'<edgeData id="s" file="segments.parquet" period="{SERIES_STEP_S}" begin="{WARM_UP_S}"'
        f' excludeEmpty="true" edges={sensors}/>',
        *_closures(model, day, plan, clock),
        *_incidents(model, day, events, clock),
        "</additional>",
    ]
    path.write_text("\n".join(lines), "utf-8")


def _span(
    model: TrafficModel, day: date, wall: tuple[float, float], clock: Clock
) -> tuple[float, float]:
    begin, end = (clock.to_sumo(real_seconds(day, w, model.zone_info)) for w in wall)
    return max(begin, 0.0), max(end, 0.0)


def _closures(model: TrafficModel, day: date, plan: Plan, clock: Clock) -> list[str]:
    """Rerouters on all edges from which a closed edge is at most two edges away."""
    lines = []
    for number, closure in enumerate(plan.closures):
        begin, end = _span(model, day, (closure.begin_s, closure.end_s), clock)
        if closure.begin_s == 0:
            begin = 0.0
        near = set(closure.edges)
        for _ in range(2):
            near |= {a for a, b in model.links if b in near}
        edges = quoteattr(" ".join(model.edges[e].id for e in sorted(near)))
        closed = [
            f'<closingReroute id={quoteattr(model.edges[e].id)} disallow="all"/>'
            for e in closure.edges
        ]
        lines += [
            f'<rerouter id="c{number}" edges={edges}><interval begin="{begin}" end="{end}">',
            *closed,
            "</interval></rerouter>",
        ]
    return lines


def _incidents(
    model: TrafficModel, day: date, events: tuple[Event, ...], clock: Clock
) -> list[str]:
    """Incidents and crowds as speed limits that change with time."""
    lines = []
    streets = {street.id: street for street in model.streets}
    for number, event in enumerate(events):
        if not event.street:
            continue
        begin, end = _span(model, day, (event.begin_s, event.end_s), clock)
        edges = {e: model.edges[model.edge_index[e]] for e in streets[event.street].edges}
        for place, (edge_id, edge) in enumerate(edges.items()):
            lanes = quoteattr(" ".join(f"{edge_id}_{lane}" for lane in range(edge.lanes)))
            slow = min(INCIDENT_SPEED_KMH, edge.speed_kmh) / 3.6
            lines.append(
                f'<variableSpeedSign id="i{number}_{place}" lanes={lanes}>'
                f'<step time="{begin}" speed="{slow:.2f}"/>'
                f'<step time="{end}" speed="{edge.speed_kmh / 3.6:.2f}"/></variableSpeedSign>'
            )
    return lines


def wetness(weather: tuple[Weather, ...], wall_s: np.ndarray) -> np.ndarray:
    """Position in :data:`WEATHER_KINDS` at each wall-clock time of the day."""
    kinds = np.array([WEATHER_KINDS.index(w.kind) for w in weather])
    return np.asarray(kinds[np.clip(wall_s // 1800, 0, 47).astype(int)])


def purpose_of(trips: np.ndarray) -> list[Purpose]:
    """The purpose of each trip."""
    return [PURPOSES[p] for p in trips["purpose"]]
