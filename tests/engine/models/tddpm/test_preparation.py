import numpy as np
import pytest

from engine.cities.importers.gps import GpsPoints
from engine.errors import InputError
from engine.models.tddpm.preparation import PreparationConfig, prepare_tracks
from engine.models.tddpm.tracks import (
    LocalPlane,
    path_lengths_m,
    tracks_from_trips,
)

PLANE = LocalPlane(13.5, 52.4)
CONFIG = PreparationConfig(step_s=5, max_gap_s=60, min_points=3, max_points=10)


def recorded(rows):
    """Rows of trip, person, seconds, metres east, metres north."""
    trip, person, time_s, east, north = (np.array(c, float) for c in zip(*rows, strict=True))
    lon, lat = PLANE.to_degrees(np.stack([east, north], axis=1))
    return GpsPoints(trip.astype(int), person.astype(int), time_s, lon, lat)


def test_plane_is_inverted_and_true_to_scale():
    lon, lat = PLANE.to_degrees(np.array([[1000.0, -2000.0]]))
    np.testing.assert_allclose(PLANE.to_metres(lon, lat), [[1000, -2000]], atol=1e-6)
    # one degree of latitude is 111.195 km on the mean sphere
    assert PLANE.to_metres(np.array([13.5]), np.array([53.4]))[0, 1] == pytest.approx(
        111_195, abs=1
    )


def test_points_are_interpolated_at_equal_steps():
    tracks = prepare_tracks(recorded([(1, 7, 0, 0, 0), (1, 7, 20, 40, -20)]), PLANE, CONFIG)
    np.testing.assert_allclose(
        tracks.points_m, [[0, 0], [10, -5], [20, -10], [30, -15], [40, -20]], atol=1e-3
    )
    assert tracks.person.tolist() == [7]
    assert tracks.start_s.tolist() == [0]


def test_trips_are_cut_at_gaps_jumps_and_other_trips():
    rows = [(1, 0, t, t, 0) for t in range(0, 20, 5)]
    rows += [(1, 0, t, t, 0) for t in range(100, 120, 5)]  # a pause of 85 s
    rows += [(1, 0, t, t + 5_000, 0) for t in range(120, 140, 5)]  # 5 km in 5 s
    rows += [(2, 1, t, 0, t) for t in range(0, 20, 5)]
    tracks = prepare_tracks(recorded(rows), PLANE, CONFIG)
    assert tracks.num_points.tolist() == [4, 4, 4, 4]
    assert tracks.person.tolist() == [0, 0, 0, 1]
    assert tracks.start_s.tolist() == [0, 100, 120, 0]
    np.testing.assert_allclose(tracks.trip(2)[0], [5_120, 0], atol=0.01)


def test_long_trips_are_cut_and_short_ones_dropped():
    rows = [(1, 0, t, 2 * t, 0) for t in range(0, 115, 5)]  # 23 points: 10 + 10 + 3
    rows += [(2, 0, t, 0, 0) for t in (0, 5)]
    tracks = prepare_tracks(recorded(rows), PLANE, CONFIG)
    assert tracks.num_points.tolist() == [10, 10, 3]
    np.testing.assert_allclose(tracks.points_m[:, 0], np.arange(23) * 10, atol=1e-2)


def test_repeated_and_reversed_times_do_no_harm():
    rows = [(1, 0, t, t, 0) for t in (0, 5, 5, 10, 15, 3, 8, 13, 18)]
    tracks = prepare_tracks(recorded(rows), PLANE, CONFIG)
    assert tracks.num_points.tolist() == [4, 4]
    assert np.isfinite(tracks.points_m).all()


def test_nothing_usable_says_so():
    with pytest.raises(InputError, match="long enough"):
        prepare_tracks(recorded([(1, 0, 0, 0, 0), (1, 0, 600, 10, 0)]), PLANE, CONFIG)


def test_path_length_does_not_run_from_trip_to_trip():
    tracks = tracks_from_trips(
        [np.array([[0, 0], [3, 4.0]]), np.array([[99, 0], [99, 1], [99, 3]])], 5
    )
    np.testing.assert_allclose(path_lengths_m(tracks), [5, 3])
    np.testing.assert_array_equal(tracks.select(np.array([1])).points_m, tracks.trip(1))
