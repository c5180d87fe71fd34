"""Page: a city's traffic, week by week."""

import streamlit as st

from pages.shared.frame import start_page

state = start_page("City")
st.title("City")
