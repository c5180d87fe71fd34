from datetime import date, timedelta

import numpy as np
import pytest

from engine.domain import AddAttraction, BlockCells, CloseStreets, ScaleDemand
from engine.errors import ScenarioError, UnknownStreetError
from engine.simulation.demand import draw_day
from engine.simulation.events import day_events
from engine.simulation.interventions import apply_edits, find_closures
from engine.simulation.tours import PURPOSES, Purpose

WEEKDAY, SUNDAY = date(2025, 5, 15), date(2025, 5, 18)


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(one[n], other[n]) for n in one.dtype.names)


def test_a_day_is_drawn_the_same_every_time_and_another_seed_draws_another(model):
    trips = draw_day(model, WEEKDAY)
    assert same(trips, draw_day(model, WEEKDAY))
    assert not same(trips, draw_day(model, WEEKDAY, seed=1))
    assert len(np.unique(trips["key"])) == len(trips)


def test_working_days_have_two_peaks_and_sundays_none_in_the_morning(model):
    hours = np.bincount((draw_day(model, WEEKDAY)["depart_s"] // 3600).astype(int), minlength=24)
    assert hours[7:9].min() > 1.5 * hours[10:14].max()
    assert hours[16:18].min() > 1.5 * hours[10:14].max()
    assert hours[:5].max() < 0.1 * hours[8]
    rest = np.bincount((draw_day(model, SUNDAY)["depart_s"] // 3600).astype(int), minlength=24)
    assert rest[8] < 0.3 * hours[8]
    assert rest.sum() < 0.5 * hours.sum()


def test_every_purpose_occurs_and_every_trip_can_be_made(model):
    trips = np.concatenate([draw_day(model, WEEKDAY + timedelta(days=i)) for i in range(14)])
    assert {PURPOSES[p] for p in np.unique(trips["purpose"])} == set(Purpose)
    assert model.reachable()[trips["origin"], trips["target"]].all()


def test_no_edit_changes_nothing(model):
    trips = draw_day(model, WEEKDAY)
    plan = apply_edits(model, WEEKDAY, trips, ())
    assert same(plan.trips, trips)
    neutral = apply_edits(model, WEEKDAY, trips, (ScaleDemand("volmerstrasse", 1.0),))
    assert same(neutral.trips, trips)


def test_half_a_zone_keeps_whole_tours_and_touches_no_other_trip(model):
    trips = draw_day(model, WEEKDAY)
    zone = model.zone("volmerstrasse")
    kept = apply_edits(model, WEEKDAY, trips, (ScaleDemand("volmerstrasse", 0.5),)).trips
    there = lambda t: (t["origin_zone"] == zone) | (t["target_zone"] == zone)  # noqa: E731
    assert 0.4 < there(kept).sum() / there(trips).sum() < 0.6
    tours = np.unique(trips["key"][there(trips)] // 10)
    others = trips[~np.isin(trips["key"] // 10, tours)]
    assert same(others, kept[~np.isin(kept["key"] // 10, tours)])
    gone = np.setdiff1d(trips["key"] // 10, kept["key"] // 10)
    assert len(gone) and not np.isin(kept["key"] // 10, gone).any()


@pytest.mark.parametrize("factor", [1.5, 2.0, 3.25])
def test_more_demand_repeats_tours_at_other_times(model, factor):
    trips = draw_day(model, WEEKDAY)
    zone = model.zone("wagner-regeny")
    more = apply_edits(model, WEEKDAY, trips, (ScaleDemand("wagner-regeny", factor),)).trips
    count = lambda t: ((t["origin_zone"] == zone) | (t["target_zone"] == zone)).sum()  # noqa: E731
    assert count(more) / count(trips) == pytest.approx(factor, rel=0.15)
    assert len(np.unique(more["key"])) == len(more)
    assert np.isin(trips["key"], more["key"]).all()


def test_zones_scaled_one_after_the_other_keep_keys_apart(model):
    trips = draw_day(model, WEEKDAY)
    zones = ("wagner-regeny", "forum", "campus", "wagner-regeny")
    edits = tuple(ScaleDemand(zone, 2.5) for zone in zones)
    more = apply_edits(model, WEEKDAY, trips, edits).trips
    assert len(np.unique(more["key"])) == len(more) > len(trips)


def test_edits_that_would_never_end_are_refused(model):
    trips = draw_day(model, WEEKDAY)
    with pytest.raises(ScenarioError, match="more traffic"):
        apply_edits(model, WEEKDAY, trips, (ScaleDemand("forum", 10.0),) * 9)
    with pytest.raises(ScenarioError, match="At most 100 edits"):
        apply_edits(model, WEEKDAY, trips, (ScaleDemand("forum", 1.0),) * 101)


def test_demand_is_scaled_in_its_window_only(model):
    trips = draw_day(model, WEEKDAY)
    edit = ScaleDemand("volmerstrasse", 0.0, 0, 6 * 3600)
    kept = apply_edits(model, WEEKDAY, trips, (edit,)).trips
    assert len(trips) * 0.98 < len(kept) < len(trips)


def test_visitors_come_and_go_around_their_times(model):
    trips = draw_day(model, WEEKDAY)
    edit = AddAttraction("campus", 400, 19 * 3600, 22 * 3600)
    more = apply_edits(model, WEEKDAY, trips, (edit,)).trips
    extra = more[~np.isin(more["key"], trips["key"])]
    assert len(extra) == 800
    come = extra[extra["target_zone"] == model.zone("campus")]
    leave = extra[extra["origin_zone"] == model.zone("campus")]
    assert np.median(come["depart_s"]) == pytest.approx(19 * 3600, abs=300)
    assert np.median(leave["depart_s"]) == pytest.approx(22 * 3600, abs=300)


def test_trips_of_a_closed_street_begin_around_the_corner(model):
    trips = draw_day(model, WEEKDAY)
    edit = CloseStreets(("volmerstrasse-1",))
    plan = apply_edits(model, WEEKDAY, trips, (edit,))
    closed = list(find_closures(model, (edit,))[0].edges)
    assert len(plan.trips) == len(trips)
    assert np.isin(trips["origin"], closed).any()
    assert not np.isin(plan.trips["origin"], closed).any()
    assert not np.isin(plan.trips["target"], closed).any()
    by_key = plan.trips[np.argsort(plan.trips["key"])], trips[np.argsort(trips["key"])]
    changed = (by_key[0]["origin"] != by_key[1]["origin"]) | (
        by_key[0]["target"] != by_key[1]["target"]
    )
    assert plan.moved == changed.sum() > 0
    moved_m = np.linalg.norm(
        model.positions_m[by_key[0]["origin"]] - model.positions_m[by_key[1]["origin"]], axis=1
    )
    assert moved_m.max() < 300


def test_a_closure_that_splits_the_city_counts_what_cannot_be_made(model):
    trips = draw_day(model, WEEKDAY)
    edit = CloseStreets(("rudower-chaussee-10",))
    plan = apply_edits(model, WEEKDAY, trips, (edit,))
    assert len(plan.trips) == len(trips) - plan.avoided - plan.impossible
    assert min(plan.diverted, plan.avoided, plan.impossible) > 0
    closed = frozenset(find_closures(model, (edit,))[0].edges)
    assert model.reachable(closed)[plan.trips["origin"], plan.trips["target"]].all()


def test_all_streets_closed_leaves_no_trip_and_no_crash(model):
    edit = CloseStreets(tuple(street.id for street in model.streets))
    plan = apply_edits(model, WEEKDAY, draw_day(model, WEEKDAY), (edit,))
    assert len(plan.trips) == 0
    assert plan.impossible > 0


def test_a_closure_of_some_hours_leaves_the_other_trips_alone(model):
    trips = draw_day(model, WEEKDAY)
    edit = CloseStreets(("volmerstrasse-1",), 8 * 3600, 9 * 3600)
    plan = apply_edits(model, WEEKDAY, trips, (edit,))
    outside = (trips["depart_s"] < 7.5 * 3600) | (trips["depart_s"] > 9 * 3600)
    kept = (plan.trips["depart_s"] < 7.5 * 3600) | (plan.trips["depart_s"] > 9 * 3600)
    assert same(trips[outside], plan.trips[kept])
    assert plan.moved > 0


def test_unknown_streets_zones_and_edits_are_refused(model):
    trips = draw_day(model, WEEKDAY)
    with pytest.raises(UnknownStreetError, match=r"Did you mean newtonstrasse-\d"):
        apply_edits(model, WEEKDAY, trips, (CloseStreets(("newtonstrase-3",)),))
    with pytest.raises(UnknownStreetError, match="One that exists"):
        apply_edits(model, WEEKDAY, trips, (CloseStreets(("###",)),))
    with pytest.raises(ScenarioError, match="no zone"):
        apply_edits(model, WEEKDAY, trips, (ScaleDemand("camp", 0.5),))
    with pytest.raises(ScenarioError, match="BlockCells"):
        apply_edits(model, WEEKDAY, trips, (BlockCells(((0, 0),)),))


def test_events_are_the_same_every_time_and_on_known_places(model):
    days = [WEEKDAY + timedelta(days=i) for i in range(60)]
    events = [event for day in days for event in day_events(model, day)]
    assert events == [event for day in days for event in day_events(model, day)]
    assert {event.kind == "incident" for event in events} == {True, False}
    streets = {street.id for street in model.streets}
    for event in events:
        model.zone(event.zone)
        assert 0 <= event.begin_s < event.end_s <= 86_400
        assert (event.street in streets) == (event.kind == "incident") == (event.visitors == 0)
