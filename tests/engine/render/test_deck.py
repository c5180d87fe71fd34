"""The descriptions that pydeck gets: complete, local, in the right places."""

import json

import geopandas as gpd
import numpy as np
import pydeck as pdk
import pytest
import shapely

from engine.domain import Grid
from engine.errors import CityError, InputError
from engine.geo.hexagons import HexCells
from engine.render.basemap import THEMES, Basemap, StreetLines, street_width_m
from engine.render.deck import (
    HeatView,
    bounds_of,
    cell_layer,
    cells_to_json,
    centres,
    describe,
    heat_deck,
)
from engine.render.palettes import (
    CATEGORICAL,
    SEQUENTIAL,
    ColorScale,
    categorical_colors,
    cell_colors,
    sequential_stops,
)

GRID = Grid(13.5, 52.4, 13.6, 52.46, 3, 4)


def luminance(color):
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_centres_run_row_by_row_from_the_north_west():
    middle = centres(GRID)
    assert middle.shape == (12, 2)
    assert middle[0] == pytest.approx([13.5125, 52.45])
    assert middle[3] == pytest.approx([13.5875, 52.45])
    assert middle[4] == pytest.approx([13.5125, 52.43])


def test_a_static_map_is_complete_and_asks_nobody():
    values = np.arange(12.0).reshape(3, 4)
    deck = heat_deck(GRID, HeatView("A", values, ColorScale(0, 11, "x")))
    assert isinstance(deck, pdk.Deck)
    spec = json.loads(deck.to_json())
    assert "http" not in json.dumps(spec)
    (layer,) = spec["layers"]
    assert layer["@@type"] == "ColumnLayer" and len(layer["data"]) == 12
    assert layer["data"][11]["height"] == 1
    widths = np.ptp(np.array(layer["vertices"]), axis=0)
    assert widths[0] == pytest.approx(0.025 * 111_320 * np.cos(np.radians(52.43)), rel=1e-6)
    assert widths[1] == pytest.approx(0.02 * 111_320, rel=1e-6)


def test_hexagons_are_described_by_centres_and_one_outline():
    from h3 import grid_disk, latlng_to_cell

    ids = tuple(sorted(grid_disk(latlng_to_cell(52.43, 13.55, 9), 2)))
    cells = HexCells(GRID, 9, ids)
    plain = cells_to_json(cells)
    assert plain["ids"] == list(ids)
    assert plain["centres"].shape == (38,)
    assert len(plain["outline"]) == 12
    west, south, east, north = bounds_of(cells)
    assert west < 13.55 < east and south < 52.43 < north
    assert cell_layer("main", cells, is_3d=True).type == "H3HexagonLayer"


def test_linked_views_share_the_width_four_stand_in_two_rows():
    spec = json.loads(describe([], GRID.bounds, ["a", "b", "c"], is_3d=True).to_json())
    assert [view["x"] for view in spec["views"]] == ["0.0000%", "33.3333%", "66.6667%"]
    spec = json.loads(describe([], GRID.bounds, list("abcd"), is_3d=True).to_json())
    assert [(v["x"], v["y"]) for v in spec["views"]][3] == ("50.0000%", "50.0000%")
    with pytest.raises(InputError, match="At most 4"):
        describe([], GRID.bounds, list("abcde"), is_3d=True)


@pytest.mark.parametrize(
    "values",
    [
        np.ones(11),
        np.ones((2, 11)),
        np.ones((4, 3)),
        np.array(["a"] * 12),
        np.full(12, np.inf),
        np.zeros((0, 12)),
    ],
)
def test_values_that_do_not_fit_are_refused(values):
    with pytest.raises(InputError):
        HeatView("A", values, ColorScale(0, 1, "x")).frames(GRID)


def test_values_in_all_arrangements():
    for shape in ((12,), (3, 4), (5, 12), (5, 3, 4)):
        assert HeatView("A", np.ones(shape), ColorScale(0, 1, "x")).frames(GRID).shape[1] == 12


