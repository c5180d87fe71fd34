"""The other page: another map of the component."""

import sys
from pathlib import Path

import numpy as np
import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[1]))
import city

from pages.shared.citymap import ColorScale, HeatView, MapOptions, view_maps

st.set_page_config(layout="wide")
values = city.occupancy(16, 16)[None] * np.linspace(0.2, 1, 6)[:, None, None]
chosen = view_maps(
    city.grid(16),
    [HeatView("People", values, ColorScale.of(values, "people"))],
    key="other",
    options=MapOptions(label="People", height=400, basemap=city.basemap()),
)
st.text(f"cell={chosen.cell}")
st.page_link("switch_app.py", label="Map")
