"""How fast trips are made, and how fast beside the simulator; memory of a whole day."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from datetime import date

from engine.api.trajectories import Method, trips_scenario
from engine.api.trips_asked import rasters_of, read_question
from engine.api.trips_bench import WHOLE_DAY, Listener, answer_here, closures_to_test
from engine.api.trips_job import SAMPLER, TRIES
from engine.api.trips_known import know_city
from engine.cities import City
from engine.domain import Edit
from engine.errors import ScenarioError
from engine.models.tddpm.generation import GenerationConfig, TripChunk, generate_trips
from engine.models.tddpm.plans import TripWishes
from engine.simulation.day import simulate_day
from engine.simulation.model import load_model

SHORT_TRIPS, SHORT_POINTS = 256, 128
ANSWER_TRIPS = 1_024
RSS_PER_MB = 1024**2 if sys.platform == "darwin" else 1024
"""The peak of the memory is told in bytes on macOS and in kilobytes elsewhere."""
Figures = dict[str, float]


class _Watch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _processor_s()

    def read(self) -> Figures:
        """``wall_s`` by the clock, ``cpu_s`` of this process and those that it started."""
        return {"wall_s": time.perf_counter() - self._wall, "cpu_s": _processor_s() - self._cpu}


def bench_speed(
    city: City, num_trips: int, listen: Listener = lambda _: None
) -> Iterator[tuple[str, Figures]]:
    """Seconds of each part.

    Args:
        city: with a model, a simulator and test closures.
        num_trips: trips of the long run, whose memory is looked at.
        listen: told what is being done.

    Yields:
        ``short``: 256 trips of 128 points, and when the first were there. ``day``: all trips of a
        day in a stream, with the growth of the process's peak memory. ``answer``: a whole what-if.
        ``simulator``: both days of the same what-if. ``ratio``: simulator over answer.

    Raises:
        ScenarioError: the city has no model or no test closure.
    """
    known = know_city(city)
    model = known.model
    if model is None:
        raise ScenarioError("No model was trained for this city.", city.id)
    item = closures_to_test(city)[0]
    day = item.untouched.field("occupancy").time_of(0).astimezone(city.zone).date()
    scenario = trips_scenario(
        city.id, day, WHOLE_DAY, item.spec.edits, method=Method.MODEL, num_trips=ANSWER_TRIPS
    )
    before, _ = rasters_of(read_question(scenario, city, known), known)

    def made(num: int, wishes: TripWishes) -> Iterator[TripChunk]:
        config = GenerationConfig(SAMPLER, TRIES, wishes=wishes)
        return generate_trips(model, before, num, 0, config)

    listen(f"{SHORT_TRIPS} trips of {SHORT_POINTS} points")
    watch, first_s = _Watch(), 0.0
    for chunk in made(SHORT_TRIPS, TripWishes(num_points=SHORT_POINTS)):
        first_s = first_s or watch.read()["wall_s"]
        done = chunk.done
    yield "short", {**watch.read(), "first_s": first_s, "trips": done}
    listen(f"{num_trips:,} trips")
    watch, peak_mb = _Watch(), _peak_mb()
    for chunk in made(num_trips, TripWishes()):
        done = chunk.done
    yield "day", {**watch.read(), "trips": done, "memory_growth_mb": _peak_mb() - peak_mb}
    listen("A what-if")
    watch = _Watch()
    answer_here(scenario)
    answer = watch.read()
    yield "answer", {**answer, "trips": ANSWER_TRIPS}
    listen("The simulator")
    watch = _Watch()
    for edits in ((), item.spec.edits):
        _simulate(city, day, edits)
    simulator = watch.read()
    yield "simulator", simulator
    yield "ratio", {name: simulator[name] / answer[name] for name in answer}


def _simulate(city: City, day: date, edits: tuple[Edit, ...]) -> None:
    for _ in simulate_day(load_model(city.folder), day, edits):
        pass


def _processor_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / RSS_PER_MB