@pytest.mark.parametrize("palette", SEQUENTIAL)
def test_sequential_palettes_run_steadily_away_from_the_paper(palette):
    for theme, sign in (("light", -1), ("dark", 1)):
        steps = [luminance(color) for color in sequential_stops(palette)[theme]]
        assert (np.diff(steps) * sign > 0).all()
        assert sequential_stops(palette)[theme][0][3] < 100  # the city shows through


def test_categorical_colours_are_told_apart_by_colour_blind_eyes():
    # Vienot 1999: protanopia and deuteranopia as matrices on linear RGB
    sight = {
        "normal": np.eye(3),
        "protan": np.array([[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.004, -0.004, 1]]),
        "deutan": np.array([[0.2927, 0.7073, 0], [0.2927, 0.7073, 0], [-0.0223, 0.0223, 1]]),
    }
    colors = (np.array([c[:3] for c in categorical_colors(6)]) / 255) ** 2.2
    for matrix in sight.values():
        seen = np.clip(colors @ matrix.T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + np.eye(6)
        assert apart.min() > 0.1
    assert len(CATEGORICAL.split()) == 8
    with pytest.raises(InputError):
        categorical_colors(9)


def test_colours_of_values():
    scale = ColorScale(0, 10, "x", palette="viridis")
    colors = cell_colors(np.array([0, 10, np.nan, 99]), scale, "dark")
    assert colors[0].tolist()[:3] == [0x44, 0x01, 0x54]
    assert colors[1].tolist() == colors[3].tolist() == [0xFD, 0xE7, 0x25, 255]
    assert colors[2].tolist() == [0, 0, 0, 0]


def test_scales_from_values():
    assert ColorScale.of(np.array([3.0, np.nan, 7.0]), "x").high == 7
    assert ColorScale.of(np.zeros(3), "x").high == 1
    assert ColorScale.of(np.array([np.nan]), "x").low == 0
    around = ColorScale.around_zero(np.array([-3.0, 2.0]), "x")
    assert (around.low, around.high) == (-3, 3)
    for low, high in ((1, 0), (0, np.inf), (np.nan, 1)):
        with pytest.raises(InputError):
            ColorScale(low, high, "x")
    with pytest.raises(InputError, match="palette"):
        ColorScale(0, 1, "x", palette="jet")


def test_basemap_layers_hold_no_names():
    line = shapely.MultiLineString(
        [[(13.5, 52.4), (13.51, 52.41)], [(13.52, 52.4), (13.53, 52.41)]]
    )
    table = {"street_id": ["a", "b"], "name": ["Secret", "Other"], "kind": ["primary", "service"]}
    streets = gpd.GeoDataFrame(table, geometry=[line, shapely.LineString()], crs="EPSG:4326")
    areas = gpd.GeoDataFrame(
        {"kind": ["water", "unknown"]},
        geometry=[shapely.box(13.5, 52.4, 13.51, 52.41)] * 2,
        crs="EPSG:4326",
    )
    basemap = Basemap.from_frames(streets, areas, "Me")
    layers = basemap.layers()
    assert [layer.id for layer in layers] == ["base-water", "base-street"]
    assert {layer.id[5:] for layer in layers} <= set(THEMES["dark"])
    text = describe(layers, GRID.bounds, is_3d=False).to_json()
    assert "Secret" not in text
    assert Basemap.from_frames(streets, None).digest != basemap.digest
    assert street_width_m("highway.primary") == street_width_m("primary_link") > street_width_m("?")
    lines = StreetLines.from_frame(streets)
    assert (
        lines.ids == ("a",) and lines.owners.tolist() == [0, 0] and lines.starts.tolist() == [0, 2]
    )
    with pytest.raises(CityError, match="no streets"):
        StreetLines.from_frame(streets.iloc[1:])


def test_themes_are_legible():
    for theme in THEMES.values():
        light, dark = sorted(
            (luminance(theme["ink"]), luminance(theme["background"])), reverse=True
        )
        assert (light + 0.05) / (dark + 0.05) > 7
