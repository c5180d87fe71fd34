"""The answer of the page "The next hour": the map through time, and one sensor's curve."""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine import api
from engine.domain import Question, Result, Scenario
from engine.render.forecast_figures import SensorForecast, draw_forecast
from pages.shared import cache
from pages.shared.asking import draw_bar, draw_problem, follow, take_answer
from pages.shared.citymap import ColorScale, Frames, HeatView, MapOptions, ScaleKind, view_maps
from pages.shared.forecast import incident_key
from pages.shared.state import component_state, get_state
from pages.shared.text import as_text

KEY = Question.FORECAST.value
REFRESH_S = 0.25
WAIT_S = 0.45
"""The page stands still for so long at most, so that a quick answer is drawn at once."""
MAP_HEIGHT_PX = 500
SENSOR_WIDTH_PX = 330  # the longest names are whole
FRAMES_PER_SECOND = 3.0
FORECAST, CHANGE, TRUTH, ERROR, BAND = "forecast", "change", "truth", "error", "band"
VIEWS = {
    FORECAST: "Forecast",
    CHANGE: "Change",
    TRUTH: "Measured",
    ERROR: "Off by",
    BAND: "How unsure",
}
MOST_VIEWS = 4
LEVELS = {
    api.RangeLevel.ORDINARY: ("green", ":material/check:", "ordinary input"),
    api.RangeLevel.UNUSUAL: ("orange", ":material/warning:", "unusual input"),
    api.RangeLevel.OUTSIDE: ("red", ":material/error:", "outside of training"),
}
Values = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Shown:
    """An answer on its way to the screen.

    Args:
        city: the city.
        forecaster: its weights.
        places: its sensors.
        result: the answer.
    """

    city: api.City
    forecaster: api.Forecaster
    places: api.SensorMap
    result: Result

    def array(self, name: str) -> Values:
        """One of the result's arrays."""
        return np.asarray(self.result.arrays[name], dtype=np.float64)

    def best(self, part: str, *, edited: bool = True) -> Values:
        """Middle, lower or upper of the method that is shown."""
        head = api.EDITED if edited else ""
        return self.array(f"{head}{self.forecaster.best}/{part}")


def draw_answer(
    city: api.City, forecaster: api.Forecaster, places: api.SensorMap, scenario: Scenario
) -> None:
    """Ask what has changed, wait a moment, and show what is known."""
    if follow(scenario, api.ask_forecast):
        asked = get_state().asked.get(KEY)
        if asked is not None:
            asked.handle.wait(WAIT_S)
            take_answer(KEY, api.read_forecast)
    draw_problem(Question.FORECAST)
    refresh = REFRESH_S if KEY in get_state().asked else None
    st.fragment(_draw_shown, run_every=refresh)(city, forecaster, places, scenario)


def _draw_shown(
    city: api.City, forecaster: api.Forecaster, places: api.SensorMap, scenario: Scenario
) -> None:
    if take_answer(KEY, api.read_forecast):
        st.rerun()
    answered = get_state().answered.get(KEY)
    if answered is None or answered.result is None or answered.scenario.city_id != city.id:
        draw_bar(KEY)
        st.caption("The first answer takes a little longer: a worker loads the networks.")
        return
    shown = Shown(city, forecaster, places, answered.result)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        views = _draw_state(shown, scenario)
        clicked = _draw_map(shown, views)
    with right:
        _draw_sensor(shown, clicked)


def _draw_state(shown: Shown, scenario: Scenario) -> list[str]:
    """Which maps, and one line on how far the answer can be trusted."""
    has_edits = _has_edits(shown.result.scenario)
    views = st.pills(
        "Maps",
        list(VIEWS),
        selection_mode="multi",
        format_func=VIEWS.__getitem__,
        default=[FORECAST, CHANGE] if has_edits else [FORECAST],
        key=f"forecast-views-{has_edits}",
        persist_state="session",
        label_visibility="collapsed",
    )
    if KEY in get_state().asked:
        draw_bar(KEY)
    elif shown.result.scenario != scenario:
        st.caption(":material/history: This is the answer to an earlier question.")
    else:
        _draw_gauge(shown.result)
    chosen = [name for name in VIEWS if name in (views or ())][:MOST_VIEWS]
    return chosen or [FORECAST]


def _has_edits(scenario: Scenario) -> bool:
    parameters = scenario.parameters
    moved = bool(parameters.get("shift_min")) or parameters.get("weekday") is not None
    return bool(scenario.edits) or moved


def _draw_gauge(result: Result) -> None:
    gauge = api.range_gauge(result)
    color, icon, words = LEVELS[gauge.level]
    text = f"more unusual than {gauge.share:.0%} of the hours in training"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(words, icon=icon, color=color)  # type: ignore[arg-type]
        st.caption(as_text(" ".join(gauge.reasons) or f"The last hour was {text}."))


def _draw_map(shown: Shown, views: list[str]) -> int | None:
    """The linked maps through the last and the next hour; which sensor was clicked last."""
    result, forecaster = shown.result, shown.forecaster
    times = api.forecast_times(result, shown.city, forecaster)
    history = forecaster.history
    labels = tuple(
        f"{time:%H:%M} {'measured' if i < history else 'forecast'}" for i, time in enumerate(times)
    )
    chosen = view_maps(
        shown.places.cells,
        [_view(shown, name) for name in views],
        key=f"forecast-map-{shown.city.id}",
        frames=Frames(labels, FRAMES_PER_SECOND, history + 2),
        options=MapOptions(
            label=f"The next hour in {shown.city.title}",
            height=MAP_HEIGHT_PX,
            basemap=cache.basemap(shown.city),
            noun="sensor",
        ),
        version=(result.digest, tuple(views)),
    )
    if CHANGE in views and not _has_edits(result.scenario):
        st.caption(":material/info: Nothing was changed yet: the levers above are the what-if.")
    return None if chosen.cell is None else int(shown.places.order[chosen.cell])


