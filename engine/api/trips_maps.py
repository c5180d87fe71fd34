"""The two maps of a what-if of people's movements: the city as it is, and after the edits.

Both are counts on the city's grid: vehicles in a cell, looked at every 5 s, over the asked hours.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from engine.cities import City
from engine.domain import BlockCells, CloseStreets, Edit, OccupancyMap, Scenario, SetOccupancy
from engine.errors import InputError, OccupancyError, ScenarioError, WeightsError
from engine.models.installed import CITY_FAMILY, find_weights, open_installed
from engine.models.tddpm.city_trips import city_frame

FIELD = "occupancy"
PAINTED, REASSIGNED = "painted", "reassigned"
"""Whose map is followed: the user's own, or that of a traffic assignment with streets closed."""
RECORDED, WALK, PATHS = "recorded", "walk", "paths"
BASELINES = (RECORDED, WALK, PATHS)
"""Recorded trips drawn anew, a random walk on the map, shortest paths between places of it."""
FAMILY_SIDES = (0.6, 1.7)
"""So much smaller or larger than its own may a city be for the family's weights."""


@dataclass(frozen=True)
class When:
    """A local day and hours of it.

    Args:
        day: local day.
        begin_h: first hour on the wall clock, a multiple of a half.
        end_h: last hour.
    """

    day: date
    begin_h: float
    end_h: float

    def __post_init__(self) -> None:
        fits = 0 <= self.begin_h < self.end_h <= 24
        if not fits or 2 * self.begin_h % 1 or 2 * self.end_h % 1:
            raise ScenarioError(
                "The hours do not fit into a day.",
                f"{self.begin_h} to {self.end_h}",
                "Give full or half hours with 0 <= begin < end <= 24.",
            )


def when_of(scenario: Scenario) -> When:
    """Day and hours of a scenario.

    Raises:
        ScenarioError: they are missing or do not fit.
    """
    values = scenario.parameters
    try:
        day = date.fromisoformat(str(values["date"]))
        begin, end = float(values["begin_h"] or 0), float(values["end_h"] or 0)
    except (KeyError, ValueError) as error:
        raise ScenarioError("The scenario names no day and hours.", "", "Give both.") from error
    return When(day, begin, end)


def trips_weights(city_id: str) -> str:
    """Name of the weights that were trained on a city's own trips."""
    return f"{city_id}-trips"


def model_weights(city: City) -> str | None:
    """Name of the weights that make trips in a city: its own, or those of the city family.

    Returns:
        None where neither are installed, or the city is of another size than the family's.
    """
    if is_installed(trips_weights(city.id)):
        return trips_weights(city.id)
    family_m = _side_of_family()
    try:
        side_m = city_frame(city.grid).side_m
    except InputError:
        return None
    fits = family_m is not None and FAMILY_SIDES[0] <= side_m / family_m <= FAMILY_SIDES[1]
    return CITY_FAMILY if fits else None


def _side_of_family() -> float | None:
    if not is_installed(CITY_FAMILY):
        return None
    try:
        return float(open_installed(CITY_FAMILY).card["side_m"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError("The weights' card is incomplete.", CITY_FAMILY) from error


def streets_weights(city_id: str) -> str:
    """Name of the file that tells how long streets take in a city."""
    return f"{city_id}-streets"


def is_installed(name: str) -> bool:
    """Whether there are weights of that name, the product's or the user's."""
    try:
        return find_weights(name).exists()
    except WeightsError:
        return False


def occupancy_by_half_hours(city: City, when: When) -> NDArray[np.float64]:
    """(T, R, C) points of each half hour of the asked hours.

    Raises:
        ScenarioError: the city's series do not hold that day.
    """
    series = city.field(FIELD)
    midnight = datetime.combine(when.day, time(), city.zone)
    begin = midnight + timedelta(hours=when.begin_h)
    num = round((when.end_h - when.begin_h) * timedelta(hours=1) / series.step)
    first = round((begin - series.time_of(0)) / series.step)
    if first < 0 or first + num > len(series):
        raise ScenarioError(
            "The city has no traffic on that day.",
            when.day.isoformat(),
            f"Choose a day from {series.time_of(0):%Y-%m-%d} on.",
        )
    return np.asarray(series.values[first : first + num], dtype=np.float64)


def base_map(city: City, when: When) -> OccupancyMap:
    """The city as it was in these hours.

    Raises:
        ScenarioError: the city's series do not hold that day.
        OccupancyError: nobody was on the way.
    """
    return OccupancyMap(occupancy_by_half_hours(city, when).sum(axis=0), city.grid)


def edited_map(
    base: OccupancyMap, edits: tuple[Edit, ...], moved: NDArray[np.float64] | None = None
) -> OccupancyMap:
    """The map that trips are to follow.

    Args:
        base: the city as it was.
        edits: painted cells in order; other edits are passed over.
        moved: (R, C) what a reassignment adds and takes away; painted cells keep the user's value.

    Raises:
        ScenarioError: a cell lies outside the map.
        OccupancyError: nothing is left of the city.
    """
    values = base.values.copy()
    if moved is not None:
        values = np.maximum(values + moved, 0)
    for edit in edits:
        if isinstance(edit, SetOccupancy | BlockCells):
            row, col = _places(base, edit.cells)
            values[row, col] = edit.values if isinstance(edit, SetOccupancy) else 0.0
    if not values.any():
        raise OccupancyError(
            "The edit blocks every place of the city.", "", "Leave at least one place open."
        )
    return OccupancyMap(values, base.grid)


def _places(
    base: OccupancyMap, cells: tuple[tuple[int, int], ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    places = np.array(cells, np.int64).reshape(-1, 2)
    rows, cols = base.grid.shape
    if len(places) and ((places < 0).any() or (places >= (rows, cols)).any()):
        raise ScenarioError(
            "An edited cell lies outside the city.", f"the map has {rows} x {cols} cells"
        )
    return places[:, 0], places[:, 1]


def painted_edits(
    base: NDArray[np.floating], values: NDArray[np.floating], blocked: NDArray[np.bool_]
) -> tuple[Edit, ...]:
    """What the user painted, as edits: only cells that differ from the base.

    Args:
        base: (R, C) the map before.
        values: (R, C) the map after.
        blocked: (R, C) cells that nobody may enter.
    """
    edits: list[Edit] = []
    # the map in the browser has single precision: what that loses is no edit
    before = np.asarray(base, np.float32)
    changed = (np.asarray(values, np.float32) != before) & ~blocked
    shut = blocked & (before > 0)
    if changed.any():
        cells = tuple((int(r), int(c)) for r, c in np.argwhere(changed))
        edits.append(SetOccupancy(cells, tuple(float(v) for v in values[changed])))
    if shut.any():
        edits.append(BlockCells(tuple((int(r), int(c)) for r, c in np.argwhere(shut))))
    return tuple(edits)


def closed_streets(edits: tuple[Edit, ...]) -> tuple[str, ...]:
    """Ids of all closed streets, in order, each once."""
    named = [i for edit in edits if isinstance(edit, CloseStreets) for i in edit.street_ids]
    return tuple(dict.fromkeys(named))
