"""What the networks have learned about places and times, as pictures."""

import streamlit as st

from engine import api
from engine.domain import Question
from engine.render.forecast_figures import draw_clock, draw_mixture, draw_places
from pages.shared import cache
from pages.shared.asking import draw_bar, follow, take_answer
from pages.shared.forecast import WEEKDAYS
from pages.shared.state import get_state, topic_key

TOPIC = "pictures"
KEY = topic_key(Question.FORECAST, TOPIC)
REFRESH_S = 0.5


def draw_learned(city: api.City, forecaster: api.Forecaster, places: api.SensorMap) -> None:
    """Groups of places and of times, and the mix of meta-parameters; made when asked for."""
    methods = api.pictured_methods(forecaster)
    if not methods:
        return
    is_open = st.toggle(
        "Show what the network has learned about places and times",
        key="forecast-learned",
        persist_state="session",
    )
    if is_open:
        refresh = REFRESH_S if KEY in get_state().asked else None
        st.fragment(_draw_pictures, run_every=refresh)(city, methods, places)


def _draw_pictures(city: api.City, methods: tuple[str, ...], places: api.SensorMap) -> None:
    method = methods[0]
    if len(methods) > 1:
        method = st.segmented_control(
            "Network",
            methods,
            format_func=api.METHODS.__getitem__,
            default=methods[0],
            required=True,
            key="forecast-learned-method",
            persist_state="session",
        )
    if follow(api.pictures_scenario(city.id, method), api.ask_pictures, TOPIC):
        st.rerun()
    if take_answer(KEY, api.read_pictures):
        st.rerun()
    answered = get_state().answered.get(KEY)
    if answered is None or answered.result is None or answered.scenario.city_id != city.id:
        draw_bar(KEY)
        return
    _draw_parts(city, api.pictures_of(answered.result), places)


def _draw_parts(city: api.City, pictures: api.Pictures, places: api.SensorMap) -> None:
    left, middle, right = st.columns(3, gap="medium")
    with left:
        st.caption("Sensors that it treats alike, from the slowest group to the fastest")
        names = [f"about {speed:.0f} km/h" for speed in pictures.mean_G]
        figure = draw_places(
            places.positions, pictures.group_N, names, places.names, cache.street_path(city)
        )
        st.plotly_chart(figure, key="learned-places", alt="Groups of sensors on the map")
    with middle:
        st.caption("Times that it treats alike: Monday inside, Sunday outside")
        names = [f"about {speed:.0f} km/h" for speed in pictures.clock_mean_G]
        figure = draw_clock(pictures.clock_7S, names)
        st.plotly_chart(figure, key="learned-clock", alt="The week's clock by groups of times")
    with right:
        st.caption("Which candidates it mixes its weights from, through a day")
        day = st.selectbox(
            "Day",
            range(7),
            format_func=WEEKDAYS.__getitem__,
            key="forecast-learned-day",
            persist_state="session",
        )
        figure = draw_mixture(pictures.mixture_7HD[day], "hour of the day")
        st.plotly_chart(figure, key="learned-mixture", alt="Mix of candidates by hour")
