"""The whole way from an edit to trips, on the embedded city, with recorded trips."""

import io
import json
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from engine import api
from engine.api import trips_bench, trips_known, trips_maps, trips_skill
from engine.api.trajectories import SPREAD_S, STEP_S
from engine.api.trips_bench import answer_here as answer
from engine.api.trips_bench import bench_simulator, mean_agreement
from engine.api.truth import run as run_truth
from engine.domain import BlockCells, CloseStreets, SetOccupancy
from engine.errors import InputError, OccupancyError, ScenarioError, WeightsError
from engine.models.tddpm.prior import count_trips

DAY, HOURS = date(2025, 5, 28), (7.0, 9.0)


def scenario(edits=(), **more):
    more = {"method": api.Method.RECORDED, "num_trips": 200, **more}
    return api.trips_scenario("adlershof", DAY, HOURS, edits, **more)


class Uncancelled:
    def cancelled(self):
        return False


def simulate(question):
    steps = run_truth(question.to_json(), Uncancelled())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return api.read_truth(question, end.value)


@pytest.fixture(scope="module")
def city():
    return api.open_city("adlershof")


@pytest.fixture(scope="module")
def base(city):
    return api.usual_occupancy(city, DAY, HOURS)


@pytest.fixture(scope="module")
def closed(city):
    items = {item.spec.id: item.spec for item in city.interventions()}
    return answer(scenario(items["close-rudower-mitte"].edits))


def test_no_edit_changes_nothing(base):
    result = answer(scenario())
    assert not result.arrays["maps/change"].any()
    assert not result.arrays["maps/marked"].any()
    np.testing.assert_array_equal(result.arrays["maps/base"], base)
    assert result.metrics["moved"] == 0
    assert api.judge_range(result).is_inside


def test_a_closed_street_is_not_entered_and_traffic_moves(closed, base):
    assert closed.metrics["blocked_entered"] == 0
    assert closed.metrics["moved"] > 0.02
    assert not np.array_equal(closed.arrays["maps/target"], base)
    assert api.truth_of_trips(closed.scenario).edits == closed.scenario.edits


def test_as_painted_the_closed_street_moves_nothing_on_the_map(closed, base):
    result = answer(scenario(closed.scenario.edits, follow=api.Follow.PAINTED))
    np.testing.assert_array_equal(result.arrays["maps/target"], base)
    assert result.metrics["blocked_entered"] == 0


def test_trips_change_only_where_they_have_to(closed):
    before, after = (api.made_trips(closed, version).paths for version in ("before", "after"))
    same = [np.array_equal(*pair) for pair in zip(before, after, strict=True)]
    assert 0.5 < np.mean(same) < 1
    row, col = np.unravel_index(
        closed.arrays["maps/change"].argmin(), closed.arrays["maps/change"].shape
    )
    assert closed.arrays["maps/after"][row, col] < closed.arrays["maps/before"][row, col]


@pytest.mark.parametrize("most", [50, 500, 1_000_000])
def test_trips_are_seen_as_often_as_they_stand_for_vehicles(closed, most):
    share = api.shown_share(closed, most)
    totals = [api.expansion_of(closed, version).sum() for version in ("before", "after")]
    assert share * max(totals) == pytest.approx(min(most, max(totals)))
    begin_s, end_s = (3_600 * closed.scenario.parameters[name] for name in ("begin_h", "end_h"))
    for version, total in zip(("before", "after"), totals, strict=True):
        shown = api.typical_trips(closed, version, most)
        assert len(shown.paths) == pytest.approx(share * total, rel=0.2)
        made = api.made_trips(closed, version)
        own_s: dict[bytes, list[float]] = {}
        for path, times in zip(made.paths, made.times_s, strict=True):
            own_s.setdefault(path.tobytes(), []).append(times[0])
        starts = np.array([times[0] for times in shown.times_s])
        assert ((starts >= begin_s) & (starts <= end_s)).all()
        for path, times in zip(shown.paths, shown.times_s, strict=True):
            assert min(abs(times[0] - own) for own in own_s[path.tobytes()]) <= SPREAD_S
            np.testing.assert_allclose(np.diff(times), STEP_S)


