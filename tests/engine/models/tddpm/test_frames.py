import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.models.tddpm.frames import Frames, PointIndex, count_map, is_inside

finite = st.floats(-20_000, 20_000)


@given(finite, finite, st.floats(100, 5_000), st.floats(-10, 10), finite, finite)
def test_canonical_frame_is_inverted(cx, cy, half_m, angle, x, y):
    frames = Frames(np.array([[cx, cy]]), half_m, np.array([angle]))
    back = frames.to_plane(frames.to_canonical(np.array([x, y]), 0), 0)
    np.testing.assert_allclose(back, [x, y], atol=1e-8)


def test_canonical_frame_by_hand():
    frames = Frames(np.array([[10.0, 20.0]]), 5.0, np.array([np.pi / 2]))
    # turned a quarter to the left: what lies north of the centre lies on the x axis
    np.testing.assert_allclose(frames.to_canonical(np.array([10.0, 25.0]), 0), [1, 0], atol=1e-12)
    np.testing.assert_allclose(frames.to_canonical(np.array([15.0, 20.0]), 0), [0, -1], atol=1e-12)


def test_map_has_north_in_row_zero():
    counts = count_map(np.array([[-0.99, 0.99], [0.99, 0.99], [0.99, 0.98], [2.0, 0.0]]), size=4)
    assert counts[0, 0] == 1
    assert counts[0, 3] == 2
    assert counts.sum() == 3


def test_point_on_the_border_counts_once():
    counts = count_map(np.array([[1.0, -1.0], [-1.0, 1.0]]), size=8)
    assert counts[7, 7] == 1
    assert counts[0, 0] == 1


def test_index_finds_every_point_of_a_region():
    rng = np.random.default_rng(0)
    points = rng.uniform(-6_000, 6_000, (20_000, 2)).astype(np.float32)
    index = PointIndex(points, bucket_m=400)
    for center in ([0.0, 0.0], [5_900.0, -5_900.0], [-8_000.0, 100.0]):
        frames = Frames(np.array([center]), 1_500.0, rng.uniform(0, 6, 1))
        inside = np.flatnonzero(is_inside(frames.to_canonical(points, 0)))
        near = index.near(frames.center_m[0], 1_500 * 2**0.5)
        assert np.isin(inside, near).all()
        assert len(near) == len(np.unique(near))
        assert (np.diff(near) > 0).all()


def test_index_far_away_is_empty():
    index = PointIndex(np.zeros((3, 2), np.float32))
    assert len(index.near(np.array([1e6, 1e6]), 10.0)) == 0


def test_impossible_frames_are_refused():
    with pytest.raises(InputError):
        Frames(np.zeros((2, 2)), 1.0, np.zeros(3))
    with pytest.raises(InputError):
        Frames(np.zeros((2, 2)), 0.0, np.zeros(2))
