import numpy as np
import pytest

from engine.errors import InputError
from engine.evaluation.metrics import (
    coverage,
    mean_absolute_error,
    ranked_probability_score,
    root_mean_square_error,
)


def test_errors_by_hand():
    assert mean_absolute_error([1, 2, 3], [1, 4, 0]) == pytest.approx(5 / 3)
    assert root_mean_square_error([1, 2, 3], [1, 4, 0]) == pytest.approx((13 / 3) ** 0.5)


def test_empty_cells_count():
    assert mean_absolute_error([1.0, 0], [0.0, 0]) == 0.5


def test_score_by_hand():
    # mean |x - y| = (1 + 1) / 2; half the fair mean distance between the samples = 2 / 2
    assert ranked_probability_score([[0.0], [2.0]], [1.0]).item() == pytest.approx(0)
    assert ranked_probability_score([[3.0]], [1.0]).item() == 2
    # (3 + 1 + 1) / 3 - (2 + 4 + 2) * 2 / (2 * 3 * 2)
    assert ranked_probability_score([[0.0], [2.0], [4.0]], [3.0]).item() == pytest.approx(1 / 3)


def test_score_of_a_true_normal_ensemble():
    rng = np.random.default_rng(0)
    scores = ranked_probability_score(rng.normal(size=(64, 20_000)), rng.normal(size=20_000))
    assert scores.mean() == pytest.approx(1 / np.sqrt(np.pi), abs=0.01)


def test_coverage_counts_the_ends():
    assert coverage([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0.5, 2]) == 0.75


def test_shapes_must_agree():
    with pytest.raises(InputError):
        mean_absolute_error([1], [1, 2])
    with pytest.raises(InputError):
        ranked_probability_score(np.zeros((2, 3)), np.zeros(2))
