"""Questions for the next hour, answered in this process."""

import argparse
from datetime import datetime, timedelta

import numpy as np
import pytest

from engine import api
from engine.api.forecast import cut_window
from engine.cities import registry
from engine.cities.registry import open_city
from engine.cities.street_sensors import read_street_sensors
from engine.cli import forecast as commands
from engine.domain import (
    CloseStreets,
    RemoveSensors,
    ScaleReadings,
    SilenceSensors,
    edit_from_json,
    edit_to_json,
)
from engine.errors import EngineError
from engine.models.forecast_bundle import load_bundle
from engine.models.forecast_windows import WindowSet
from tests.small_city import START, write_small_city
from tests.small_forecasts import TEST_STEPS, write_small_forecasts

MOMENT = START + timedelta(days=20, hours=8)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    city = write_small_city(folder / "cities")
    write_small_forecasts(folder / "weights", city)
    return folder


@pytest.fixture(autouse=True)
def city(root, monkeypatch, tmp_path):
    monkeypatch.setenv(registry.DATA_VARIABLE, str(root))
    monkeypatch.setattr(registry, "_EMBEDDED", tmp_path / "none")
    return open_city("small")


def ask(*edits, moment=MOMENT, **more):
    return api.forecast_now(api.forecast_scenario("small", moment, edits, **more))


def run_command(name, root, *words):
    """``forecast assess`` or ``bench forecast`` with the small city's weights."""
    parser = argparse.ArgumentParser()
    areas = parser.add_subparsers()
    if name == "bench":
        commands.add_bench(areas)
        before = ["forecast"]
    else:
        commands.add_commands(areas)
        before = ["forecast", name]
    weights = str(root / "weights" / "small-forecast.safetensors")
    args = parser.parse_args([*before, "--weights", weights, *words])
    assert args.run(args) == 0


def test_the_answer_holds_all_methods_and_what_happened(city):
    result = ask()
    forecaster = api.find_forecaster(city)
    assert forecaster.methods == ("ours", "paper", "stid", "last-value", "historical-mean")
    for name in forecaster.methods:
        middle = result.arrays[f"{name}/middle"]
        assert middle.shape == (12, 4)
        assert (result.arrays[f"{name}/lower"] <= middle).all()
        assert (middle <= result.arrays[f"{name}/upper"]).all()
    speed = city.segments().speed_kmh
    now = 20 * 288 + 8 * 12
    assert np.array_equal(result.arrays["past"], speed[now - 12 : now])
    assert np.array_equal(result.arrays["truth"], speed[now : now + 12])
    error = np.abs(result.arrays["stid/middle"] - result.arrays["truth"]).mean()
    assert result.metrics["stid/mae"] == pytest.approx(error, rel=1e-5)
    times = api.forecast_times(result, city, forecaster)
    assert times[12] == MOMENT
    assert times[0] == MOMENT - timedelta(hours=1)


@pytest.mark.parametrize(
    "edits",
    [(), (ScaleReadings(("d1", "d2"), 1.0, 30),)],
    ids=["no edit", "cut by nothing"],
)
def test_an_edit_that_changes_nothing_changes_no_bit(edits):
    result = ask(*edits)
    for name, array in result.arrays.items():
        if name.startswith(api.EDITED):
            assert array.tobytes() == result.arrays[name.removeprefix(api.EDITED)].tobytes(), name
    assert result.digest == ask(*edits).digest


@pytest.mark.parametrize(
    ("edit", "methods"),
    [
        (ScaleReadings(("d1",), 0.3, 20), ("ours", "paper", "stid", "last-value")),
        (SilenceSensors(("d1",)), ("ours", "paper", "stid", "last-value")),
        (CloseStreets(("s1",)), ("ours",)),
    ],
)
def test_levers_change_what_sees_them(edit, methods):
    result = ask(edit)
    for name in ("ours", "paper", "stid", "last-value", "historical-mean"):
        plain, edited = (result.arrays[f"{head}{name}/middle"] for head in ("", api.EDITED))
        assert (not np.array_equal(plain, edited)) == (name in methods), name


def test_an_incident_cuts_only_the_last_readings():
    result = ask(ScaleReadings(("d2",), 0.5, 20))
    past, edited = result.arrays["past"], result.arrays["edited/past"]
    assert np.array_equal(edited[:8], past[:8])
    assert np.allclose(edited[8:, 2], 0.5 * past[8:, 2])
    assert np.array_equal(np.delete(edited, 2, axis=1), np.delete(past, 2, axis=1))


def test_the_clock_moves_the_usual():
    result = ask(shift_min=120, weekday=5)
    later = ask(moment=MOMENT + timedelta(hours=2))
    assert np.array_equal(result.arrays["edited/usual"], later.arrays["usual"])
    assert np.array_equal(result.arrays["edited/past"], result.arrays["past"])


def test_the_end_of_the_series_has_no_truth_yet(city):
    end = START + timedelta(minutes=5 * len(city.segments()))
    result = ask(moment=end - timedelta(minutes=15))
    assert np.isfinite(result.arrays["truth"][:3]).all()
    assert np.isnan(result.arrays["truth"][3:]).all()
    assert "ours/mae" not in ask(moment=end).metrics


