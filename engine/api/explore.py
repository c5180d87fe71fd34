"""Looking into a city: one week of it as maps, one place of it as series."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.api.weeks import Week, find_week, list_weeks, usual_maps, usual_series
from engine.api.words import unit_text
from engine.cities import City, FileKind
from engine.domain import FieldSeries, Grid, TimeAxis
from engine.errors import GridError, InputError
from engine.geo.hexagons import HexCells, hexagons_over
from engine.geo.transfer import Transfer, transfer_between
from engine.render.figures import Span, Usual, Weather

STABLE_PERCENTILE = 99.7
"""Share of all values of a field that its colour scale covers, so that no outlier flattens it."""
_MAX_SCALE_SAMPLES = 2_000_000
_HEXAGON_RESOLUTIONS = range(12, 5, -1)


class Shown(StrEnum):
    """What the cells of a map show."""

    VALUE = "value"
    DIFFERENCE = "difference"


class Cells(StrEnum):
    """The shape of a map's cells."""

    GRID = "grid"
    HEXAGONS = "hexagons"


class PlaceKind(StrEnum):
    """What a series belongs to."""

    CITY = "city"
    CELL = "cell"
    HEXAGON = "hexagon"
    SENSOR = "sensor"


@dataclass(frozen=True)
class Place:
    """A place whose series is wanted.

    Args:
        kind: what it is.
        index: number of the cell (row by row from the north-west), hexagon or sensor.
    """

    kind: PlaceKind = PlaceKind.CITY
    index: int = 0


@dataclass(frozen=True, eq=False)
class WeekMaps:
    """One week of a field, as maps.

    Args:
        week: which week, with its times.
        values: (T, K) float32 in ``unit``, K cells row by row or K hexagons; NaN where unknown.
        shown: the field's value, or its difference from what is usual.
        name: what is measured, in plain words.
        unit: unit of the values, with the length of a step.
        top: value at the end of the colour scale, the same in every week.
        cells: the grid, or the hexagons, that the values belong to.
    """

    week: Week
    values: NDArray[np.float32]
    shown: Shown
    name: str
    unit: str
    top: float
    cells: Grid | HexCells


@dataclass(frozen=True, eq=False)
class PlaceSeries:
    """One place through one week, ready for ``render.figures.draw_series``.

    Args:
        name: the place in words.
        times: T local times.
        values: (T,) in ``unit``; NaN where nothing was measured.
        unit: unit of the values, with the length of a step.
        usual: what is usual for weekday and hour; None with one week only.
        spans: events of that week.
        weather: weather of that week; None where the city has none.
    """

    name: str
    times: tuple[datetime, ...]
    values: NDArray[np.float64]
    unit: str
    usual: Usual | None
    spans: tuple[Span, ...]
    weather: Weather | None


def field_weeks(city: City, name: str) -> tuple[Week, ...]:
    """The local weeks that a field covers."""
    return list_weeks(city.field(name).axis)


def week_maps(
    city: City,
    name: str,
    monday: date | None = None,
    shown: Shown = Shown.VALUE,
    cells: Cells = Cells.GRID,
) -> WeekMaps:
    """One week of a field, or its difference from what is usual for the weekday and hour.

    Args:
        city: an open city.
        name: name of the field.
        monday: first day of the week; the first week when None.
        shown: value or difference.
        cells: cells of the grid, or hexagons of about the same size.

    Raises:
        CityError: the city has no such field, or its file is damaged.
        FieldError: the field has no such week.
    """
    field = city.field(name)
    week = find_week(list_weeks(field.axis), monday)
    values = field.values[week.steps].astype(np.float32)
    top = _top(field)
    if shown is Shown.DIFFERENCE:
        values -= usual_maps(field, week)
        top /= 2
    flat = values.reshape(len(values), -1)
    shapes: Grid | HexCells = field.grid
    if cells is Cells.HEXAGONS:
        transfer = _transfer(field.grid)
        flat = transfer.to_hexagons(values, field.aggregation).astype(np.float32)
        top *= _size_ratio(transfer) if field.aggregation == "sum" else 1
        shapes = transfer.hexagons
    return WeekMaps(week, flat, shown, field.name, unit_text(field), top, shapes)


def place_series(
    city: City, name: str, place: Place = Place(), monday: date | None = None
) -> PlaceSeries:
    """One place of a field through one week, beside what is usual there.

    Args:
        city: an open city.
        name: name of the field; not needed for a sensor.
        place: the whole city, a cell, a hexagon, or a sensor on a street.
        monday: first day of the week; the first week when None.

    Raises:
        CityError: the city has no such field or series, or its file is damaged.
        FieldError: there is no such week.
        InputError: there is no such place.
    """
    if place.kind is PlaceKind.SENSOR:
        return _sensor_series(city, place, monday)
    field = city.field(name)
    values, label = _place_values(field, place)
    return _series(city, field.axis, values, monday, label, unit_text(field))


