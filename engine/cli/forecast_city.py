"""A city's street sensors as data to train on: series, streets between them, closed days."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from engine.cities import City
    from engine.domain import CloseStreets
    from engine.domain.sensors import SensorSeries
    from engine.training.forecast_closures import Closure
    from engine.training.forecast_recipe import ForecastRecipe


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a forecast is trained on.

    Args:
        series: readings, without what is kept aside to test on.
        streets_NN: nearness of the sensors along the streets, 0 to 1; None where not known.
        closures: days with closed streets.
    """

    series: "SensorSeries"
    streets_NN: "torch.Tensor | None" = None
    closures: "Sequence[Closure]" = ()


def city_training_data(city: "City", recipe: "ForecastRecipe") -> TrainingData:
    """All of it for a simulated city; closures whose split is "test" are left out.

    Raises:
        CityError: the city has no street sensors or no network.
        SimulatorFailedError: network and sensors do not fit.
    """
    from engine.cities.street_sensors import read_street_sensors

    series = read_street_sensors(city)
    streets_NN = _street_nearness(city, series, recipe)
    closures = _training_closures(city, series, streets_NN)
    return TrainingData(series.part(0, len(series) - recipe.test_steps), streets_NN, closures)


def _street_nearness(
    city: "City", series: "SensorSeries", recipe: "ForecastRecipe"
) -> "torch.Tensor":
    """exp(-(d / scale)^2) of the shorter driving distance of the two directions."""
    import torch

    from engine.cities.importers.sensors_graphs import weigh_distances
    from engine.simulation.network import driving_distances, read_network

    network = read_network(city.network_path("net.xml.gz"))
    edges = city.sensors().set_index("sensor_id").loc[list(series.sensors), "edge"]
    metres_NN = driving_distances(network, list(edges))
    nearest_NN = np.minimum(metres_NN, metres_NN.T)
    near_NN = weigh_distances(nearest_NN, recipe.streets["threshold"], recipe.streets["scale_m"])
    np.fill_diagonal(near_NN, 0)  # a sensor hears itself anyway
    return torch.from_numpy(near_NN)


def _training_closures(
    city: "City", series: "SensorSeries", streets_NN: "torch.Tensor"
) -> "list[Closure]":
    from engine.cities.interventions import Split
    from engine.cities.street_sensors import read_street_sensors
    from engine.domain import CloseStreets
    from engine.models.forecast_levers import cut_off
    from engine.models.forecast_windows import WindowSet
    from engine.training.forecast_closures import Closure

    street_of = city.sensors().set_index("sensor_id")["street_id"]
    closures = []
    for intervention in city.interventions():
        edits = [edit for edit in intervention.spec.edits if isinstance(edit, CloseStreets)]
        if intervention.spec.split is not Split.TRAIN or len(edits) != len(intervention.spec.edits):
            continue
        closed = {street for edit in edits for street in edit.street_ids}
        columns = [i for i, name in enumerate(series.sensors) if street_of[name] in closed]
        windows = [
            WindowSet.of(read_street_sensors(city, day).select(series.sensors))
            for day in (intervention.untouched, intervention.edited)
        ]
        first, last = _span(edits, windows[0])
        closures.append(Closure(*windows, cut_off(streets_NN, columns), first, last))
    return closures


def _span(edits: "Sequence[CloseStreets]", windows: "object") -> tuple[int, int]:
    """First and last window of a day that lie wholly within the closure."""
    from engine.models.forecast_windows import WindowSet

    assert isinstance(windows, WindowSet)
    step_s = 86_400 / windows.axis.steps_per_day
    first = int(np.ceil(max(edit.begin_s for edit in edits) / step_s))
    length = windows.history + windows.horizon
    last = int(min(edit.end_s for edit in edits) // step_s) - length
    return first, min(last, len(windows) - 1)
