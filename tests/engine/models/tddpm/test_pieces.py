import numpy as np
import pytest

from engine.errors import InputError
from engine.models.tddpm.conditions import GROUPS, NUM_FEATURES, column_of, describe_trips
from engine.models.tddpm.pieces import (
    PieceConfig,
    RegionSampler,
    hold_outside,
    stack_examples,
)
from engine.models.tddpm.prior import TripPrior, count_trips
from engine.models.tddpm.tracks import path_lengths_m, tracks_from_trips


@pytest.fixture(scope="module")
def tracks():
    rng = np.random.default_rng(0)
    trips = [
        rng.normal(0, 1_500, 2) + np.cumsum(rng.normal(0, 25, (rng.integers(16, 300), 2)), axis=0)
        for _ in range(80)
    ]
    tracks = tracks_from_trips(trips, 5.0, rng.uniform(0, 1e6, 80))
    tracks.person[:] = np.arange(80) % 10
    return tracks


def test_points_are_held_where_they_left():
    x = np.array([0.2, 0.9, 1.1, 1.4, 0.5, -0.5, -1.2])
    line = np.stack([x, np.zeros(7)], axis=1)
    held = hold_outside(line, 0)[:, 0]
    np.testing.assert_allclose(held, [0.2, 0.9, 1.1, 1.1, 1.1, 1.1, 1.1])
    held = hold_outside(line, 5)[:, 0]
    np.testing.assert_allclose(held, [1.4, 1.4, 1.4, 1.4, 0.5, -0.5, -1.2])
    assert hold_outside(line * 50, 0).max() == 1.5


def test_an_example_depends_on_its_seed_alone(tracks):
    sampler = RegionSampler(tracks, PieceConfig(pieces_per_region=4))
    first, second = sampler.draw((0, 3)), sampler.draw((0, 4))
    again = RegionSampler(tracks, PieceConfig(pieces_per_region=4)).draw((0, 3))
    np.testing.assert_array_equal(first.points, again.points)
    assert not np.array_equal(first.counts, second.counts)


@pytest.mark.parametrize("hold", [True, False])
def test_pieces_lie_where_their_map_is(tracks, hold):
    sampler = RegionSampler(tracks, PieceConfig(hold=hold))
    for seed in range(8):
        example = sampler.draw((1, seed))
        lengths = example.valid.sum(axis=1)
        assert (np.diff(example.valid.astype(int), axis=1) <= 0).all()  # a beginning
        assert lengths.min() >= 8
        for points, n in zip(example.points, lengths, strict=True):
            inside = np.abs(points[:n]).max(axis=1) < 1
            assert inside.any()
            assert hold or inside.all()
            # whoever built the map was there: each inside point's cell is not empty
            col = ((points[:n][inside, 0] + 1) * 32).astype(int)
            row = ((1 - points[:n][inside, 1]) * 32).astype(int)
            assert (example.counts[row, col] > 0).mean() > 0.97
            np.testing.assert_array_equal(points[n:], np.repeat(points[n - 1 : n], 128 - n, 0))


def test_given_points_are_a_beginning_or_an_end(tracks):
    sampler = RegionSampler(tracks, PieceConfig(known_share=1.0))
    example, region = stack_examples([sampler.draw((2, i)) for i in range(6)])
    assert len(region) == len(example.points)
    assert example.known.any(axis=1).all()
    for known, valid in zip(example.known, example.valid, strict=True):
        flags = known[valid]
        assert np.abs(np.diff(flags.astype(int))).sum() <= 1
    none = RegionSampler(tracks, PieceConfig(known_share=0.0)).draw((2, 0))
    assert not none.known.any()


def test_features_say_whether_the_trip_begins_and_ends(tracks):
    sampler = RegionSampler(tracks, PieceConfig())
    example, _ = stack_examples([sampler.draw((3, i)) for i in range(20)])
    ends = column_of("ends")
    begins, finishes = example.features[:, ends : ends + 2].T
    whole = example.valid.sum(axis=1) < 128
    assert begins[whole].all()
    assert finishes[whole].all()
    assert 0 < begins.mean() < 1
    assert example.features.shape[1] == NUM_FEATURES
    assert not example.features_known[:, list(GROUPS).index("purpose")].any()


def test_conditions_hide_what_is_unknown(tracks):
    conditions = describe_trips(tracks)
    conditions.known[:, list(GROUPS).index("hour")] = False
    hour = column_of("hour")
    assert not conditions.as_input()[:, hour : hour + 2].any()
    assert conditions.features[:, hour : hour + 2].any()


def test_prior_gives_back_durations_and_hours(tracks):
    prior = count_trips(tracks)
    assert prior.counts.sum() == len(tracks)
    points, start_s = prior.draw(np.random.default_rng(0), 20_000)
    assert points.min() >= tracks.num_points.min()
    assert points.max() <= tracks.num_points.max()
    assert np.median(points) == pytest.approx(np.median(tracks.num_points), rel=0.1)
    hours = np.bincount((start_s // 3600).astype(int), minlength=24) / len(start_s)
    np.testing.assert_allclose(hours, prior.counts.sum(axis=0) / len(tracks), atol=0.02)
    lengths = prior.draw_speeds(np.random.default_rng(1), points) * (points - 1) * tracks.step_s
    real = path_lengths_m(tracks)
    for share in (25, 50, 75):
        assert np.percentile(lengths, share) == pytest.approx(np.percentile(real, share), rel=0.15)
    uncounted = TripPrior(prior.edges, prior.counts)
    assert uncounted.draw_speeds(np.random.default_rng(1), points) is None
    with pytest.raises(InputError):
        TripPrior(prior.edges, prior.counts * 0)
    with pytest.raises(InputError, match="speed"):
        TripPrior(prior.edges, prior.counts, np.ones((2, 3)))
