"""A family of random cities with rivers and hot spots, simulated, as one table of GPS points.

A trajectory model that is to work in a city it never saw has to be trained on many. Each city
depends on (seed, its number) alone: streets of :mod:`engine.simulation.family_streets`, people who
live somewhere or come in through a gate and visit hot spots in tours of a few trips, and one run of
SUMO in which everybody avoids congestion. In the table the cities lie side by side on the equator,
so far apart that no region holds points of two.

Shapes: U people, V trips, P points.
"""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from engine.cities.importers.gps import GpsPoints
from engine.errors import InputError
from engine.models.tddpm.tracks import LocalPlane
from engine.simulation.day import never, stop_if
from engine.simulation.family_streets import (
    KINDS,
    Floats,
    Ints,
    Streets,
    draw_streets,
    write_network,
)
from engine.simulation.inputs import POINT_STEP_S, WARM_UP_S
from engine.simulation.outputs import Tracks, read_positions, read_teleports
from engine.simulation.process import run_sumo

SPACING_M = 8_000.0
COLUMNS = 8
"""Cities stand in rows of eight, from the equator northwards."""
MAX_CITIES = 400
NUMBERS_PER_CITY = 10_000
PEOPLE = (320, 640)
"""Fewest and most people of a city."""
LENGTH_S = 5_400
"""Trips depart within this time, and may drive :data:`TAIL_S` longer."""
TAIL_S = 900
MONDAY_S = datetime(2025, 1, 6, tzinfo=UTC).timestamp()
FIRST_HOURS = (5, 20)
MIN_TRIP_M = 350.0
"""Nearer places are walked to."""


@dataclass(frozen=True, eq=False)
class FamilyTrips:
    """Who drives where and when, in order of departure.

    Args:
        person: (V,) int64.
        depart_s: (V,) seconds after the run began.
        origin: (V,) edge of the network.
        target: (V,) edge.
    """

    person: Ints
    depart_s: Floats
    origin: Ints
    target: Ints

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True, eq=False)
class FamilyCity:
    """One simulated city of the family.

    Args:
        number: its place in the family.
        streets: what was built.
        tracks: its trips in degrees, at their place beside the others.
        person: (V,) who drove each of ``tracks``.
        start_s: beginning of the run, seconds since 1970.
        planned: trips that were to be made.
        teleports: how often SUMO lifted a stuck vehicle over a blockage.
    """

    number: int
    streets: Streets
    tracks: Tracks
    person: Ints
    start_s: float
    planned: int
    teleports: int

    @property
    def num_points(self) -> Ints:
        """(V,) number of points of each trip."""
        return np.diff(self.tracks.starts)

    @property
    def unfinished(self) -> int:
        """Trips that were still under way when the run ended."""
        last_s = self.tracks.times_s[self.tracks.starts[1:] - 1] + WARM_UP_S
        return int((last_s >= LENGTH_S + TAIL_S - POINT_STEP_S).sum())

    def points(self) -> GpsPoints:
        """The trips as GPS points; numbers of trips and people differ between cities."""
        sizes = self.num_points
        first = self.number * NUMBERS_PER_CITY
        return GpsPoints(
            np.repeat(self.tracks.keys + first, sizes),
            np.repeat(self.person + first, sizes),
            (self.start_s + self.tracks.times_s + WARM_UP_S).astype(np.float64),
            self.tracks.lon,
            self.tracks.lat,
        )


def make_family(
    num: int, seed: int, workers: int = 1, should_cancel: Callable[[], bool] = never
) -> Iterator[FamilyCity]:
    """Simulate cities 0 to ``num - 1``, in order.

    Args:
        num: how many.
        seed: of all; city i depends on (seed, i) alone.
        workers: simulators at a time.
        should_cancel: asked about every 0.1 s.

    Raises:
        InputError: the number of cities or workers is out of range.
        SimulatorMissingError: SUMO is not installed.
        SimulatorFailedError: SUMO ended with an error.
        JobCancelledError: cancelled; SUMO is gone.
    """
    if not (1 <= num <= MAX_CITIES and workers >= 1):
        raise InputError(f"A family has 1 to {MAX_CITIES} cities.", f"{num} by {workers} workers")
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda number: make_city(number, seed, should_cancel), range(num))


