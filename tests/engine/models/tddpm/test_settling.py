import numpy as np
import pytest

from engine.errors import ScenarioError
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.settling import Settler, SettlingConfig, average_points
from engine.models.tddpm.tracks import path_lengths_m, tracks_from_trips

CELL_M = 50.0


def street_map(rows=(20, 40)):
    """A square of 60 x 60 cells with streets from west to east."""
    counts = np.zeros((60, 60))
    counts[list(rows)] = 10
    return CityMap(counts, 0.0, 3_000.0, CELL_M)


def along(y_m, num=40):
    """A trip from west to east, a little beside the middle of row 20 (y = 1,975)."""
    return np.stack([np.linspace(300, 2_700, num), np.full(num, y_m)], axis=1)


def on_streets(city, tracks):
    return (city.counts.ravel()[city.cell_of(tracks.points_m)] > 0).mean()


def test_trips_beside_a_street_are_moved_onto_it():
    city = street_map()
    tracks = tracks_from_trips([along(2_070), along(1_890, 25), along(900)], 5.0)
    settled = Settler(city, SettlingConfig()).settle(tracks, np.random.default_rng(0))
    assert on_streets(city, tracks) == 0
    assert on_streets(city, settled) > 0.9
    # no farther than the reach, and a trip's points stay side by side
    moved = settled.points_m - tracks.points_m
    assert np.abs(moved).max() < 10 * CELL_M + 100
    for trip in range(3):
        steps = np.diff(settled.trip(trip)[:, 0])
        assert (steps > 0).all()
    np.testing.assert_array_equal(settled.offsets, tracks.offsets)


def test_the_same_random_numbers_give_the_same_trips():
    city, tracks = street_map(), tracks_from_trips([along(2_060), along(1_100, 9)], 5.0)
    settler = Settler(city, SettlingConfig())
    first, second, other = (settler.settle(tracks, np.random.default_rng(n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(first.points_m, second.points_m)
    assert not np.array_equal(first.points_m, other.points_m)


def test_a_street_that_has_received_its_part_pulls_less():
    city = street_map(rows=(20, 23))
    between = tracks_from_trips([along(1_900)] * 40, 5.0)
    settler = Settler(city, SettlingConfig())

    def share_north(tracks):
        y = tracks.points_m[:, 1]
        return (y > 1_900).mean()

    before = share_north(settler.settle(between, np.random.default_rng(0)))
    settler.note(tracks_from_trips([along(1_825)] * 50, 5.0))
    after = share_north(settler.settle(between, np.random.default_rng(0)))
    assert after > before + 0.2
    pulls = settler.pulls()
    assert pulls.shape == (60 * 60 + 1,)
    assert pulls[-1] == 0
    assert (pulls[:-1] > 0).all()


def test_points_far_outside_stay_free():
    city = street_map()
    tracks = tracks_from_trips([along(9_000)], 5.0)
    settled = Settler(city, SettlingConfig()).settle(tracks, np.random.default_rng(0))
    assert np.isfinite(settled.points_m).all()
    assert np.abs(settled.points_m[:, 1] - 9_000).max() < 600


def test_averages_keep_to_their_trip():
    tracks = tracks_from_trips([np.zeros((3, 2)), np.full((2, 2), 6.0)], 5.0)
    values = tracks.points_m.astype(np.float64)
    np.testing.assert_array_equal(average_points(values, tracks, 5), values)
    ramp = np.stack([np.arange(5.0), np.zeros(5)], axis=1)
    one = tracks_from_trips([ramp], 5.0)
    np.testing.assert_allclose(average_points(ramp, one, 3)[:, 0], [0.5, 1, 2, 3, 3.5])


@pytest.mark.parametrize(
    "bad", [{"reach": 0}, {"drift_cells": 0.0}, {"smooth_points": 4}, {"calm_points": (0,)}]
)
def test_impossible_settings(bad):
    with pytest.raises(ScenarioError):
        SettlingConfig(**bad)


def test_a_trip_is_calmed_until_it_is_as_long_as_planned():
    city = CityMap(np.ones((60, 60)), 0.0, 3_000.0, CELL_M)
    rng = np.random.default_rng(0)
    shaky = along(1_500, 120) + rng.normal(0, 150, (120, 2))
    tracks = tracks_from_trips([shaky, shaky], 5.0)
    config = SettlingConfig(spread_cells=0.05)
    settled = Settler(city, config).settle(tracks, rng, np.array([2_500.0, 5_000.0]))
    short, long = path_lengths_m(settled)
    assert path_lengths_m(tracks)[0] > 20_000
    assert short < 2_700
    assert 3_000 < long < 5_000


def test_on_the_ground_trips_find_the_street_within_a_cell():
    # the same street, 12 m wide, on cells of 50 m and of 12.5 m
    city = street_map()
    fine = np.zeros((240, 240))
    fine[[82, 162]] = 10
    ground = CityMap(fine, 0.0, 3_000.0, CELL_M / 4)
    tracks = tracks_from_trips([along(1_995), along(1_940, 25), along(1_000)], 5.0)
    shares = [
        on_streets(ground, Settler(city, config).settle(tracks, np.random.default_rng(0)))
        for config in (SettlingConfig(), SettlingConfig().on_ground(ground))
    ]
    assert shares[0] < 0.5
    assert shares[1] > 0.9
