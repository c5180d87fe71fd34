"""What-ifs against the simulator's truth: the test interventions of a city.

Each is asked twice: with the true new occupancy as the painted map, and, for closed streets, with
the map of the traffic assignment. Trips follow either map, made by the model where there is one and
by the simple ways.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from engine.api import trips_job
from engine.api.trajectories import (
    Follow,
    Method,
    can_reassign,
    compare_maps,
    painted_edits,
    read_trips,
    simple_ways,
    trips_scenario,
    wished_change,
)
from engine.api.trips_maps import closed_streets
from engine.api.trips_skill import trip_methods
from engine.cities import City
from engine.cities.interventions import Intervention, Split
from engine.domain import Edit, Result, Scenario
from engine.errors import ScenarioError
from engine.simulation.model import load_model
from engine.simulation.whatif import WhatIf, simulate_what_if

WHOLE_DAY = (0.0, 24.0)
Figures = dict[str, float | None]
Listener = Callable[[str], None]


class _Uncancelled:
    """The context of a job that runs to its end."""

    def raise_if_cancelled(self) -> None:
        """Nobody cancels."""


def bench_what_if(
    city: City,
    num_trips: int,
    seed: int,
    listen: Listener = lambda _: None,
    *,
    closures_only: bool = False,
) -> Iterator[tuple[str, Figures]]:
    """Figures of each test intervention, by its id.

    Args:
        city: with test interventions.
        num_trips: trips of each answer.
        seed: of everything random.
        listen: told which intervention is looked at.
        closures_only: leave out changes of the demand, for which no map is assigned.

    Yields:
        Correlations of change maps with the simulator's, over the whole day: of the assigned map
        (``map/reassigned``), and of trips by each method for each map (``model/true``,
        ``recorded/reassigned`` and so on); blocked places entered; seconds.

    Raises:
        ScenarioError: the city has no test interventions.
    """
    items = closures_to_test(city) if closures_only else interventions_to_test(city)
    for item in items:
        listen(item.spec.id)
        yield item.spec.id, _measure(city, item, num_trips, seed)


def bench_simulator(
    city: City,
    seed: int,
    listen: Listener = lambda _: None,
    *,
    closures_only: bool = False,
) -> Iterator[tuple[str, Figures]]:
    """How well the simulator agrees with itself on each test intervention, by its id.

    The same day, as many vehicles and the same edits, but other random numbers: which traveller
    sets out when is drawn anew. Nothing that does not know the simulator's own draw can be
    expected to agree better.

    Args:
        city: with test interventions.
        seed: of the other draw; 0 is the one that the city's truth was made with.
        listen: told what is being done.
        closures_only: leave out changes of the demand.

    Yields:
        ``simulator/true``, the correlation of both draws' change maps.

    Raises:
        ScenarioError: the city has no test interventions, or the seed is the city's own.
        SimulatorError: the simulator is missing or failed.
    """
    if seed == 0:
        raise ScenarioError("Seed 0 is the city's own draw.", city.id, "Use another seed.")
    model = load_model(city.folder)
    items = closures_to_test(city) if closures_only else interventions_to_test(city)
    for item in items:
        day, untouched, edited = _truth(city, item)
        for step in simulate_what_if(model, day, item.spec.edits, WHOLE_DAY, seed):
            if isinstance(step, WhatIf):
                change = step.occupancy_change.astype(np.float64)
                yield item.spec.id, {"simulator/true": compare_maps(change, edited - untouched)}
            else:
                listen(f"{item.spec.id}: {step.share:.0%}")


def interventions_to_test(city: City) -> list[Intervention]:
    """The interventions that nothing was trained on.

    Raises:
        ScenarioError: the city has none.
    """
    items = [item for item in city.interventions() if item.spec.split is Split.TEST]
    if not items:
        raise ScenarioError("The city has no test interventions.", city.id)
    return items


def closures_to_test(city: City) -> list[Intervention]:
    """The test interventions that close streets.

    Raises:
        ScenarioError: the city has none.
    """
    items = [item for item in interventions_to_test(city) if closed_streets(item.spec.edits)]
    if not items:
        raise ScenarioError("The city has no test closures.", city.id)
    return items


def mean_agreement(
    runs: Sequence[Mapping[str, Figures]], num_trips: int
) -> dict[str, int | dict[str, float]]:
    """What a card keeps of :func:`bench_what_if`: means over closures and seeds.

    Args:
        runs: of each seed, figures of each intervention.
        num_trips: trips of each answer.

    Raises:
        ScenarioError: the model, or a traffic assignment, is missing.
    """
    means: dict[str, dict[str, float]] = {"true": {}, "reassigned": {}}
    closures = [f for run in runs for f in run.values() if "map/reassigned" in f]
    for question, found in means.items():
        for method in Method:
            values = [f.get(f"{method}/{question}") for f in closures]
            known = [value for value in values if value is not None]
            if not known:
                raise ScenarioError("The benchmark did not run both methods.", str(method))
            found[method] = round(sum(known) / len(known), 4)
    return {"trips": num_trips, "seeds": len(runs), **means}


def _measure(city: City, item: Intervention, num_trips: int, seed: int) -> Figures:
    day, untouched, edited = _truth(city, item)
    true = edited - untouched
    figures: Figures = {}
    method = max(trip_methods(city), key=(Method.RECORDED, Method.MODEL).index)
    for follow, edits in _questions(city, item, untouched, edited):
        result = _ask(city, day, edits, follow, method, num_trips, seed)
        name = "reassigned" if follow is Follow.REASSIGNED else "true"
        changes = {str(method): result.arrays["maps/change"]}
        changes |= {way: result.arrays[f"{way}/change"] for way in simple_ways(result)}
        figures |= {f"{way}/{name}": compare_maps(c, true) for way, c in changes.items()}
        figures[f"{method}/{name}/blocked_entered"] = result.metrics["blocked_entered"]
        figures[f"{method}/{name}/seconds"] = result.metrics["seconds"]
        if follow is Follow.REASSIGNED:
            figures["map/reassigned"] = compare_maps(wished_change(result), true)
    return figures


def _truth(city: City, item: Intervention) -> tuple[date, NDArray[np.float64], NDArray[np.float64]]:
    """An intervention's local day, and the simulator's maps of it without and with the edits."""
    untouched, edited = (
        part.field("occupancy").values.sum(axis=0, dtype=np.float64)
        for part in (item.untouched, item.edited)
    )
    day = item.untouched.field("occupancy").time_of(0).astimezone(city.zone).date()
    return day, untouched, edited


def _questions(
    city: City, item: Intervention, untouched: NDArray[np.float64], edited: NDArray[np.float64]
) -> Iterator[tuple[Follow, tuple[Edit, ...]]]:
    # where the simulator has nobody left, the map is low but not blocked: chance may have done it
    nowhere = np.zeros(untouched.shape, dtype=bool)
    yield Follow.PAINTED, painted_edits(untouched, np.maximum(edited, 0.5), nowhere)
    if closed_streets(item.spec.edits) and can_reassign(city):
        yield Follow.REASSIGNED, item.spec.edits


def _ask(
    city: City,
    day: date,
    edits: tuple[Edit, ...],
    follow: Follow,
    method: Method,
    num_trips: int,
    seed: int,
) -> Result:
    scenario = trips_scenario(
        city.id,
        day,
        WHOLE_DAY,
        edits,
        follow=follow,
        method=method,
        num_trips=num_trips,
        seed=seed,
    )
    return answer_here(scenario)


def answer_here(scenario: Scenario, listen: Listener = lambda _: None) -> Result:
    """Answer a scenario in this process, without workers.

    Args:
        scenario: from :func:`engine.api.trajectories.trips_scenario`.
        listen: told what is being done.
    """
    steps = trips_job.run(scenario.to_json(), _Uncancelled())
    while True:
        try:
            listen(next(steps).message)
        except StopIteration as end:
            return read_trips(scenario, end.value)
