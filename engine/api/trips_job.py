"""The job behind a what-if of people's movements: trips before and after, and what they show.

Trips of both versions are made chunk by chunk from the same random numbers. Beside the trained
model, simple ways follow the same two maps: what has to be beaten.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from datetime import time as clock_time
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.api.trips_known import KnownCity, know_city
from engine.api.trips_maps import (
    BASELINES,
    REASSIGNED,
    RECORDED,
    When,
    base_map,
    closed_streets,
    edited_map,
    is_installed,
    occupancy_by_half_hours,
    streets_weights,
    when_of,
)
from engine.api.trips_ways import make_pair, trips_wished
from engine.cities import City
from engine.cities.registry import open_city
from engine.compute.jobs import Progress
from engine.domain import OccupancyMap, Scenario
from engine.errors import InputError, ScenarioError
from engine.evaluation.trajectories_difference import (
    compare_pairs,
    correlation,
    count_trips_in_cells,
)
from engine.evaluation.trajectories_privacy import compare_privacy
from engine.models.installed import find_weights
from engine.models.tddpm.city_trips import CityFrame
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.edits import apply_painted, painted_fence, painted_occupancy
from engine.models.tddpm.expansion import effective_number, expansion_factors
from engine.models.tddpm.fences import street_fence
from engine.models.tddpm.generation import GenerationConfig, generate_trips
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.plans import TripWishes
from engine.models.tddpm.sampling import SamplerConfig
from engine.models.tddpm.tracks import Tracks, join_tracks, path_lengths_m


class Stoppable(Protocol):
    """What the job asks of its context."""

    def raise_if_cancelled(self) -> None:
        """Stop here if the job was cancelled."""


MODEL = "model"
"""Making trips with the trained network."""
MAX_TRIPS = 20_000
SHOWN_TRIPS = 300
"""Trips that are sent while the rest are being made."""
EVALUATIONS, TRIES = 8, 3
SPARSE_POINTS = 20.0
"""Recorded points of a cell that weigh as much as the whole city's share of a purpose."""
DAY_S = 86_400.0


@dataclass(frozen=True, eq=False)
class _Question:
    """The scenario with its maps."""

    scenario: Scenario
    city: City
    when: When
    base: OccupancyMap
    target: OccupancyMap
    fences: tuple[Fence, ...]
    num_trips: int
    method: str
    wishes: TripWishes


def run(request: dict[str, Any], context: Stoppable) -> Generator[Progress, None, dict[str, Any]]:
    """The job: both maps, trips for both, and what follows from them.

    Args:
        request: a scenario as JSON.
        context: of the job.

    Yields:
        Progress; the estimate is (P, 4) float32 of trips made so far: number of the trip, seconds
        after local midnight, longitude and latitude.

    Returns:
        ``arrays``, ``metrics`` and ``manifest`` as :mod:`engine.api.trajectories` names them.
    """
    started = time.perf_counter()
    scenario = Scenario.from_json(request)
    city = open_city(scenario.city_id)
    yield Progress(0.01, "Reading the city")
    known = know_city(city)
    question = _ask(scenario, city, known)
    yield Progress(0.08, "Making trips")
    before: list[Tracks] = []
    after: list[Tracks] = []
    for pair in _make_pairs(question, known, context):
        before.append(pair[0])
        after.append(pair[1])
        done = sum(len(part) for part in after)
        share = 0.08 + 0.82 * done / question.num_trips
        words = f"{done:,} of {question.num_trips:,} trips"
        yield Progress(share, words, _shown(after, known.frame, question))
    making_s = time.perf_counter() - started
    yield Progress(0.92, "Comparing")
    versions = join_tracks(before), join_tracks(after)
    arrays, metrics = _compare(question, known, versions)
    privacy = asdict(compare_privacy(versions[1], known.held_out, known.training))
    metrics |= {f"privacy/{name}": value for name, value in privacy.items()}
    for way in BASELINES:
        if way != question.method:
            yield Progress(0.95, "Simple ways on the same maps")
            other, figures = _compare(question, known, _baseline_pair(way, question, known))
            arrays[f"{way}/change"] = other["maps/change"]
            metrics |= {f"{way}/{name}": value for name, value in figures.items()}
    metrics |= _judge_edit(question, known, city)
    metrics["seconds"] = making_s
    for name, tracks in zip(("before", "after"), versions, strict=True):
        arrays |= _pack(name, tracks, known.frame, question)
    manifest = {"version": __version__, "city": city.digest, "method": question.method}
    return {"arrays": arrays, "metrics": metrics, "manifest": manifest}