@pytest.mark.parametrize(
    ("edits", "moment", "message"),
    [
        ((RemoveSensors(((0, 0),)),), MOMENT, "cannot take this edit"),
        ((SilenceSensors(("nowhere",)),), MOMENT, "no such sensor"),
        ((CloseStreets(("s9",)),), MOMENT, "street without a sensor"),
        ((), MOMENT + timedelta(minutes=2), "beginning of a step"),
        ((), START, "not enough readings"),
    ],
)
def test_bad_questions_are_explained(edits, moment, message):
    with pytest.raises(EngineError, match=message):
        ask(*edits, moment=moment)


def test_gauge_knows_what_training_never_saw():
    assert api.range_gauge(ask()).level is not api.RangeLevel.OUTSIDE
    stopped = api.range_gauge(ask(ScaleReadings(("d0", "d1", "d2"), 3.0, 60)))
    assert stopped.level is api.RangeLevel.OUTSIDE
    silent = api.range_gauge(ask(SilenceSensors(("d0", "d1"))))
    assert "50% of the sensors are off" in " ".join(silent.reasons)
    closed = api.range_gauge(ask(CloseStreets(("s1", "s2"))))
    assert "links between sensors are closed" in " ".join(closed.reasons)


def test_sensors_stand_on_hexagons_of_their_own(city):
    places = api.sensor_map(city, api.find_forecaster(city))
    assert len(set(places.cells.ids)) == 4
    assert sorted(places.order.tolist()) == [0, 1, 2, 3]
    assert places.cells.names == tuple(places.names[i] for i in places.order)
    middles = np.array([ring.mean(axis=0) for ring in places.cells.rings()])
    edge_deg = np.ptp(places.cells.rings()[0][:, 1])
    assert np.abs(middles - places.positions[places.order])[:, 1].max() < edge_deg


def test_the_table_holds_numbers_and_no_formula(city):
    text = api.forecast_csv(ask(), city, api.find_forecaster(city))
    rows = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(rows) == 1 + 12 * 4
    assert rows[0].startswith("time,sensor,forecast (km/h)")
    first = rows[1].split(",")
    assert datetime.fromisoformat(first[0]) == MOMENT
    assert float(first[2]) == pytest.approx(ask().arrays["ours/middle"][0, 0], abs=0.006)


def test_pictures_group_places_and_times(city):
    for method in api.pictured_methods(api.find_forecaster(city)):
        scenario = api.pictures_scenario("small", method)
        from engine.api.forecast_pictures import run

        steps = run(scenario.to_json())
        next(steps)
        with pytest.raises(StopIteration) as end:
            next(steps)
        pictures = api.pictures_of(api.read_pictures(scenario, end.value.value))
        assert pictures.group_N.shape == (4,)
        assert (np.diff(pictures.mean_G) >= 0).all()
        assert pictures.clock_7S.shape == (7, 96)
        assert np.allclose(pictures.mixture_7HD.sum(axis=-1), 1)


def test_error_card_is_measured_on_days_kept_aside(root, city):
    run_command("assess", root, "--city", "small", "--stride", "60")
    card = api.forecast_card(api.find_forecaster(city))
    assert [row.name for row in card.methods][:2] == ["ours", "paper"]
    usual = next(row for row in card.methods if row.name == "historical-mean")
    speed = city.segments().speed_kmh[-TEST_STEPS:]
    assert usual.mean == pytest.approx(np.abs(speed - 30).mean(), rel=0.1)
    assert len(usual.by_hour) == 24


def test_bench_takes_the_last_days_of_a_city(root, tmp_path, capsys):
    words = ["--city", "small", "--stride", "60", "--methods", "historical-mean"]
    run_command("bench", root, *words, "--json", str(tmp_path / "out.json"))
    assert "historical-mean" in capsys.readouterr().out


def test_edits_travel_as_json():
    for edit in (ScaleReadings(("a", "b"), 0.4, 30.0), SilenceSensors(("a",))):
        assert edit_from_json(edit_to_json(edit)) == edit
    with pytest.raises(EngineError, match="factor of an incident"):
        ScaleReadings(("a",), -1, 30)
    with pytest.raises(EngineError, match="No sensor"):
        SilenceSensors(())


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_window_of_a_moment_is_that_of_the_benchmark(city, root, place):
    bundle = load_bundle(root / "weights" / "small-forecast.safetensors")
    series = read_street_sensors(city)
    facts = bundle.facts
    windows = WindowSet.of(series, facts.history, facts.horizon, facts.earlier)
    start = {"first": 0, "middle": 3, "last": len(windows) - 1}[place]
    wanted = windows.batch(np.array([start]))
    window = cut_window(series, start + facts.history, bundle)
    for name, value in vars(wanted).items():
        assert value.equal(getattr(window, name)), name
    ahead = cut_window(series, len(series), bundle)
    assert ahead.earlier_valid_BPN.all() and not ahead.truth_valid_BHN.any()
