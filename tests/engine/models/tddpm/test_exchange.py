import subprocess
import sys

import numpy as np
import pytest

from engine.cities.trajectories import TrajectoryBatch
from engine.domain import Grid, OccupancyMap
from engine.errors import InputError, OccupancyError
from engine.models.tddpm.edits import occupancy_of_trips, painted_occupancy
from engine.models.tddpm.exchange import batch_of_tracks, tracks_of_batches
from engine.models.tddpm.generation import GenerationConfig, TrajectoryModel
from engine.models.tddpm.network import NetworkConfig
from engine.models.tddpm.occupancy import map_of_points
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.sampling import SamplerConfig
from engine.models.tddpm.task import straight_training
from engine.models.tddpm.tracks import LocalPlane, join_tracks, tracks_from_trips
from engine.models.tddpm.whatif import WhatIf

PLANE = LocalPlane(13.5, 52.4)
PURPOSES = ("work", "leisure")


@pytest.fixture
def batch():
    return TrajectoryBatch(
        ("a", "b", "c"),
        ("work", "", "through"),
        np.array(["2025-03-01T08:00", "2025-03-01T09:00", "2025-03-01T10:00"], "datetime64[ms]"),
        np.array([0, 5, 6, 12]),
        (13_500_000 + 100 * np.arange(12)).astype(np.int32),
        np.full(12, 52_400_000, np.int32),
        None,
        5.0,
    )


def test_trips_of_a_city(batch):
    tracks = tracks_of_batches([batch, batch], PLANE, 5.0, PURPOSES)
    assert tracks.num_points.tolist() == [5, 6, 5, 6]
    assert tracks.purpose.tolist() == [0, -1, 0, -1]
    assert len(set(tracks.person)) == 4
    assert tracks.start_s[0] == np.datetime64("2025-03-01T08:00").astype("datetime64[s]").astype(
        int
    )
    np.testing.assert_allclose(np.diff(tracks.trip(0)[:, 0]), 6.78, atol=0.02)


def test_coarser_steps_take_every_so_many_points(batch):
    tracks = tracks_of_batches([batch], PLANE, 10.0)
    assert tracks.num_points.tolist() == [3, 3]
    np.testing.assert_allclose(np.diff(tracks.trip(0)[:, 0]), 13.57, atol=0.03)
    with pytest.raises(InputError, match="does not divide"):
        tracks_of_batches([batch], PLANE, 12.0)
    with pytest.raises(InputError, match="long enough"):
        tracks_of_batches([batch], PLANE, 5.0, min_points=50)


def test_there_and_back(batch):
    tracks = tracks_of_batches([batch], PLANE, 5.0, PURPOSES)
    day = np.datetime64("1970-01-01")
    back = batch_of_tracks(tracks, PLANE, day, PURPOSES, first_trip=7)
    assert back.trip_ids == ("made-000007", "made-000008")
    assert back.purposes == ("work", "")
    np.testing.assert_array_equal(back.depart, batch.depart[[0, 2]])
    np.testing.assert_allclose(back.lon_udeg[:5], batch.lon_udeg[:5], atol=1)
    np.testing.assert_allclose(back.speed_kmh, 6.78 / 5 * 3.6, atol=0.02)


@pytest.fixture(scope="module")
def job():
    points = np.random.default_rng(0).normal(0, 900, (30_000, 2)).clip(-2_900, 2_900)
    city = map_of_points(points, 3_000 / 64)
    lon, lat = PLANE.to_degrees(np.array([[-3_000.0, -3_000.0], [3_000.0, 3_000.0]]))
    grid = Grid(float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1]), 20, 20)
    base = painted_occupancy(city, grid, PLANE)
    network = straight_training(
        NetworkConfig(channels=16, layers=1, heads=2, map_layers=1, map_patch=16), 0
    ).network
    prior = TripPrior(np.array([16.0, 30.0]), np.ones((1, 24)))
    return city, base, TrajectoryModel(network, prior, 32, 5.0, 3_000.0)


CONFIG = GenerationConfig(SamplerConfig(1), tries=1)


def trips_of(job, painted, seed=0, num=16):
    city, base, model = job
    chunks = WhatIf(city, base, painted, PLANE).trips(model, num, seed, CONFIG)
    return join_tracks([chunk.tracks for chunk in chunks])


def test_the_painted_map_has_all_points(job):
    city, base, _ = job
    assert base.values.sum() == city.counts.sum()


@pytest.mark.thorough
def test_an_edit_that_changes_nothing_changes_no_trip(job):
    _, base, _ = job
    same = OccupancyMap(base.values.copy(), base.grid)
    np.testing.assert_array_equal(trips_of(job, base).points_m, trips_of(job, same).points_m)
    difference = occupancy_of_trips(trips_of(job, same), base.grid, PLANE) - occupancy_of_trips(
        trips_of(job, base), base.grid, PLANE
    )
    assert not difference.any()


def test_a_blocked_square_stays_empty(job):
    city, base, _ = job
    values = base.values.copy()
    values[8:10, 8:10] = 0
    painted = OccupancyMap(values, base.grid)
    trips = trips_of(job, painted)
    (fence,) = WhatIf(city, base, painted, PLANE).fences()
    assert not fence.entered(trips).any()
    assert fence.entered(trips_of(job, base)).any()
    assert occupancy_of_trips(trips, base.grid, PLANE)[8:10, 8:10].sum() == 0
    assert occupancy_of_trips(trips_of(job, base), base.grid, PLANE)[8:10, 8:10].sum() > 0


def test_weights_for_another_scale_are_refused(job):
    city, base, model = job
    other = TrajectoryModel(model.network, model.prior, 32, 5.0, 1_300.0)
    with pytest.raises(OccupancyError, match="does not fit the weights"):
        WhatIf(city, base, base, PLANE).trips(other, 5, 0, CONFIG)


def test_trips_are_counted_in_rows_from_the_north():
    grid = Grid(13.4, 52.3, 13.6, 52.5, 2, 2)
    trips = tracks_from_trips([np.array([[-100.0, 100.0], [-90, 90]]), np.array([[50.0, -50]])], 5)
    assert occupancy_of_trips(trips, grid, PLANE).tolist() == [[2, 0], [0, 1]]


def test_maps_need_no_torch():
    modules = "edits, exchange, occupancy, people, plans, preparation, prior, tracks"
    code = (
        f"import sys; from engine.models.tddpm import {modules}; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
