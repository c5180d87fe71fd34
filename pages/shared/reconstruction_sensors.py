"""Where the next sensor helps most, and which sensor would be missed most."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from engine import api
from engine.domain import Question, Result, Scenario
from engine.render.sensor_figures import draw_gain, draw_worth
from pages.shared import cache
from pages.shared.asking import ask, draw_problem, draw_progress
from pages.shared.state import get_state, topic_key
from pages.shared.text import as_text

PLACE, RANK = "place", "rank"
MOST_SHOWN = 10
QUESTION = Question.RECONSTRUCT


def draw_sensor_questions(city: api.City, case: api.Case) -> None:
    """Both questions, each asked by a button; the answers stay until the mask or time changes."""
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Place the next sensor", anchor=False)
        _draw_place(city, case)
    with right:
        st.subheader("Which sensor matters most", anchor=False)
        _draw_rank(city, case)


def _draw_place(city: api.City, case: api.Case) -> None:
    most = min(16, int((~case.mask).sum()))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.number_input(
            "How many", 1, most, min(5, most), key=f"sensors-place-{most}", width=110
        )
        scenario = api.place_scenario(case.scenario, int(count))
        _draw_button("Find places", scenario, api.ask_place, PLACE)
    result = _answer(scenario, PLACE)
    if result is None:
        st.caption("Chosen one after the other by how much narrower all bands would get.")
        return
    found = api.next_sensors(result)
    names = [_name(city, case, cell) for cell in found.cells]
    st.plotly_chart(
        draw_gain(found.widths, names, unit=api.unit_text(case.model.field)),
        key="sensors-gain",
        config={"displayModeBar": False},
        alt="Gain of each further sensor",
    )
    st.markdown(
        "  \n".join(
            f"{number}. **{as_text(name)}**: bands {100 * (1 - after / before):.1f} % narrower"
            for number, (name, before, after) in enumerate(
                zip(names, found.widths, found.widths[1:], strict=False), 1
            )
        )
    )


def _draw_rank(city: api.City, case: api.Case) -> None:
    _draw_button("Leave each out once", case.scenario, api.ask_rank, RANK)
    result = _answer(case.scenario, RANK)
    if result is None:
        st.caption("Every sensor is left out once: how much wider do the bands get?")
        return
    found = api.sensor_ranking(result)
    names = [_name(city, case, cell) for cell in found.cells[:MOST_SHOWN]]
    st.plotly_chart(
        draw_worth(
            found.widening[:MOST_SHOWN],
            names,
            unit=f"all bands together wider by, {api.unit_text(case.model.field)}",
        ),
        key="sensors-worth",
        config={"displayModeBar": False},
        alt="What would be lost with each sensor",
    )
    st.caption(
        f"The {len(names)} that matter most of {len(found.cells)}; all bands together are "
        f"{found.width:,.0f} now."
    )


def _draw_button(
    label: str, scenario: Scenario, submit: Callable[[Any, Scenario, str], Any], topic: str
) -> None:
    if st.button(label, key=f"sensors-ask-{topic}"):
        ask(scenario, submit, topic)
    draw_progress(QUESTION, api.read_sensors, topic)
    draw_problem(QUESTION, topic)


def _answer(scenario: Scenario, topic: str) -> Result | None:
    answered = get_state().answered.get(topic_key(QUESTION, topic))
    return answered.result if answered is not None and answered.scenario == scenario else None


def _name(city: api.City, case: api.Case, cell: tuple[int, int]) -> str:
    names = cache.coarse_sensor_names(city, case.model)
    return names[cell[0] * case.model.coarse.cols + cell[1]]
