"""The question of the page "The next hour": when now is, and what is different in the what-if."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import streamlit as st

from engine import api
from engine.domain import CloseStreets, Edit, ScaleReadings, Scenario, SilenceSensors
from pages.shared import cache
from pages.shared.state import component_state

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CUT_PERCENT, CUT_MINUTES = 60, 30
MOST_HOURS = 12
INCIDENTS = "forecast-incident"


@dataclass(frozen=True)
class Levers:
    """What is different in the what-if.

    Args:
        edits: incidents, silent sensors, closed streets.
        shift_min: the networks are told that it is so much later.
        weekday: they are told that it is this day; None for the true one.
    """

    edits: tuple[Edit, ...] = field(default_factory=tuple)
    shift_min: int = 0
    weekday: int | None = None


def incident_key(city: api.City) -> str:
    """Key of the choice of sensors with an incident."""
    return f"{INCIDENTS}-{city.id}"


def draw_moment(city: api.City, forecaster: api.Forecaster) -> datetime:
    """Day and time of "now", and whether the networks were trained on it."""
    span = api.forecast_span(city, forecaster)
    usual = api.default_moment(span)
    day = st.date_input(
        "Day",
        value=usual.date(),
        min_value=span.first.date(),
        max_value=span.last.date(),
        format="YYYY-MM-DD",
        key=f"forecast-day-{city.id}",
        persist_state="session",
        width=140,
        help=f"From {span.held_out:%-d %B %Y} on, no network was trained on the readings; "
        "before, errors look smaller than on new days.",
    )
    minutes = forecaster.step.total_seconds() / 60
    now = st.slider(
        "Now",
        time(0, 0),
        time(23, 55),
        usual.time(),
        timedelta(minutes=minutes),
        format="HH:mm",
        key=f"forecast-now-{city.id}",
        persist_state="session",
        width=300,
        help=f"Local time, {city.metadata.timezone}. The networks see the hour before.",
    )
    chosen = day if isinstance(day, date) else usual.date()
    moment = datetime.combine(chosen, now, city.zone)
    return min(max(moment, span.first), span.last)


def draw_whatif(city: api.City, forecaster: api.Forecaster, places: api.SensorMap) -> Levers:
    """The levers, each behind a button that says what it is set to."""
    sensors = [str(name) for name in forecaster.card["series"]["sensors"]]
    names = dict(zip(sensors, places.names, strict=True))
    edits: list[Edit] = []
    st.markdown("**What if**", width="content")
    incident = _draw_incident(city, names)
    if incident is not None:
        edits.append(incident)
    silent = _choose(f"forecast-silent-{city.id}", "Sensors off", ":material/sensors_off:", names)
    if silent:
        edits.append(SilenceSensors(silent))
    if forecaster.knows_closures:
        closed = _draw_streets(city, places)
        if closed:
            edits.append(CloseStreets(closed))
    shift_min, weekday = _draw_clock(city)
    if edits or shift_min or weekday is not None:
        st.button("Undo all", icon=":material/undo:", on_click=_reset, args=(city.id,))
    return Levers(tuple(edits), shift_min, weekday)


def _label(key: str, name: str) -> str:
    """The lever's name, with how much of it is set."""
    chosen = component_state().get(key) or ()
    return f"{name} ({len(chosen)})" if chosen else name


def _draw_incident(city: api.City, names: dict[str, str]) -> ScaleReadings | None:
    key = incident_key(city)
    with st.popover(_label(key, "Incident"), icon=":material/car_crash:"):
        st.caption("Speeds at these sensors were lower than measured, until now.")
        sensors = st.multiselect(
            "Sensors",
            list(names),
            format_func=names.__getitem__,
            key=key,
            persist_state="session",
            placeholder="Choose sensors, or use the button beside a sensor's curve",
        )
        percent = st.slider(
            "Speed cut by (%)",
            0,
            100,
            CUT_PERCENT,
            5,
            key=f"forecast-cut-{city.id}",
            persist_state="session",
        )
        minutes = st.slider(
            "For the last (minutes)",
            5,
            60,
            CUT_MINUTES,
            5,
            key=f"forecast-minutes-{city.id}",
            persist_state="session",
            help="Where no vehicle passed, the usual speed is cut.",
        )
    if not sensors:
        return None
    return ScaleReadings(tuple(sensors), 1 - percent / 100, float(minutes))


def _choose(key: str, label: str, icon: str, names: dict[str, str]) -> tuple[str, ...]:
    with st.popover(_label(key, label), icon=icon):
        st.caption("These have measured nothing for an hour.")
        chosen = st.multiselect(
            "Sensors",
            list(names),
            format_func=names.__getitem__,
            key=key,
            persist_state="session",
        )
    return tuple(chosen)


def _draw_streets(city: api.City, places: api.SensorMap) -> tuple[str, ...]:
    names = cache.street_names(city)
    streets = sorted(set(places.streets), key=lambda street: names.get(street, street))
    key = f"forecast-closed-{city.id}"
    with st.popover(_label(key, "Close streets"), icon=":material/block:"):
        st.caption(
            "Closed from now on. Learned from simulated closures; only Citybrush's own network "
            "sees this, and the error card says how well."
        )
        chosen = st.multiselect(
            "Streets with a sensor",
            streets,
            format_func=lambda street: f"{names.get(street, street)} · {street}",
            key=key,
            persist_state="session",
        )
    return tuple(chosen)


def _draw_clock(city: api.City) -> tuple[int, int | None]:
    key = f"forecast-weekday-{city.id}"
    shifted = component_state().get(f"forecast-shift-{city.id}") or 0
    other = component_state().get(key)
    is_set = bool(shifted) or other is not None
    with st.popover("Clock (moved)" if is_set else "Clock", icon=":material/schedule:"):
        st.caption("The same readings, but the networks are told another time or day.")
        hours = st.slider(
            "Hours later",
            -MOST_HOURS,
            MOST_HOURS,
            0,
            key=f"forecast-shift-{city.id}",
            persist_state="session",
        )
        weekday = st.selectbox(
            "Day of the week",
            range(7),
            index=None,
            format_func=WEEKDAYS.__getitem__,
            placeholder="As it is",
            key=key,
            persist_state="session",
        )
    return 60 * int(hours), weekday


def _reset(city_id: str) -> None:
    """Take every lever back."""
    store = component_state()
    for name in ("incident", "silent", "closed"):
        store[f"forecast-{name}-{city_id}"] = []
    store[f"forecast-shift-{city_id}"] = 0
    store[f"forecast-weekday-{city_id}"] = None


def make_scenario(city: api.City, moment: datetime, levers: Levers) -> Scenario:
    """The question as it stands."""
    return api.forecast_scenario(city.id, moment, levers.edits, levers.shift_min, levers.weekday)
