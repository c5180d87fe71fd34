"""What a user can change about a city. Each edit is a small, immutable value."""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from engine.errors import ScenarioError

DAY_S = 86_400
MAX_FACTOR = 3
Cells = tuple[tuple[int, int], ...]


def _check_cells(cells: Cells) -> None:
    if any(len(cell) != 2 or min(cell) < 0 for cell in cells):
        raise ScenarioError("A cell is a row and a column, both from zero up.", str(cells[:3]))


def _check_sensors(sensor_ids: tuple[str, ...]) -> None:
    if not sensor_ids:
        raise ScenarioError("No sensor was named.", "", "Choose at least one sensor.")


def _check_window(begin_s: float, end_s: float) -> None:
    if not 0 <= begin_s < end_s <= DAY_S:
        raise ScenarioError(
            "An edit's time window must lie within one day.",
            f"{begin_s} s to {end_s} s after midnight",
            "Give 0 <= begin < end <= 86400.",
        )


@dataclass(frozen=True)
class RemoveSensors:
    """Sensors of the coarse map that are gone.

    Args:
        cells: (row, column) of each on the coarse grid.
    """

    cells: Cells

    def __post_init__(self) -> None:
        _check_cells(self.cells)


@dataclass(frozen=True)
class SetOccupancy:
    """Cells of the occupancy map set to new values.

    Args:
        cells: (row, column) of each on the fine grid.
        values: the new value of each, in the map's own scale.
    """

    cells: Cells
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_cells(self.cells)
        if len(self.cells) != len(self.values):
            raise ScenarioError(
                "Each edited cell needs one value.",
                f"{len(self.cells)} cells, {len(self.values)} values",
            )
        if any(not isfinite(v) or v < 0 for v in self.values):
            raise ScenarioError("Occupancy cannot be negative or not a number.")


@dataclass(frozen=True)
class BlockCells:
    """Cells that nobody may enter.

    Args:
        cells: (row, column) of each on the fine grid.
    """

    cells: Cells

    def __post_init__(self) -> None:
        _check_cells(self.cells)


@dataclass(frozen=True)
class CloseStreets:
    """Streets closed to cars, both directions, for part of a day.

    Args:
        street_ids: ids as in the city's streets table.
        begin_s: first second after local midnight.
        end_s: last second after local midnight.
    """

    street_ids: tuple[str, ...]
    begin_s: float = 0
    end_s: float = DAY_S

    def __post_init__(self) -> None:
        _check_window(self.begin_s, self.end_s)
        if not self.street_ids:
            raise ScenarioError("No street was named.", "", "Choose at least one street to close.")


@dataclass(frozen=True)
class ScaleDemand:
    """Trips to and from a zone multiplied by a factor.

    Args:
        zone_id: id as in the city's zones table.
        factor: 0 empties the zone, 1 changes nothing, at most 10.
        begin_s: first second after local midnight.
        end_s: last second after local midnight.
    """

    zone_id: str
    factor: float
    begin_s: float = 0
    end_s: float = DAY_S

    def __post_init__(self) -> None:
        _check_window(self.begin_s, self.end_s)
        if not 0 <= self.factor <= 10:
            raise ScenarioError("The demand factor must lie between 0 and 10.", str(self.factor))


@dataclass(frozen=True)
class AddAttraction:
    """Extra visitors who come to a zone and leave it again.

    Args:
        zone_id: id as in the city's zones table.
        visitors: number of extra cars, at most 10,000.
        arrive_s: middle of the arrivals, seconds after local midnight.
        leave_s: middle of the departures, seconds after local midnight.
    """

    zone_id: str
    visitors: int
    arrive_s: float
    leave_s: float

    def __post_init__(self) -> None:
        _check_window(self.arrive_s, self.leave_s)
        if not 0 < self.visitors <= 10_000:
            raise ScenarioError("Visitors must number from 1 to 10,000.", str(self.visitors))


@dataclass(frozen=True)
class SilenceSensors:
    """Street sensors that have measured nothing lately.

    Args:
        sensor_ids: ids as in the city's sensors table.
    """

    sensor_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_sensors(self.sensor_ids)


@dataclass(frozen=True)
class ScaleReadings:
    """An incident: the latest readings of some street sensors multiplied by a factor.

    Args:
        sensor_ids: ids as in the city's sensors table.
        factor: 0.4 for speeds cut by 60 %, 1 changes nothing, at most 3.
        minutes: how long before now it began.
    """

    sensor_ids: tuple[str, ...]
    factor: float
    minutes: float

    def __post_init__(self) -> None:
        _check_sensors(self.sensor_ids)
        if not 0 <= self.factor <= MAX_FACTOR:
            raise ScenarioError(
                f"The factor of an incident must lie between 0 and {MAX_FACTOR}.", str(self.factor)
            )
        if not 0 < self.minutes <= DAY_S / 60:
            raise ScenarioError("An incident must have begun within a day.", f"{self.minutes} min")


Edit = (
    RemoveSensors
    | SetOccupancy
    | BlockCells
    | CloseStreets
    | ScaleDemand
    | AddAttraction
    | SilenceSensors
    | ScaleReadings
)

_KINDS: dict[str, type[Edit]] = {
    "remove-sensors": RemoveSensors,
    "set-occupancy": SetOccupancy,
    "block-cells": BlockCells,
    "close-streets": CloseStreets,
    "scale-demand": ScaleDemand,
    "add-attraction": AddAttraction,
    "silence-sensors": SilenceSensors,
    "scale-readings": ScaleReadings,
}


def edit_to_json(edit: Edit) -> dict[str, Any]:
    """Plain values with the edit's ``kind``, as :func:`edit_from_json` takes them back."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(edit, cls))
    return {"kind": kind, **asdict(edit)}


def edit_from_json(data: dict[str, Any]) -> Edit:
    """The edit that :func:`edit_to_json` wrote.

    Raises:
        ScenarioError: an unknown kind, or missing, extra or impossible values.
    """
    fields = dict(data)
    kind = fields.pop("kind", None)
    cls = _KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ScenarioError(
            f"'{kind}' is no kind of edit.", "", f"Use one of: {', '.join(_KINDS)}."
        )
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = tuple(tuple(v) if isinstance(v, list) else v for v in value)
    try:
        return cls(**fields)
    except TypeError as error:
        raise ScenarioError(
            f"The edit '{kind}' has missing or unknown values.", str(data)
        ) from error
