"""Hexagons cover a grid, and values move between the two without loss."""

import h3
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain import Aggregation, Grid
from engine.errors import FieldError, GridError
from engine.geo.cells import cell_centers, cells_frame
from engine.geo.hexagons import hexagon_of, hexagons_over
from engine.geo.transfer import transfer_between

GRID = Grid(13.51, 52.42, 13.55, 52.45, 16, 12)


@st.composite
def cases(draw):
    """A box of a town's size anywhere, cut anyhow, and hexagons finer or coarser than its cells."""
    west, south = draw(st.floats(-180, 179.9)), draw(st.floats(-80, 79.9))
    size = draw(st.floats(0.005, 0.05))
    box = west, south, min(west + size, 180.0), south + size
    grid = Grid(*box, draw(st.integers(1, 12)), draw(st.integers(1, 12)))
    return grid, hexagons_over(grid, draw(st.integers(5, 9)))


@given(cases())
@settings(max_examples=40, deadline=None)
def test_sums_are_kept_there_and_back(case):
    grid, hexagons = case
    transfer = transfer_between(grid, hexagons)
    values = np.random.default_rng(0).poisson(5, (3, *grid.shape)).astype(float)
    there = transfer.to_hexagons(values, Aggregation.SUM)
    back = transfer.to_cells(there, Aggregation.SUM)
    np.testing.assert_allclose(np.nansum(there, axis=1), values.sum(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(back.sum(axis=(1, 2)), values.sum(axis=(1, 2)), rtol=1e-12)
    assert np.nanmin(there) >= 0
    assert back.min() >= 0


@given(cases())
@settings(max_examples=40, deadline=None)
def test_means_stay_between_the_values_they_come_from(case):
    grid, hexagons = case
    transfer = transfer_between(grid, hexagons)
    values = np.random.default_rng(0).uniform(10, 60, grid.shape)
    there = transfer.to_hexagons(values, Aggregation.MEAN)
    back = transfer.to_cells(there, Aggregation.MEAN)
    for moved in (there, back):
        assert np.nanmin(moved) >= values.min() - 1e-9
        assert np.nanmax(moved) <= values.max() + 1e-9
    flat = transfer.to_hexagons(np.full(grid.shape, 7.0), Aggregation.MEAN)
    np.testing.assert_allclose(flat[np.isfinite(flat)], 7.0)


@pytest.mark.parametrize("resolution", [8, 9, 10])
def test_hexagons_cover_the_grid(resolution):
    hexagons = hexagons_over(GRID, resolution)
    box = shapely.box(*GRID.bounds)
    union = hexagons.frame().union_all()
    assert union.buffer(1e-9).covers(box)
    assert hexagons.frame().geometry.intersects(box).all()
    assert len(set(hexagons.ids)) == len(hexagons)


def test_shares_agree_with_areas_measured_another_way():
    """Against areas in metres (UTM), cell by cell."""
    hexagons = hexagons_over(GRID, 8)
    transfer = transfer_between(GRID, hexagons)
    one = np.zeros(GRID.shape)
    one[5, 7] = 1.0
    there = transfer.to_hexagons(one, Aggregation.SUM)
    cell = cells_frame(GRID).to_crs(32633).geometry[5 * 12 + 7]
    areas = hexagons.frame().to_crs(32633).geometry.intersection(cell).area / cell.area
    np.testing.assert_allclose(there, areas, atol=2e-3)


def test_places_without_a_value_do_not_count():
    transfer = transfer_between(GRID, hexagons_over(GRID, 9))
    values = np.full(GRID.shape, 30.0)
    values[:, 6:] = np.nan
    mean = transfer.to_hexagons(values, Aggregation.MEAN)
    assert set(np.round(mean[np.isfinite(mean)], 9)) == {30.0}
    assert np.isnan(mean).any()
    total = transfer.to_hexagons(values, Aggregation.SUM)
    assert np.nansum(total) == pytest.approx(30.0 * 16 * 6)


def test_leading_axes_are_kept():
    hexagons = hexagons_over(GRID, 9)
    transfer = transfer_between(GRID, hexagons)
    there = transfer.to_hexagons(np.ones((2, 3, 16, 12), np.uint8), Aggregation.SUM)
    assert there.shape == (2, 3, len(hexagons))
    assert transfer.to_cells(there, Aggregation.SUM).shape == (2, 3, 16, 12)


def test_wrong_shapes_are_refused():
    transfer = transfer_between(GRID, hexagons_over(GRID, 9))
    with pytest.raises(FieldError):
        transfer.to_hexagons(np.ones((12, 16)), Aggregation.SUM)
    with pytest.raises(FieldError):
        transfer.to_cells(np.ones(3), Aggregation.SUM)
    other = Grid(13.51, 52.42, 13.55, 52.46, 16, 12)
    with pytest.raises(GridError):
        transfer_between(other, hexagons_over(GRID, 9))


@pytest.mark.parametrize(
    ("grid", "resolution"),
    [(GRID, -1), (GRID, 16), (GRID, 14), (Grid(-170, -80, 170, 80, 8, 8), 2)],
)
def test_too_many_hexagons_are_refused_before_they_are_made(grid, resolution):
    with pytest.raises(GridError):
        hexagons_over(grid, resolution)


def test_corners_at_denormal_numbers():
    grid = Grid(0.0, 2.225073858507203e-309, 0.03125, 0.03125, 1, 1)
    transfer = transfer_between(grid, hexagons_over(grid, 7))
    assert np.nansum(transfer.to_hexagons(np.ones((1, 1)), Aggregation.SUM)) == pytest.approx(1)


@pytest.mark.parametrize("west", [-180.0, 179.9])
def test_at_the_date_line(west):
    grid = Grid(west, -17.0, west + 0.1, -16.9, 8, 8)
    hexagons = hexagons_over(grid, 7)
    transfer = transfer_between(grid, hexagons)
    there = transfer.to_hexagons(np.ones(grid.shape), Aggregation.SUM)
    assert np.nansum(there) == pytest.approx(64.0)
    assert all(np.ptp(ring[:, 0]) < 1 for ring in hexagons.rings())


def test_points_and_the_library_agree():
    lon, lat = (axis.ravel() for axis in cell_centers(GRID))
    names = hexagon_of(lon, lat, 9)
    assert names[0] == h3.latlng_to_cell(lat[0], lon[0], 9)
    assert set(names) <= set(hexagons_over(GRID, 9).ids)
    frame = hexagons_over(GRID, 9).frame().set_index("hex_id")
    for name, x, y in zip(names, lon, lat, strict=True):
        assert frame.geometry[name].buffer(1e-7).covers(shapely.Point(x, y))
