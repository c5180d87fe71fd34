"""Page: close streets, and see what the simulator says would truly happen."""

import streamlit as st

from engine import api
from engine.domain import Question
from pages.shared.asking import choose_part, draw_problem, draw_progress
from pages.shared.frame import engine_errors, start_page
from pages.shared.text import as_text
from pages.shared.whatif import ANSWER, QUESTION, draw_answer, draw_question

state = start_page("Ask the simulator")
with engine_errors():
    city = api.open_city(state.city_id)
st.title("Close streets, ask the simulator", anchor=False)
st.caption(
    f"{as_text(city.title)}: choose streets on the map. SUMO drives the same trips twice, with the "
    "streets open and closed, and once another draw of trips, to show what chance does."
)
if not api.can_simulate(city):
    st.info(
        "It holds recorded traffic only. Choose a simulated city on the start page.",
        title="This city comes without a simulator",
    )
    st.stop()

part = choose_part(Question.SIMULATE, city.id, (QUESTION, ANSWER))
if part == QUESTION:
    with engine_errors():
        draw_question(city)
else:
    draw_progress(Question.SIMULATE, api.read_truth)
    draw_problem(Question.SIMULATE)
    with engine_errors():
        draw_answer(city)
