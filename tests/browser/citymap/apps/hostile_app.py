"""Names that are scripts, in every place where a map shows text; and input that does not fit."""

import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
import streamlit as st

sys.path.insert(0, str(Path(__file__).parent))
import city
from attacks import ATTACKS

from engine.errors import EngineError
from pages.shared.citymap import (
    Basemap,
    ColorScale,
    Frames,
    HeatView,
    MapOptions,
    StreetChoice,
    StreetLines,
    TripGroup,
    TripMotion,
    paint_mask,
    paint_occupancy,
    select_streets,
    view_maps,
    view_trips,
)

kind = st.query_params.get("map", "streets")
grid = city.grid(8)
joined = " ".join(ATTACKS)
lines = [
    shapely.LineString([(13.52, 52.42 + i / 4000), (13.55, 52.42 + i / 4000)]) for i in range(40)
]
table = {"street_id": ATTACKS, "name": ATTACKS, "kind": ATTACKS}
frame = gpd.GeoDataFrame(table, geometry=lines, crs="EPSG:4326")
hostile = MapOptions(
    label=joined, basemap=Basemap.from_frames(frame, None, joined), table_open=True
)


def streets() -> None:
    result = select_streets(
        StreetChoice(StreetLines.from_frame(frame)), key="streets", options=hostile
    )
    st.text(f"closed={len(result.closed)}")


def views() -> None:
    values = np.random.default_rng(0).random((40, 8, 8))
    scale = ColorScale(0, 1, joined, joined)
    kinds = ColorScale.of_categories(tuple(ATTACKS[:8]), joined)
    all_views = [HeatView(a, values, scale) for a in ATTACKS[:3]]
    all_views.append(HeatView(ATTACKS[3], (values * 7).astype(int), kinds))
    view_maps(grid, all_views, key="views", frames=Frames(tuple(ATTACKS)), options=hostile)


def trips() -> None:
    paths = [np.asarray(line.coords) for line in lines]
    times = [np.array([0.0, 600.0])] * 40
    group = TripGroup(joined, paths, times, np.arange(40.0), tuple(ATTACKS))
    motion = TripMotion(scale=ColorScale(0, 40, joined, joined))
    view_trips([group], key="trips", options=hostile, motion=motion)


def wrong() -> None:
    nothing = gpd.GeoDataFrame(
        {"street_id": [], "name": [], "kind": []}, geometry=[], crs="EPSG:4326"
    )
    bare = MapOptions(basemap=Basemap.from_frames(nothing, nothing))
    holed = np.ones((8, 8))
    holed[3, 4] = np.nan
    cases = {
        "mask": lambda: paint_mask(grid, np.ones(63, bool), key="a"),
        "nan": lambda: paint_occupancy(grid, holed, key="b"),
        "length": lambda: paint_occupancy(grid, np.ones((4, 16)), key="c"),
        "streets": lambda: StreetLines.from_frame(nothing),
        "frames": lambda: view_maps(
            grid, [HeatView("x", np.ones(65), ColorScale(0, 1, "x"))], key="d"
        ),
    }
    for name, case in cases.items():
        try:
            case()
        except EngineError as error:
            st.error(f"{name}: {error}")
    holes = HeatView("With holes", holed, ColorScale(0, 1, "x"))
    view_maps(grid, [holes], key="bare", options=bare)  # no streets below, no data in one cell


{"streets": streets, "views": views, "trips": trips, "wrong": wrong}[kind]()
