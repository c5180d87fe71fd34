"""Simple ways of making trips for a map: what a trained model has to be better than.

All are given the same maps as the model, and are coupled in the same way
(:mod:`engine.models.tddpm.coupling`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.api.trips_maps import PATHS, RECORDED, WALK
from engine.errors import InputError, ScenarioError
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.coupling import split_number
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.plans import TripWishes
from engine.models.tddpm.prior import count_trips
from engine.models.tddpm.tracks import Tracks, join_tracks
from engine.models.walk_baselines.guided_walk import fit_walk, walk_trips
from engine.models.walk_baselines.resampling import resample_trips
from engine.models.walk_baselines.shortest_paths import graph_of_map, path_trips

DAY_S = 86_400.0


def make_trips(
    way: str,
    training: Tracks,
    maps: tuple[CityMap, CityMap],
    fences: Sequence[Fence],
    wishes: TripWishes,
    num_trips: int,
    seed: int,
) -> Tracks:
    """Trips for the map before and for the one after the edits, half each.

    Args:
        way: one of :data:`engine.api.trips_maps.BASELINES`.
        training: recorded trips.
        maps: before and after.
        fences: what nobody may enter after the edits; only recorded trips know streets.
        wishes: hours and purpose.
        num_trips: of both halves together.
        seed: of everything random.

    Raises:
        ScenarioError: no recorded trip fits, or all are fenced off.
    """
    recorded = trips_wished(training, wishes)
    if is_same(maps, fences):
        return _make(way, recorded, maps[0], num_trips, np.random.default_rng((seed, 3)))
    left = recorded.select(_outside(recorded, fences)) if way == RECORDED else recorded
    return join_tracks(
        [
            _make(way, pool, city, num, np.random.default_rng((seed, 3 + half)))
            for half, (pool, city, num) in enumerate(
                zip((recorded, left), maps, split_number(num_trips), strict=True)
            )
            if num
        ]
    )


def is_same(maps: tuple[CityMap, CityMap], fences: Sequence[Fence]) -> bool:
    """Whether the edits change nothing."""
    return not fences and np.array_equal(maps[0].counts, maps[1].counts)


def trips_wished(tracks: Tracks, wishes: TripWishes) -> Tracks:
    """The trips that begin in the asked hours and have the asked purpose.

    Raises:
        ScenarioError: there are none.
    """
    chosen = np.ones(len(tracks), dtype=bool)
    if wishes.begin_s is not None and wishes.end_s is not None:
        chosen &= (tracks.start_s - wishes.begin_s) % DAY_S < wishes.end_s - wishes.begin_s
    if wishes.purpose is not None:
        chosen &= tracks.purpose == wishes.purpose
    if not chosen.any():
        raise ScenarioError("No recorded trip fits these hours and this purpose.")
    return tracks.select(chosen)


def _outside(tracks: Tracks, fences: Sequence[Fence]) -> NDArray[np.bool_]:
    """(N,) trips that enter no fence."""
    entered = np.zeros(len(tracks), dtype=bool)
    for fence in fences:
        entered |= fence.entered(tracks)
    if entered.all():
        raise ScenarioError(
            "Every recorded trip enters a blocked place.", "", "Block fewer places."
        )
    return ~entered


def _make(
    way: str, recorded: Tracks, city: CityMap, num_trips: int, rng: np.random.Generator
) -> Tracks:
    if way == RECORDED:
        return resample_trips(recorded, city, num_trips, rng)
    config = fit_walk(recorded)
    if way == WALK:
        return walk_trips(city, count_trips(recorded), config, num_trips, recorded.step_s, rng)
    if way == PATHS:
        graph = graph_of_map(city, config.speed_m_s)
        return path_trips(graph, city, num_trips, recorded.step_s, rng)
    raise InputError("There is no such way of making trips.", way)
