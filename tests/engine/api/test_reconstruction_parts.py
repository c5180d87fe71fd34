"""Around an answer: a whole day, the next sensor, each sensor's worth, files, masks and names."""

import csv
import io
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine import api
from engine.api import reconstruction_day, reconstruction_sensors
from engine.cities import registry
from engine.errors import EngineError, MaskError, ScenarioError
from tests.engine.api.test_reconstruction import INDEX, MASK, WHEN, ask
from tests.small_city import START, flow_values

QUIET = SimpleNamespace(device="cpu", raise_if_cancelled=lambda: None)


def drive(function, scenario):
    steps, seen = function(scenario.to_json(), QUIET), []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return seen, end.value


@pytest.fixture
def case(small):
    return api.open_case(ask())


def test_a_day_has_the_best_maps_of_its_single_answers(small, case):
    scenario = api.day_scenario(ask())
    assert scenario == api.day_scenario(ask(when=WHEN + timedelta(hours=5)))
    assert scenario != api.day_scenario(ask(when=WHEN + timedelta(days=1)))
    seen, answer = drive(reconstruction_day.run, scenario)
    result = api.read_day(scenario, answer)
    maps = np.stack([result.arrays[name] for name in ("estimate", "lower", "upper")])
    assert maps.shape == (3, 48, 16, 16)
    np.testing.assert_array_equal(maps[0, 16], api.reconstruct(ask()).arrays["estimate"])
    assert (maps[1] <= maps[0]).all()
    assert (maps[0] <= maps[2]).all()
    shown = [step.estimate for step in seen if step.estimate is not None]
    np.testing.assert_array_equal(shown[0][0], maps[0])
    series = api.day_series(case, maps, 17)
    np.testing.assert_array_equal(series.estimate, maps[0, :, 1, 1])
    np.testing.assert_array_equal(series.truth, flow_values()[INDEX - 16 : INDEX + 32, 1, 1])
    assert series.times[16] == WHEN


def test_days_like_it_leave_the_day_itself_out(case):
    days = api.days_like(case, 8 * 16 + 8)
    assert len(days) == 3
    assert case.model.field.time_of(case.index).date() not in [one.date for one in days]
    first = (days[0].date - START.date()).days
    np.testing.assert_array_equal(days[0].values, flow_values()[first * 48 : first * 48 + 48, 8, 8])


def test_further_sensors_narrow_the_bands(small):
    scenario = api.place_scenario(ask(), 3)
    _, answer = drive(reconstruction_sensors.run_place, scenario)
    found = api.next_sensors(api.read_sensors(scenario, answer))
    assert len(set(found.cells)) == 3
    assert not any(MASK[cell] for cell in found.cells)
    assert len(found.widths) == 4
    assert all(
        after <= before for before, after in zip(found.widths, found.widths[1:], strict=False)
    )
    with pytest.raises(ScenarioError, match="1 to 32"):
        api.place_scenario(ask(), 33)


def test_every_sensor_is_ranked(small):
    _, answer = drive(reconstruction_sensors.run_rank, ask())
    found = api.sensor_ranking(api.read_sensors(ask(), answer))
    assert set(found.cells) == {tuple(cell) for cell in np.argwhere(MASK).tolist()}
    assert list(found.widening) == sorted(found.widening, reverse=True)


def test_files_hold_the_maps_and_where_they_came_from(small):
    result = api.reconstruct(ask())
    text = api.export_reconstruction(result, api.ExportKind.CSV).decode("utf-8-sig")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    rows = [
        {name.split(" ")[0]: value for name, value in row.items()}
        for row in csv.DictReader(io.StringIO("\n".join(lines)))
    ]
    assert len(rows) == 256
    estimate = np.array([float(row["estimate"]) for row in rows]).reshape(16, 16)
    np.testing.assert_allclose(estimate, result.arrays["estimate"], rtol=1e-4, atol=1e-4)
    truth = np.array([float(row["truth"]) for row in rows]).reshape(16, 16)
    np.testing.assert_array_equal(truth, flow_values()[INDEX])
    assert "simulated traffic" in text
    assert api.export_reconstruction(result, api.ExportKind.GEOPARQUET)[:4] == b"PAR1"
    assert len(api.export_reconstruction(result, api.ExportKind.NETCDF)) > 1000


