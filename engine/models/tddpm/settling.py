"""Trips settled onto the map: each is moved a little, smoothly, to where the map says people are.

A sampled trip has the shape of a real one, but lies some tens of metres beside the street that it
means. Of all slowly changing displacements of its points one is drawn, the likelier the busier the
cells it leads to: a hidden Markov model as in map matching (Newson and Krumm 2009), whose states
are displacements, drawn by forward filtering and backward sampling so that trips do not all end up
in the busiest cell. The pull of each cell is the closed loop's: cells that have received too little
so far pull more, those that have enough less.

Differs from paper: the paper keeps points where they were sampled.

Shapes: P points, N trips, T points of the longest, D displacements an axis, Y x X the raster.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.errors import ScenarioError
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.tracks import Floats, Indices, Tracks, path_lengths_m

GROUND_FACTOR = 4
"""Cells of a raster that shows streets on the side of a map's cell: 9 m for regions of 2.3 km."""
_FLOOR = 1e-6
"""Pull of an empty cell over that of the busiest one: a trip may have no way around it."""
_MOST = 1_000.0
"""A cell's pull grows and shrinks by at most this factor with what is missing in it."""


@dataclass(frozen=True)
class SettlingConfig:
    """How far and how fast trips may be moved.

    Args:
        reach: displacements to either side, steps.
        step_cells: between two displacements, cells.
        spread_cells: standard deviation of a displacement, cells.
        drift_cells: standard deviation of its change from point to point, cells.
        smooth_points: odd number of points over which displacements are averaged.
        calm_points: odd numbers of points over which the trip itself is averaged beforehand,
            ascending: what the sampler leaves of its noise makes trips too long. The first is
            taken that brings a trip to its length; the first of all if that is not known.
        ground: the same map on a finer raster, which shows the streets; cells are then its own.
            None settles trips on the map itself.
    """

    reach: int = 10
    step_cells: float = 1.0
    spread_cells: float = 12.0
    drift_cells: float = 0.4
    smooth_points: int = 9
    calm_points: tuple[int, ...] = (3, 5, 9, 17, 33, 65)
    ground: CityMap | None = None

    def __post_init__(self) -> None:
        widths = self.step_cells, self.spread_cells, self.drift_cells
        fits = 1 <= self.reach <= 32 and min(widths) > 0
        odd = all(n >= 1 and n % 2 == 1 for n in (self.smooth_points, *self.calm_points))
        if not fits or not odd or not self.calm_points:
            raise ScenarioError("The settings by which trips are moved do not fit.", str(self))

    def on_ground(self, ground: CityMap) -> "SettlingConfig":
        """For a raster that shows streets: less far, and each point freer of the one before.

        Trips that are calm find their streets better there.
        """
        calm = tuple(n for n in self.calm_points if n >= 5)
        return replace(
            self, reach=12, drift_cells=1.2, smooth_points=3, calm_points=calm, ground=ground
        )

    def steps(self) -> Floats:
        """(D,) displacements along one axis, cells."""
        return self.step_cells * np.arange(-self.reach, self.reach + 1, dtype=np.float64)

    def drift(self) -> Floats:
        """(D, D) how likely a displacement follows another along one axis, up to a factor."""
        steps = self.steps()
        return np.asarray(np.exp(-(((steps[:, None] - steps) / self.drift_cells) ** 2) / 2))

    def prior(self) -> Floats:
        """(D, D) how likely a displacement is by itself, up to a factor; axes are y, x."""
        alone = np.exp(-((self.steps() / self.spread_cells) ** 2) / 2)
        return np.asarray(alone[:, None] * alone)


