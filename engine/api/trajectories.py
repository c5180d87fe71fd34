"""How people move after an edit: the question, the answer, and the answer as files.

A result's arrays: ``maps/base`` and ``maps/target`` (R, C), the city as it was and the map that
trips follow; ``maps/before``, ``maps/after``, ``maps/change``, ``maps/spread`` and
``maps/marked``, what the made trips show, in the same unit; ``recorded/change``, ``walk/change``
and ``paths/change``, the same from simple ways of making trips; and of ``before`` and ``after``
the trips themselves: ``lon_udeg``, ``lat_udeg`` (P,), ``offsets`` (N + 1,), ``start_s``,
``purpose`` and ``expansion`` (N,), the vehicles that a trip stands for, and
``expansion_without`` (J, N), the same with each of J groups of trips left out: how far figures lie
apart over them tells their standard error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.api.trips_maps import (
    BASELINES,
    FIELD,
    PAINTED,
    REASSIGNED,
    RECORDED,
    When,
    base_map,
    is_installed,
    painted_edits,
    streets_weights,
)
from engine.cities import City
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job
from engine.compute.service import ComputeService
from engine.domain import CloseStreets, Edit, Question, Result, Scenario
from engine.domain.scenario import Scalar
from engine.models.tddpm.tracks import EARTH_RADIUS_M

FUNCTION = "engine.api.trips_job.run"
STEP_S = 5.0
MAX_TRIPS = 20_000
VERSIONS = ("before", "after")
SPREAD_S = 600.0
"""Departures of the vehicles that one trip stands for lie so far around its own, when shown."""


class Follow(StrEnum):
    """Which map the trips follow when streets are closed."""

    PAINTED = PAINTED
    REASSIGNED = REASSIGNED


class Method(StrEnum):
    """How trips are made."""

    MODEL = "model"
    RECORDED = RECORDED


@dataclass(frozen=True, eq=False)
class MadeTrips:
    """Trips of one version.

    Args:
        paths: of each trip, (K, 2) longitude and latitude.
        times_s: of each trip, (K,) seconds after local midnight.
    """

    paths: tuple[NDArray[np.float64], ...]
    times_s: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True)
class RangeGauge:
    """How far an edit lies from what the model was trained on.

    Args:
        moved: share of the traffic that the edit moves elsewhere.
        most_moved: the largest such share in training.
        new_places: share of the edited map where no trip was ever recorded.
        is_inside: whether the answer can be trusted as far as that goes.
        reasons: what is beyond, in plain words.
    """

    moved: float
    most_moved: float
    new_places: float
    is_inside: bool
    reasons: tuple[str, ...]


def can_make_trips(city: City) -> bool:
    """Whether a city comes with recorded trips and a map of how busy each place is."""
    return FIELD in city.field_names and city.num_trajectories > 0


def trip_purposes(city: City) -> tuple[str, ...]:
    """Names of the purposes of a city's recorded trips, sorted."""
    return city.purposes()


def can_reassign(city: City) -> bool:
    """Whether traffic can be reassigned around closed streets."""
    return is_installed(streets_weights(city.id))


def usual_occupancy(city: City, day: date, hours: tuple[float, float]) -> NDArray[np.float64]:
    """(R, C) vehicles in each cell, looked at every 5 s, over the hours: the map to paint on.

    Raises:
        ScenarioError: the city's series do not hold that day.
    """
    return base_map(city, When(day, *hours)).values


def trips_scenario(  # noqa: PLR0913 - one value for each choice of the user
    city_id: str,
    day: date,
    hours: tuple[float, float],
    edits: tuple[Edit, ...],
    *,
    follow: Follow = Follow.REASSIGNED,
    method: Method = Method.MODEL,
    num_trips: int = 512,
    purpose: str = "",
    seed: int = 0,
) -> Scenario:
    """The scenario of a question.

    Args:
        city_id: id of a city with a model of its trips.
        day: local day, whose traffic is the base.
        hours: first and last hour on the wall clock, multiples of a half.
        edits: painted cells (:func:`painted_edits`) and closed streets.
        follow: which map the trips follow when streets are closed.
        method: how trips are made.
        num_trips: trips of either version, 1 to 20,000.
        purpose: only trips of this purpose; empty for all.
        seed: of everything random.
    """
    parameters: dict[str, Scalar] = {
        "date": day.isoformat(),
        "begin_h": float(hours[0]),
        "end_h": float(hours[1]),
        "mode": str(follow),
        "method": str(method),
        "trips": num_trips,
        "purpose": purpose,
    }
    return Scenario(city_id, Question.TRAJECTORIES, edits, parameters, seed)


