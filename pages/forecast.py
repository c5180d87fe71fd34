"""Page: the next hour at every street sensor, and what an incident or a silent sensor changes."""

import streamlit as st

from engine import api
from pages.shared.forecast import draw_moment, draw_whatif, make_scenario
from pages.shared.forecast_answer import draw_answer
from pages.shared.forecast_errors import draw_error_card
from pages.shared.forecast_learned import draw_learned
from pages.shared.frame import engine_errors, start_page
from pages.shared.text import as_text

state = start_page("The next hour")
with engine_errors():
    city = api.open_city(state.city_id)
    forecaster = api.find_forecaster(city)
with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
    st.title("The next hour", anchor=False, width="content")
    st.caption(as_text(city.title), width="content")
    if forecaster is not None:
        with engine_errors():
            moment = draw_moment(city, forecaster)
if forecaster is None:
    st.info(
        "Choose another city on the start page, or train them: "
        "`python -m engine forecast train --help`.",
        title="This city has no trained weights for the next hour",
    )
    st.stop()

with engine_errors():
    places = api.sensor_map(city, forecaster)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        levers = draw_whatif(city, forecaster, places)
    scenario = make_scenario(city, moment, levers)
    draw_answer(city, forecaster, places, scenario)
    draw_error_card(forecaster)
    draw_learned(city, forecaster, places)
if city.metadata.notice:
    st.caption(f":material/info: {as_text(city.metadata.notice)}")
