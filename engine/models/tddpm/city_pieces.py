"""Training examples for one small city: one region holds all of it, its maps are varied.

A network that is to answer what-ifs in one city may know its streets by heart, but has to follow
its map. So the region never moves, and each example takes the map *and* the pieces from the same
part of the trips: those of some hours or purposes, a few or all of them, without those through a
random place, or mostly those through it; or those of a day on which something was changed.

Shapes: N trips, P points of all trips, S cells a side of the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.models.tddpm.conditions import DAY_S
from engine.models.tddpm.frames import MAP_SIZE, Frames, count_map
from engine.models.tddpm.pieces import PieceConfig, RegionExample, RegionSampler
from engine.models.tddpm.tracks import Floats, Indices, Tracks, join_tracks

MIN_TRIPS, MAX_TRIPS = 200, 10_000
"""Trips of the smallest and largest part that a map is made of."""


@dataclass(frozen=True)
class VariationConfig:
    """How often the trips of an example are chosen in which way.

    Args:
        edited_share: examples from a day on which something was changed.
        hours_share: examples from some hours only.
        purpose_share: examples from half of the purposes only.
        place_share: examples in which a place is avoided, thinned out or favoured.
        radius_m: smallest and largest radius of that place, metres.
        thinned: part of the trips that are left where trips are thinned out.
    """

    edited_share: float = 0.4
    hours_share: float = 0.6
    purpose_share: float = 0.15
    place_share: float = 0.5
    radius_m: tuple[float, float] = (30.0, 250.0)
    thinned: float = 0.25


class CitySampler(RegionSampler):
    """Draws examples of one region that holds a whole city; each depends on its seed alone.

    Args:
        groups: trips of the city as it is, then those of each day on which it was changed.
        config: how pieces are cut; ``side_m`` has to hold the city.
        center_m: (2,) middle of the city, metres.
        variation: how the trips of an example are chosen.
    """

    def __init__(
        self,
        groups: Sequence[Tracks],
        config: PieceConfig,
        center_m: Floats,
        variation: VariationConfig | None = None,
    ) -> None:
        tracks = join_tracks(groups)
        super().__init__(tracks, config)
        self._variation = variation or VariationConfig()
        self._num_groups = len(groups)
        self._group = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        self._frames = Frames(np.asarray(center_m)[None], config.side_m / 2, np.zeros(1))
        canonical = self._frames.to_canonical(tracks.points_m, 0)
        if np.abs(canonical).max() > 1:
            raise InputError("The region does not hold the city's trips.", f"{config.side_m:g} m")
        self._canonical = canonical.astype(np.float32)
        self._hour = (tracks.start_s % DAY_S) / 3_600
        self._purpose = tracks.purpose

    def draw(self, seed: tuple[int, ...]) -> RegionExample:
        """The example of a seed."""
        rng = np.random.default_rng(seed)
        while True:
            chosen = self._draw_trips(rng)
            if not len(chosen):
                continue
            points = self._points_of(chosen)
            counts = count_map(self._canonical[points], MAP_SIZE)
            # by trips, not by points: there is one region, so that each trip is made once
            trips = rng.choice(chosen, self._config.pieces_per_region)
            within = np.floor(rng.random(len(trips)) * self._tracks.num_points[trips])
            anchors = self._tracks.offsets[trips] + within.astype(np.int64)
            found = (self._cut_piece(rng, self._frames, int(anchor)) for anchor in anchors)
            pieces = [piece for piece in found if piece is not None]
            if pieces:
                return self._stack(counts, pieces)

    def _draw_trips(self, rng: np.random.Generator) -> Indices:
        """The trips of one example, ascending; none where too few are left."""
        vary = self._variation
        group = 0
        if self._num_groups > 1 and rng.random() < vary.edited_share:
            group = int(rng.integers(1, self._num_groups))
        trips = np.flatnonzero(self._group == group)
        if rng.random() < vary.hours_share:
            trips = trips[self._in_hours(rng, trips)]
        if rng.random() < vary.purpose_share:
            kept = rng.permutation(np.unique(self._purpose))
            trips = trips[np.isin(self._purpose[trips], kept[: max(1, len(kept) // 2)])]
        if len(trips) < MIN_TRIPS:
            return trips[:0]
        most = min(len(trips), MAX_TRIPS)
        num = int(np.exp(rng.uniform(np.log(MIN_TRIPS), np.log(most))))
        trips = np.sort(rng.choice(trips, num, replace=False))
        if rng.random() < vary.place_share:
            trips = trips[self._by_place(rng, trips)]
        return trips if len(trips) >= MIN_TRIPS // 2 else trips[:0]

    def _in_hours(self, rng: np.random.Generator, trips: Indices) -> NDArray[np.bool_]:
        first, length = rng.uniform(0, 24), rng.uniform(1, 8)
        within: NDArray[np.bool_] = (self._hour[trips] - first) % 24 < length
        return within

    def _by_place(self, rng: np.random.Generator, trips: Indices) -> NDArray[np.bool_]:
        """Trips that avoid a place, are fewer there, or are mostly there."""
        points = self._points_of(trips)
        radius = rng.uniform(*self._variation.radius_m) / self._frames.half_m
        middle = self._canonical[rng.choice(points)]
        near = ((self._canonical[points] - middle) ** 2).sum(axis=1) < radius**2
        through = np.isin(trips, self._trip_of_point[points[near]])
        thinned = rng.random(len(trips)) < self._variation.thinned
        kind = rng.integers(3)
        if kind == 0:
            return ~through
        return ~through | thinned if kind == 1 else through | thinned

    def _points_of(self, trips: Indices) -> Indices:
        """Points of some trips, ascending."""
        begin = self._tracks.offsets[trips]
        counts = self._tracks.num_points[trips]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(begin, counts) + within