def ask_trips(service: ComputeService, scenario: Scenario, session: str = "local") -> JobHandle:
    """Have trips made by a worker; returns at once.

    Raises:
        QueueFullError: the line or the session's quota is full.
    """
    label = f"{scenario.parameters['trips']} trips"
    return service.submit(Job(FUNCTION, scenario.to_json(), session, scenario.seed, label=label))


def read_trips(scenario: Scenario, answer: Mapping[str, Any]) -> Result:
    """The result of a scenario from what the job returned."""
    return Result(scenario, answer["arrays"], answer["metrics"], answer["manifest"])


def made_trips(result: Result, version: str, most: int | None = None) -> MadeTrips:
    """The trips of ``before`` or ``after``, all or the first ones.

    Of an answer of the simulator, those of ``untouched`` or ``edited``.
    """
    offsets = result.arrays[f"{version}/offsets"].astype(np.int64)
    num = len(offsets) - 1 if most is None else min(most, len(offsets) - 1)
    lon, lat = (
        result.arrays[f"{version}/{name}"].astype(np.float64) * 1e-6
        for name in ("lon_udeg", "lat_udeg")
    )
    points = np.stack([lon, lat], axis=1)[: offsets[num]]
    starts = result.arrays[f"{version}/start_s"].astype(np.float64)[:num]
    paths = tuple(np.split(points, offsets[1:num]))
    times = tuple(
        start + STEP_S * np.arange(len(path)) for start, path in zip(starts, paths, strict=True)
    )
    return MadeTrips(paths, times)


def typical_trips(result: Result, version: str, most: int) -> MadeTrips:
    """The traffic of ``before`` or ``after`` in motion: a trip as often as it stands for vehicles.

    Both versions show the same share of their vehicles (:func:`shown_share`). The first of a trip's
    vehicles leaves when the trip does, the others at most ``SPREAD_S`` earlier or later within the
    asked hours: a sample is expanded without all of them driving in one spot. A trip has the same
    random numbers in both versions, so that a vehicle is seen in both wherever its factor is alike
    (Ohlsson 1995, in Business Survey Methods, chapter 9).

    Args:
        result: an answer with trips.
        version: which.
        most: how many vehicles are expected in the busier version.
    """
    share = shown_share(result, most)
    wanted = share * expansion_of(result, version)
    generator = np.random.default_rng(len(wanted))
    counts = np.floor(wanted + generator.random(len(wanted))).astype(np.int64)
    counts[wanted.argmax()] = max(1, counts[wanted.argmax()])
    highest = max(float(expansion_of(result, name).max()) for name in VERSIONS)
    shifts = generator.uniform(-SPREAD_S, SPREAD_S, (len(wanted), int(share * highest) + 1))
    shifts[:, 0] = 0.0
    begin_s, end_s = (
        3_600 * float(result.scenario.parameters[name] or 0) for name in ("begin_h", "end_h")
    )
    trips = made_trips(result, version)
    paths, times = [], []
    for trip, count in enumerate(counts):
        own_s = trips.times_s[trip]
        for shift in shifts[trip, :count]:
            paths.append(trips.paths[trip])
            times.append(own_s + _kept_within(own_s[0] + shift, begin_s, end_s) - own_s[0])
    return MadeTrips(tuple(paths), tuple(times))


def shown_share(result: Result, most: int) -> float:
    """Share of all vehicles that :func:`typical_trips` shows, the same in both versions."""
    return min(1.0, most / max(float(expansion_of(result, name).sum()) for name in VERSIONS))


def _kept_within(moment_s: float, begin_s: float, end_s: float) -> float:
    """A moment mirrored at the ends of the asked hours."""
    inside = begin_s + abs(moment_s - begin_s)
    return max(begin_s, end_s - abs(end_s - inside))