def _ask(scenario: Scenario, city: City, known: KnownCity) -> _Question:
    values, when = scenario.parameters, when_of(scenario)
    base = base_map(city, when)
    streets = closed_streets(scenario.edits)
    moved = None
    if streets and values.get("mode") == REASSIGNED:
        moved = moved_traffic(city, when, scenario)
    target = edited_map(base, scenario.edits, moved)
    fences = []
    fence = painted_fence(base, target, known.frame.plane)
    painted = edited_map(base, scenario.edits)
    fence = replace(fence, cells=fence.cells & (painted.values == 0))
    if fence.cells.any():
        fences.append(fence)
    if streets:
        fences.append(street_fence(city, streets, known.frame.plane, known.frame.side_m))
    num_trips = int(values.get("trips") or 0)
    if not 1 <= num_trips <= MAX_TRIPS:
        raise ScenarioError(
            "The number of trips is out of range.", str(num_trips), f"Use 1 to {MAX_TRIPS:,}."
        )
    method = str(values.get("method") or MODEL)
    if method not in (MODEL, RECORDED):
        raise ScenarioError("There is no such way of making trips.", method[:80])
    if method == MODEL and known.model is None:
        raise ScenarioError(
            "No model was trained for this city.", city.id, "Use its recorded trips."
        )
    wishes = _wishes(values.get("purpose"), when, city, known)
    if wishes.purpose is not None:
        part = _part_of_purpose(known, wishes, city)
        base, target = (OccupancyMap(m.values * part, m.grid) for m in (base, target))
    return _Question(scenario, city, when, base, target, tuple(fences), num_trips, method, wishes)


def _part_of_purpose(known: KnownCity, wishes: TripWishes, city: City) -> NDArray[np.float64]:
    """(R, C) which part of each cell's recorded traffic in the asked hours has the asked purpose.

    Where hardly anyone was recorded, the part of the whole city counts.
    """
    everyone = trips_wished(known.training, replace(wishes, purpose=None))
    counts = [
        count_trips_in_cells(tracks, city.grid, known.frame.plane).sum(axis=0)
        for tracks in (trips_wished(everyone, wishes), everyone)
    ]
    ours, every = (np.asarray(count, np.float64).reshape(city.grid.shape) for count in counts)
    overall = ours.sum() / every.sum()
    part: NDArray[np.float64] = (ours + SPARSE_POINTS * overall) / (every + SPARSE_POINTS)
    return part


def _wishes(purpose: object, when: When, city: City, known: KnownCity) -> TripWishes:
    number = None
    if purpose:
        if str(purpose) not in known.purposes:
            raise ScenarioError("The city's trips have no such purpose.", str(purpose)[:80])
        number = known.purposes.index(str(purpose))
    if when.end_h - when.begin_h == 24:
        return TripWishes(number)
    begin_s = (when.begin_h * 3_600 - _utc_offset_s(when, city)) % DAY_S
    return TripWishes(number, begin_s, begin_s + (when.end_h - when.begin_h) * 3_600)