def test_a_vehicle_is_the_same_in_both_versions_where_nothing_changed(closed):
    before, after = (api.typical_trips(closed, version, 500) for version in ("before", "after"))
    keys = [
        {
            (round(times[0], 3), path.tobytes())
            for path, times in zip(one.paths, one.times_s, strict=True)
        }
        for one in (before, after)
    ]
    assert len(keys[0] & keys[1]) > 0.3 * len(keys[0])
    again = api.typical_trips(closed, "before", 500)
    np.testing.assert_array_equal(np.concatenate(again.times_s), np.concatenate(before.times_s))


def test_simple_ways_stand_beside_the_answer(closed):
    assert api.simple_ways(closed) == ("walk", "paths")
    for way in api.simple_ways(closed):
        assert 0 < closed.metrics[f"{way}/mismatch_after"] < 1
        assert closed.arrays[f"{way}/change"].any()
    # recorded trips know the streets, the others do not
    assert closed.metrics["mismatch_after"] < closed.metrics["walk/mismatch_after"]


MEASURED = {
    "trips": 64,
    "seeds": 2,
    "true": {"model": 0.9, "recorded": 0.95},
    "reassigned": {"model": 0.8, "recorded": 0.7},
}


@pytest.fixture
def carded(monkeypatch, tmp_path):
    """Makes the city's model one with these figures on its card."""

    def write(what_if):
        path = tmp_path / "weights" / "adlershof-trips.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        card = {"sha256": "", "kind": "trajectories"} | ({"what_if": what_if} if what_if else {})
        path.with_suffix(".json").write_text(json.dumps(card))

    monkeypatch.setenv("CITYBRUSH_DATA", str(tmp_path))
    return write


def test_the_better_way_of_making_trips_comes_first(city, carded):
    carded(None)
    assert api.trip_skill(city) is None
    assert api.trip_methods(city) == (api.Method.RECORDED, api.Method.MODEL)
    carded(MEASURED)
    assert api.trip_skill(city).true == MEASURED["true"]
    assert api.trip_methods(city) == (api.Method.MODEL, api.Method.RECORDED)
    carded({**MEASURED, "true": {"model": 0.8, "recorded": 0.95}})
    assert api.trip_methods(city) == (api.Method.RECORDED, api.Method.MODEL)
    carded({**MEASURED, "true": {"model": 0.8}})
    with pytest.raises(WeightsError, match="incomplete"):
        api.trip_methods(city)


def test_a_card_keeps_means_over_closures_and_seeds():
    closure = {"map/reassigned": 0.7, "model/true": 0.9, "recorded/true": None}
    closure |= {"model/reassigned": 0.6, "recorded/reassigned": 0.5}
    other = {**closure, "model/true": 0.8, "recorded/true": 0.4}
    demand = {"model/true": 0.0, "recorded/true": 0.0}
    runs = [{"a": closure, "c": demand}, {"a": other, "c": demand}]
    means = mean_agreement(runs, 64)
    assert means["true"] == {"model": 0.85, "recorded": 0.4}
    assert means["reassigned"] == {"model": 0.6, "recorded": 0.5}
    assert (means["trips"], means["seeds"]) == (64, 2)
    with pytest.raises(ScenarioError, match="both methods"):
        mean_agreement([{"c": demand}], 64)


@pytest.mark.thorough
def test_trips_of_one_purpose_follow_its_part_of_the_map(city, base):
    assert "work" in api.trip_purposes(city)
    totals = []
    for purpose in ("work", "shopping"):
        result = answer(scenario(purpose=purpose))
        part = result.arrays["maps/base"] / np.maximum(base, 1)
        assert ((part >= 0) & (part <= 1)).all()
        number = result.arrays["before/purpose"]
        assert (number == api.trip_purposes(city).index(purpose)).all()
        totals.append(result.arrays["maps/base"].sum())
    # in the morning more people drive to work than to shops
    assert totals[0] > totals[1]


@pytest.mark.thorough
def test_the_simulators_trips_can_be_shown(city):
    closed = CloseStreets(("abram-joffe-strasse-1",))
    question = api.truth_scenario("adlershof", DAY, (3.0, 3.5), (closed,))
    truth = simulate(question)
    for version in ("untouched", "edited"):
        trips = api.made_trips(truth, version)
        assert 10 < len(trips.paths) <= 400
        times = np.concatenate(trips.times_s)
        assert 3 * 3_600 <= times.min() < times.max() < 4 * 3_600
        lon, lat = np.concatenate(trips.paths).T
        assert (np.abs(lon - city.grid.west) < 0.1).all() and (np.abs(lat - 52.4) < 0.1).all()


