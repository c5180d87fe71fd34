import numpy as np
import pytest

from engine.errors import InputError
from engine.models.tddpm.people import drop_twins, group_people, hold_out_people
from engine.models.tddpm.tracks import join_tracks, tracks_from_trips


@pytest.fixture
def tracks():
    """20 people with three trips each; 3 and 4 share one, 4 and 5 another."""
    rng = np.random.default_rng(0)
    trips = [np.cumsum(rng.normal(0, 9, (12, 2)), axis=0) for _ in range(60)]
    own = tracks_from_trips(trips, 5.0, np.arange(60.0) * 100)
    own.person[:] = np.arange(60) // 3
    shared = own.select(np.array([9, 12]))
    shared.person[:] = [4, 5]
    return join_tracks([own, shared])


def test_people_who_share_a_recording_are_one_group(tracks):
    people, group = group_people(tracks)
    assert people.tolist() == list(range(20))
    assert len(np.unique(group)) == 18
    assert group[3] == group[4] == group[5]


def test_twins_are_dropped(tracks):
    once = drop_twins(tracks)
    assert len(once) == 60
    np.testing.assert_array_equal(once.points_m, tracks.points_m[: once.offsets[-1]])


def test_the_same_place_at_another_time_is_another_recording(tracks):
    later = tracks.select(np.arange(60))
    later.start_s[:] += 86_400
    assert len(drop_twins(join_tracks([tracks, later]))) == 120


@pytest.mark.parametrize("seed", range(12))
def test_nothing_of_the_held_out_is_in_training(tracks, seed):
    kept, out = hold_out_people(tracks, 0.2, seed)
    assert not set(kept.person) & set(out.person)
    assert len({3, 4, 5} & set(out.person)) in (0, 3)
    assert 3 <= len(set(out.person)) <= 5
    assert len(kept) + len(out) == 60
    assert not {p.tobytes() for p in kept.ends_m()[0]} & {p.tobytes() for p in out.ends_m()[0]}
    again = hold_out_people(tracks, 0.2, seed)[1]
    np.testing.assert_array_equal(out.points_m, again.points_m)


def test_a_split_needs_somebody_on_both_sides(tracks):
    for share in (0.01, 0.999):
        with pytest.raises(InputError):
            hold_out_people(tracks, share, 0)
    one_group = tracks.select(np.isin(tracks.person, [3, 4, 5]))
    with pytest.raises(InputError, match="1 groups"):
        hold_out_people(one_group, 0.3, 0)