def test_times_conditions_and_history_around_a_question(small, case):
    model = case.model
    assert api.covered_days(model) == (date(2024, 9, 2), date(2024, 9, 22))
    steps = api.day_steps(model, date(2024, 9, 19))
    assert [index for index, _ in steps] == list(range(17 * 48, 18 * 48))
    assert api.held_out_from(model) == 17 * 48
    found = api.conditions_at(small, WHEN)
    assert (found.weather, found.temperature_c, found.is_holiday) == ("dry", 15.0, False)
    assert api.conditions_at(small, START - timedelta(days=9)) is None
    earlier = api.earlier_readings(case)
    assert [one.when for one in earlier] == [WHEN - timedelta(days=1), WHEN - timedelta(minutes=30)]
    assert earlier[0].num_sensors == MASK.sum()
    low, high = api.usual_top(model)
    assert 0 < low < high


@pytest.mark.parametrize("name", ["sensors.json", "sensors.csv"])
def test_a_mask_comes_back_from_its_file(name):
    content = api.mask_to_json(MASK) if name.endswith("json") else api.mask_to_csv(MASK)
    np.testing.assert_array_equal(api.read_mask(content, name, (4, 4)), MASK)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"{"),
        ("a.json", b"[" * 100_000),
        ("a.json", b'{"observed": 3}'),
        ("a.json", b'{"observed": [[1, 0], [1]]}'),
        ("a.json", b'{"observed": [[1, 2, 1, 1]]}'),
        ("a.csv", b"1,0\n1,0\n"),
        ("a.csv", b"1,0,1,x\n" * 4),
        ("a.csv", b"\xff\xfe\x00"),
        ("a.csv", b""),
        ("a.csv", b"1," * 2_000_000),
    ],
)
def test_what_is_no_mask_is_refused(name, content):
    with pytest.raises(MaskError):
        api.read_mask(content, name, (4, 4))


def test_patterns():
    for pattern in (api.Pattern.FIXED, api.Pattern.RANDOM):
        mask = api.pattern_mask((8, 8), pattern, 0.4, 1)
        assert (~mask).sum() == 26
        np.testing.assert_array_equal(mask, api.pattern_mask((8, 8), pattern, 0.4, 1))
    assert api.pattern_mask((8, 8), api.Pattern.ALL).all()
    assert not api.pattern_mask((8, 8), api.Pattern.QUARTER)[4:, 4:].any()
    with pytest.raises(EngineError, match="out of range"):
        api.pattern_mask((8, 8), api.Pattern.FIXED, 0.99)


def test_sensors_are_named_after_their_longest_street(small):
    names = api.coarse_sensor_names(small, small.grid.coarse())
    assert len(names) == 16
    assert names[0].split(" · ")[0] == "A1"
    assert names[15].split(" · ")[0] == "D4"
    assert {"Ahornallee", "Domplatz"} <= {name.split(" · ")[-1] for name in names}


def test_the_shipped_weights_warn_of_the_absurd_and_not_of_the_ordinary(monkeypatch, tmp_path):
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path))
    when = datetime(2025, 6, 18, 8, tzinfo=ZoneInfo("Europe/Berlin"))
    ordinary = api.pattern_mask((8, 8), api.Pattern.FIXED, 0.4)
    absurd = np.zeros((8, 8), bool)
    absurd[0, 0] = True
    few = api.Sampling(samples=2, steps=1)
    found = [
        api.oddity_of(
            api.reconstruct(api.reconstruct_scenario("adlershof", when, mask, sampling=few))
        )
        for mask in (ordinary, absurd)
    ]
    assert [one.needs_warning for one in found] == [False, True]
    assert found[0].reasons == ()
    assert any("missing" in reason for reason in found[1].reasons)
    assert found[1].cells.shape == (8, 8)
