import numpy as np
import pytest

from engine.errors import InputError
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.tracks import tracks_from_trips
from engine.models.walk_baselines.guided_walk import WalkConfig, draw_places, fit_walk, walk_trips
from engine.models.walk_baselines.resampling import (
    fit_weights,
    resample_trips,
)
from engine.models.walk_baselines.shortest_paths import StreetGraph, graph_of_map, path_trips

PRIOR = TripPrior(np.array([40.0, 41.0]), np.ones((1, 24)))


def city_of(counts, cell_m=50.0):
    counts = np.asarray(counts, float)
    return CityMap(counts, 0.0, cell_m * counts.shape[0], cell_m)


def test_places_follow_the_map():
    city = city_of([[0, 3], [1, 0]])
    places = draw_places(city, 4_000, np.random.default_rng(0))
    shares = city.count(places) / 4_000
    np.testing.assert_allclose(shares, [[0, 0.75], [0.25, 0]], atol=0.03)


@pytest.mark.parametrize("persistence", [0.0, 0.9])
def test_the_walk_stays_spread_as_the_map_says(persistence):
    rng = np.random.default_rng(0)
    city = city_of(rng.gamma(0.5, 1, (12, 12)))
    trips = walk_trips(city, PRIOR, WalkConfig(persistence, 8.0), 4_000, 5.0, rng)
    wanted = city.counts / city.counts.sum()
    first, last = (city.count(e) / 4_000 for e in trips.ends_m())
    # sampling alone gives about 0.07 in total variation with 144 cells and 4,000 walkers
    assert np.abs(first - wanted).sum() / 2 < 0.1
    assert np.abs(last - wanted).sum() / 2 < 0.1
    assert (trips.num_points == 40).all()


def test_the_walk_never_enters_empty_cells():
    counts = np.ones((10, 10))
    counts[3:6, 3:6] = 0
    city = city_of(counts)
    trips = walk_trips(city, PRIOR, WalkConfig(0.8, 10.0), 300, 5.0, np.random.default_rng(0))
    cells = city.cell_of(trips.points_m)
    assert (cells >= 0).all()
    assert (city.counts.ravel()[cells] > 0).all()


def test_walk_is_fitted_to_velocities():
    rng = np.random.default_rng(0)
    rho, sigma = 0.8, 3.0
    trips = []
    for _ in range(100):
        v = rng.normal(0, sigma, (200, 2))
        for i in range(1, 200):
            v[i] = rho * v[i - 1] + np.sqrt(1 - rho**2) * v[i]
        trips.append(np.cumsum(v * 5.0, axis=0))
    fitted = fit_walk(tracks_from_trips(trips, 5.0))
    assert fitted.persistence == pytest.approx(rho, abs=0.02)
    assert fitted.speed_m_s == pytest.approx(sigma, rel=0.03)
    with pytest.raises(InputError, match="Nobody moves"):
        fit_walk(tracks_from_trips([np.ones((5, 2))], 5.0))


def test_shortest_paths_take_the_quick_way_and_keep_to_edges():
    # a square of 100 m; one side is slow, so that the way round is quicker
    nodes = np.array([[0.0, 0], [100, 0], [100, 100], [0, 100]])
    tail = np.array([0, 1, 2, 3, 1, 2, 3, 0])
    head = np.array([1, 2, 3, 0, 0, 1, 2, 3])
    cost = np.array([100.0, 10, 10, 10, 100, 10, 10, 10])
    graph = StreetGraph(nodes, tail, head, cost, np.full(8, 100.0))
    city = city_of([[0, 0], [1, 1]])  # origins and destinations in the south
    trips = path_trips(graph, city, 30, 5.0, np.random.default_rng(0))
    assert len(trips) == 30
    for i in range(30):
        points = trips.trip(i)
        assert points[:, 1].max() == 100  # round by the north
        on_edge = np.isclose(points, 0) | np.isclose(points, 100)
        assert on_edge.any(axis=1).all()
        assert len(points) == 7  # 30 s
        np.testing.assert_allclose(np.abs(np.diff(points, axis=0)).sum(axis=1), 50)


def test_the_map_is_a_network_where_there_are_no_streets():
    counts = np.zeros((9, 9))
    counts[4, :] = 5
    counts[:, 4] = 1
    city = city_of(counts)
    graph = graph_of_map(city, 5.0)
    assert len(graph.nodes_m) == 17
    trips = path_trips(graph, city, 40, 5.0, np.random.default_rng(1))
    cells = city.cell_of(trips.points_m)
    # corners are cut by half a cell at most
    assert (city.counts.ravel()[cells] > 0).mean() > 0.9


def test_broken_networks_are_refused():
    one = np.zeros(1, np.int64)
    with pytest.raises(InputError, match="does not exist"):
        StreetGraph(np.zeros((1, 2)), one, one + 5, np.ones(1), np.ones(1))
    with pytest.raises(InputError, match="no length"):
        StreetGraph(np.zeros((2, 2)), one, one + 1, np.zeros(1), np.ones(1))
    apart = StreetGraph(np.array([[0.0, 0], [1, 0]]), one, one + 1, np.ones(1), np.ones(1))
    with pytest.raises(InputError, match="connected"):
        path_trips(apart, city_of([[1.0]]), 3, 5.0, np.random.default_rng(0))


def test_training_trips_are_weighted_towards_the_map():
    left, right = np.full((10, 2), 25.0), np.full((30, 2), [475.0, 25.0])
    training = tracks_from_trips([left] * 6 + [right] * 2, 5.0)
    counts = np.zeros((3, 12))
    counts[2, 0], counts[2, 9] = 1, 3
    city = city_of(counts)
    weight = fit_weights(training, city)
    share = weight * training.num_points
    assert share[6:].sum() / share.sum() == pytest.approx(0.75, abs=0.01)
    drawn = resample_trips(training, city, 500, np.random.default_rng(0))
    points = city.count(drawn.points_m)
    assert points[2, 9] / points.sum() == pytest.approx(0.75, abs=0.05)
    blocked = counts == 3
    left_over = resample_trips(training, city, 20, np.random.default_rng(0), blocked)
    assert (left_over.num_points == 10).all()
    with pytest.raises(InputError, match="blocked"):
        resample_trips(training, city, 20, np.random.default_rng(0), counts > 0)
    with pytest.raises(InputError, match="No training trip"):
        fit_weights(training, city_of(np.pad(np.ones((1, 1)), ((0, 2), (6, 5)))))
