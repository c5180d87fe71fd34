"""All methods of making trips, each given the same map, against the same real trips.

The real trips are split into two random halves A and B. Every method is given the occupancy of
all of them, makes as many trips as A holds, and is compared with B; so is A itself. All
comparisons then have the same sizes, and A's is the floor of what can be expected.

With a survey, every method is also told how many of the real trips there are by duration, hour and
mean speed, as a travel survey would tell: a map of points does not say how long trips are.

Copies are looked for only where the training trips are at hand.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError, InputError
from engine.evaluation.trajectories import Bounds, bounds_of, compare, share_near, split_halves
from engine.evaluation.trajectories_copies import CopyTest, compare_copies, has_windows
from engine.models.tddpm.city_trips import CityFrame
from engine.models.tddpm.frames import MAP_SIZE
from engine.models.tddpm.generation import GenerationConfig, TrajectoryModel, generate_trips
from engine.models.tddpm.occupancy import CityMap, map_of_points
from engine.models.tddpm.paper import PaperModel, collect_pieces
from engine.models.tddpm.prior import TripPrior, count_trips
from engine.models.tddpm.settling import GROUND_FACTOR
from engine.models.tddpm.tracks import Tracks, join_tracks
from engine.models.walk_baselines.guided_walk import fit_walk, walk_trips
from engine.models.walk_baselines.resampling import resample_trips
from engine.models.walk_baselines.shortest_paths import StreetGraph, graph_of_map, path_trips

FLOOR = "real-halves"
MAX_GROUND_CELLS = 1_000_000
Measures = dict[str, float | int | None]
Listener = Callable[[str], None]
"""Called with the name of the method that is at work; may raise to cancel."""


@dataclass(frozen=True, eq=False)
class BenchData:
    """What the methods are compared on.

    Args:
        real: trips to compare with, held out from training.
        training: trips that the models were trained on, or None where they are not at hand:
            baselines are then fitted to the first half of the real ones.
        streets: the network, or None where streets are not known.
        streets_m: (S, 2) points along the streets.
        max_trips: compare at most so many trips; a random part of the real ones.
        survey: whether methods are told how long and how fast the real trips are.
    """

    real: Tracks
    training: Tracks | None = None
    streets: StreetGraph | None = None
    streets_m: NDArray[np.floating] | None = None
    max_trips: int = 20_000
    survey: bool = False


@dataclass(frozen=True, eq=False)
class Asked:
    """What every method is asked for.

    Args:
        city: the map.
        ground: the same on a finer raster, where there is one.
        num: number of trips.
        seed: of everything.
        survey: how long and how fast the trips are; None leaves that to the method.
    """

    city: CityMap
    ground: CityMap | None
    num: int
    seed: int
    survey: TripPrior | None = None


@dataclass(frozen=True, eq=False)
class Made:
    """Trips of one method and what they cost.

    Args:
        tracks: the trips.
        evaluations: of a network, per piece; 0 for methods without one.
        first_s: seconds until the first trips were there; None where they come all at once.
    """

    tracks: Tracks
    evaluations: int = 0
    first_s: float | None = None


@dataclass(frozen=True, eq=False)
class Maker:
    """A model that is to be measured.

    Args:
        side_m: side of its regions, metres: its map has 64 cells on that side.
        make: trips for what is asked.
        frame: the only place that it knows, whose plane the real trips lie on; None for a model
            of any place.
        settles: whether it moves trips onto a map, and so makes use of a finer one.
    """

    side_m: float
    make: Callable[[Asked], Made]
    frame: CityFrame | None = None
    settles: bool = False

    def map_of(self, real: Tracks, bounds: Bounds) -> CityMap:
        """The map of real trips as the model reads it."""
        if self.frame is not None:
            return self.frame.raster(real)
        return city_of(real, bounds, self.side_m)

    def ground_of(self, real: Tracks, bounds: Bounds) -> CityMap | None:
        """The finer map, for models that make use of it."""
        return ground_of(real, bounds, self.side_m) if self.settles else None


def our_maker(
    model: TrajectoryModel, config: GenerationConfig, frame: CityFrame | None = None
) -> Maker:
    """Our system, with its closed loop as configured.

    Args:
        model: the trained model.
        config: how trips are made.
        frame: of a model that knows one city only.
    """

    def make(asked: Asked) -> Made:
        started = time.perf_counter()
        parts, first_s = [], None
        told = replace(model, prior=asked.survey or model.prior)
        is_known = asked.survey is not None or model.is_of_one_place
        how = replace(config.on_ground(asked.ground), holds_lengths=is_known)
        for chunk in generate_trips(told, asked.city, asked.num, asked.seed, how):
            parts.append(chunk.tracks)
            first_s = first_s or time.perf_counter() - started
        guided = 2 if config.sampler.guidance > 1 else 1
        return Made(join_tracks(parts), config.sampler.evaluations * guided, first_s)

    return Maker(model.side_m, make, frame, config.settling is not None)


def paper_maker(model: PaperModel) -> Maker:
    """The paper's system: all steps of its chain, pieces of regions as trips.

    It has no use for a survey: its pieces are as long as those of its training.
    """

    def make(asked: Asked) -> Made:
        pieces = collect_pieces(model, asked.city, asked.num, asked.seed)
        return Made(pieces, model.network.config.num_steps)

    return Maker(model.side_m, make)


def bench_trajectories(
    models: Mapping[str, Maker],
    data: BenchData,
    seed: int,
    listen: Listener = lambda _: None,
) -> dict[str, Measures]:
    """Measures of every method: ``{method: {measure: value}}``.

    Args:
        models: by method's name (``ours``, ``paper``).
        data: real trips and what is known around them.
        seed: of the split and of all sampling.
        listen: progress.

    Raises:
        InputError: there are too few trips.
    """
    real = _limit(data.real, 2 * data.max_trips, seed)
    first, second = split_halves(real, seed)
    bounds = bounds_of(real)
    grounds = {name: maker.ground_of(real, bounds) for name, maker in models.items()}
    known = [ground for ground in grounds.values() if ground is not None]
    finest = min(known, key=lambda ground: ground.cell_m, default=None)
    survey = count_trips(real) if data.survey else None
    baselines = _baselines(data, first, _Given(real, bounds, finest, survey))
    methods = {**_model_methods(models, grounds, _Given(real, bounds, None, survey)), **baselines}
    results = {FLOOR: _measure(Made(first), 0.0, second, bounds, data)}
    for name, method in methods.items():
        listen(name)
        started = time.perf_counter()
        try:
            made = method(len(first), seed)
        except EngineError as error:
            raise InputError(f"The method '{name}' gave no trips.", str(error)) from error
        seconds = time.perf_counter() - started
        results[name] = _measure(made, seconds, second, bounds, data)
    return _with_ratios(results, tuple(models))


def _with_ratios(results: dict[str, Measures], models: tuple[str, ...]) -> dict[str, Measures]:
    """Time and JS of each further model over those of the first, of the same run."""
    for name in models[1:]:
        for measure in ("seconds", "js"):
            ours, other = results[models[0]][measure], results[name][measure]
            results[name][f"{measure}_over_{models[0]}"] = (other or 0) / (ours or 1)
    return results


_Method = Callable[[int, int], Made]


@dataclass(frozen=True, eq=False)
class _Given:
    """The real trips, and what all methods are given of them."""

    real: Tracks
    bounds: Bounds
    ground: CityMap | None
    survey: TripPrior | None


def _model_methods(
    models: Mapping[str, Maker], grounds: Mapping[str, CityMap | None], given: _Given
) -> dict[str, _Method]:
    def method(maker: Maker, ground: CityMap | None) -> _Method:
        city = maker.map_of(given.real, given.bounds)
        return lambda num, seed: maker.make(Asked(city, ground, num, seed, given.survey))

    return {name: method(maker, grounds[name]) for name, maker in models.items()}


def _baselines(data: BenchData, first: Tracks, given: _Given) -> dict[str, _Method]:
    """The baselines, fitted to the training trips where there are any.

    Where a model is given a finer map, the walk is tried on that too.
    """
    fitted = data.training or first
    ground, survey = given.ground, given.survey
    city = city_of(given.real, given.bounds, side_m=None)
    prior: TripPrior = survey or count_trips(fitted)
    walk = fit_walk(fitted)
    graph = data.streets or graph_of_map(city, walk.speed_m_s)

    def walked(num: int, seed: int) -> Made:
        rng = np.random.default_rng((seed, 1))
        return Made(walk_trips(city, prior, walk, num, fitted.step_s, rng))

    def walked_finely(num: int, seed: int) -> Made:
        rng = np.random.default_rng((seed, 4))
        return Made(walk_trips(ground or city, prior, walk, num, fitted.step_s, rng))

    def shortest(num: int, seed: int) -> Made:
        rng = np.random.default_rng((seed, 2))
        return Made(path_trips(graph, city, num, fitted.step_s, rng, survey))

    def resampled(num: int, seed: int) -> Made:
        rng = np.random.default_rng((seed, 3))
        return Made(resample_trips(fitted, city, num, rng, survey=survey))

    methods: dict[str, _Method] = {"markov-walk": walked, "shortest-paths": shortest}
    if ground is not None:
        methods["markov-walk-fine"] = walked_finely
    # without training trips, resampling would draw from the trips that its map was made of;
    # where none of them ever was, it has nothing to draw from
    if data.training is not None and _passes(data.training, given.bounds):
        methods["resampling"] = resampled
    return methods


def _passes(tracks: Tracks, bounds: Bounds) -> bool:
    """Whether a trip has a point strictly inside."""
    low = np.array([bounds.west_m, bounds.south_m])
    high = np.array([bounds.east_m, bounds.north_m])
    points = tracks.points_m
    return bool(((points > low) & (points < high)).all(axis=1).any())


def city_of(real: Tracks, bounds: Bounds, side_m: float | None) -> CityMap:
    """The raster of real trips, its cells those of a region's map."""
    cell_m = (side_m or 3_000.0) / MAP_SIZE
    box = bounds.west_m, bounds.south_m, bounds.east_m, bounds.north_m
    return map_of_points(real.points_m, cell_m, box)


