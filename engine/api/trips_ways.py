"""Simple ways of making trips for a map: what a trained model has to be better than.

All are given the same maps as the model. Trips before and after are made from the same random
numbers.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.api.trips_maps import PATHS, RECORDED, WALK
from engine.errors import InputError, ScenarioError
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.plans import TripWishes
from engine.models.tddpm.prior import count_trips
from engine.models.tddpm.tracks import Tracks
from engine.models.walk_baselines.guided_walk import fit_walk, walk_trips
from engine.models.walk_baselines.resampling import resample_pairs, resample_trips
from engine.models.walk_baselines.shortest_paths import graph_of_map, path_trips

DAY_S = 86_400.0


def make_pair(
    way: str,
    training: Tracks,
    maps: tuple[CityMap, CityMap],
    fences: Sequence[Fence],
    wishes: TripWishes,
    num_trips: int,
    seed: int,
) -> tuple[Tracks, Tracks]:
    """Trips for the map before and for the one after the edits.

    Args:
        way: one of :data:`engine.api.trips_maps.BASELINES`.
        training: recorded trips.
        maps: before and after.
        fences: what nobody may enter after the edits; only recorded trips know streets.
        wishes: hours and purpose.
        num_trips: of either version.
        seed: of everything random.

    Raises:
        ScenarioError: no recorded trip fits, or all are fenced off.
    """
    recorded = trips_wished(training, wishes)
    is_same = not fences and np.array_equal(maps[0].counts, maps[1].counts)
    if way == RECORDED and not is_same:
        rng = np.random.default_rng((seed, 3))
        return resample_pairs(recorded, maps, num_trips, rng, _outside(recorded, fences))
    before = _make(way, recorded, maps[0], num_trips, seed)
    return before, before if is_same else _make(way, recorded, maps[1], num_trips, seed)


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


def _make(way: str, recorded: Tracks, city: CityMap, num_trips: int, seed: int) -> Tracks:
    rng = np.random.default_rng((seed, 3))
    if way == RECORDED:
        return resample_trips(recorded, city, num_trips, rng)
    config = fit_walk(recorded)
    if way == WALK:
        return walk_trips(city, count_trips(recorded), config, num_trips, recorded.step_s, rng)
    if way == PATHS:
        graph = graph_of_map(city, config.speed_m_s)
        return path_trips(graph, city, num_trips, recorded.step_s, rng)
    raise InputError("There is no such way of making trips.", way)
