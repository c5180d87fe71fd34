"""The job behind a what-if of people's movements: trips before and after, and what they show.

Trips of both versions are made chunk by chunk from the same random numbers. Beside the trained
model, simple ways follow the same two maps: what has to be beaten.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.api.trips_asked import (
    DAY_S,
    TripQuestion,
    rasters_of,
    read_question,
    utc_offset_s,
)
from engine.api.trips_figures import compare_versions, figures_of, fit_versions, judge_edit
from engine.api.trips_known import KnownCity, know_city
from engine.api.trips_maps import BASELINES, RECORDED
from engine.api.trips_ways import make_pair
from engine.cities.registry import open_city
from engine.compute.jobs import Progress
from engine.domain import Scenario
from engine.errors import InputError
from engine.evaluation.trajectories_privacy import compare_privacy
from engine.models.tddpm.city_trips import CityFrame
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.generation import GenerationConfig, generate_trips
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.sampling import SamplerConfig
from engine.models.tddpm.tracks import Tracks, join_tracks


class Stoppable(Protocol):
    """What the job asks of its context."""

    def raise_if_cancelled(self) -> None:
        """Stop here if the job was cancelled."""


SHOWN_TRIPS = 300
"""Trips that are sent while the rest are being made."""
EVALUATIONS, TRIES = 8, 3


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
    arrays, metrics = compare_versions(question, known, versions)
    privacy = asdict(compare_privacy(versions[1], known.held_out, known.training))
    metrics |= {f"privacy/{name}": value for name, value in privacy.items()}
    for way in BASELINES:
        if way != question.method:
            yield Progress(0.95, "Simple ways on the same maps")
            fit = fit_versions(question, known, _baseline_pair(way, question, known))
            arrays[f"{way}/change"] = fit.maps[1] - fit.maps[0]
            metrics |= {f"{way}/{name}": value for name, value in figures_of(question, fit).items()}
    metrics |= judge_edit(question, known, city)
    metrics["seconds"] = making_s
    for name, tracks in zip(("before", "after"), versions, strict=True):
        arrays |= _pack(name, tracks, known.frame, question)
    manifest = {"version": __version__, "city": city.digest, "method": question.method}
    return {"arrays": arrays, "metrics": metrics, "manifest": manifest}


def _make_pairs(
    question: TripQuestion, known: KnownCity, context: Stoppable
) -> Iterator[tuple[Tracks, Tracks]]:
    """Chunks of trips before and after, made from the same random numbers."""
    model = known.model
    if question.method == RECORDED or model is None:
        yield _baseline_pair(RECORDED, question, known)
        return
    before, after = rasters_of(question, known)
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


def _baseline_pair(way: str, question: TripQuestion, known: KnownCity) -> tuple[Tracks, Tracks]:
    return make_pair(
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
    """(P, 4) of the first trips: number, seconds after midnight, longitude, latitude."""
    tracks = join_tracks(parts)
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