def _utc_offset_s(when: When, city: City) -> float:
    noon = datetime.combine(when.day, clock_time(12), city.zone)
    offset = noon.utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def moved_traffic(city: City, when: When, scenario: Scenario) -> NDArray[np.float64]:
    """(R, C) points that a traffic assignment adds and takes away over the asked hours.

    The assignment knows periods of the day; of each, as much counts as the asked hours hold of its
    traffic.

    Raises:
        ScenarioError: the city comes without what the assignment needs.
    """
    from engine.simulation.assignment import reassign
    from engine.simulation.habits import PERIODS_S, load_habits
    from engine.simulation.model import load_model as load_traffic

    name = streets_weights(city.id)
    if not is_installed(name):
        raise ScenarioError("Traffic cannot be reassigned in this city.", city.id)
    edits = tuple(e for e in scenario.edits if closed_streets((e,)))
    model, habits = load_traffic(city.folder), load_habits(find_weights(name))
    # another draw than the day itself: what is known is the demand, not each driver
    answer = reassign(model, habits, when.day, edits, scenario.seed + 1)
    total = np.zeros(city.grid.shape)
    for period, (begin, end) in enumerate(pairwise(PERIODS_S)):
        first, last = max(when.begin_h, begin / 3_600), min(when.end_h, end / 3_600)
        if first >= last:
            continue
        inside = occupancy_by_half_hours(city, When(when.day, first, last)).sum()
        whole = When(when.day, begin / 3_600, end / 3_600)
        share = inside / max(occupancy_by_half_hours(city, whole).sum(), 1)
        total += share * answer.change(city.grid.shape, [period])
    return total


def _rasters(question: _Question, known: KnownCity) -> tuple[CityMap, CityMap]:
    """The model's raster, brought to the map of the day and to the edited one."""
    plane = known.frame.plane
    shown = painted_occupancy(known.usual, question.city.grid, plane)
    before = apply_painted(known.usual, shown, question.base, plane)
    return before, apply_painted(before, question.base, question.target, plane)


def _make_pairs(
    question: _Question, known: KnownCity, context: Stoppable
) -> Iterator[tuple[Tracks, Tracks]]:
    """Chunks of trips before and after, made from the same random numbers."""
    model = known.model
    if question.method == RECORDED or model is None:
        yield _baseline_pair(RECORDED, question, known)
        return
    before, after = _rasters(question, known)
    config = GenerationConfig(SamplerConfig(EVALUATIONS), TRIES, wishes=question.wishes)

    def listen(_done: int, _total: int) -> None:
        context.raise_if_cancelled()

    def stream(city: CityMap, fences: Sequence[Fence]) -> Iterator[Tracks]:
        made = generate_trips(
            model, city, question.num_trips, question.scenario.seed, config, fences, listen
        )
        return (chunk.tracks for chunk in made)

    if not question.fences and np.array_equal(before.counts, after.counts):
        # the same map and the same random numbers give the same trips
        for tracks in stream(before, ()):
            yield tracks, tracks
        return
    yield from zip(stream(before, ()), stream(after, question.fences), strict=True)


def _baseline_pair(way: str, question: _Question, known: KnownCity) -> tuple[Tracks, Tracks]:
    return make_pair(
        way,
        known.training,
        _rasters(question, known),
        question.fences,
        question.wishes,
        question.num_trips,
        question.scenario.seed,
    )