def _series(
    city: City,
    axis: TimeAxis,
    values: NDArray[np.float64],
    monday: date | None,
    label: str,
    unit: str,
) -> PlaceSeries:
    weeks = list_weeks(axis)
    week = find_week(weeks, monday)
    usual = Usual(*usual_series(values, axis, week)) if len(weeks) > 1 else None
    events = week_events(city, week, axis.step)
    weather = _weather(city, week)
    return PlaceSeries(label, week.times, values[week.steps], unit, usual, events, weather)


def sensor_names(city: City) -> tuple[str, ...]:
    """Names of the street sensors in the order of their series; none where there are none."""
    if not city.has(FileKind.SEGMENTS):
        return ()
    sensors = city.sensors().set_index("sensor_id")["name"]
    ids = city.segments().sensor_ids
    return tuple(f"{sensors.get(sensor) or 'Sensor'} · {sensor}" for sensor in ids)


def _sensor_series(city: City, place: Place, monday: date | None) -> PlaceSeries:
    segments = city.segments()
    _check_index(place, len(segments.sensor_ids))
    name = sensor_names(city)[place.index]
    axis = TimeAxis(segments.start, segments.step, len(segments.count))
    values = segments.speed_kmh[:, place.index].astype(np.float64)
    return _series(city, axis, values, monday, f"Mean speed, {name}", "km/h")


def _place_values(field: FieldSeries, place: Place) -> tuple[NDArray[np.float64], str]:
    """The series of a place over all steps of a field, and the place's name."""
    values = field.values
    if place.kind is PlaceKind.CITY:
        return values.sum(axis=(1, 2), dtype=np.float64), "Whole city, all cells added up"
    if place.kind is PlaceKind.CELL:
        _check_index(place, field.grid.num_cells)
        row, col = divmod(place.index, field.grid.cols)
        return values[:, row, col].astype(np.float64), f"Cell in row {row + 1}, column {col + 1}"
    hexagons = _transfer(field.grid).hexagons
    _check_index(place, len(hexagons))
    return _hexagon_values(field, place.index), f"Hexagon {hexagons.ids[place.index]}"


def _check_index(place: Place, number: int) -> None:
    if not 0 <= place.index < number:
        raise InputError(f"There is no such {place.kind.value}.", f"{place.index} of {number}")


def _hexagon_values(field: FieldSeries, index: int) -> NDArray[np.float64]:
    transfer = _transfer(field.grid)
    row = transfer.shared[[index], :]
    touched = np.unique(row.nonzero()[1])
    only = np.zeros_like(field.values)
    rows, cols = np.divmod(touched, field.grid.cols)
    only[:, rows, cols] = field.values[:, rows, cols]
    moved: NDArray[np.float64] = transfer.to_hexagons(only, field.aggregation)[:, index]
    return moved


def week_events(city: City, week: Week, step: timedelta) -> tuple[Span, ...]:
    """Events that touch a week, in order."""
    begin, end = pd.Timestamp(week.times[0]), pd.Timestamp(week.times[-1]) + step
    events = city.events()
    if events.empty:
        return ()
    inside = events[(events["begin"] < end) & (events["end"] > begin)].sort_values("begin")
    zone = week.times[0].tzinfo
    return tuple(
        Span(
            _moment(row["begin"], zone),
            _moment(row["end"], zone),
            f"{row['name']}: {row['visitors']:,} visitors" if row["visitors"] else row["name"],
        )
        for row in inside.to_dict("records")
    )


def _moment(time: pd.Timestamp, zone: tzinfo | None) -> datetime:
    moment: datetime = time.tz_convert(zone).to_pydatetime()
    return moment


def _weather(city: City, week: Week) -> Weather | None:
    context = city.context()
    if context.empty:
        return None
    begin, end = pd.Timestamp(week.times[0]), pd.Timestamp(week.times[-1])
    inside = context[context["time"].between(begin, end)]
    if inside.empty:
        return None
    zone = week.times[0].tzinfo
    return Weather(
        tuple(_moment(time, zone) for time in inside["time"]),
        inside["rain_mm_h"].to_numpy(dtype=np.float32),
        inside["temperature_c"].to_numpy(dtype=np.float32),
    )


@lru_cache(maxsize=8)
def _top(field: FieldSeries) -> float:
    """End of a field's colour scale: nearly all values above zero lie below it."""
    stride = max(1, field.values.size // _MAX_SCALE_SAMPLES)
    values = field.values.reshape(-1)[::stride].astype(np.float32)
    busy = values[values > 0]
    return float(np.percentile(busy, STABLE_PERCENTILE)) if busy.size else 1.0


@lru_cache(maxsize=4)
def _transfer(grid: Grid) -> Transfer:
    """To the hexagons whose size is closest to that of a cell."""
    return transfer_between(grid, _matching_hexagons(grid))


def _matching_hexagons(grid: Grid) -> HexCells:
    for resolution in _HEXAGON_RESOLUTIONS:
        try:
            hexagons = hexagons_over(grid, resolution)
        except GridError:
            continue
        if len(hexagons) <= 2 * grid.num_cells:
            return hexagons
    return hexagons_over(grid, _HEXAGON_RESOLUTIONS[-1])


def _size_ratio(transfer: Transfer) -> float:
    """How many cells' worth of traffic a hexagon holds."""
    return transfer.grid.num_cells / len(transfer.hexagons)
