import numpy as np
import pytest
from scipy import sparse

from engine.domain import Grid
from engine.errors import InputError
from engine.evaluation.trajectories_difference import (
    compare_pairs,
    control_false_share,
    correlation,
    count_trips_in_cells,
)
from engine.models.tddpm.tracks import LocalPlane, tracks_from_trips

SHAPE = (4, 5)


def random_counts(seed, num=400):
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix(rng.poisson(1.0, (num, 20)).astype(float))


def test_the_same_trips_differ_nowhere():
    counts = random_counts(0)
    same = compare_pairs(counts, counts.copy(), (1.7, 1.7), SHAPE)
    assert not same.change.any()
    assert not same.marked.any()


def test_chance_alone_is_hardly_ever_marked():
    marks = [
        compare_pairs(random_counts(2 * s), random_counts(2 * s + 1), (1, 1), SHAPE).marked.any()
        for s in range(60)
    ]
    # the false share over all marks is at most 5 % when any mark at all is false
    assert np.mean(marks) < 0.15


def test_a_true_change_is_marked_with_its_size():
    before, after = random_counts(0), random_counts(1).tolil()
    after[:, 7] = after[:, 7].toarray() + 1
    found = compare_pairs(before, after.tocsr(), (2.0, 2.0), SHAPE)
    assert found.marked.ravel()[7]
    assert found.change.ravel()[7] == pytest.approx(800, abs=4 * found.spread.ravel()[7])
    # the standard error of a sum of 400 differences of two Poisson numbers, each counting twice
    assert np.median(found.spread) == pytest.approx(2 * np.sqrt(400 * 2), rel=0.1)


def test_few_pairs_are_never_marked():
    before, after = (sparse.lil_matrix((50, 20)) for _ in range(2))
    after[:5, 3] = 100
    assert not compare_pairs(before.tocsr(), after.tocsr(), (1, 1), SHAPE).marked.any()


def test_sets_that_are_not_paired_are_refused():
    with pytest.raises(InputError, match="not paired"):
        compare_pairs(random_counts(0, 10), random_counts(0, 11), (1, 1), SHAPE)


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
