"""Projections, edits on maps, and geometry checked before it is used."""

import struct

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import (
    BlockCells,
    CloseStreets,
    Grid,
    OccupancyMap,
    RemoveSensors,
    SetOccupancy,
)
from engine.errors import EngineError, GridError, InputError, MaskError, OccupancyError
from engine.geo.painting import edited_occupancy, sensor_mask
from engine.geo.projection import Projection, utm_crs
from engine.geo.wkb import GeometryLimits, check_wkb

GRID = Grid(13.5, 52.4, 13.58, 52.44, 4, 8)


@given(st.floats(-179.9, 179.9), st.floats(-80, 84))
def test_positions_come_back_to_a_millimetre(lon, lat):
    projection = Projection(utm_crs(lon, lat))
    back = projection.to_degrees(*projection.to_metric(lon, lat))
    assert back[0] == pytest.approx(lon, abs=1e-8)
    assert back[1] == pytest.approx(lat, abs=1e-8)


def test_known_position():
    x_m, y_m = Projection("EPSG:32633").to_metric([15.0], [0.0])
    assert (x_m[0], y_m[0]) == pytest.approx((500_000, 0), abs=1e-3)  # by definition of the zone


@pytest.mark.parametrize(
    ("lon", "lat", "crs"),
    [
        (13.54, 52.43, "EPSG:32633"),
        (-74.0, 40.7, "EPSG:32618"),
        (-43.2, -22.9, "EPSG:32723"),
        (-180.0, 0.0, "EPSG:32601"),
        (180.0, 0.0, "EPSG:32660"),
        (104.06, 30.66, "EPSG:32648"),
    ],
)
def test_local_zone(lon, lat, crs):
    assert utm_crs(lon, lat) == crs


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:999999", "", "nonsense", "EPSG:2263"])
def test_systems_that_are_not_metric(crs):
    with pytest.raises(GridError):
        Projection(crs)


def test_removed_sensors():
    edits = [
        RemoveSensors(((0, 0), (3, 7))),
        CloseStreets(("x",)),
        RemoveSensors(((0, 0), (1, 2))),
    ]
    mask = sensor_mask(GRID, edits)
    assert mask.num_missing == 3
    assert not mask.observed[1, 2]
    assert sensor_mask(GRID, []).observed.all()
    with pytest.raises(MaskError):
        sensor_mask(GRID, [RemoveSensors(((4, 0),))])


def test_edits_of_occupancy_follow_their_order():
    before = OccupancyMap(np.ones(GRID.shape), GRID)
    edits = [SetOccupancy(((0, 0), (0, 1)), (5.0, 2.0)), BlockCells(((0, 0),))]
    after = edited_occupancy(before, edits)
    assert after.values[0, :3].tolist() == [0.0, 2.0, 1.0]
    after = edited_occupancy(before, edits[::-1])
    assert after.values[0, :3].tolist() == [5.0, 2.0, 1.0]
    assert before.values.sum() == 32
    with pytest.raises(OccupancyError, match="outside"):
        edited_occupancy(before, [BlockCells(((0, 8),))])
    everywhere = BlockCells(tuple((r, c) for r in range(4) for c in range(8)))
    with pytest.raises(OccupancyError, match="zero everywhere"):
        edited_occupancy(before, [everywhere])


SHAPES = [
    "POINT (13 52)",
    "LINESTRING (13 52, 14 53, 15 52)",
    "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))",
    "MULTIPOINT (1 1, 2 2)",
    "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))",
    "MULTIPOLYGON (((0 0, 4 0, 4 4, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
    "GEOMETRYCOLLECTION (POINT (1 1), LINESTRING (0 0, 1 1))",
    "LINESTRING EMPTY",
    "POLYGON EMPTY",
]


@pytest.mark.parametrize("text", SHAPES)
@pytest.mark.parametrize("byte_order", [0, 1])
def test_sound_geometry_passes(text, byte_order):
    shape = shapely.from_wkt(text)
    content = shapely.to_wkb(shape, byte_order=byte_order)
    assert check_wkb(content) == shapely.count_coordinates(shape)


def nested(depth):
    return struct.pack("<BII", 1, 7, 1) * depth + shapely.to_wkb(shapely.Point(0, 0), byte_order=1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (nested(100_000), "nested"),
        (struct.pack("<BII", 1, 2, 2**31), "more than it holds"),
        (struct.pack("<BII", 1, 3, 2**32 - 1), "more than it holds"),
        (struct.pack("<BII", 1, 2, 1) + struct.pack("<2d", 0, 0), "too few"),
        (struct.pack("<BI2d", 1, 1, np.nan, 0), "not on Earth"),
        (struct.pack("<BI2d", 1, 1, 200, 0), "not on Earth"),
        (struct.pack("<BI2d", 1, 1001, 0, 0), "kind"),
        (struct.pack("<BI2d", 2, 1, 0, 0), "byte order"),
        (struct.pack("<BI2d", 1, 1, 0, 0) + b"x", "longer"),
        (struct.pack("<BIII", 1, 3, 1, 4) + struct.pack("<8d", *range(8)), "closed"),
        (struct.pack("<BII", 1, 6, 1) + struct.pack("<BI2d", 1, 1, 0, 0) + b" " * 5, "kind"),
        (b"", "truncated"),
    ],
)
def test_hostile_geometry_is_refused(content, said):
    with pytest.raises(InputError, match=said):
        check_wkb(content)


def test_limits_of_parts_and_vertices():
    many = shapely.to_wkb(shapely.MultiPoint(np.zeros((50, 2))))
    with pytest.raises(InputError, match="parts"):
        check_wkb(many, GeometryLimits(max_parts=49))
    line = shapely.to_wkb(shapely.LineString(np.zeros((50, 2))))
    with pytest.raises(InputError, match="vertices"):
        check_wkb(line, GeometryLimits(max_vertices=49))


@given(st.sampled_from(SHAPES), st.data())
def test_broken_bytes_never_reach_geos(text, data):
    """Cut or flipped anywhere, a geometry is refused here, or is one that GEOS can read."""
    content = bytearray(shapely.to_wkb(shapely.from_wkt(text)))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        check_wkb(content)
    except EngineError:
        return
    shapely.from_wkb(content)
