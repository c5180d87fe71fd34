"""What is kept between runs of a page, for all tabs of this server.

A city is opened once and shared; derived maps and series are kept under the city's digest, so
that a city that was written anew is never shown from memory.
"""

import threading
from datetime import date

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine import api
from engine.domain import Grid
from pages.shared.citymap import Basemap, StreetLines

_MAX_CITIES = 4
_WORKERS_START_AFTER_S = 15.0
_MAX_WEEKS = 24
_MAX_SERIES = 64
_SECONDS_LISTED = 5


@st.cache_resource(show_spinner=False)
def compute() -> api.ComputeService:
    """The one compute service of this server.

    Its workers start with the first job, or by themselves a little after the first page: while
    they load their libraries, the first page would be slow to appear.
    """
    service = api.ComputeService()
    starter = threading.Timer(_WORKERS_START_AFTER_S, service.start)
    starter.daemon = True
    starter.start()
    return service


@st.cache_data(ttl=_SECONDS_LISTED, show_spinner=False)
def city_cards() -> tuple[api.CityCard, ...]:
    """All cities on this machine."""
    return api.list_city_cards()


@st.cache_resource(max_entries=_MAX_CITIES, show_spinner=False)
def _picture(city_id: str, digest: str) -> str:  # noqa: ARG001 - the digest is part of the key
    return api.city_picture(api.open_city(city_id))


def city_picture(city_id: str) -> str:
    """The city from above, as SVG."""
    return str(_picture(city_id, api.open_city(city_id).digest))


@st.cache_resource(max_entries=_MAX_CITIES, show_spinner=False)
def _basemap(city_id: str, digest: str) -> Basemap:  # noqa: ARG001 - part of the key
    city = api.open_city(city_id)
    return Basemap.from_frames(city.streets(), city.basemap(), city.metadata.attribution)


def basemap(city: api.City) -> Basemap:
    """The city below the cells."""
    below: Basemap = _basemap(city.id, city.digest)
    return below


@st.cache_resource(max_entries=_MAX_CITIES, show_spinner=False)
def _street_lines(city_id: str, digest: str) -> StreetLines:  # noqa: ARG001 - part of the key
    return StreetLines.from_frame(api.open_city(city_id).streets().query("car"))


def street_lines(city: api.City) -> StreetLines:
    """The streets that can be closed."""
    lines: StreetLines = _street_lines(city.id, city.digest)
    return lines


def street_names(city: api.City) -> dict[str, str]:
    """Names of the streets that can be closed, by id."""
    lines = street_lines(city)
    return dict(zip(lines.ids, lines.names, strict=True))


@st.cache_resource(max_entries=_MAX_CITIES, show_spinner=False)
def _street_path(city_id: str, digest: str) -> NDArray[np.float64]:  # noqa: ARG001 - part of the key
    lines = street_lines(api.open_city(city_id))
    return np.insert(lines.coords, lines.starts[1:].astype(np.int64), np.nan, axis=0)


def street_path(city: api.City) -> NDArray[np.float64] | None:
    """All streets as one line with gaps, (K, 2) lon, lat; None where the city has none."""
    if city.streets().query("car").empty:
        return None
    path: NDArray[np.float64] = _street_path(city.id, city.digest)
    return path


@st.cache_resource(max_entries=_MAX_CITIES, show_spinner=False)
def _sensor_names(city_id: str, digest: str) -> tuple[str, ...]:  # noqa: ARG001 - part of the key
    return api.sensor_names(api.open_city(city_id))


def sensor_names(city: api.City) -> tuple[str, ...]:
    """Names of the street sensors, in the order of their series."""
    names: tuple[str, ...] = _sensor_names(city.id, city.digest)
    return names


@st.cache_resource(max_entries=_MAX_CITIES, show_spinner=False)
def _trip_purposes(city_id: str, digest: str) -> tuple[str, ...]:  # noqa: ARG001 - part of the key
    return api.trip_purposes(api.open_city(city_id))


def trip_purposes(city: api.City) -> tuple[str, ...]:
    """Names of the purposes of a city's recorded trips."""
    names: tuple[str, ...] = _trip_purposes(city.id, city.digest)
    return names


@st.cache_resource(max_entries=_MAX_CITIES, show_spinner=False)
def _coarse_sensor_names(city_id: str, digest: str, grid: Grid) -> tuple[str, ...]:  # noqa: ARG001 - part of the key
    return api.coarse_sensor_names(api.open_city(city_id), grid)


def coarse_sensor_names(city: api.City, model: api.Model) -> tuple[str, ...]:
    """Names of the coarse cells that sensors count, row by row."""
    names: tuple[str, ...] = _coarse_sensor_names(city.id, city.digest, model.coarse)
    return names


@st.cache_resource(max_entries=_MAX_CITIES, show_spinner=False)
def _usual_top(city_id: str, digest: str, sha256: str) -> tuple[float, float]:  # noqa: ARG001 - part of the key
    return api.usual_top(api.find_model(api.open_city(city_id)))


def usual_top(city: api.City, model: api.Model) -> tuple[float, float]:
    """Ends of the colour scales of fine cells and of sensors, the same at all times."""
    top: tuple[float, float] = _usual_top(city.id, city.digest, model.weights.sha256)
    return top


@st.cache_resource(max_entries=_MAX_WEEKS, show_spinner=False)
def _week_maps(
    city_id: str,
    digest: str,  # noqa: ARG001 - part of the key
    field: str,
    monday: date,
    shown: api.Shown,
    cells: api.Cells,
) -> api.WeekMaps:
    return api.week_maps(api.open_city(city_id), field, monday, shown, cells)


def week_maps(
    city: api.City, field: str, monday: date, shown: api.Shown, cells: api.Cells
) -> api.WeekMaps:
    """One week of a field as maps; shared by all tabs, so nobody may change it."""
    maps: api.WeekMaps = _week_maps(city.id, city.digest, field, monday, shown, cells)
    return maps


@st.cache_resource(max_entries=_MAX_SERIES, show_spinner=False)
def _series(
    city_id: str,
    digest: str,  # noqa: ARG001 - part of the key
    field: str,
    place: api.Place,
    monday: date,
) -> api.PlaceSeries:
    return api.place_series(api.open_city(city_id), field, place, monday)


def place_series(city: api.City, field: str, place: api.Place, monday: date) -> api.PlaceSeries:
    """One place through one week."""
    series: api.PlaceSeries = _series(city.id, city.digest, field, place, monday)
    return series
