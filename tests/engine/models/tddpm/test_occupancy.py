import numpy as np
import pytest

from engine.domain import Grid, OccupancyMap
from engine.errors import OccupancyError
from engine.models.tddpm.edits import apply_painted, painted_fence
from engine.models.tddpm.frames import count_map
from engine.models.tddpm.occupancy import (
    CityMap,
    cut_regions,
    frames_of_slices,
    map_of_points,
    network_input,
    region_side_m,
    slice_map,
)
from engine.models.tddpm.tracks import LocalPlane

PLANE = LocalPlane(13.5, 52.4)


@pytest.fixture
def points():
    rng = np.random.default_rng(3)
    return rng.normal(0, 2_000, (50_000, 2)).clip(-4_500, 4_500)


@pytest.fixture
def city(points):
    return map_of_points(points, 3_000 / 64)


def test_every_point_is_counted(city, points):
    assert city.counts.sum() == len(points)


def test_a_slice_is_the_histogram_of_its_region(city, points):
    for row, col in ((0, 0), (40, 70), (-20, 150), (city.shape[0] - 10, -63)):
        frames = frames_of_slices(city, np.array([row]), np.array([col]))
        exact = count_map(frames.to_canonical(points, 0))
        # a point on a cell's border may fall to either side
        assert np.abs(slice_map(city, row, col) - exact).sum() <= 4


def test_region_weights_are_the_shares_of_points(city):
    regions = cut_regions(city, overlap=8)
    assert regions.weight.sum() == pytest.approx(1)
    covered = np.zeros(city.shape, int)
    for row, col in zip(regions.row, regions.col, strict=True):
        covered[max(row, 0) : row + 64, max(col, 0) : col + 64] += 1
    assert (covered[city.counts > 0] > 0).all()
    share = city.counts / np.maximum(covered, 1)
    expected = [
        share[max(row, 0) : row + 64, max(col, 0) : col + 64].sum()
        for row, col in zip(regions.row, regions.col, strict=True)
    ]
    np.testing.assert_allclose(regions.weight, np.array(expected) / sum(expected), atol=1e-6)


def test_a_city_smaller_than_a_region_is_one_region():
    city = CityMap(np.ones((20, 30)), 0.0, 100.0, 10.0)
    regions = cut_regions(city)
    assert len(regions) == 1
    assert slice_map(city, int(regions.row[0]), int(regions.col[0])).sum() == 600


def test_network_input_ignores_scale():
    counts = np.random.default_rng(0).poisson(1.0, (2, 64, 64)).astype(float)
    np.testing.assert_allclose(network_input(counts), network_input(counts * 1000), rtol=1e-6)
    assert network_input(counts).max() == 1
    assert not network_input(np.zeros((64, 64))).any()


def test_regions_shrink_with_the_city():
    assert region_side_m(35_000, 38_000) == 3_000
    assert region_side_m(2_600, 3_300) == 1_300


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf])
def test_bad_maps_are_refused(value):
    counts = np.ones((4, 4))
    counts[2, 1] = value
    with pytest.raises(OccupancyError, match="row 2, column 1"):
        CityMap(counts, 0, 0, 1)
    with pytest.raises(OccupancyError, match="zero everywhere"):
        CityMap(np.zeros((4, 4)), 0, 0, 1)


def test_points_spread_too_far_are_refused():
    with pytest.raises(OccupancyError, match="too large"):
        map_of_points(np.array([[0.0, 0.0], [1e7, 1e7]]), 47.0)


@pytest.fixture
def painted():
    lon, lat = PLANE.to_degrees(np.array([[-4_500.0, -4_500.0], [4_500.0, 4_500.0]]))
    grid = Grid(lon[0], lat[0], lon[1], lat[1], 16, 16)
    return OccupancyMap(np.random.default_rng(0).uniform(1, 5, (16, 16)), grid)


def edited(base, row, col, value):
    values = base.values.copy()
    values[row, col] = value
    return OccupancyMap(values, base.grid)


def test_no_edit_changes_no_bit(city, painted):
    assert np.array_equal(apply_painted(city, painted, painted, PLANE).counts, city.counts)
    assert not painted_fence(painted, painted, PLANE).cells.any()


def test_an_edit_scales_its_place_only(city, painted):
    after = apply_painted(city, painted, edited(painted, 8, 8, painted.values[8, 8] * 3), PLANE)
    changed = after.counts != city.counts
    np.testing.assert_allclose(after.counts[changed], 3 * city.counts[changed])
    assert 100 < changed.sum() < 300  # 562 m in cells of 47 m
    assert city.counts[changed].sum() > 0


def test_a_new_place_is_filled_evenly(city, painted):
    empty = edited(painted, 8, 8, 0.0)
    nobody = apply_painted(city, painted, empty, PLANE)
    again = apply_painted(nobody, empty, edited(empty, 8, 8, 2.0), PLANE)
    new = (nobody.counts == 0) & (again.counts > 0)
    assert len(np.unique(again.counts[new].round(9))) == 1
    # as many points per unit of the user's scale as elsewhere
    per_unit = nobody.counts.sum() / empty.values.sum()
    assert again.counts[new].sum() == pytest.approx(2 * per_unit, rel=0.05)


def test_the_fence_is_the_painted_square(painted):
    fence = painted_fence(painted, edited(painted, 8, 8, 0.0), PLANE)
    rng = np.random.default_rng(1)
    inside = rng.uniform([1, -561], [561, -1], (5_000, 2))
    assert fence.holds(inside).all()
    around = rng.uniform(-1_200, 1_200, (5_000, 2))
    x, y = around.T
    near = (x > -1) & (x < 563) & (y > -564) & (y < 1)
    assert not fence.holds(around[~near]).any()


def test_blocking_everything_is_refused(city, painted):
    # a painted map cannot be all zero; one that is zero wherever anybody was must not pass either
    counts = np.where(np.arange(city.shape[1]) < 20, city.counts + 1, 0)
    counts[-2:] = 0  # beyond the painted map's southern edge
    west = CityMap(counts, city.west_m, city.north_m, city.cell_m)
    values = painted.values.copy()
    values[:, :8] = 0
    with pytest.raises(OccupancyError, match="blocks every place"):
        apply_painted(west, painted, OccupancyMap(values, painted.grid), PLANE)
