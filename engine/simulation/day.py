"""One simulated day, or some hours of it: the truth that a what-if is compared with."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.domain import Aggregation, Edit, FieldSeries
from engine.errors import JobCancelledError, ScenarioError, StorageError
from engine.simulation.calendar import DAY_S, day_length_s, real_seconds
from engine.simulation.demand import draw_day
from engine.simulation.events import day_events
from engine.simulation.inputs import WARM_UP_S, Clock, wetness, write_additional, write_trips
from engine.simulation.interventions import Plan, change_demand, close_streets
from engine.simulation.model import TrafficModel
from engine.simulation.outputs import (
    Tracks,
    TripTable,
    count_entries,
    count_points,
    read_segments,
    read_teleports,
    read_tracks,
    read_trips,
)
from engine.simulation.process import run_sumo
from engine.simulation.weather import day_weather

STEP_LOG_S = 100
EARLIEST_DAY, LATEST_DAY = date(2000, 1, 1), date(2099, 12, 30)


@dataclass(frozen=True)
class Progress:
    """How far a simulation is.

    Args:
        share: from 0 to 1.
        message: what is being done, for people.
    """

    share: float
    message: str


@dataclass(frozen=True)
class Summary:
    """A simulated day in figures.

    Args:
        trips_planned: trips that are to depart in the counted hours and can be made.
        trips_done: of them, those that arrived before the end.
        trips_moved: trips that begin or end around the corner of a closed street.
        trips_diverted: trips that use another gate, since theirs is cut off.
        trips_avoided: through trips that pass the city by.
        trips_impossible: trips within the city that cannot be made.
        teleports: stuck vehicles that SUMO lifted over a blockage.
        mean_delay_s: time lost against driving freely, mean of the trips done.
        mean_duration_s: from departure to arrival.
        mean_length_m: driven.
        mean_speed_kmh: length over duration, all trips done together.
        sumo_s: seconds that the simulator took.
    """

    trips_planned: int
    trips_done: int
    trips_moved: int
    trips_diverted: int
    trips_avoided: int
    trips_impossible: int
    teleports: int
    mean_delay_s: float
    mean_duration_s: float
    mean_length_m: float
    mean_speed_kmh: float
    sumo_s: float


@dataclass(frozen=True, eq=False)
class SimulatedDay:
    """What a simulated day yields.

    Args:
        date: the local day.
        start: begin of the counted hours, UTC.
        hours: the counted hours on the wall clock.
        edits: what was changed.
        flow: (T, R, C) vehicles entering each cell per half hour.
        occupancy: (T, R, C) points, one for each 5 s that a vehicle is in the cell.
        speed_kmh: (T5, S) mean speed at each sensor, NaN without vehicles.
        count: (T5, S) vehicles at each sensor.
        tracks: all trips as points every 5 s.
        trips: finished trips.
        planned: the trips that were asked for, records of ``demand.TRIP``.
        summary: figures.
    """

    date: date
    start: datetime
    hours: tuple[float, float]
    edits: tuple[Edit, ...]
    flow: FieldSeries
    occupancy: FieldSeries
    speed_kmh: NDArray[np.float32]
    count: NDArray[np.uint16]
    tracks: Tracks
    trips: TripTable
    planned: np.ndarray
    summary: Summary


def never() -> bool:
    """The answer of those who do not want to cancel."""
    return False


def simulate_day(
    model: TrafficModel,
    day: date,
    edits: tuple[Edit, ...] = (),
    hours: tuple[float, float] = (0, 24),
    seed: int = 0,
    should_cancel: Callable[[], bool] = never,
) -> Iterator[Progress | SimulatedDay]:
    """Simulate a local day, or some hours of it, with edits.

    The same arguments give the same answer. Weather and events belong to the city and the date.
    Seed 0 is the day as the city's series have it; another seed draws other trips of the same
    day. With and without edits, one seed has the same random numbers.

    Args:
        model: the city.
        day: local date.
        edits: closed streets, scaled demand, attractions, in order.
        hours: first and last wall-clock hour, multiples of a half.
        seed: which draw of the day.
        should_cancel: asked about every 0.1 s.

    Yields:
        Progress, and last the day.

    Raises:
        UnknownStreetError: a closed street does not exist.
        ScenarioError: hours, date, zones or kinds of edit do not fit.
        SimulatorMissingError: SUMO is not installed.
        SimulatorFailedError: SUMO ended with an error.
        StorageError: the disk is full.
        JobCancelledError: cancelled; SUMO is gone.
    """
    _check(day, hours)
    yield Progress(0.0, "Drawing the day's trips")
    clock = make_clock(model, day, hours)
    plan, sumo_s = plan_trips(model, day, edits, clock, seed)
    try:
        with tempfile.TemporaryDirectory(prefix="citybrush-sumo-") as scratch:
            folder = Path(scratch)
            write_inputs(model, day, plan, sumo_s, clock, folder)
            began = time.monotonic()
            for seconds in run_sumo(folder, sumo_options(model, clock, seed), should_cancel):
                share = min(0.9, 0.02 + 0.88 * seconds / (WARM_UP_S + clock.length_s))
                yield Progress(share, "Simulating the traffic")
            took_s = time.monotonic() - began
            yield Progress(0.92, "Counting vehicles")
            stop_if(should_cancel)
            result = _collect(model, day, edits, hours, plan, clock, folder, took_s)
            stop_if(should_cancel)
    except OSError as error:
        raise StorageError(
            "The simulation could not write its files.",
            error.strerror or "",
            "Free some space in the temporary folder and simulate again.",
        ) from error
    yield result


def stop_if(should_cancel: Callable[[], bool]) -> None:
    """Raise when the job was cancelled."""
    if should_cancel():
        raise JobCancelledError("The simulation was cancelled.")


def _check(day: date, hours: tuple[float, float]) -> None:
    begin, end = hours
    if not (0 <= begin < end <= 24 and 2 * begin % 1 == 0 and 2 * end % 1 == 0):
        raise ScenarioError(
            "The hours to simulate do not fit into a day.",
            f"{begin} to {end}",
            "Give full or half hours with 0 <= begin < end <= 24.",
        )
    if not EARLIEST_DAY <= day <= LATEST_DAY:
        raise ScenarioError("The day to simulate must lie in this century.", day.isoformat())


def make_clock(model: TrafficModel, day: date, hours: tuple[float, float]) -> Clock:
    """The real seconds of the asked wall-clock hours."""
    zone = model.zone_info
    whole = day_length_s(day, zone)
    end_s = whole if hours[1] == 24 else int(real_seconds(day, hours[1] * 3600, zone))
    return Clock(int(real_seconds(day, hours[0] * 3600, zone)), end_s)


def plan_trips(
    model: TrafficModel, day: date, edits: tuple[Edit, ...], clock: Clock, seed: int = 0
) -> tuple[Plan, NDArray[np.float64]]:
    """The trips of the counted hours and the warm-up, with their times in the run, ascending.

    The warm-up of the first hours is the end of the day before: it knows closures, not the other
    edits. Its trips have negative keys and negative times.
    """
    trips = change_demand(model, day, draw_day(model, day, seed), edits, seed)
    zone = model.zone_info
    real = np.array([real_seconds(day, w, zone) for w in trips["depart_s"].tolist()])
    when = clock_times(clock, real)
    if clock.begin_s < WARM_UP_S:
        eve = draw_day(model, day - timedelta(days=1), seed)
        late = eve[eve["depart_s"] >= DAY_S - WARM_UP_S]
        late["key"], late["depart_s"] = -late["key"], late["depart_s"] - DAY_S
        trips = np.concatenate([late, trips])
        when = np.concatenate([clock_times(clock, late["depart_s"]), when])
    inside = (when >= 0) & (when < WARM_UP_S + clock.length_s)
    order = np.argsort(when[inside], kind="stable")
    chosen, when = trips[inside][order], when[inside][order]
    plan = close_streets(model, chosen, edits, when >= WARM_UP_S)
    return plan, when[np.isin(chosen["key"], plan.trips["key"])]


def clock_times(clock: Clock, real_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of the run for real seconds after midnight."""
    return np.asarray(real_s - clock.begin_s + WARM_UP_S)