class Settler:
    """Moves trips onto a map, and keeps account of what its cells have received.

    Args:
        city: the map.
        config: how far and how fast.
    """

    def __init__(self, city: CityMap, config: SettlingConfig) -> None:
        city = config.ground or city
        self._city = city
        self._config = config
        self._share = city.counts.ravel() / city.counts.sum()
        self._have = np.zeros(city.counts.size)
        self._prior = config.prior().astype(np.float32)

    def note(self, tracks: Tracks) -> None:
        """Count trips that are kept."""
        self._have += self._city.count(tracks.points_m).ravel()

    def pulls(self) -> Floats:
        """(Y * X + 1,) weight of each cell; the last is that of all places outside."""
        pull = self._share.copy()
        total = self._have.sum()
        if total > 0:
            # as if one point more lay in each cell that the map has points in
            wanted = self._share * total + (self._share > 0)
            missing = wanted / (self._have + (self._share > 0) + 1e-12)
            pull *= np.clip(missing, 1 / _MOST, _MOST)
        return np.append(np.maximum(pull, _FLOOR * pull.max()), 0.0)

    def settle(
        self, tracks: Tracks, rng: np.random.Generator, length_m: Floats | None = None
    ) -> Tracks:
        """The same trips with their points moved.

        Args:
            tracks: N trips.
            rng: of the draw.
            length_m: (N,) of each trip along its points, metres, as far as it is known.
        """
        calm = self._calm(tracks, length_m)
        shift_m = average_points(self._draw(tracks, calm, rng), tracks, self._config.smooth_points)
        return replace(tracks, points_m=(calm + shift_m).astype(np.float32))

    def _calm(self, tracks: Tracks, length_m: Floats | None) -> Floats:
        """(P, 2) metres with the sampler's noise averaged out."""
        first, *others = self._config.calm_points
        place_m = tracks.points_m.astype(np.float64)
        calm = average_points(place_m, tracks, first)
        trip = tracks.trip_of_point()
        if length_m is None:
            return calm
        for size in others:
            now = replace(tracks, points_m=calm.astype(np.float32))
            long = (path_lengths_m(now) > length_m)[trip]
            calm[long] = average_points(place_m, tracks, size)[long]
        return calm

    def _draw(self, tracks: Tracks, place_m: Floats, rng: np.random.Generator) -> Floats:
        """(P, 2) metres by which each point is moved, in whole steps."""
        pulls = self.pulls().astype(np.float32)
        order = np.argsort(-tracks.num_points, kind="stable")
        # of the trips in this order, those that have a point number t come first
        counts = tracks.num_points[order]
        active = len(counts) - np.searchsorted(counts[::-1], np.arange(counts[0]), side="right")
        begins = tracks.offsets[:-1][order]
        drift = self._config.drift().astype(np.float32)
        seen: list[NDArray[np.float32]] = []
        for t, num in enumerate(active):
            here = self._weigh(place_m[begins[:num] + t], pulls)
            if seen:
                here *= drift @ seen[-1][:num] @ drift
            here /= here.sum(axis=(1, 2), keepdims=True)
            seen.append(here)
        shift_m = np.zeros((len(tracks.points_m), 2))
        state = np.zeros((len(counts), 2), np.int64)
        steps_m = self._config.steps() * self._city.cell_m
        for t in range(len(active) - 1, -1, -1):
            weight, num = seen[t], active[t]
            known = active[t + 1] if t + 1 < len(active) else 0
            down, right = state[:known].T
            weight[:known] *= drift[down][:, :, None] * drift[right][:, None, :]
            state[:num] = _draw_states(weight, rng)
            # states count rows downwards; metres grow to the north
            shift_m[begins[:num] + t, 0] = steps_m[state[:num, 1]]
            shift_m[begins[:num] + t, 1] = -steps_m[state[:num, 0]]
        return shift_m

    def _weigh(self, place_m: Floats, pulls: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D, D) weight of each displacement of N points."""
        city, steps = self._city, self._config.steps()
        rows, cols = city.shape
        row = np.floor((city.north_m - place_m[:, 1:]) / city.cell_m + steps).astype(np.int64)
        col = np.floor((place_m[:, :1] - city.west_m) / city.cell_m + steps).astype(np.int64)
        inside = ((row >= 0) & (row < rows))[:, :, None] & ((col >= 0) & (col < cols))[:, None, :]
        cells = np.where(inside, row[:, :, None] * cols + col[:, None, :], len(pulls) - 1)
        weight = pulls[cells] * self._prior
        most = weight.max(axis=(1, 2), keepdims=True)
        # a point from which no place of the city can be reached stays free
        return np.asarray(np.where(most > 0, weight / np.maximum(most, 1e-30), self._prior))


def _draw_states(weight: NDArray[np.float32], rng: np.random.Generator) -> Indices:
    """(N, 2) a row and a column of each of (N, D, D) weights, drawn by them."""
    ends = weight.reshape(len(weight), -1).cumsum(axis=1, dtype=np.float64)
    wanted = rng.random(len(weight)) * ends[:, -1]
    flat = np.minimum((ends <= wanted[:, None]).sum(axis=1), ends.shape[1] - 1)
    return np.stack(np.divmod(flat, weight.shape[2]), axis=1)


def average_points(values: Floats, tracks: Tracks, size: int) -> Floats:
    """(P, 2) means over ``size`` points of a trip, fewer at its ends."""
    total = np.concatenate([np.zeros((1, 2)), values.cumsum(axis=0)])
    trip, index = tracks.trip_of_point(), np.arange(len(values))
    low = np.maximum(index - size // 2, tracks.offsets[:-1][trip])
    high = np.minimum(index + size // 2 + 1, tracks.offsets[1:][trip])
    return np.asarray((total[high] - total[low]) / (high - low)[:, None])
