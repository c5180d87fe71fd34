"""The City page's parts: choices, the map of a week, and the chosen place's series."""

from dataclasses import dataclass
from datetime import date

import streamlit as st

from engine import api
from engine.render.figures import draw_series
from pages.shared import cache
from pages.shared.citymap import ColorScale, Frames, HeatView, MapOptions, ScaleKind, view_maps
from pages.shared.state import DEFAULT_CITY, choose_place, component_state, get_state, take_click
from pages.shared.text import as_text

MAP_KEY = "city-map"
SENSOR_KEY = "sensor"
MAP_HEIGHT_PX = 520
FRAMES_PER_SECOND = 8.0
MORNING_PEAK = 8
SHOWN = {api.Shown.VALUE: "Traffic", api.Shown.DIFFERENCE: "Difference from usual"}
CELLS = {api.Cells.GRID: "Columns", api.Cells.HEXAGONS: "Hexagons"}


@dataclass(frozen=True)
class View:
    """What the user wants to see.

    Args:
        field: name of the field.
        monday: first day of the week.
        shown: traffic, or its difference from usual.
        cells: columns or hexagons.
    """

    field: str
    monday: date
    shown: api.Shown
    cells: api.Cells


def draw_choices(city: api.City) -> View:
    """The row of choices above the map."""
    weeks = {week.monday: number for number, week in enumerate(api.field_weeks(city, "flow"), 1)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        monday = st.selectbox(
            "Week",
            list(weeks),
            format_func=lambda day: f"Week {weeks[day]} · from {day:%-d %B %Y}",
            key=f"week-{city.id}",
            persist_state="session",
            width=270,
            help="Monday to Sunday, local time.",
        )
        shown = st.segmented_control(
            "Show",
            list(SHOWN),
            format_func=SHOWN.__getitem__,
            default=api.Shown.VALUE,
            required=True,
            key="shown",
            persist_state="session",
            help="Usual is the mean of the other weeks at the same weekday and hour.",
        )
        cells = st.segmented_control(
            "As",
            list(CELLS),
            format_func=CELLS.__getitem__,
            default=api.Cells.GRID,
            required=True,
            key="cells",
            persist_state="session",
            help="Hexagons share out each cell's traffic by area; the total stays the same.",
        )
    return View("flow", monday, api.Shown(shown), api.Cells(cells))


def prepare() -> None:
    """Read what the page of the first city begins with, before anyone asks for it."""
    city = api.open_city(DEFAULT_CITY)
    monday = api.field_weeks(city, "flow")[0].monday
    cache.week_maps(city, "flow", monday, api.Shown.VALUE, api.Cells.GRID)
    cache.basemap(city)


def draw_map(city: api.City, view: View) -> bool:
    """The week as an animated 3D map; a click chooses a place. Whether the browser has drawn it."""
    maps = cache.week_maps(city, view.field, view.monday, view.shown, view.cells)
    scale = (
        ColorScale(-maps.top, maps.top, SHOWN[view.shown], maps.unit, ScaleKind.DIVERGING)
        if view.shown is api.Shown.DIFFERENCE
        else ColorScale(0.0, maps.top, maps.name.capitalize(), maps.unit)
    )
    labels = tuple(f"{time:%a %-d %b, %H:%M}" for time in maps.week.times)
    chosen = view_maps(
        maps.cells,
        [HeatView(SHOWN[view.shown], maps.values, scale)],
        key=MAP_KEY,
        frames=Frames(labels, FRAMES_PER_SECOND, _first_peak(maps.week)),
        options=MapOptions(
            label=f"Traffic in {city.title}",
            height=MAP_HEIGHT_PX,
            basemap=cache.basemap(city),
        ),
        version=(city.digest, view),
        tell_when_drawn=True,
    )
    if chosen.cell is not None:
        hexagons = view.cells is api.Cells.HEXAGONS
        kind = api.PlaceKind.HEXAGON if hexagons else api.PlaceKind.CELL
        if take_click(api.Place(kind, chosen.cell)):
            component_state()[SENSOR_KEY] = None
    return chosen.is_drawn


def _first_peak(week: api.Week) -> int:
    """Begin with the week's first morning peak: at midnight there is little to see."""
    hours = (i for i, time in enumerate(week.times) if time.hour == MORNING_PEAK)
    return next(hours, 0)


def _draw_sensor_choice(city: api.City) -> None:
    names = cache.sensor_names(city)
    if names:
        st.selectbox(
            "Street sensor",
            range(len(names)),
            index=None,
            format_func=names.__getitem__,
            placeholder="Or choose a street sensor",
            label_visibility="collapsed",
            key=SENSOR_KEY,
            on_change=_take_sensor,
        )


def _take_sensor() -> None:
    index = component_state()[SENSOR_KEY]
    choose_place(None if index is None else api.Place(api.PlaceKind.SENSOR, index))


def draw_place(city: api.City, view: View) -> None:
    """The chosen place through the week, beside what is usual there."""
    _draw_sensor_choice(city)
    place = get_state().place or api.Place()
    if place.kind in (api.PlaceKind.CELL, api.PlaceKind.HEXAGON):
        fits = (place.kind is api.PlaceKind.HEXAGON) == (view.cells is api.Cells.HEXAGONS)
        place = place if fits else api.Place()
    series = cache.place_series(city, view.field, place, view.monday)
    st.subheader(as_text(series.name), anchor=False)
    if place.kind is api.PlaceKind.CITY:
        st.caption("Click a cell on the map, or choose a street sensor, to see its own series.")
    figure = draw_series(
        series.times,
        series.values,
        name=series.name,
        unit=series.unit,
        usual=series.usual,
        spans=series.spans,
        weather=series.weather,
    )
    st.plotly_chart(figure, key="series", alt=f"{series.name}, {series.unit}, through the week")
    for span in series.spans:
        begin, end = f"{span.begin:%a %-d %b, %H:%M}", f"{span.end:%H:%M}"
        st.caption(f":material/event: {as_text(f'{begin} to {end}: {span.label}')}")
