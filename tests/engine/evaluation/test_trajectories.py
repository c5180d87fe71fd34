import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from engine.errors import InputError
from engine.evaluation.trajectories import (
    Bounds,
    bounds_of,
    compare,
    histogram,
    js_divergence,
    kl_divergence,
    pattern_score,
    share_near,
    speeds_m_s,
    split_halves,
    symmetric_kl,
    turning_angles_rad,
)
from engine.evaluation.trajectories_copies import (
    WINDOW_POINTS,
    closest_distances_m,
    compare_copies,
    cut_windows,
)
from engine.models.tddpm.tracks import tracks_from_trips

BOX = Bounds(0, 0, 100, 100)


def wander(seed, num=60, points=120, step_m=8.0):
    rng = np.random.default_rng(seed)
    return tracks_from_trips(
        [
            rng.uniform(200, 800, 2) + np.cumsum(rng.normal(0, step_m, (points, 2)), axis=0)
            for _ in range(num)
        ],
        5.0,
    )


def test_divergences_by_hand():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
    assert kl_divergence(p, q) == pytest.approx(np.log(2))
    assert js_divergence(p, q) == pytest.approx(jensenshannon(p, q) ** 2)
    assert js_divergence(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(np.log(2))
    assert js_divergence(p, p) == 0
    assert symmetric_kl(p, q) == pytest.approx(symmetric_kl(q, p))
    assert symmetric_kl(p, q) > np.log(2) / 2
    with pytest.raises(InputError, match="infinite"):
        kl_divergence(q, p)


def test_histogram_counts_each_point_once():
    points = np.array([[0.0, 100.0], [99.9, 99.9], [100.0, 0.0], [500.0, 0.0]])
    shares = histogram(points, BOX, 4)
    assert shares[0, 0] == shares[0, 3] == shares[3, 3] == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="No point"):
        histogram(points + 1000, BOX, 4)


def test_pattern_score_is_the_overlap_of_busy_cells():
    p, q = np.zeros((4, 4)), np.zeros((4, 4))
    p[0, :3], q[0, 1:] = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]
    assert pattern_score(p, q, num=3) == pytest.approx(2 / 3)
    # empty cells are no pattern: two thirds again although six cells are asked for
    assert pattern_score(p, q, num=6) == pytest.approx(2 / 3)


def test_motion_by_hand():
    square = np.array([[0, 0], [10, 0], [10, 10], [10, 10], [0, 10], [0, 20]], float)
    tracks = tracks_from_trips([square, square[:3] + 50], 5.0)
    np.testing.assert_allclose(speeds_m_s(tracks), [2, 2, 0, 2, 2, 2, 2])
    # left, (standing: no direction on either side), right, and left in the second trip
    np.testing.assert_allclose(turning_angles_rad(tracks), np.array([1, -1, 1]) * np.pi / 2)


def test_a_set_against_itself_is_perfect_and_others_are_not():
    real = wander(0)
    same = compare(real, real, bounds_of(real))
    assert same.js == same.trip == same.length == same.js_speed == same.js_turn == 0
    assert same.kl_sym == same.kl_speed == 0
    assert same.pattern == 1
    assert same.num_trips == 60
    slow = compare(wander(1, step_m=2.0), real, bounds_of(real))
    alike = compare(wander(2), real, bounds_of(real))
    for name in ("js", "length", "js_speed", "kl_speed"):
        assert getattr(slow, name) > getattr(alike, name) > 0


def test_reversed_trips_differ_in_nothing_but_their_ends():
    rng = np.random.default_rng(0)
    trips = [rng.normal(0, 1, (40, 2)) + np.linspace([0, 0], [900, 900], 40) for _ in range(30)]
    there, back = tracks_from_trips(trips, 5.0), tracks_from_trips([t[::-1] for t in trips], 5.0)
    measured = compare(back, there, bounds_of(there))
    assert measured.js == pytest.approx(0, abs=1e-12)
    assert measured.trip == pytest.approx(np.log(2))


def test_halves_are_disjoint_and_seeded():
    tracks = wander(0, num=21)
    first, second = split_halves(tracks, 3)
    assert len(first) == 10
    assert len(second) == 11
    starts = {tuple(p) for t in (first, second) for p in t.ends_m()[0]}
    assert len(starts) == 21
    np.testing.assert_array_equal(first.points_m, split_halves(tracks, 3)[0].points_m)
    with pytest.raises(InputError):
        split_halves(wander(0, num=1), 0)


def test_share_of_points_on_streets():
    street = np.stack([np.arange(0, 100, 5.0), np.zeros(20)], axis=1)
    points = np.array([[50.0, 0], [50, 19], [50, 21], [500, 0]])
    assert share_near(points, street) == 0.5


def test_windows_begin_every_stride():
    tracks = tracks_from_trips([np.stack([np.arange(90.0)] * 2, 1), np.zeros((63, 2))], 5.0)
    windows = cut_windows(tracks, 8)
    assert windows[:, 0].tolist() == [0, 8, 16, 24]
    assert (windows[:, -2] - windows[:, 0] == WINDOW_POINTS - 1).all()


def test_closest_distance_equals_brute_force():
    made, training = wander(1, num=7), wander(2, num=20)
    found = closest_distances_m(made, training)
    queries, stored = cut_windows(made, WINDOW_POINTS), cut_windows(training, 8)
    every = np.linalg.norm(queries[:, None] - stored[None], axis=-1) / np.sqrt(16)
    np.testing.assert_allclose(found, every.min(axis=1), rtol=1e-4)


def test_copies_are_found_out():
    training, held_out = wander(1, num=200), wander(2, num=60)
    rng = np.random.default_rng(0)
    copied = training.select(np.arange(60))
    copied = tracks_from_trips(
        [copied.trip(i) + rng.normal(0, 2, (120, 2)) for i in range(60)], 5.0
    )
    assert not compare_copies(copied, held_out, training).passes
    assert compare_copies(wander(3, num=60), wander(3, num=60), training).passes
    with pytest.raises(InputError, match="long enough"):
        compare_copies(wander(0, points=20), held_out, training)
