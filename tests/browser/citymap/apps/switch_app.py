"""Two pages with a map each, beside Streamlit's own pydeck chart: for switching and for company."""

import sys
from pathlib import Path

import numpy as np
import streamlit as st

sys.path.insert(0, str(Path(__file__).parent))
import city
import pydeck as pdk

from pages.shared.citymap import ColorScale, HeatView, MapOptions, paint_occupancy

st.set_page_config(layout="wide")
chart = st.query_params.get("chart", "")
n = int(st.query_params.get("n", "16"))


def native() -> None:
    layer = pdk.Layer("ScatterplotLayer", [{"p": [13.53, 52.43]}], get_position="p", get_radius=99)
    st.pydeck_chart(
        pdk.Deck(
            layers=[layer],
            map_provider=None,
            initial_view_state=pdk.ViewState(longitude=13.53, latitude=52.43, zoom=12),
        ),
        height=200,
        key="native",
    )


if chart == "first":
    native()
if not st.checkbox("Hide the map"):
    base = city.occupancy(n, n)
    options = MapOptions(label="Occupancy", height=400, basemap=city.basemap())
    painted = paint_occupancy(
        city.grid(n), base, key="map", options=options, scale=ColorScale(0, 120, "people")
    )
    changed = int((painted.values.astype("f4") != base.astype("f4")).sum())
    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    st.text(f"revision={painted.revision} changed={changed} runs={st.session_state['runs']}")
if chart == "last":
    native()
st.button("Rerun")
st.page_link("pages/other.py", label="Other")
