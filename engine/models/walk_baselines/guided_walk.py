"""A Markov walk conditioned on the map: it keeps its momentum and turns back where the map is low.

The walker has a position and a velocity. Each step the velocity is partly forgotten,
v' = rho v + sqrt(1 - rho²) sigma noise, and the move x' = x + v' is accepted with probability
min(1, H(x') / H(x)); otherwise the walker stays and its velocity is reversed. This is a Metropolis
chain with persistent momentum (Horowitz 1991, Phys. Lett. B 268): its stationary distribution is
exactly the map, whatever rho and sigma are. Walkers start in it, so that no burn-in is needed.

Shapes: N trips, T points of the longest, Y x X the raster.
"""

from dataclasses import dataclass

import numpy as np

from engine.errors import InputError
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.tracks import UNKNOWN, Floats, Indices, Tracks

WALKERS_AT_ONCE = 4_096


@dataclass(frozen=True)
class WalkConfig:
    """How the walker moves.

    Args:
        persistence: rho, correlation of velocities one step apart, in [0, 1).
        speed_m_s: sigma, spread of each component of the velocity.
    """

    persistence: float
    speed_m_s: float

    def __post_init__(self) -> None:
        if not (0 <= self.persistence < 1 and self.speed_m_s > 0):
            raise InputError("The walk's persistence or speed is out of range.", str(self))


def fit_walk(tracks: Tracks) -> WalkConfig:
    """Persistence and speed of a set of trips, by their velocities' first two moments.

    Raises:
        InputError: no trip has three points, or nobody moves.
    """
    velocity = np.diff(tracks.points_m.astype(np.float64), axis=0) / tracks.step_s
    trip = tracks.trip_of_point()
    same = trip[1:] == trip[:-1]
    pairs = same[1:] & same[:-1]
    if not pairs.any():
        raise InputError("A walk is fitted to trips of at least three points.")
    spread = float(np.sqrt((velocity[same] ** 2).mean()))
    if spread == 0:
        raise InputError("Nobody moves in the trips that the walk is fitted to.")
    product = float((velocity[1:] * velocity[:-1])[pairs].mean())
    return WalkConfig(min(max(product / spread**2, 0.0), 0.999), spread)


def walk_trips(
    city: CityMap,
    prior: TripPrior,
    config: WalkConfig,
    num_trips: int,
    step_s: float,
    rng: np.random.Generator,
) -> Tracks:
    """Trips of walkers that start where the map says.

    Args:
        city: the map; blocked cells are zero and never entered by a point.
        prior: numbers of points and starts.
        config: how the walkers move.
        num_trips: N.
        step_s: time between points.
        rng: of everything.
    """
    num_points, start_s = prior.draw(rng, num_trips)
    parts = []
    for begin in range(0, num_trips, WALKERS_AT_ONCE):
        part = num_points[begin : begin + WALKERS_AT_ONCE]
        walked = _walk(city, config, part, step_s, rng)
        parts.append(walked[np.arange(walked.shape[1]) < part[:, None]])
    return Tracks(
        np.concatenate(parts).astype(np.float32),
        np.concatenate([[0], np.cumsum(num_points)]).astype(np.int64),
        start_s,
        np.full(num_trips, UNKNOWN, np.int32),
        np.full(num_trips, UNKNOWN, np.int16),
        step_s,
    )


def draw_places(city: CityMap, num: int, rng: np.random.Generator) -> Floats:
    """(num, 2) places drawn from the map, even within a cell, metres."""
    ends = np.cumsum(city.counts.ravel())
    cells = np.searchsorted(ends, rng.random(num) * ends[-1], side="right")
    jitter = rng.uniform(-0.5, 0.5, (num, 2)) * city.cell_m
    return np.asarray(city.centers_m(np.minimum(cells, len(ends) - 1)) + jitter)


def _walk(
    city: CityMap, config: WalkConfig, num_points: Indices, step_s: float, rng: np.random.Generator
) -> Floats:
    """(N, T, 2) positions; those beyond a trip's own number of points are not used."""
    level = np.append(city.counts.ravel(), 0.0)
    place = draw_places(city, len(num_points), rng)
    velocity = rng.normal(0, config.speed_m_s, place.shape)
    fresh = np.sqrt(1 - config.persistence**2) * config.speed_m_s
    out = np.empty((len(place), int(num_points.max()), 2))
    here = level[city.cell_of(place)]
    for step in range(out.shape[1]):
        out[:, step] = place
        velocity = config.persistence * velocity + fresh * rng.normal(size=place.shape)
        wanted = place + velocity * step_s
        there = level[city.cell_of(wanted)]
        accepted = rng.random(len(place)) * here < there
        place = np.where(accepted[:, None], wanted, place)
        velocity = np.where(accepted[:, None], velocity, -velocity)
        here = np.where(accepted, there, here)
    return out