def test_blocked_cells_stay_empty(base):
    row, col = (int(i) for i in np.unravel_index(base.argmax(), base.shape))
    result = answer(scenario((BlockCells(((row, col),)),)))
    assert result.arrays["maps/before"][row, col] > 0
    assert result.arrays["maps/after"][row, col] == 0
    assert result.metrics["blocked_entered"] == 0


def test_a_place_that_loses_two_fifths_is_marked_and_little_else(base):
    places = np.argsort(base.ravel())[::-1][:2]
    values = base.copy()
    values.ravel()[places] *= 0.6
    edits = api.painted_edits(base, values, np.zeros(base.shape, bool))
    result = answer(scenario(edits, num_trips=512))
    marked = result.arrays["maps/marked"].ravel()
    assert marked[places].any()
    change = result.arrays["maps/change"].ravel()
    assert (change[places] < 0).all()
    # what is marked lies where the map changes, or beside it on the same streets
    row, col = np.divmod(np.flatnonzero(marked), base.shape[1])
    gaps = [np.hypot(row - p // base.shape[1], col - p % base.shape[1]) for p in places]
    assert np.min(gaps, axis=0).max() <= 3


@pytest.mark.thorough
def test_the_same_seed_gives_the_same_trips(closed):
    assert answer(closed.scenario).digest == closed.digest


def test_painting_becomes_edits(base):
    values, blocked = base.copy(), np.zeros(base.shape, bool)
    rows, cols = np.nonzero(base)
    values[rows[0], cols[0]] *= 3
    values[rows[1], cols[1]], blocked[rows[1], cols[1]] = 0, True
    edits = api.painted_edits(base, values.astype(np.float32).astype(float), blocked)
    assert edits == (
        SetOccupancy(((rows[0], cols[0]),), (values[rows[0], cols[0]],)),
        BlockCells(((rows[1], cols[1]),)),
    )
    assert api.painted_edits(base, base, np.zeros(base.shape, bool)) == ()


def test_files_hold_all_points(closed):
    offsets = closed.arrays["after/offsets"]
    table = pd.read_csv(io.BytesIO(api.export_trips(closed, "after", api.TripsFormat.CSV)))
    assert len(table) == offsets[-1]
    assert table["trip"].nunique() == 200
    # seven to nine in Berlin are five to seven in UTC
    first = pd.to_datetime(table["time"]).groupby(table["trip"]).min()
    assert first.dt.hour.isin([5, 6]).all()
    lines = gpd.read_parquet(
        io.BytesIO(api.export_trips(closed, "after", api.TripsFormat.GEOPARQUET))
    )
    assert lines["points"].sum() == offsets[-1]
    assert lines.crs == "EPSG:4326"
    text = api.export_trips(closed, "before", api.TripsFormat.GPX).decode()
    assert text.count("<trkpt") == closed.arrays["before/offsets"][-1]


def test_each_trip_stands_for_vehicles_and_together_they_meet_the_map(closed):
    for version, wanted in (("before", "base"), ("after", "target")):
        factors = api.expansion_of(closed, version)
        assert len(factors) == len(closed.arrays[f"{version}/offsets"]) - 1
        assert (factors > 0).all()
        made, asked = closed.arrays[f"maps/{version}"], closed.arrays[f"maps/{wanted}"]
        assert made.sum() == pytest.approx(asked.sum())
        equal = closed.metrics["trips"]
        assert equal / 10 < closed.metrics["effective_trips"] <= equal
        assert closed.metrics[f"mismatch_{version}"] < 0.3


def test_lengths_and_paths_are_those_of_the_trips(closed):
    lengths, minutes = api.lengths_and_durations(closed, "after")
    mean = np.average(lengths, weights=api.expansion_of(closed, "after"))
    assert mean == pytest.approx(closed.metrics["mean_length_after_m"], rel=0.01)
    trips = api.made_trips(closed, "after", 7)
    assert len(trips.paths) == 7
    assert (trips.times_s[3][-1] - trips.times_s[3][0]) / 60 == pytest.approx(minutes[3])


@pytest.mark.parametrize(
    ("edits", "more", "error", "words"),
    [
        ((BlockCells(((99, 0),)),), {}, ScenarioError, "outside the city"),
        ((), {"num_trips": 0}, ScenarioError, "number of"),
        ((), {"purpose": "flying"}, ScenarioError, "no such purpose"),
        (
            (BlockCells(tuple((r, c) for r in range(32) for c in range(32))),),
            {},
            OccupancyError,
            "blocks every place",
        ),
    ],
)
def test_bad_questions(edits, more, error, words):
    with pytest.raises(error, match=words):
        answer(scenario(edits, **more))


def test_a_day_without_traffic_is_refused(city):
    with pytest.raises(ScenarioError, match="no traffic on that day"):
        api.usual_occupancy(city, date(2030, 1, 1), HOURS)


def test_vehicles_across_a_line_are_counted_each_way(closed, city):
    grid = city.grid
    middle = (grid.west + grid.east) / 2
    # from south to north: the left is west
    west, east = api.count_crossings(closed, (middle, grid.south, middle, grid.north))
    assert (west.towards, east.towards) == ("west", "east")
    for way, sign in ((west, -1), (east, 1)):
        for version, counted in (("before", way.before), ("after", way.after)):
            trips = api.made_trips(closed, version)
            moves = [np.diff((path[:, 0] > middle).astype(int)) for path in trips.paths]
            crossed = [int((move == sign).sum()) for move in moves]
            assert counted == pytest.approx(crossed @ api.expansion_of(closed, version))
        assert way.spread > 0
    # a line beside the city is crossed by nobody
    nobody, _ = api.count_crossings(closed, (0.0, 0.0, 0.0, 1.0))
    assert (nobody.before, nobody.after, nobody.counted) == (0, 0, 0)
    with pytest.raises(InputError, match="no length"):
        api.count_crossings(closed, (13.5, 52.4, 13.5, 52.4))


@pytest.fixture
def without_own_weights(monkeypatch):
    """The city as one that no model was trained for."""
    for module in (trips_maps, trips_skill):
        monkeypatch.setattr(module, "trips_weights", lambda _: "nowhere-trips")
    trips_known._kept.clear()
    yield
    trips_known._kept.clear()


def test_a_city_without_own_weights_is_offered_those_of_the_family(city, base, without_own_weights):
    assert api.is_foreign(city)
    assert api.trip_methods(city) == (api.Method.RECORDED, api.Method.MODEL)
    assert api.trip_skill(city) is None
    known = trips_known.know_city(city)
    # as long as trips are here, not as in the family's cities
    np.testing.assert_array_equal(known.model.prior.counts, count_trips(known.training).counts)
    row, col = np.unravel_index(np.argmax(base), base.shape)
    blocked = BlockCells(((int(row), int(col)),))
    purpose = api.trip_purposes(city)[0]
    more = {"method": api.Method.MODEL, "num_trips": 24, "purpose": purpose}
    result = answer(scenario((blocked,), **more))
    assert len(result.arrays["after/offsets"]) > 12
    assert result.metrics["blocked_entered"] == 0
    # they are on the city's streets, which the family does not know
    points = known.frame.plane.to_metres(*np.concatenate(api.made_trips(result, "after").paths).T)
    on_street = known.ground.counts.ravel()[known.ground.cell_of(points)] > 0
    assert on_street.mean() > 0.7
    assert result.metrics["mismatch_after"] < 0.6


def test_the_family_is_not_offered_to_a_city_of_another_size(
    city, without_own_weights, monkeypatch
):
    monkeypatch.setattr(trips_maps, "FAMILY_SIDES", (2.0, 3.0))
    assert not api.is_foreign(city)
    assert api.trip_methods(city) == (api.Method.RECORDED,)
    monkeypatch.setattr(trips_maps, "CITY_FAMILY", "no-such-family")
    assert api.trip_methods(city) == (api.Method.RECORDED,)


def test_the_citys_own_draw_is_no_ceiling(city):
    with pytest.raises(ScenarioError, match="own draw"):
        next(bench_simulator(city, 0))


@pytest.mark.thorough
def test_the_simulator_agrees_with_itself_but_not_wholly(city, monkeypatch):
    items = [item for item in trips_bench.closures_to_test(city) if "rudower" in item.spec.id]
    monkeypatch.setattr(trips_bench, "closures_to_test", lambda _: items[:1])
    heard = []
    (found,) = bench_simulator(city, 1, heard.append, closures_only=True)
    assert found[0] == items[0].spec.id
    assert 0.9 < found[1]["simulator/true"] < 0.9999
    assert heard