def write_inputs(
    model: TrafficModel,
    day: date,
    plan: Plan,
    sumo_s: NDArray[np.float64],
    clock: Clock,
    folder: Path,
) -> None:
    """Write the files that SUMO reads."""
    wet = wetness(day_weather(model.seed, day), plan.trips["depart_s"] % DAY_S)
    write_trips(model, plan.trips, sumo_s, wet, folder / "trips.rou.xml")
    events = day_events(model, day)
    write_additional(model, day, plan, events, clock, folder / "day.add.xml")


def sumo_options(model: TrafficModel, clock: Clock, seed: int) -> list[str]:
    """SUMO's options for a day, without the program's name."""
    return [
        *("--net-file", str(model.net.resolve())),
        *("--route-files", "trips.rou.xml", "--additional-files", "day.add.xml"),
        *("--begin", "0", "--end", str(WARM_UP_S + clock.length_s)),
        *("--seed", str(seed)),
        *("--step-log.period", str(STEP_LOG_S), "--no-warnings", "--xml-validation", "never"),
        *("--fcd-output", "tracks.parquet", "--fcd-output.attributes", "id,x,y,speed"),
        *("--device.fcd.period", "5", "--precision", "2"),
        *("--tripinfo-output", "trips.parquet", "--statistic-output", "statistics.xml"),
        *("--device.rerouting.probability", "1", "--device.rerouting.period", "300"),
        *("--device.rerouting.adaptation-interval", "10"),
        *("--device.rerouting.adaptation-steps", "18"),
        *("--routing-algorithm", "astar"),
        *("--time-to-teleport", "240", "--max-depart-delay", "900"),
        *("--ignore-junction-blocker", "20", "--ignore-route-errors", "--collision.action", "none"),
    ]


