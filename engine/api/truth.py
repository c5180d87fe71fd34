"""Asking the simulator: what truly follows from an edit, in a city that was simulated.

The same hours are simulated twice with the same random numbers, once untouched and once with the
edits; and once more untouched with another draw of trips, so that a difference can be held against
what chance alone makes of the same day.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from engine import __version__
from engine.cities import City, FileKind
from engine.cities.registry import open_city
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job, JobContext, Progress
from engine.compute.service import ComputeService
from engine.domain import Edit, Question, Result, Scenario
from engine.domain.scenario import Scalar
from engine.errors import ScenarioError, SimulatorFailedError
from engine.simulation.day import Progress as DayProgress
from engine.simulation.day import simulate_day
from engine.simulation.model import TrafficModel, load_model
from engine.simulation.outputs import Tracks
from engine.simulation.production import draw_tracks

FUNCTION = "engine.api.truth.run"
RUNS = ("untouched", "edited", "again")
"""The three simulations: without the edits, with them, and without them under another seed."""
MAPS = ("flow", "occupancy")
TRIP_RUNS = ("untouched", "edited")
"""Runs whose trips are kept; trip for trip the same vehicles, where they drive in both."""
SHOWN_TRIPS = 2_000
STEP = timedelta(minutes=30)
_KEPT_DAYS = 6
_CHANCE_SEED_STEP = 1_000_003
_WORDS = {
    "untouched": "The day as it was",
    "edited": "The day with your changes",
    "again": "The day once more, to see what chance does",
}


@dataclass(frozen=True)
class _Outcome:
    """What is kept of a simulated day: its (T, R, C) maps, its figures and some of its trips."""

    maps: Mapping[str, np.ndarray]
    figures: Mapping[str, float]
    trips: Mapping[str, np.ndarray]


# what this worker simulated lately: the untouched day is the same for every edit
_kept: dict[tuple[Any, ...], _Outcome] = {}


def can_simulate(city: City) -> bool:
    """Whether a city comes with what the simulator needs."""
    return city.has(FileKind.NETWORK)


def simulated_days(city: City) -> tuple[date, date]:
    """First and last local day of the city's traffic."""
    axis = city.field(city.field_names[0]).axis
    return axis.start.date(), axis.time_of(len(axis) - 1).date()


def truth_scenario(
    city_id: str,
    day: date,
    hours: tuple[float, float],
    edits: tuple[Edit, ...],
    seed: int = 0,
) -> Scenario:
    """The scenario of a question to the simulator.

    Args:
        city_id: id of a simulated city.
        day: local day.
        hours: first and last hour on the wall clock, multiples of a half.
        edits: closed streets, changed demand, attractions.
        seed: which draw of the day; 0 is the day as the city's series have it.
    """
    begin_h, end_h = (float(hour) for hour in hours)
    parameters: dict[str, Scalar] = {"date": day.isoformat(), "begin_h": begin_h, "end_h": end_h}
    return Scenario(city_id, Question.SIMULATE, edits, parameters, seed)


def ask_simulator(service: ComputeService, scenario: Scenario, session: str = "local") -> JobHandle:
    """Have a scenario simulated by a worker; returns at once.

    Raises:
        QueueFullError: the line or the session's quota is full.
    """
    label = f"simulating {scenario.parameters['date']}"
    return service.submit(Job(FUNCTION, scenario.to_json(), session, scenario.seed, label=label))


def read_truth(scenario: Scenario, answer: Mapping[str, Any]) -> Result:
    """The result of a scenario from what :func:`run` returned."""
    return Result(scenario, answer["arrays"], answer["metrics"], answer["manifest"])


def step_times(result: Result) -> tuple[datetime, ...]:
    """Beginning of each half hour of a result, local time."""
    scenario = result.scenario
    zone = open_city(scenario.city_id).zone
    midnight = datetime.combine(_day(scenario), time(), zone)
    first = midnight + timedelta(hours=_hours(scenario)[0])
    return tuple(first + i * STEP for i in range(len(result.arrays["untouched/flow"])))


