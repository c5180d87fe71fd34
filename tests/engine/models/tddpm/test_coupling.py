"""One set of trips for both versions: only those that enter a closed place are stood in for."""

import numpy as np
import pytest
from scipy import sparse

from engine.errors import OccupancyError
from engine.models.tddpm.coupling import split_number, stand_ins

NUM, CELLS = 300, 30
BEFORE, AFTER = np.ones(CELLS), np.ones(CELLS)
AFTER[:10], AFTER[20:] = 0.4, 1.6


@pytest.fixture(scope="module")
def counts():
    """Each trip lies in one of three parts of the city."""
    rng = np.random.default_rng(0)
    dense = rng.poisson(1.0, (NUM, CELLS)).astype(float)
    part = np.arange(NUM) % 3
    dense[np.arange(CELLS) // 10 != part[:, None]] = 0
    return sparse.csr_matrix(dense)


def chosen(counts, allowed, seed=0):
    return stand_ins(counts, (BEFORE, AFTER), allowed, np.random.default_rng(seed))


def test_trips_that_may_be_made_stay(counts):
    np.testing.assert_array_equal(chosen(counts, np.ones(NUM, bool)), np.arange(NUM))


def test_others_stand_in_where_more_traffic_is_wanted(counts):
    allowed = np.arange(NUM) % 3 != 0
    index = chosen(counts, allowed)
    assert (index[allowed] == np.flatnonzero(allowed)).all()
    assert allowed[index].all()
    # the map rises in the third part alone
    assert np.mean(index[~allowed] % 3 == 2) > 0.9
    np.testing.assert_array_equal(index, chosen(counts, allowed))
    assert (index != chosen(counts, allowed, seed=1)).any()


def test_somebody_has_to_be_left(counts):
    with pytest.raises(OccupancyError, match="Every trip enters"):
        chosen(counts, np.zeros(NUM, bool))


def test_both_halves_make_the_number():
    assert split_number(7) == (4, 3)
    assert split_number(1) == (1, 0)
