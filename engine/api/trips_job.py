"""The job behind a what-if of people's movements: trips before and after, and what they show.

Trips are made chunk by chunk, in turn for either map, and all count in both versions
(:mod:`engine.models.tddpm.coupling`). Beside the trained model, simple ways follow the same two
maps: what has to be beaten.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.api.trips_asked import (
    DAY_S,
    TripQuestion,
    grounds_of,
    rasters_of,
    read_question,
    utc_offset_s,
)
from engine.api.trips_figures import (
    compare_versions,
    enters_fence,
    figures_of,
    fit_versions,
    judge_edit,
    versions_of,
)
from engine.api.trips_known import KnownCity, know_city
from engine.api.trips_maps import BASELINES, RECORDED
from engine.api.trips_ways import is_same, make_trips
from engine.cities.registry import open_city
from engine.compute.jobs import Progress
from engine.domain import Scenario
from engine.errors import InputError
from engine.evaluation.trajectories_privacy import compare_privacy
from engine.models.tddpm.city_trips import CityFrame
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.coupling import split_number
from engine.models.tddpm.generation import GenerationConfig, generate_trips
from engine.models.tddpm.sampling import FOR_SETTLING, SamplerConfig
from engine.models.tddpm.settling import SettlingConfig
from engine.models.tddpm.tracks import Tracks, join_tracks


class Stoppable(Protocol):
    """What the job asks of its context."""

    def raise_if_cancelled(self) -> None:
        """Stop here if the job was cancelled."""


SHOWN_TRIPS = 300
"""Trips that are sent while the rest are being made."""
SAMPLER, TRIES = SamplerConfig(), 2
OF_ELSEWHERE = GenerationConfig(FOR_SETTLING, tries=3, settling=SettlingConfig())
"""How a model that does not know the city's streets makes trips: they are moved onto them."""


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
    question = read_question(scenario, city, known)
    yield Progress(0.08, "Making trips")
    parts: list[Tracks] = []
    for part in _make_trips(question, known, context):
        parts.append(part)
        done = sum(len(made) for made in parts)
        share = 0.08 + 0.82 * done / question.num_trips
        words = f"{done:,} of {question.num_trips:,} trips"
        yield Progress(share, words, _shown(parts, known.frame, question))
    versions = versions_of(question, known, join_tracks(parts), question.fences)
    making_s = time.perf_counter() - started
    yield Progress(0.92, "Comparing")
    arrays, metrics = compare_versions(question, known, versions)
    privacy = asdict(compare_privacy(versions[1], known.held_out, known.training))
    metrics |= {f"privacy/{name}": value for name, value in privacy.items()}
    for way in BASELINES:
        if way != question.method:
            yield Progress(0.95, "Simple ways on the same maps")
            trips = _simple_trips(way, question, known)
            fences = question.fences if way == RECORDED else ()
            fit = fit_versions(question, known, versions_of(question, known, trips, fences))
            arrays[f"{way}/change"] = fit.maps[1] - fit.maps[0]
            metrics |= {f"{way}/{name}": value for name, value in figures_of(question, fit).items()}
    metrics |= judge_edit(question, known, city)
    metrics["seconds"] = making_s
    for name, tracks in zip(("before", "after"), versions, strict=True):
        arrays |= _pack(name, tracks, known.frame, question)
    manifest = {"version": __version__, "city": city.digest, "method": question.method}
    return {"arrays": arrays, "metrics": metrics, "manifest": manifest}


def _make_trips(question: TripQuestion, known: KnownCity, context: Stoppable) -> Iterator[Tracks]:
    """Chunks of trips, in turn for the map before the edits and for the one after."""
    model = known.model
    if question.method == RECORDED or model is None:
        yield _simple_trips(RECORDED, question, known)
        return
    maps = rasters_of(question, known)
    # a model of other cities knows no purposes; the maps are those of the purpose already
    wishes = question.wishes if known.is_own else replace(question.wishes, purpose=None)
    usual_way = GenerationConfig(SAMPLER, TRIES) if known.is_own else OF_ELSEWHERE
    config = replace(usual_way, wishes=wishes)
    grounds = grounds_of(question, known)

    def listen(_done: int, _total: int) -> None:
        context.raise_if_cancelled()

    def stream(version: int, num: int, fences: Sequence[Fence]) -> Iterator[Tracks]:
        if not num:
            return
        seed, how = question.scenario.seed, config.on_ground(grounds[version])
        for chunk in generate_trips(model, maps[version], num, seed, how, fences, listen):
            yield chunk.tracks

    if is_same(maps, question.fences):
        yield from stream(0, question.num_trips, ())
        return
    first, second = split_number(question.num_trips)
    halves = stream(0, first, ()), stream(1, second, question.fences)
    for before, after in zip_longest(*halves):
        yield from (part for part in (before, after) if part is not None)


def _simple_trips(way: str, question: TripQuestion, known: KnownCity) -> Tracks:
    return make_trips(
        way,
        known.training,
        rasters_of(question, known),
        question.fences,
        question.wishes,
        question.num_trips,
        question.scenario.seed,
    )


def _local_start_s(tracks: Tracks, question: TripQuestion) -> NDArray[np.float64]:
    offset = utc_offset_s(question.when, question.city)
    return np.asarray((tracks.start_s + offset) % DAY_S)


def _shown(parts: list[Tracks], frame: CityFrame, question: TripQuestion) -> NDArray[np.float32]:
    """(P, 4) of the first trips that may be made after the edits.

    Their numbers, seconds after midnight, longitude and latitude.
    """
    tracks = join_tracks(parts)
    tracks = tracks.select(~enters_fence(question.fences, tracks))
    tracks = tracks.select(np.arange(min(len(tracks), SHOWN_TRIPS)))
    trip = tracks.trip_of_point()
    within = np.arange(len(trip)) - tracks.offsets[:-1][trip]
    seconds = _local_start_s(tracks, question)[trip] + within * tracks.step_s
    lon, lat = frame.plane.to_degrees(tracks.points_m)
    return np.stack([trip, seconds, lon, lat], axis=1).astype(np.float32)


def _pack(
    name: str, tracks: Tracks, frame: CityFrame, question: TripQuestion
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
