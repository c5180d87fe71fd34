"""Page: a city's traffic on a 3D map, week by week, with the series of a chosen place."""

import streamlit as st

from engine import api
from pages.shared.frame import engine_errors, start_page
from pages.shared.text import as_text
from pages.shared.traffic import draw_choices, draw_map, draw_place

state = start_page("City")
with engine_errors():
    city = api.open_city(state.city_id)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title(as_text(city.title), anchor=False, width="content")
    if city.metadata.notice:
        st.caption(f":material/info: {as_text(city.metadata.notice)}", width="content")


@st.fragment
def draw_week() -> None:
    """Choices, map and series; a click on the map runs only this part again."""
    with engine_errors():
        view = draw_choices(city)
        left, right = st.columns([3, 2], gap="medium")
        with left:
            is_drawn = draw_map(city, view)
        with right:
            if is_drawn:
                draw_place(city, view)
            else:
                st.caption("The series follows the map.")


draw_week()
