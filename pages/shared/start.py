"""The start page: choose a city, see what it holds, go to a question."""

import streamlit as st

from pages.shared import cache
from pages.shared.cards import draw_city, draw_questions
from pages.shared.frame import engine_errors, start_page


def draw_start() -> None:
    """All of the page."""
    state = start_page("Start")
    st.title("Paint a what-if onto a city, and see what follows", anchor=False)
    with engine_errors():
        cards = cache.city_cards()
    if not cards:
        st.info(
            "`python -m engine simulate adlershof` makes the embedded one.",
            title="There is no city on this machine",
        )
    for card in cards:
        draw_city(card, is_chosen=card.city_id == state.city_id)
    st.header("Questions", anchor=False)
    draw_questions()
