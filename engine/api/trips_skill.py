"""How well each way of making trips answers what-ifs, by the model's card, and which is better."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.api.trajectories import Method
from engine.api.trips_maps import is_installed, model_weights, trips_weights
from engine.cities import City
from engine.errors import WeightsError
from engine.models.installed import CITY_FAMILY, open_installed


@dataclass(frozen=True)
class TripSkill:
    """How well trips show what test closures change, as it was measured for a model's card.

    Args:
        trips: number of trips of each answer.
        seeds: sampling seeds.
        true: by method, the correlation of the trips' change with the simulator's where the new
            map is known; the mean over closures and seeds.
        reassigned: the same where the map comes from reassigning the traffic.
    """

    trips: int
    seeds: int
    true: Mapping[str, float]
    reassigned: Mapping[str, float]

    def mean(self, method: Method) -> float:
        """Over both questions."""
        return (self.true[method] + self.reassigned[method]) / 2


def trip_methods(city: City) -> tuple[Method, ...]:
    """How trips can be made in a city, the better way first; the model only where there is one.

    Which is better is told by the model's card (:func:`trip_skill`); without it, recorded trips.

    Raises:
        WeightsError: a card cannot be read.
    """
    if model_weights(city) is None:
        return (Method.RECORDED,)
    skill = trip_skill(city)
    ahead = skill is not None and skill.mean(Method.MODEL) > skill.mean(Method.RECORDED)
    return (Method.MODEL, Method.RECORDED) if ahead else (Method.RECORDED, Method.MODEL)


def is_foreign(city: City) -> bool:
    """Whether the model that makes a city's trips was trained on other cities alone."""
    return model_weights(city) == CITY_FAMILY


def trip_skill(city: City) -> TripSkill | None:
    """What the card of a city's model says of its what-ifs; None where nothing was measured.

    Raises:
        WeightsError: the card cannot be read, or does not name both methods.
    """
    name = trips_weights(city.id)
    if not is_installed(name):
        return None
    measured = open_installed(name).card.get("what_if")
    if measured is None:
        return None
    try:
        skill = TripSkill(
            int(measured["trips"]),
            int(measured["seeds"]),
            {method: float(measured["true"][method]) for method in Method},
            {method: float(measured["reassigned"][method]) for method in Method},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError("The weights' card is incomplete.", name) from error
    return skill