def run(request: dict[str, Any], context: JobContext) -> Generator[Progress, None, dict[str, Any]]:
    """The job: simulate three times and compare.

    Args:
        request: a scenario as JSON.
        context: of the job.

    Returns:
        ``arrays`` with (T, R, C) maps ``untouched/flow``, ``edited/flow``, ``again/flow`` (vehicles
        entering a cell per half hour) and the same of ``occupancy``; of ``untouched`` and
        ``edited`` some trips, as :mod:`engine.api.trajectories` names their parts; ``metrics`` with
        the figures of each run; ``manifest``.
    """
    scenario = Scenario.from_json(request)
    city = open_city(scenario.city_id)
    model = load_model(city.folder)
    arrays: dict[str, np.ndarray] = {}
    metrics: dict[str, float] = {}
    for number, name in enumerate(RUNS):
        outcome = None
        for step in _simulate(model, city.digest, scenario, name, context):
            if isinstance(step, _Outcome):
                outcome = step
            else:
                share = (number + step.share) / len(RUNS)
                yield Progress(share, f"{_WORDS[name]}: {step.message.lower()}", _estimate(arrays))
        if outcome is None:
            raise SimulatorFailedError("The simulator ended without an answer.", city.id)
        arrays |= {f"{name}/{field}": values for field, values in outcome.maps.items()}
        if name in TRIP_RUNS:
            arrays |= {f"{name}/{part}": values for part, values in outcome.trips.items()}
        metrics |= {f"{name}/{figure}": value for figure, value in outcome.figures.items()}
    manifest: dict[str, Scalar] = {"version": __version__, "city": city.digest}
    return {"arrays": arrays, "metrics": metrics, "manifest": manifest}


def _estimate(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """What is known so far: the summed difference, once there is one."""
    if "edited/flow" not in arrays:
        return None
    total = arrays["edited/flow"].sum(axis=0, dtype=np.int64)
    return np.asarray(total - arrays["untouched/flow"].sum(axis=0, dtype=np.int64))


def _simulate(
    model: TrafficModel, digest: str, scenario: Scenario, name: str, context: JobContext
) -> Iterator[DayProgress | _Outcome]:
    seed = scenario.seed + (_CHANCE_SEED_STEP if name == "again" else 0)
    edits = scenario.edits if name == "edited" else ()
    key = (digest, _day(scenario), _hours(scenario), edits, seed)
    if key in _kept:
        yield _kept[key]
        return
    day, hours = _day(scenario), _hours(scenario)
    for step in simulate_day(model, day, edits, hours, seed, context.cancelled):
        if isinstance(step, DayProgress):
            yield step
            continue
        maps = {field: getattr(step, field).values for field in MAPS}
        figures = {figure: float(value) for figure, value in asdict(step.summary).items()}
        while len(_kept) >= _KEPT_DAYS:
            del _kept[next(iter(_kept))]
        _kept[key] = _Outcome(maps, figures, _pack_trips(step.tracks, hours[0]))
        yield _kept[key]


def _pack_trips(tracks: Tracks, begin_h: float) -> dict[str, np.ndarray]:
    """Some whole trips as plain arrays; which ones depends on their keys alone."""
    shown = draw_tracks(tracks, SHOWN_TRIPS)
    return {
        "lon_udeg": np.rint(shown.lon * 1e6).astype(np.int32),
        "lat_udeg": np.rint(shown.lat * 1e6).astype(np.int32),
        "offsets": shown.starts,
        "start_s": begin_h * 3_600 + shown.first_s.astype(np.float64),
    }


def _day(scenario: Scenario) -> date:
    try:
        return date.fromisoformat(str(scenario.parameters["date"]))
    except (KeyError, ValueError) as error:
        raise ScenarioError("The scenario names no day to simulate.", "", "Give a date.") from error


def _hours(scenario: Scenario) -> tuple[float, float]:
    try:
        return float(scenario.parameters["begin_h"] or 0), float(scenario.parameters["end_h"] or 0)
    except (KeyError, ValueError) as error:
        raise ScenarioError("The scenario names no hours to simulate.") from error