def _compare(
    question: _Question, known: KnownCity, versions: tuple[Tracks, Tracks]
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Maps of both versions in the city's unit, their difference, and figures."""
    grid, wanted = question.city.grid, (question.base, question.target)
    counts = [count_trips_in_cells(tracks, grid, known.frame.plane) for tracks in versions]
    base, target = (asked.values.ravel().astype(np.float64) for asked in wanted)
    # both go on from the same factors for as many rounds, so that they differ by the edit alone
    start = expansion_factors(counts[0], base)
    factors = [
        expansion_factors(count, asked, start)
        for count, asked in zip(counts, (base, target), strict=True)
    ]
    difference = compare_pairs(counts[0], counts[1], (factors[0], factors[1]), grid.shape)
    maps = [
        np.asarray(count.T @ factor).reshape(grid.shape)
        for count, factor in zip(counts, factors, strict=True)
    ]
    arrays: dict[str, np.ndarray] = {
        "maps/base": question.base.values,
        "maps/target": question.target.values,
        "maps/before": maps[0],
        "maps/after": maps[1],
        "maps/change": difference.change,
        "maps/spread": difference.spread,
        "maps/marked": difference.marked,
        "before/expansion": factors[0],
        "after/expansion": factors[1],
    }
    metrics = {
        "trips": float(question.num_trips),
        "marked_cells": float(difference.marked.sum()),
        "blocked_entered": float(_num_entered(question, versions[1])),
        "mismatch_before": _mismatch(maps[0], question.base),
        "mismatch_after": _mismatch(maps[1], question.target),
        "mean_length_before_m": _mean_length(versions[0], factors[0]),
        "mean_length_after_m": _mean_length(versions[1], factors[1]),
        "effective_trips": effective_number(factors[1]),
    }
    wished = question.target.values - question.base.values
    followed = correlation(difference.change, wished)
    if followed is not None:
        metrics["followed"] = followed
    return arrays, metrics


def _num_entered(question: _Question, tracks: Tracks) -> int:
    entered = np.zeros(len(tracks), dtype=bool)
    for fence in question.fences:
        entered |= fence.entered(tracks)
    return int(entered.sum())


def _mismatch(made: NDArray[np.float64], wanted: OccupancyMap) -> float:
    """Share of the points that would have to be elsewhere, in [0, 1]."""
    return float(np.abs(made / max(made.sum(), 1e-12) - wanted.normalised()).sum() / 2)


def _mean_length(tracks: Tracks, factors: NDArray[np.float64]) -> float:
    return float(np.average(path_lengths_m(tracks), weights=factors))


def _judge_edit(question: _Question, known: KnownCity, city: City) -> dict[str, float]:
    """How far the edit lies from what the model was trained on."""
    moved = _mismatch(question.target.values, question.base)
    seen = painted_occupancy(known.usual, city.grid, known.frame.plane).values > 0
    seen |= question.base.values > 0
    new = float(question.target.values[~seen].sum() / question.target.total)
    return {"moved": moved, "moved_in_training": known.most_moved, "new_places": new}


def _local_start_s(tracks: Tracks, question: _Question) -> NDArray[np.float64]:
    offset = _utc_offset_s(question.when, question.city)
    return np.asarray((tracks.start_s + offset) % DAY_S)


def _shown(parts: list[Tracks], frame: CityFrame, question: _Question) -> NDArray[np.float32]:
    """(P, 4) of the first trips: number, seconds after midnight, longitude, latitude."""
    tracks = join_tracks(parts)
    tracks = tracks.select(np.arange(min(len(tracks), SHOWN_TRIPS)))
    trip = tracks.trip_of_point()
    within = np.arange(len(trip)) - tracks.offsets[:-1][trip]
    seconds = _local_start_s(tracks, question)[trip] + within * tracks.step_s
    lon, lat = frame.plane.to_degrees(tracks.points_m)
    return np.stack([trip, seconds, lon, lat], axis=1).astype(np.float32)


def _pack(
    name: str, tracks: Tracks, frame: CityFrame, question: _Question
) -> dict[str, np.ndarray]:
    """Trips as plain arrays; nobody's number is in them."""
    lon, lat = frame.plane.to_degrees(tracks.points_m)
    if not len(tracks):
        raise InputError("No trip was made.")
    return {
        f"{name}/lon_udeg": np.rint(lon * 1e6).astype(np.int32),
        f"{name}/lat_udeg": np.rint(lat * 1e6).astype(np.int32),
        f"{name}/offsets": tracks.offsets,
        f"{name}/start_s": _local_start_s(tracks, question),
        f"{name}/purpose": tracks.purpose,
    }
