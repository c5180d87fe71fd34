"""Expansion factors: trips together meet a map, and none of them stands for everything."""

import numpy as np
import pytest
from scipy import sparse

from engine.errors import InputError
from engine.models.tddpm.expansion import MOST, effective_number, expansion_factors, paired_factors


def random_counts(num_trips, num_cells, rng):
    return sparse.csr_matrix(rng.poisson(0.3, (num_trips, num_cells)).astype(float))


def distance(counts, factors, wanted):
    made = counts.T @ factors
    return np.abs(made / made.sum() - wanted / wanted.sum()).sum() / 2


def test_a_map_that_trips_can_meet_is_met():
    rng = np.random.default_rng(0)
    counts = random_counts(400, 60, rng)
    wanted = counts.T @ rng.uniform(0.5, 2.0, 400)
    factors = expansion_factors(counts, wanted)
    assert (counts.T @ factors).sum() == pytest.approx(wanted.sum())
    equal = np.full(400, wanted.sum() / counts.sum())
    assert distance(counts, factors, wanted) < 0.2 * distance(counts, equal, wanted)


def test_equal_factors_where_they_meet_the_map_already():
    counts = random_counts(300, 40, np.random.default_rng(1))
    wanted = 7.0 * np.asarray(counts.sum(axis=0)).ravel()
    np.testing.assert_allclose(expansion_factors(counts, wanted), 7.0)


def test_no_trip_stands_for_more_than_the_limit():
    counts = random_counts(200, 30, np.random.default_rng(2))
    wanted = np.zeros(30)
    wanted[3] = 1000.0
    factors = expansion_factors(counts, wanted)
    passing = np.asarray(counts.sum(axis=1)).ravel() > 0
    assert factors[passing].max() / factors[passing].min() <= MOST**2 * (1 + 1e-9)


def test_a_trip_outside_of_the_map_harms_nothing():
    counts = random_counts(50, 20, np.random.default_rng(3)).tolil()
    counts[7] = 0
    factors = expansion_factors(counts.tocsr(), np.ones(20))
    assert np.isfinite(factors).all() and (counts.tocsr().T @ factors).sum() == pytest.approx(20)


def test_nobody_on_the_map_is_an_error():
    with pytest.raises(InputError, match="No trip passes"):
        expansion_factors(sparse.csr_matrix((5, 4)), np.ones(4))


def test_effective_number():
    assert effective_number(np.full(9, 0.3)) == pytest.approx(9)
    assert effective_number(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)


def test_the_same_map_twice_has_the_same_factors():
    counts = random_counts(100, 20, np.random.default_rng(4))
    before, after = paired_factors(counts, counts, (np.arange(1.0, 21), np.arange(1.0, 21)))
    np.testing.assert_array_equal(before, after)


def test_sets_that_are_not_paired_are_refused():
    rng = np.random.default_rng(0)
    sets = random_counts(10, 20, rng), random_counts(11, 20, rng)
    with pytest.raises(InputError, match="not paired"):
        paired_factors(*sets, (np.ones(20), np.ones(20)))