def make_city(number: int, seed: int, should_cancel: Callable[[], bool] = never) -> FamilyCity:
    """Draw and simulate one city; as :func:`make_family`."""
    stop_if(should_cancel)
    rng = np.random.default_rng((seed, number))
    kind = KINDS[number % len(KINDS)]
    with tempfile.TemporaryDirectory(prefix="citybrush-family-") as name:
        scratch = Path(name)
        streets = draw_streets(kind, bool(number // len(KINDS) % 2), rng, scratch)
        net = write_network(streets, rng, scratch)
        trips = draw_trips(streets, rng)
        _write_routes(trips, scratch / "trips.rou.xml")
        for _ in run_sumo(scratch, _options(net), should_cancel):
            pass
        tracks = read_positions(scratch / "tracks.parquet", _placement(number))
        teleports = read_teleports(scratch / "statistics.xml")
    start_s = MONDAY_S + 86_400 * number + 3_600 * int(rng.integers(*FIRST_HOURS))
    return FamilyCity(
        number, streets, tracks, trips.person[tracks.keys], start_s, len(trips), teleports
    )


def _placement(number: int) -> Callable[[Floats, Floats], tuple[Floats, Floats]]:
    """Metres from a city's middle to degrees at its place."""
    plane = LocalPlane(0.0, 0.0)
    middle = np.array([number % COLUMNS, number // COLUMNS]) * SPACING_M
    return lambda x, y: plane.to_degrees(np.stack([x, y], axis=-1) + middle)


def draw_trips(streets: Streets, rng: np.random.Generator) -> FamilyTrips:
    """Tours of people between home, or a gate, and places that attract them.

    A place attracts by its hot spots and the less the farther it is; a third of the people live
    outside, and some only pass through.
    """
    both = np.repeat(streets.lines_m.mean(axis=1), 2, axis=0)
    pull = _attraction(streets, both, rng)
    homes = np.repeat(streets.lengths_m * ~streets.main, 2) * rng.lognormal(0, 0.5, len(both))
    reach_m = rng.uniform(500, 1_500)
    legs: list[tuple[int, float, int, int]] = []
    gate_weights = rng.lognormal(0, 0.8, len(streets.gates))
    gate_weights /= gate_weights.sum()
    for person in range(int(rng.integers(PEOPLE[0], PEOPLE[1] + 1))):
        stops = _draw_stops(streets, both, (homes, pull), (gate_weights, reach_m), rng)
        times = np.sort(rng.beta(1.5, 1.8, len(stops) - 1)) * LENGTH_S
        legs += [
            (person, float(t), a, b)
            for t, a, b in zip(times, stops[:-1], stops[1:], strict=True)
            if np.linalg.norm(both[a] - both[b]) > MIN_TRIP_M
        ]
    legs.sort(key=lambda leg: leg[1])
    people, departs_s, begins, ends = (np.array(column) for column in zip(*legs, strict=True))
    inwards = np.array([_gate_edge(streets, gate) for gate in range(len(streets.gates))])
    # the edge of a gate leads inwards where a trip begins, and outwards where it ends
    ends = np.where(np.isin(ends, inwards), ends ^ 1, ends)
    return FamilyTrips(people, np.round(departs_s, 1), begins, ends)


def _attraction(streets: Streets, middles: Floats, rng: np.random.Generator) -> Floats:
    """Weight of each edge as a destination: a few hot spots on a low floor."""
    num = int(rng.integers(2, 6))
    spots = middles[rng.choice(len(middles), num, replace=False)]
    widths, weights = rng.uniform(80, 320, num), rng.lognormal(0, 0.7, num)
    gaps = np.linalg.norm(middles[:, None] - spots, axis=-1)
    near = (weights / widths * np.exp(-0.5 * (gaps / widths) ** 2)).sum(axis=1)
    lengths = np.repeat(streets.lengths_m, 2)
    return np.asarray(lengths * (near / near.max() + rng.uniform(0.02, 0.1)))


def _draw_stops(
    streets: Streets,
    middles: Floats,
    weights: tuple[Floats, Floats],
    outside: tuple[Floats, float],
    rng: np.random.Generator,
) -> list[int]:
    """Edges of a tour that ends where it began; those who pass through end at another gate."""
    homes, pull = weights
    gate_weights, reach_m = outside
    kind = rng.random()
    if kind < 0.55:
        first = _pick(homes, rng)
        last = first
    else:
        first, last = (_gate_edge(streets, _pick(gate_weights, rng)) for _ in range(2))
        if kind > 0.85:
            return [first, last, first] if rng.random() < 0.5 else [first, last]
        last = first
    stops = [first]
    for _ in range(int(rng.integers(1, 4))):
        gaps = np.linalg.norm(middles - middles[stops[-1]], axis=1)
        stops.append(_pick(pull * np.exp(-gaps / reach_m), rng))
    return [*stops, last]


def _pick(weights: Floats, rng: np.random.Generator) -> int:
    total = np.cumsum(weights)
    return int(np.searchsorted(total, rng.random() * total[-1], side="right"))


def _gate_edge(streets: Streets, gate: int) -> int:
    """An edge that begins at a gate: the main road if there is one."""
    touching = np.flatnonzero((streets.ends == streets.gates[gate]).any(axis=1))
    street = touching[streets.main[touching].argmax()]
    return int(2 * street + (streets.ends[street, 0] != streets.gates[gate]))


def _write_routes(trips: FamilyTrips, path: Path) -> None:
    rows = zip(trips.depart_s.tolist(), trips.origin.tolist(), trips.target.tolist(), strict=True)
    lines = [
        f'<trip id="{i}" depart="{time_s}" from="{origin}" to="{target}" departLane="best"'
        ' departPos="random_free" arrivalPos="random"/>'
        for i, (time_s, origin, target) in enumerate(rows)
    ]
    path.write_text("\n".join(["<routes>", *lines, "</routes>"]), "utf-8")


def _options(net: Path) -> list[str]:
    """SUMO's options; everybody looks for a faster way every five minutes."""
    return [
        *("--net-file", str(net), "--route-files", "trips.rou.xml"),
        *("--begin", "0", "--end", str(LENGTH_S + TAIL_S), "--seed", "0"),
        *("--step-log.period", "100", "--no-warnings", "--xml-validation", "never"),
        *("--fcd-output", "tracks.parquet", "--fcd-output.attributes", "id,x,y,speed"),
        *("--device.fcd.period", "5", "--precision", "2"),
        *("--statistic-output", "statistics.xml"),
        *("--device.rerouting.probability", "1", "--device.rerouting.period", "300"),
        *("--device.rerouting.adaptation-interval", "10"),
        *("--device.rerouting.adaptation-steps", "18"),
        *("--time-to-teleport", "240", "--max-depart-delay", "900"),
        *("--ignore-junction-blocker", "20", "--ignore-route-errors", "--collision.action", "none"),
    ]
