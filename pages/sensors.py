"""Page: take sensors away, and see what the whole city most likely looks like."""

import streamlit as st

from engine import api
from pages.shared.frame import engine_errors, start_page
from pages.shared.reconstruction import draw_answer
from pages.shared.reconstruction_more import draw_more
from pages.shared.sensors import draw_mask, draw_moment, make_scenario
from pages.shared.text import as_text

state = start_page("Missing sensors")
with engine_errors():
    city = api.open_city(state.city_id)
    has_weights = api.can_reconstruct(city)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Missing sensors", anchor=False, width="content")
    st.caption(
        f"{as_text(city.title)}: take sensors away; the whole city is filled in from those left.",
        width="content",
    )
if not has_weights:
    st.info(
        "Choose another city on the start page, or train them: "
        "`python -m engine train reconstruct --help`.",
        title="This city has no trained weights for missing sensors",
    )
    st.stop()

with engine_errors():
    model = api.find_model(city)
    moment, is_painting = draw_moment(city, model)
    left, right = st.columns(2, gap="small") if is_painting else (None, st.container())
    with left or right:
        mask = draw_mask(city, model, is_painting=is_painting)
        scenario = make_scenario(city, moment, mask)
    with right:
        draw_answer(city, scenario, in_3d=not is_painting, is_live=moment.is_live)
    draw_more(city, scenario)
