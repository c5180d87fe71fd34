import dataclasses
from datetime import UTC, date, datetime

import numpy as np
import pytest

from engine.domain import ScaleDemand
from engine.errors import ScenarioError
from engine.simulation import Progress, SimulatedDay, simulate_day, simulate_what_if
from engine.simulation.day import make_clock, plan_trips
from engine.simulation.outputs import cells
from tests.engine.simulation.simulation_cases import CLOSED, DAY, HALF_HOUR, last

ARRAYS = ("speed_kmh", "count")


def assert_same(one, other):
    for name in ARRAYS:
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
    for field in ("flow", "occupancy"):
        assert np.array_equal(getattr(one, field).values, getattr(other, field).values)
    for name in ("keys", "first_s", "starts", "lon", "lat", "speed_kmh"):
        assert np.array_equal(getattr(one.tracks, name), getattr(other.tracks, name))
    assert dataclasses.replace(one.summary, sumo_s=0) == dataclasses.replace(
        other.summary, sumo_s=0
    )


def test_the_same_question_has_the_same_answer(model, untouched):
    steps = list(simulate_day(model, DAY, hours=HALF_HOUR))
    assert_same(untouched, steps[-1])
    shares = [step.share for step in steps[:-1]]
    assert all(isinstance(step, Progress) for step in steps[:-1])
    assert shares == sorted(shares)
    assert len(shares) > 5


def test_an_edit_that_changes_nothing_changes_nothing(model, untouched):
    edit = ScaleDemand("campus", 1.0)
    assert_same(untouched, last(simulate_day(model, DAY, (edit,), HALF_HOUR)))


def test_shapes_and_start(model, untouched):
    assert untouched.flow.values.shape == (1, 32, 32)
    assert untouched.speed_kmh.shape == untouched.count.shape == (6, len(model.sensors))
    assert untouched.start == datetime(2025, 5, 15, 8, tzinfo=UTC)
    assert untouched.flow.start == untouched.start


def test_the_traffic_is_plausible(untouched):
    summary = untouched.summary
    assert summary.teleports == 0
    assert 0.5 < summary.trips_done / summary.trips_planned <= 1
    assert 15 < summary.mean_speed_kmh < 50
    assert 500 < summary.mean_length_m < 3000
    speed = untouched.tracks.speed_kmh
    assert speed.min() >= 0
    assert speed.max() < 80
    assert (speed < 1).mean() < 0.5
    assert untouched.count.sum() > 500
    assert np.isnan(untouched.speed_kmh[untouched.count == 0]).mean() > 0.5


def test_points_are_five_seconds_apart_and_cannot_be_far_apart(untouched):
    tracks = untouched.tracks
    step_m = np.hypot(np.diff(tracks.lon) * 67_800, np.diff(tracks.lat) * 111_200)
    inner = np.ones(len(step_m), dtype=bool)
    inner[tracks.starts[1:-1] - 1] = False
    assert step_m[inner].max() < 110
    assert (tracks.times_s % 5 == 0).all()


def test_flow_is_what_the_tracks_say(model, untouched):
    tracks = untouched.tracks
    cell = cells(model.grid, tracks.lon, tracks.lat)
    visited = np.zeros(model.grid.num_cells, dtype=bool)
    visited[cell[tracks.times_s >= 5]] = True
    assert (untouched.occupancy.values[0].ravel()[visited] > 0).all()
    entered = untouched.flow.values[0].ravel() > 0
    assert (entered | ~visited).mean() > 0.99
    inside = (tracks.times_s >= 0) & (tracks.times_s < 1800)
    assert untouched.occupancy.values.sum() == inside.sum()


def test_a_closure_empties_its_street_and_fills_others(model, untouched, closed):
    edges = set(model.street(CLOSED).edges)
    columns = [i for i, edge in enumerate(model.sensors) if edge in edges]
    assert columns
    assert untouched.count[:, columns].sum() > 20
    assert closed.count[:, columns].sum() == 0
    others = np.setdiff1d(np.arange(len(model.sensors)), columns)
    change = closed.count[:, others].sum(0).astype(int) - untouched.count[:, others].sum(0)
    assert change.max() >= 10
    assert closed.summary.trips_planned == untouched.summary.trips_planned
    assert closed.summary.mean_length_m > untouched.summary.mean_length_m


@pytest.mark.thorough
def test_a_comparison_holds_both_days(sparse):
    steps = list(simulate_what_if(sparse, DAY, (ScaleDemand("volmerstrasse", 0.0),), HALF_HOUR))
    answer = steps[-1]
    alone = last(simulate_day(sparse, DAY, hours=HALF_HOUR))
    assert_same(answer.untouched, alone)
    assert answer.edited.summary.trips_planned < alone.summary.trips_planned
    assert 0 < answer.moved_share < 0.5
    changes = answer.street_changes(sparse)
    assert abs(changes[0].change) >= abs(changes[-1].change)
    assert sum(c.before for c in changes) == alone.count.sum()


@pytest.mark.thorough
def test_another_seed_is_another_draw_of_the_day(sparse):
    one, other = (last(simulate_day(sparse, DAY, hours=HALF_HOUR, seed=seed)) for seed in (0, 1))
    assert isinstance(one, SimulatedDay)
    assert not np.array_equal(one.flow.values, other.flow.values)


@pytest.mark.parametrize("hours", [(9, 9), (-1, 3), (3, 25), (1.2, 3), (5, 4)])
def test_impossible_hours_are_refused(model, hours):
    with pytest.raises(ScenarioError, match="hours"):
        list(simulate_day(model, DAY, hours=hours))


def test_days_with_a_clock_change_have_their_real_length(sparse):
    for day, half_hours in ((date(2025, 3, 30), 46), (date(2025, 10, 26), 50)):
        clock = make_clock(sparse, day, (0, 24))
        assert clock.length_s == half_hours * 1800
        plan, sumo_s = plan_trips(sparse, day, (), clock)
        assert (np.diff(sumo_s) >= 0).all()
        noon = (plan.trips["depart_s"] >= 12 * 3600) & (plan.trips["key"] > 0)
        shift_s = sumo_s[noon] - plan.trips["depart_s"][noon]
        assert np.allclose(shift_s, 1200 + (half_hours - 48) * 1800)


def test_midnight_follows_on_the_evening_before(sparse):
    clock = make_clock(sparse, DAY, (0, 1))
    plan, sumo_s = plan_trips(sparse, DAY, (), clock)
    assert (plan.trips["key"][sumo_s < 1200] < 0).all()
    assert (plan.trips["key"][sumo_s >= 1200] > 0).all()


@pytest.mark.thorough
def test_a_whole_day_of_few_cars_has_all_its_steps(sparse):
    tiny = dataclasses.replace(sparse, volume=0.01)
    day = last(simulate_day(tiny, DAY))
    assert day.flow.values.shape == (48, 32, 32)
    assert day.speed_kmh.shape == (288, len(tiny.sensors))
    assert day.summary.trips_done >= day.summary.trips_planned - 3