def _collect(  # noqa: PLR0913
    model: TrafficModel,
    day: date,
    edits: tuple[Edit, ...],
    hours: tuple[float, float],
    plan: Plan,
    clock: Clock,
    folder: Path,
    took_s: float,
) -> SimulatedDay:
    tracks = read_tracks(model, folder / "tracks.parquet")
    trips = read_trips(folder / "trips.parquet")
    speed, count = read_segments(model, folder / "segments.parquet", clock.length_s)
    start = datetime.fromtimestamp(model.midnight_utc_s(day) + clock.begin_s, UTC)
    step = timedelta(minutes=30)
    fields = (
        ("vehicles entering the cell", count_entries, "vehicles"),
        ("vehicles in the cell, every 5 s", count_points, "points"),
    )
    flow, occupancy = (
        FieldSeries(
            name,
            make(tracks, model.grid, clock.length_s),
            model.grid,
            start,
            step,
            unit,
            Aggregation.SUM,
        )
        for name, make, unit in fields
    )
    summary = _summarise(plan, trips, read_teleports(folder / "statistics.xml"), took_s)
    planned = plan.trips
    return SimulatedDay(
        day, start, hours, edits, flow, occupancy, speed, count, tracks, trips, planned, summary
    )


def _summarise(plan: Plan, trips: TripTable, teleports: int, took_s: float) -> Summary:
    hours = max(float(trips.duration_s.sum()), 1e-9) / 3600
    return Summary(
        trips_planned=plan.num_counted,
        trips_done=len(trips.keys),
        trips_moved=plan.moved,
        trips_diverted=plan.diverted,
        trips_avoided=plan.avoided,
        trips_impossible=plan.impossible,
        teleports=teleports,
        mean_delay_s=_mean(trips.loss_s),
        mean_duration_s=_mean(trips.duration_s),
        mean_length_m=_mean(trips.length_m),
        mean_speed_kmh=round(float(trips.length_m.sum()) / 1000 / hours, 2),
        sumo_s=round(took_s, 2),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return round(float(values.mean()), 2) if len(values) else 0.0
