"""Two pages with a map each, beside Streamlit's own pydeck chart: for switching and for company."""

import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parent))
import city

from engine.render.deck import heat_deck
from pages.shared.citymap import ColorScale, HeatView, MapOptions, paint_occupancy
from pages.shared.state import component_state

st.set_page_config(layout="wide")
chart = st.query_params.get("chart", "")
n = int(st.query_params.get("n", "16"))


def native() -> None:
    values = city.occupancy(8, 8)
    view = HeatView("People", values, ColorScale.of(values, "people"))
    st.pydeck_chart(heat_deck(city.grid(8), view, city.basemap()), height=200, key="native")


if chart == "first":
    native()
if not st.checkbox("Hide the map"):
    base = city.occupancy(n, n)
    options = MapOptions(label="Occupancy", height=400, basemap=city.basemap())
    painted = paint_occupancy(
        city.grid(n), base, key="map", options=options, scale=ColorScale(0, 120, "people")
    )
    changed = int((painted.values.astype("f4") != base.astype("f4")).sum())
    store = component_state()
    store["runs"] = store.get("runs", 0) + 1
    st.text(f"revision={painted.revision} changed={changed} runs={store['runs']}")
if chart == "last":
    native()
st.button("Rerun")
st.page_link("pages/other.py", label="Other")