def ground_of(real: Tracks, bounds: Bounds, side_m: float) -> CityMap | None:
    """The same map on a raster that shows streets; None where it would be too large."""
    cell_m = side_m / MAP_SIZE / GROUND_FACTOR
    box = bounds.west_m, bounds.south_m, bounds.east_m, bounds.north_m
    if (box[2] - box[0]) * (box[3] - box[1]) > MAX_GROUND_CELLS * cell_m**2:
        return None
    return map_of_points(real.points_m, cell_m, box)


def _measure(
    made: Made, seconds: float, second: Tracks, bounds: Bounds, data: BenchData
) -> Measures:
    measures: Measures = dict(compare(made.tracks, second, bounds).to_json())
    measures["on_streets"] = None
    if data.streets_m is not None:
        measures["on_streets"] = share_near(made.tracks.points_m, data.streets_m)
    copies = None
    if data.training is not None and has_windows(made.tracks) and has_windows(second):
        copies = compare_copies(made.tracks, second, data.training)
    return {
        **measures,
        **_copy_measures(copies),
        "seconds": seconds,
        "first_seconds": made.first_s,
        "evaluations": made.evaluations,
    }


def _copy_measures(copies: CopyTest | None) -> Measures:
    return {
        "closest_training_p5_m": copies.made_p5_m if copies else None,
        "closest_training_p5_held_out_m": copies.held_out_p5_m if copies else None,
        "closest_training_median_m": copies.made_median_m if copies else None,
    }


def _limit(tracks: Tracks, most: int, seed: int) -> Tracks:
    if len(tracks) <= most:
        return tracks
    chosen = np.random.default_rng((seed, 4)).choice(len(tracks), most, replace=False)
    return tracks.select(np.sort(chosen))
