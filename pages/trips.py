"""Page: paint how busy each place is, close streets, and watch people move differently."""

import streamlit as st

from engine import api
from engine.domain import Question
from pages.shared.asking import choose_part, draw_problem, draw_progress
from pages.shared.frame import engine_errors, start_page
from pages.shared.text import as_text
from pages.shared.trips_answer import draw_answer, draw_growing
from pages.shared.trips_question import ANSWER, QUESTION, draw_question

state = start_page("Changed demand")
with engine_errors():
    city = api.open_city(state.city_id)
st.title("Changed demand", anchor=False)
st.caption(
    f"{as_text(city.title)}: make places busier or quieter, block them, or close streets. Trips "
    "that fit the changed map appear beside today's."
)
if not api.can_make_trips(city):
    st.info(
        "It needs recorded trips and a map of how busy each place is. Choose another city on the "
        "start page.",
        title="This city comes without trips",
    )
    st.stop()

part = choose_part(Question.TRAJECTORIES, city.id, (QUESTION, ANSWER))
if part == QUESTION:
    with engine_errors():
        draw_question(city)
        draw_growing(city)
else:
    draw_progress(Question.TRAJECTORIES, api.read_trips)
    draw_problem(Question.TRAJECTORIES)
    with engine_errors():
        draw_answer(city)
