"""A city's street sensors to train and to test on: series, streets between them, closed days."""

# ruff: noqa: N815 - fields carry shape suffixes like the arrays elsewhere

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import SensorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from engine.cities import City
    from engine.cities.interventions import Intervention, Split
    from engine.domain import CloseStreets
    from engine.domain.sensors import SensorSeries
    from engine.models.forecast_bundle import ForecastBundle, SeriesFacts
    from engine.models.forecast_windows import WindowSet
    from engine.training.forecast_closures import Closure
    from engine.training.forecast_recipe import ForecastRecipe

FIRST_HOUR, LAST_HOUR = 7, 19
"""Closures are judged by day; at night hardly a vehicle passes."""
STRIDE_CLOSURES = 3
CHANGED_KMH = 2.0
HEARD = ("same_sign", "slope", "correlation")
"""Figures of a closure that also stand for what is said from the readings alone."""


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
    from engine.training.forecast_closures import Closure

    return [
        Closure(*days, cut_NN, first, last)
        for _, days, cut_NN, first, last in _closures(city, series, streets_NN, Split.TRAIN)
    ]


def _closures(
    city: "City", series: "SensorSeries", streets_NN: "torch.Tensor", split: "Split"
) -> "Iterator[tuple[Intervention, tuple[WindowSet, WindowSet], torch.Tensor, int, int]]":
    """Each intervention that only closes streets: both days, the streets left, and its windows."""
    from engine.cities.street_sensors import read_street_sensors
    from engine.domain import CloseStreets
    from engine.models.forecast_levers import cut_off
    from engine.models.forecast_windows import WindowSet

    street_of = city.sensors().set_index("sensor_id")["street_id"]
    for intervention in city.interventions():
        edits = [edit for edit in intervention.spec.edits if isinstance(edit, CloseStreets)]
        if intervention.spec.split is not split or len(edits) != len(intervention.spec.edits):
            continue
        closed = {street for edit in edits for street in edit.street_ids}
        columns = [i for i, name in enumerate(series.sensors) if street_of[name] in closed]
        untouched, edited = (
            WindowSet.of(read_street_sensors(city, day).select(series.sensors))
            for day in (intervention.untouched, intervention.edited)
        )
        first, last = _span(edits, untouched)
        yield intervention, (untouched, edited), cut_off(streets_NN, columns), first, last


def _span(edits: "Sequence[CloseStreets]", windows: "WindowSet") -> tuple[int, int]:
    """First and last window of a day that lie wholly within the closure."""
    step_s = 86_400 / windows.axis.steps_per_day
    first = int(np.ceil(max(edit.begin_s for edit in edits) / step_s))
    length = windows.history + windows.horizon
    last = int(min(edit.end_s for edit in edits) // step_s) - length
    return first, min(last, len(windows) - 1)


def city_test_series(city_id: str, facts: "SeriesFacts") -> "SensorSeries":
    """The steps at the end of a city's series that no training has seen.

    Raises:
        SensorError: the weights keep none aside, or know other sensors.
    """
    from engine.cities.registry import open_city
    from engine.cities.street_sensors import read_street_sensors

    if not facts.test_steps:
        raise SensorError("These weights keep no days aside.", city_id, "Give --series instead.")
    series = read_street_sensors(open_city(city_id)).select(facts.sensors)
    return series.part(len(series) - facts.test_steps, len(series))


def assess_city(city_id: str, bundle: "ForecastBundle", stride: int) -> "ForecastBundle":
    """The same weights with an error card, measured on the days kept aside.

    Raises:
        SensorError: the weights keep no days aside, or know other sensors.
    """
    from engine.cities.registry import open_city
    from engine.evaluation.forecast_card import assess_method
    from engine.models.forecast_windows import WindowSet

    city = open_city(city_id)
    series = city_test_series(city_id, bundle.facts)
    facts = bundle.facts
    windows = WindowSet.of(series, facts.history, facts.horizon, facts.earlier)
    segments = city.segments()
    begin = segments.time_of(len(segments) - bundle.facts.test_steps)
    end = segments.time_of(len(segments) - 1)
    card = dict(bundle.card)
    card["assessment"] = {
        "period": f"{begin:%-d %B} to {end:%-d %B %Y}",
        "windows": len(range(0, len(windows), stride)),
        "methods": {
            name: assess_method(method, windows, stride) for name, method in bundle.methods.items()
        },
        "closures": _assess_closures(city, bundle),
    }
    return replace(bundle, card=card)


def _assess_closures(city: "City", bundle: "ForecastBundle") -> list[dict[str, object]]:
    """What our network says of the test closures, beside what the simulator says.

    Twice: told which streets are closed, and told nothing but the day's readings.
    """
    from engine.cities.interventions import Split
    from engine.cities.street_sensors import read_street_sensors
    from engine.evaluation.forecast_card import compare_edit, compare_readings
    from engine.models.himnet.direct import DirectNet

    ours = bundle.methods.get("ours")
    network = ours.method if ours else None
    if not isinstance(network, DirectNet):
        return []
    series = read_street_sensors(city).select(bundle.facts.sensors)
    rows: list[dict[str, object]] = []
    for found, days, cut_NN, first, last in _closures(
        city, series, network.adjacency_NN, Split.TEST
    ):
        hour = days[0].axis.steps_per_day // 24
        begin, end = max(first, FIRST_HOUR * hour), min(last, LAST_HOUR * hour)
        starts = np.arange(begin, end, STRIDE_CLOSURES, dtype=np.int64)
        answer = partial(network.forecast, adjacency=cut_NN)
        told = compare_edit(network.forecast, answer, days, starts, CHANGED_KMH)
        heard = compare_readings(network.forecast, days, starts, CHANGED_KMH)
        also = {f"heard_{name}": heard[name] for name in HEARD}
        rows.append({"id": found.spec.id, "title": found.spec.title, **told, **also})
    return rows
