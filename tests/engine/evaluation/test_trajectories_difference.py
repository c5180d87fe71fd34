import numpy as np
import pytest
from scipy import sparse

from engine.domain import Grid
from engine.evaluation.trajectories_difference import (
    compare_fitted,
    control_false_share,
    correlation,
    count_trips_in_cells,
    fit_without_groups,
    jackknife_spread,
    number_distinct,
)
from engine.models.tddpm.expansion import paired_factors
from engine.models.tddpm.tracks import LocalPlane, tracks_from_trips

SIDE = 8


def walked_counts(seed, num=300, size=SIDE):
    """Trips that go straight along a row and a column of a grid, as along streets."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((num, size, size))
    for trip in counts:
        row, col = rng.integers(size, size=2)
        low, high = np.sort(rng.integers(size, size=2))
        trip[row, low : high + 1] += rng.integers(1, 4)
        trip[low : high + 1, col] += rng.integers(1, 4)
    return sparse.csr_matrix(counts.reshape(num, -1))


def compare(before, after, maps, shape=(SIDE, SIDE)):
    factors = paired_factors(before, after, maps)
    units = np.arange(before.shape[0])
    without = fit_without_groups((before, after), maps, (units, units))
    return compare_fitted((before, after), factors, without, shape)


@pytest.fixture(scope="module")
def city_map():
    return np.asarray(walked_counts(99, 5_000).sum(axis=0)).ravel() * 3.0


def test_the_same_trips_on_the_same_map_differ_nowhere(city_map):
    counts = walked_counts(0)
    same = compare(counts, counts.copy(), (city_map, city_map))
    assert not same.change.any()
    assert not same.spread.any()
    assert not same.marked.any()


def test_other_trips_on_the_same_map_are_hardly_ever_marked(city_map):
    found = [
        compare(walked_counts(2 * s), walked_counts(2 * s + 1), (city_map, city_map))
        for s in range(8)
    ]
    assert np.mean([difference.marked.mean() for difference in found]) <= 0.05
    # not because nothing ever would be: the spread is of the changes' size, and on the safe side
    changes, spreads = (np.stack([getattr(d, n) for d in found]) for n in ("change", "spread"))
    assert 0.5 < np.sqrt(np.mean(changes**2) / np.mean(spreads**2)) < 1.1


def test_a_place_that_loses_two_fifths_is_marked(city_map):
    counts, target = walked_counts(0, 500), city_map.copy()
    busiest = int(city_map.argmax())
    target[busiest] *= 0.6
    found = compare(counts, counts.copy(), (city_map, target))
    assert found.marked.ravel()[busiest]
    assert found.change.ravel()[busiest] < -0.2 * city_map[busiest]
    # as if all trips stood for as many, its spread would be that of who passes it
    passing = counts[:, busiest].toarray().ravel()
    given = passing * (target[busiest] - city_map[busiest]) / passing.sum()
    assert found.spread.ravel()[busiest] < 0.8 * np.sqrt(len(given) * given.var())


def test_places_that_few_pass_are_never_marked(city_map):
    before = sparse.lil_matrix((50, 20))
    before[:, 0] = 1
    before[:5, 3] = 100
    base, target = np.ones(20), np.ones(20)
    target[3] = 0.1
    found = compare(before.tocsr(), before.tocsr(), (base, target), (4, 5))
    assert found.change.ravel()[3] < 0
    assert not found.marked.ravel()[3]


def test_the_spread_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=40)
    without = np.array([np.delete(values, i).mean() for i in range(40)])
    assert jackknife_spread(without) == pytest.approx(values.std(ddof=1) / np.sqrt(40))


def test_many_trips_are_left_out_in_fewer_groups(monkeypatch):
    monkeypatch.setattr("engine.evaluation.trajectories_difference.FITTED_TRIPS", 3_000)
    counts, units = sparse.csr_matrix(np.ones((100, 2))), np.arange(100)
    before, after = fit_without_groups((counts, counts), (np.ones(2), np.ones(2)), (units, units))
    assert before.shape == after.shape == (30, 100)
    assert ((before == 0).sum(axis=0) == 1).all()


def test_copies_of_a_trip_know_no_more_than_it(city_map):
    few, target = walked_counts(0, 60), city_map.copy()
    target[int(city_map.argmax())] *= 0.9
    index = np.arange(480) % 60
    many, maps = few[index], (city_map, target)
    factors = paired_factors(many, many, maps)
    spreads = [
        compare_fitted(
            (many, many), factors, fit_without_groups((many, many), maps, (u, u)), (SIDE, SIDE)
        ).spread
        for u in (index, np.arange(480))
    ]
    assert np.median(spreads[0] / spreads[1]) > 2


def test_trips_are_told_apart_by_their_ends_and_times():
    one, other = np.array([[0.0, 0], [5, 5]]), np.array([[0.0, 0], [5, 6]])
    before = tracks_from_trips([one, other, one], 5.0)
    after = tracks_from_trips([other, other, one], 5.0, np.array([0.0, 0, 60]))
    first, second = number_distinct(before, after)
    assert first[0] == first[2] != first[1]
    assert second[0] == second[1] == first[1]
    assert second[2] not in first


def test_the_step_up_rule():
    p_value = np.array([0.04, 0.001, 0.9, 0.02, 1.0])
    testable = np.array([True, True, True, True, False])
    # limits are .0125, .025, .0375, .05: the second largest rejected one carries those below
    assert control_false_share(p_value, testable).tolist() == [False, True, False, True, False]


def test_points_are_counted_in_their_trip_and_cell():
    plane = LocalPlane(13.5, 52.4)
    grid = Grid(13.49, 52.39, 13.51, 52.41, 2, 2)
    trips = tracks_from_trips([np.array([[-50.0, 50.0], [-60, 60]]), np.array([[50.0, -50.0]])], 5)
    assert count_trips_in_cells(trips, grid, plane).toarray().tolist() == [
        [2, 0, 0, 0],
        [0, 0, 0, 1],
    ]


def test_a_flat_map_correlates_with_nothing():
    assert correlation(np.zeros(4), np.arange(4.0)) is None
    assert correlation(np.arange(4.0), 3 - np.arange(4.0)) == pytest.approx(-1)
