import numpy as np
import pytest

from engine.errors import InputError
from engine.evaluation.trajectories_privacy import compare_privacy, describe_whole
from engine.models.tddpm.tracks import tracks_from_trips


def walks(seed, num=200):
    rng = np.random.default_rng(seed)
    return [
        rng.uniform(-500, 500, 2) + np.cumsum(rng.normal(0, 20, (rng.integers(5, 60), 2)), axis=0)
        for _ in range(num)
    ]


def test_copies_are_found_out():
    training = walks(0)
    copies = [trip + np.random.default_rng(1).normal(0, 1, trip.shape) for trip in training[:50]]
    held_out = tracks_from_trips(walks(2, 50), 5)
    card = compare_privacy(tracks_from_trips(copies, 5), held_out, tracks_from_trips(training, 5))
    assert not card.is_safe
    assert card.made_median_m < 3
    assert card.unique_share > 0.9
    assert card.held_out_unique_share < 0.1


def test_fresh_trips_pass():
    made, held_out, training = (tracks_from_trips(walks(seed, 150), 5) for seed in (3, 4, 5))
    card = compare_privacy(made, held_out, training)
    assert card.made_p5_m == pytest.approx(card.held_out_p5_m, rel=0.5)


def test_a_straight_trip_is_described_by_equal_shares():
    line = np.stack([np.linspace(0, 150, 31), np.zeros(31)], axis=1)
    described = describe_whole(tracks_from_trips([line], 5)).reshape(-1, 2)
    np.testing.assert_allclose(described[:, 0], np.linspace(0, 150, 16), atol=1e-3)


def test_no_trips_cannot_be_judged():
    some = tracks_from_trips(walks(0, 3), 5)
    with pytest.raises(InputError):
        compare_privacy(some, some, some.select(np.zeros(0, np.int64)))
