"""Points, cells and edges: round trips for any grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import Grid
from engine.errors import InputError, OccupancyError
from engine.geo.cells import (
    OUTSIDE,
    cell_centers,
    cell_size_m,
    cells_frame,
    cells_of,
    cells_of_metric,
    cells_to_metric,
    column_edges,
    histogram,
    occupancy_of,
    row_edges,
)

GRID = Grid(13.5, 52.4, 13.58, 52.44, 4, 8)


@st.composite
def grids(draw):
    """Boxes of any place and size, up to the map's limits."""
    west, south = draw(st.floats(-180, 179.5)), draw(st.floats(-85, 84.5))
    east = draw(st.floats(min(west + 1e-3, 180), 180).filter(lambda v: v > west))
    north = draw(st.floats(min(south + 1e-3, 85), 85).filter(lambda v: v > south))
    return Grid(west, south, east, north, draw(st.integers(1, 60)), draw(st.integers(1, 60)))


def test_rows_count_from_the_north():
    row, col = cells_of(GRID, [13.501, 13.579], [52.439, 52.401])
    assert list(row) == [0, 3]
    assert list(col) == [0, 7]


def test_edges_belong_to_the_cell_south_east_of_them():
    lon, lat = column_edges(GRID), row_edges(GRID)
    row, col = cells_of(GRID, lon, np.full(9, 52.405))
    assert list(col) == [0, 1, 2, 3, 4, 5, 6, 7, 7]
    row, col = cells_of(GRID, np.full(5, 13.505), lat)
    assert list(row) == [0, 1, 2, 3, 3]


def test_points_outside_have_no_cell():
    lon = [13.49999, 13.58001, 13.55, 13.55, np.nan, np.inf, 373.55]
    lat = [52.42, 52.42, 52.39999, 52.44001, 52.42, 52.42, 52.42]
    row, col = cells_of(GRID, lon, lat)
    assert set(row) == set(col) == {OUTSIDE}


def test_as_many_longitudes_as_latitudes():
    with pytest.raises(InputError):
        cells_of(GRID, [1, 2], [1])


@given(grids())
def test_middles_lie_in_their_cells(grid):
    row, col = cells_of(grid, *cell_centers(grid))
    expected_row, expected_col = np.indices(grid.shape)
    np.testing.assert_array_equal(row, expected_row)
    np.testing.assert_array_equal(col, expected_col)


@given(grids())
def test_every_edge_lies_in_a_cell_that_has_it(grid):
    lon, lat = np.meshgrid(column_edges(grid), row_edges(grid))
    row, col = cells_of(grid, lon, lat)
    assert row.min() >= 0
    assert col.min() >= 0
    assert (column_edges(grid)[col] <= lon).all()
    assert (column_edges(grid)[col + 1] >= lon).all()
    assert (row_edges(grid)[row] >= lat).all()
    assert (row_edges(grid)[row + 1] <= lat).all()


@given(grids(), st.data())
def test_any_point_lies_within_the_bounds_of_its_cell(grid, data):
    lon = data.draw(st.floats(grid.west, grid.east))
    lat = data.draw(st.floats(grid.south, grid.north))
    row, col = cells_of(grid, lon, lat)
    assert column_edges(grid)[col] <= lon <= column_edges(grid)[col + 1]
    assert row_edges(grid)[row] >= lat >= row_edges(grid)[row + 1]


@given(st.floats(-179, 179), st.floats(-80, 80), st.integers(1, 40), st.integers(1, 40))
def test_metric_positions_come_back_to_their_cells(west, south, rows, cols):
    grid = Grid(west, south, min(west + 0.1, 180), south + 0.1, rows, cols)
    row, col = cells_of_metric(grid, *cells_to_metric(grid))
    expected_row, expected_col = np.indices(grid.shape)
    np.testing.assert_array_equal(row, expected_row)
    np.testing.assert_array_equal(col, expected_col)


def test_cells_as_a_table():
    frame = cells_frame(GRID)
    assert frame.crs == "EPSG:4326"
    assert len(frame) == 32
    assert tuple(frame.total_bounds) == GRID.bounds
    np.testing.assert_allclose(frame.union_all().area, 0.08 * 0.04)
    for row, col, shape in zip(frame["row"], frame["col"], frame.geometry, strict=True):
        assert cells_of(GRID, shape.centroid.x, shape.centroid.y) == (row, col)


def test_size_of_a_cell_in_metres():
    width_m, height_m = cell_size_m(GRID)
    radius_m = 6_371_000
    assert width_m == pytest.approx(
        np.radians(0.01) * radius_m * np.cos(np.radians(52.42)), rel=5e-3
    )
    assert height_m == pytest.approx(np.radians(0.01) * radius_m, rel=5e-3)


def test_histogram_counts_and_weighs():
    lon, lat = [13.501, 13.502, 13.579, 99.0], [52.439, 52.438, 52.401, 52.41]
    counts = histogram(GRID, lon, lat)
    assert counts[0, 0] == 2
    assert counts[3, 7] == 1
    assert counts.sum() == 3
    weights = histogram(GRID, lon, lat, [0.5, 1.5, 4.0, 100.0])
    assert weights[0, 0] == 2.0
    assert weights.sum() == 6.0


@given(grids(), st.integers(0, 2**32 - 1))
def test_histogram_counts_each_point_inside_once(grid, seed):
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(grid.west, grid.east, 300), rng.uniform(grid.south, grid.north, 300)
    assert histogram(grid, lon, lat).sum() == 300
    assert occupancy_of(grid, lon, lat).total == 300


def test_occupancy_of_points_elsewhere():
    with pytest.raises(OccupancyError):
        occupancy_of(GRID, [0.0], [0.0])
