"""What was asked of people's movements: a scenario with its maps, fences and wishes."""

from dataclasses import dataclass, replace
from datetime import datetime
from datetime import time as clock_time
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.api.trips_known import KnownCity
from engine.api.trips_maps import (
    REASSIGNED,
    RECORDED,
    When,
    base_map,
    closed_streets,
    edited_map,
    is_installed,
    occupancy_by_half_hours,
    streets_weights,
    when_of,
)
from engine.api.trips_ways import trips_wished
from engine.cities import City
from engine.domain import OccupancyMap, Scenario
from engine.errors import ScenarioError
from engine.evaluation.trajectories_difference import count_trips_in_cells
from engine.models.installed import find_weights
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.edits import apply_painted, painted_fence, painted_occupancy
from engine.models.tddpm.fences import street_fence
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.plans import TripWishes

MODEL = "model"
"""Making trips with the trained network."""
MAX_TRIPS = 20_000
SPARSE_POINTS = 20.0
"""Recorded points of a cell that weigh as much as the whole city's share of a purpose."""
DAY_S = 86_400.0


@dataclass(frozen=True, eq=False)
class TripQuestion:
    """The scenario with its maps.

    Args:
        scenario: as it was asked.
        city: whose.
        when: day and hours.
        base: the city as it was in these hours.
        target: the map that trips are to follow.
        fences: what nobody may enter after the edits.
        num_trips: of either version.
        method: how trips are made.
        wishes: hours and purpose.
    """

    scenario: Scenario
    city: City
    when: When
    base: OccupancyMap
    target: OccupancyMap
    fences: tuple[Fence, ...]
    num_trips: int
    method: str
    wishes: TripWishes


def read_question(scenario: Scenario, city: City, known: KnownCity) -> TripQuestion:
    """The maps and wishes of a scenario.

    Raises:
        ScenarioError: a choice is out of range, or the city lacks what it needs.
        OccupancyError: nothing is left of the city.
        UnknownStreetError: a closed street does not exist.
    """
    values, when = scenario.parameters, when_of(scenario)
    base = base_map(city, when)
    streets = closed_streets(scenario.edits)
    moved = None
    if streets and values.get("mode") == REASSIGNED:
        moved = moved_traffic(city, when, scenario)
    target = edited_map(base, scenario.edits, moved)
    fences = []
    fence = painted_fence(base, target, known.frame.plane)
    painted = edited_map(base, scenario.edits)
    fence = replace(fence, cells=fence.cells & (painted.values == 0))
    if fence.cells.any():
        fences.append(fence)
    if streets:
        fences.append(street_fence(city, streets, known.frame.plane, known.frame.side_m))
    num_trips = int(values.get("trips") or 0)
    if not 1 <= num_trips <= MAX_TRIPS:
        raise ScenarioError(
            "The number of trips is out of range.", str(num_trips), f"Use 1 to {MAX_TRIPS:,}."
        )
    method = str(values.get("method") or MODEL)
    if method not in (MODEL, RECORDED):
        raise ScenarioError("There is no such way of making trips.", method[:80])
    if method == MODEL and known.model is None:
        raise ScenarioError(
            "No model was trained for this city.", city.id, "Use its recorded trips."
        )
    wishes = _wishes(values.get("purpose"), when, city, known)
    if wishes.purpose is not None:
        part = _part_of_purpose(known, wishes, city)
        base, target = (OccupancyMap(m.values * part, m.grid) for m in (base, target))
    return TripQuestion(
        scenario, city, when, base, target, tuple(fences), num_trips, method, wishes
    )


def _part_of_purpose(known: KnownCity, wishes: TripWishes, city: City) -> NDArray[np.float64]:
    """(R, C) which part of each cell's recorded traffic in the asked hours has the asked purpose.

    Where hardly anyone was recorded, the part of the whole city counts.
    """
    everyone = trips_wished(known.training, replace(wishes, purpose=None))
    counts = [
        count_trips_in_cells(tracks, city.grid, known.frame.plane).sum(axis=0)
        for tracks in (trips_wished(everyone, wishes), everyone)
    ]
    ours, every = (np.asarray(count, np.float64).reshape(city.grid.shape) for count in counts)
    overall = ours.sum() / every.sum()
    part: NDArray[np.float64] = (ours + SPARSE_POINTS * overall) / (every + SPARSE_POINTS)
    return part


def _wishes(purpose: object, when: When, city: City, known: KnownCity) -> TripWishes:
    number = None
    if purpose:
        if str(purpose) not in known.purposes:
            raise ScenarioError("The city's trips have no such purpose.", str(purpose)[:80])
        number = known.purposes.index(str(purpose))
    if when.end_h - when.begin_h == 24:
        return TripWishes(number)
    begin_s = (when.begin_h * 3_600 - utc_offset_s(when, city)) % DAY_S
    return TripWishes(number, begin_s, begin_s + (when.end_h - when.begin_h) * 3_600)


def utc_offset_s(when: When, city: City) -> float:
    """What local time is ahead of UTC on that day, at noon."""
    noon = datetime.combine(when.day, clock_time(12), city.zone)
    offset = noon.utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def moved_traffic(city: City, when: When, scenario: Scenario) -> NDArray[np.float64]:
    """(R, C) points that a traffic assignment adds and takes away over the asked hours.

    The assignment knows periods of the day; of each, as much counts as the asked hours hold of its
    traffic.

    Raises:
        ScenarioError: the city comes without what the assignment needs.
    """
    from engine.simulation.assignment import reassign
    from engine.simulation.habits import PERIODS_S, load_habits
    from engine.simulation.model import load_model as load_traffic

    name = streets_weights(city.id)
    if not is_installed(name):
        raise ScenarioError("Traffic cannot be reassigned in this city.", city.id)
    edits = tuple(e for e in scenario.edits if closed_streets((e,)))
    model, habits = load_traffic(city.folder), load_habits(find_weights(name))
    # another draw than the day itself: what is known is the demand, not each driver
    answer = reassign(model, habits, when.day, edits, scenario.seed + 1)
    total = np.zeros(city.grid.shape)
    for period, (begin, end) in enumerate(pairwise(PERIODS_S)):
        first, last = max(when.begin_h, begin / 3_600), min(when.end_h, end / 3_600)
        if first >= last:
            continue
        inside = occupancy_by_half_hours(city, When(when.day, first, last)).sum()
        whole = When(when.day, begin / 3_600, end / 3_600)
        observed = occupancy_by_half_hours(city, whole).sum(axis=0)
        share = inside / max(observed.sum(), 1)
        total += share * answer.change(city.grid.shape, observed, [period])
    return total


def rasters_of(question: TripQuestion, known: KnownCity) -> tuple[CityMap, CityMap]:
    """The model's raster, brought to the map of the day and to the edited one."""
    return _brought(known.usual, question, known)


def grounds_of(question: TripQuestion, known: KnownCity) -> tuple[CityMap | None, CityMap | None]:
    """The same on the raster that shows streets, where there is one."""
    return (None, None) if known.ground is None else _brought(known.ground, question, known)


def _brought(usual: CityMap, question: TripQuestion, known: KnownCity) -> tuple[CityMap, CityMap]:
    plane = known.frame.plane
    shown = painted_occupancy(usual, question.city.grid, plane)
    before = apply_painted(usual, shown, question.base, plane)
    return before, apply_painted(before, question.base, question.target, plane)
