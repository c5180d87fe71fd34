"""The cards of the start page: cities to choose from, and questions to ask."""

from dataclasses import dataclass

import streamlit as st

from engine import api
from pages.shared import cache
from pages.shared.frame import engine_errors
from pages.shared.state import choose_city, get_state, link_to
from pages.shared.text import as_text


@dataclass(frozen=True)
class Question:
    """One question that the product answers.

    Args:
        name: in a few words.
        icon: a Material icon.
        text: the question as a user would ask it.
        page: where it is answered; empty while this version has no answer.
    """

    name: str
    icon: str
    text: str
    page: str = ""


PICTURE_PX = 200
QUESTIONS = (
    Question(
        "Missing sensors",
        ":material/sensors_off:",
        "These sensors are gone, or were never bought. What does the city look like in full, and "
        "how sure are we?",
        "pages/sensors.py",
    ),
    Question(
        "Changed demand",
        ":material/alt_route:",
        "This street closes, this square gets twice as busy. How do people move then?",
        "pages/trips.py",
    ),
    Question(
        "The next hour",
        ":material/update:",
        "Given what just happened, what comes next, sensor by sensor?",
        "pages/forecast.py",
    ),
    Question(
        "Ask the simulator",
        ":material/traffic:",
        "These streets close. What truly follows, as the traffic simulator says, and how much of "
        "it is chance?",
        "pages/simulator.py",
    ),
)


def draw_city(card: api.CityCard, is_chosen: bool) -> None:
    """One city: its picture, what it holds, and the way in; or why it cannot be opened."""
    with st.container(border=True, key=f"city-{card.city_id}"):
        if card.problem:
            st.subheader(as_text(card.title), anchor=False)
            st.warning(as_text(card.problem), title="This city cannot be opened")
            return
        with st.container(horizontal=True, vertical_alignment="center", gap="medium", wrap=False):
            with engine_errors(stop=False):
                st.image(
                    cache.city_picture(card.city_id),
                    width=PICTURE_PX,
                    alt=f"Mean traffic and streets of {card.title}, seen from above",
                )
            with st.container():
                _draw_text(card, is_chosen)


def _draw_text(card: api.CityCard, is_chosen: bool) -> None:
    st.subheader(as_text(card.title), anchor=False)
    if card.description:
        st.markdown(as_text(card.description))
    if card.notice:
        st.caption(f":material/info: {as_text(card.notice)}")
    with st.container(horizontal=True, gap="medium"):
        for fact in card.facts:
            st.metric(fact.label, fact.value, help=fact.help or None, width="content")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            "pages/city.py",
            label="Explore the city",
            icon=":material/map:",
            query_params=link_to(card.city_id),
        )
        if is_chosen:
            st.badge("chosen", icon=":material/check:", color="green")
        elif st.button("Choose this city", key=f"choose-{card.city_id}"):
            choose_city(card.city_id)
            st.rerun()


def draw_questions() -> None:
    """The questions, side by side."""
    for column, question in zip(st.columns(len(QUESTIONS)), QUESTIONS, strict=True):
        with column.container(border=True, height="stretch"):
            st.subheader(f"{question.icon} {question.name}", anchor=False)
            st.markdown(question.text)
            if question.page:
                st.page_link(
                    question.page,
                    label="Ask",
                    icon=":material/arrow_forward:",
                    query_params=link_to(get_state().city_id),
                )
            else:
                st.caption("This version has no answer yet.")