def lengths_and_durations(
    result: Result, version: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) metres and (N,) minutes of the trips of ``before`` or ``after``."""
    offsets = result.arrays[f"{version}/offsets"].astype(np.int64)
    lon, lat = (
        np.radians(result.arrays[f"{version}/{name}"].astype(np.float64) * 1e-6)
        for name in ("lon_udeg", "lat_udeg")
    )
    east = np.diff(lon) * np.cos(lat[:-1])
    moves = EARTH_RADIUS_M * np.hypot(east, np.diff(lat))
    along = np.concatenate([[0.0], np.cumsum(moves)])
    lengths = along[offsets[1:] - 1] - along[offsets[:-1]]
    return lengths, (np.diff(offsets) - 1) * STEP_S / 60


def expansion_of(result: Result, version: str) -> NDArray[np.float64]:
    """(N,) vehicles that each trip of ``before`` or ``after`` stands for."""
    return result.arrays[f"{version}/expansion"].astype(np.float64)


def growing_trips(estimate: NDArray[np.generic]) -> MadeTrips:
    """The trips that a running job has shown so far, from its estimate."""
    rows = np.asarray(estimate, np.float64).reshape(-1, 4)
    cuts = np.flatnonzero(np.diff(rows[:, 0])) + 1
    paths = tuple(np.split(rows[:, 2:], cuts))
    return MadeTrips(paths, tuple(np.split(rows[:, 1], cuts)))


def judge_range(result: Result) -> RangeGauge:
    """Whether the edit lies within what the model was trained on."""
    moved, most, new = (
        result.metrics[name] for name in ("moved", "moved_in_training", "new_places")
    )
    reasons = []
    if moved > most:
        reasons.append(
            f"it moves {moved:.0%} of the traffic; the largest edit in training moved {most:.0%}"
        )
    if new > 0.005:
        reasons.append(f"{new:.1%} of the traffic is where no trip was ever recorded")
    return RangeGauge(moved, most, new, not reasons, tuple(reasons))


def truth_of_trips(scenario: Scenario) -> Scenario | None:
    """The same closed streets as a question to the simulator; None where it cannot answer.

    The simulator knows streets and demand; it does not know a painted map.
    """
    closures = tuple(edit for edit in scenario.edits if isinstance(edit, CloseStreets))
    if not closures:
        return None
    names = ("date", "begin_h", "end_h")
    parameters = {name: scenario.parameters[name] for name in names}
    return Scenario(scenario.city_id, Question.SIMULATE, closures, parameters, 0)


def compare_with_truth(result: Result, truth: Result) -> dict[str, float | None]:
    """Correlation of change maps with the simulator's.

    Returns:
        Of the made trips (``ours``), of the map that they follow (``map``) and of each simple way,
        by name; None where a map is flat.
    """
    true = true_change(truth)
    change = {"ours": result.arrays["maps/change"], "map": wished_change(result)}
    change |= {way: result.arrays[f"{way}/change"] for way in simple_ways(result)}
    return {name: compare_maps(np.asarray(values), true) for name, values in change.items()}


def simple_ways(result: Result) -> tuple[str, ...]:
    """Names of the simple ways of making trips that an answer was compared with."""
    return tuple(way for way in BASELINES if f"{way}/change" in result.arrays)


def wished_change(result: Result) -> NDArray[np.float64]:
    """(R, C) what the map that trips follow has more or less than that of today."""
    target, base = (result.arrays[f"maps/{name}"].astype(np.float64) for name in ("target", "base"))
    return np.asarray(target - base)


def true_change(truth: Result) -> NDArray[np.float64]:
    """(R, C) what the simulator says changes, over all asked hours."""
    edited, untouched = (
        truth.arrays[f"{name}/occupancy"].sum(axis=0, dtype=np.float64)
        for name in ("edited", "untouched")
    )
    return np.asarray(edited - untouched)


def compare_maps(first: NDArray[np.generic], second: NDArray[np.generic]) -> float | None:
    """Correlation of two maps, cell by cell; None where one of them is flat."""
    a, b = (np.asarray(values, np.float64).ravel() for values in (first, second))
    if not a.std() > 0 or not b.std() > 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


__all__ = [
    "Follow",
    "MadeTrips",
    "Method",
    "RangeGauge",
    "ask_trips",
    "can_make_trips",
    "can_reassign",
    "compare_maps",
    "compare_with_truth",
    "expansion_of",
    "growing_trips",
    "judge_range",
    "lengths_and_durations",
    "made_trips",
    "painted_edits",
    "read_trips",
    "shown_share",
    "simple_ways",
    "trip_purposes",
    "trips_scenario",
    "true_change",
    "truth_of_trips",
    "typical_trips",
    "usual_occupancy",
    "wished_change",
]