def _view(shown: Shown, name: str) -> HeatView:
    unit, middle, past = shown.forecaster.unit, shown.best("middle"), shown.array("edited/past")
    nothing = np.full_like(past, np.nan)
    speed = ColorScale(0.0, _top(shown), "Mean speed", unit, palette="viridis", group="speed")
    if name == CHANGE:
        before = past - shown.array("past")
        values = np.concatenate([before, middle - shown.best("middle", edited=False)])
        size = max(1.0, float(np.nanmax(np.abs(values[len(past) :]))))
        scale = ColorScale(-size, size, "Change", unit, ScaleKind.DIVERGING)
    elif name == TRUTH:
        values, scale = np.concatenate([shown.array("past"), shown.array("truth")]), speed
    elif name == ERROR:
        values = np.concatenate([nothing, np.abs(middle - shown.array("truth"))])
        scale = ColorScale(0.0, _top(shown) / 2, "Absolute error", unit, palette="blue")
    elif name == BAND:
        width = shown.best("upper") - shown.best("lower")
        values = np.concatenate([nothing, width])
        scale = ColorScale.of(width, "Width of the 90 % band", unit, "violet")
    else:
        values, scale = np.concatenate([past, middle]), speed
    return HeatView(VIEWS[name], shown.places.on_map(values), scale)


def _top(shown: Shown) -> float:
    """End of the speed scale: rounded up, so that it stays the same from hour to hour."""
    return float(np.ceil(np.nanmax(shown.array("usual")) * 1.2 / 10) * 10)


def _draw_sensor(shown: Shown, clicked: int | None) -> None:
    """One sensor's past, forecast with band, truth and baselines."""
    store, key = component_state(), f"forecast-sensor-{shown.city.id}"
    if clicked is not None and store.get(f"{key}-clicked") != clicked:
        store[f"{key}-clicked"] = store[key] = clicked
    names = shown.places.names
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        sensor = st.selectbox(
            "Sensor: click one on the map, or choose it here",
            range(len(names)),
            index=_busiest_change(shown),
            format_func=names.__getitem__,
            key=key,
            persist_state="session",
            width=SENSOR_WIDTH_PX,
        )
        is_pressed = st.button(
            "Incident here",
            icon=":material/car_crash:",
            on_click=_add_incident,
            args=(shown, sensor),
            key="forecast-incident-here",
            help="Speeds here were cut until now; the lever above says by how much.",
        )
    if is_pressed:
        st.rerun()  # the levers lie outside of this part of the page
    figure = draw_forecast(
        api.forecast_times(shown.result, shown.city, shown.forecaster),
        _sensor_forecast(shown, sensor),
        shown.forecaster.unit,
    )
    st.plotly_chart(
        figure,
        key="forecast-curve",
        config={"displayModeBar": False},
        alt=f"Last and next hour at {names[sensor]}, {shown.forecaster.unit}",
    )
    _draw_figures(shown, sensor)
    st.download_button(
        "Download as CSV",
        api.forecast_csv(shown.result, shown.city, shown.forecaster),
        f"next-hour-{shown.city.id}.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="forecast-csv",
    )


def _busiest_change(shown: Shown) -> int:
    """Begin with the sensor that departs furthest from its usual."""
    usual = shown.array("usual")[shown.forecaster.history :]
    return int(np.argmax(np.abs(shown.best("middle") - usual).mean(axis=0)))


def _add_incident(shown: Shown, sensor: int) -> None:
    key = incident_key(shown.city)
    name = str(shown.forecaster.card["series"]["sensors"][sensor])
    kept = list(component_state().get(key) or ())
    component_state()[key] = kept if name in kept else [*kept, name]


def _sensor_forecast(shown: Shown, sensor: int) -> SensorForecast:
    baselines = {"stays as it is": "last-value", "usual": "historical-mean"}
    return SensorForecast(
        shown.array("past")[:, sensor],
        shown.array("edited/past")[:, sensor],
        shown.best("middle")[:, sensor],
        shown.best("lower")[:, sensor],
        shown.best("upper")[:, sensor],
        shown.best("middle", edited=False)[:, sensor],
        shown.array("truth")[:, sensor],
        {
            words: shown.array(f"{api.EDITED}{name}/middle")[:, sensor]
            for words, name in baselines.items()
        },
    )


def _draw_figures(shown: Shown, sensor: int) -> None:
    """The hour's figures: at this sensor, and how far off each method was over all."""
    unit, middle = shown.forecaster.unit, shown.best("middle")
    change = middle - shown.best("middle", edited=False)
    with st.container(horizontal=True, gap="medium"):
        for step in (2, 5, len(middle) - 1):
            minutes = (step + 1) * shown.forecaster.step.total_seconds() / 60
            moved = float(change[step, sensor])
            st.metric(
                f"in {minutes:.0f} min",
                f"{middle[step, sensor]:.0f} {unit}",
                f"{moved:+.1f} {unit}" if abs(moved) >= 0.05 else None,
                width="content",
            )
    errors = {
        name: shown.result.metrics[f"{name}/mae"]
        for name in shown.forecaster.methods
        if f"{name}/mae" in shown.result.metrics
    }
    if errors:
        words = " · ".join(f"{api.METHODS[n]} {value:.2f}" for n, value in errors.items())
        st.caption(
            as_text(f"Off by on average, this hour, untouched, all sensors ({unit}): {words}")
        )
