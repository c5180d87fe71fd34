"""What a worker has to know of a city to make trips in it; read once and kept."""

from dataclasses import dataclass, replace

import numpy as np

from engine.api.trips_maps import model_weights
from engine.cities import City
from engine.errors import ScenarioError, WeightsError
from engine.models.installed import CITY_FAMILY, find_weights
from engine.models.tddpm.checkpoint import load_model
from engine.models.tddpm.city_trips import (
    CityFrame,
    city_frame,
    most_moved,
    purposes_of,
    split_days,
    tracks_of,
)
from engine.models.tddpm.generation import TrajectoryModel
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.prior import count_trips
from engine.models.tddpm.settling import GROUND_FACTOR
from engine.models.tddpm.tracks import Tracks

KNOWN_TRIPS = 20_000
HELD_OUT_TRIPS = 2_000


@dataclass(frozen=True, eq=False)
class KnownCity:
    """What a worker keeps of a city.

    Args:
        model: trained on its trips or on those of many simulated cities, or none.
        purposes: names of the purposes; a purpose's number is its place here.
        frame: the plane and the square that trips lie in.
        usual: points of the training trips on the fine raster.
        most_moved: largest share of the traffic that an edit moved in training.
        training: some of the trips that were trained on.
        held_out: some of the trips of other days.
        ground: their points on a raster that shows streets, for a model that does not know them.
    """

    model: TrajectoryModel | None
    purposes: tuple[str, ...]
    frame: CityFrame
    usual: CityMap
    most_moved: float
    training: Tracks
    held_out: Tracks
    ground: CityMap | None = None

    @property
    def is_own(self) -> bool:
        """Whether the model was trained on this city's trips."""
        return self.model is not None and self.model.usual is not None


# what this worker read lately, by the city's digest
_kept: dict[str, KnownCity] = {}


def know_city(city: City) -> KnownCity:
    """A city's model and trips, read once by a worker.

    Raises:
        ScenarioError: the city has no trips.
        WeightsError: its weights are damaged, or of another kind.
    """
    if city.digest not in _kept:
        model, purposes = _load(city)
        frame, batches = city_frame(city.grid), list(city.trajectories())
        if not batches:
            raise ScenarioError("The city has no recorded trips.", city.id)
        purposes = purposes or purposes_of(batches)
        open_days, other_days = split_days(batches, city)
        training = _limit(tracks_of(open_days, frame, purposes), KNOWN_TRIPS)
        held_out = _limit(tracks_of(other_days, frame, purposes), HELD_OUT_TRIPS)
        ground = None
        if model is not None and model.usual is not None:
            usual, moved = frame.raster_of(model.usual), model.most_moved
        else:
            usual, moved = frame.raster(training), most_moved(city)
            # the family's trips are those of other cities; here it is known how long they are
            model = replace(model, prior=count_trips(training)) if model else None
            ground = frame.raster(training, GROUND_FACTOR)
        _kept.clear()
        _kept[city.digest] = KnownCity(
            model, purposes, frame, usual, moved, training, held_out, ground
        )
    return _kept[city.digest]


def _load(city: City) -> tuple[TrajectoryModel | None, tuple[str, ...]]:
    """The model that makes trips here, with the names of purposes that it knows.

    The family's model knows neither a place nor a purpose.
    """
    name = model_weights(city)
    if name is None:
        return None, ()
    model, card = load_model(find_weights(name))
    if not isinstance(model, TrajectoryModel) or (model.usual is None and name != CITY_FAMILY):
        raise WeightsError("These weights are not for a whole city.", name)
    return model, tuple(str(purpose) for purpose in card.get("purposes", ()))


def _limit(tracks: Tracks, most: int) -> Tracks:
    if len(tracks) <= most:
        return tracks
    chosen = np.random.default_rng(len(tracks)).choice(len(tracks), most, replace=False)
    return tracks.select(np.sort(chosen))
