"""Missing sensors of the small city: the same answer everywhere, and clear words for bad input."""

import dataclasses
import json
import shutil
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from engine import api
from engine.api.reconstruction import PAPER_SAMPLES, PAPER_STEPS, one_thread, run
from engine.api.reconstruction_case import OURS, PAPER, open_case
from engine.cities import CityWriter, registry
from engine.domain import FieldSeries, Grid, RemoveSensors
from engine.errors import (
    EngineError,
    FieldError,
    JobCancelledError,
    MaskError,
    ScenarioError,
    WeightsError,
)
from engine.models.baselines.historical import HistoricalShare
from engine.models.diffrecon.ours.system import KIND, load_reconstructor
from engine.models.diffrecon.paper.system import KIND as PAPER_KIND
from engine.models.diffrecon.paper.system import all_lags, load_paper
from engine.models.flows import coarsen, flows_of_field
from engine.models.observations import observe
from tests.small_city import START, flow_values
from tests.small_weights import write_small_paper, write_small_weights

WHEN = START + timedelta(days=17, hours=8)
INDEX = 17 * 48 + 16
MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 1]], dtype=bool)
FEW = api.Sampling(samples=9, steps=2, seed=3)


def ask(mask=MASK, when=WHEN, **more):
    return api.reconstruct_scenario("small", when, mask, **{"sampling": FEW, **more})


def drive(scenario, context=None):
    quiet = SimpleNamespace(device="cpu", raise_if_cancelled=lambda: None)
    steps, seen = run(scenario.to_json(), context or quiet), []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return seen, api.read_reconstruction(scenario, end.value)


def test_kinds_are_those_of_the_models():
    assert (OURS, PAPER) == (KIND, PAPER_KIND)


def test_the_answer_is_that_of_the_system_itself(small, sensors_data):
    result = api.reconstruct(ask())
    system = load_reconstructor(sensors_data / "weights" / "small.safetensors")
    flows = flows_of_field(small.field("flow"), small.context())
    seen = observe(flows, np.array([INDEX]), MASK[None], system.config.lags)
    *_, expected = system.reconstruct(seen, 3, 9, 2)
    for name in ("estimate", "lower", "upper", "samples", "coarse"):
        np.testing.assert_array_equal(result.arrays[name], getattr(expected, name))
    np.testing.assert_array_equal(result.arrays["truth"], flow_values()[INDEX])
    totals = coarsen(flow_values()[INDEX].astype(np.float32), 4)
    np.testing.assert_array_equal(result.arrays["totals"], np.where(MASK, totals, np.nan))
    share = HistoricalShare(system.profile).estimate(seen)[0]
    np.testing.assert_array_equal(result.arrays["method/historical-share"], share)


def test_job_and_call_agree_and_the_first_estimate_comes_first(small):
    seen, result = drive(ask())
    told = []
    again = api.reconstruct(ask(), told.append)
    assert again.digest == result.digest
    assert again.metrics == result.metrics
    assert [step.message for step in seen] == [step.message for step in told]
    first = seen[0].estimate
    assert first.shape == (3, 16, 16)
    np.testing.assert_array_equal(first[0], result.arrays["estimate"])
    np.testing.assert_array_equal(first[0], first[1])
    last = seen[-1].estimate
    np.testing.assert_array_equal(last[2], result.arrays["upper"])
    fractions = [step.fraction for step in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] > 0


def test_another_seed_is_another_answer_with_the_same_best_map(small):
    one = api.reconstruct(ask())
    other = api.reconstruct(ask(sampling=dataclasses.replace(FEW, seed=4)))
    np.testing.assert_array_equal(one.arrays["estimate"], other.arrays["estimate"])
    assert not np.array_equal(one.arrays["samples"], other.arrays["samples"])


def test_totals_are_kept_and_nothing_is_negative(small):
    result = api.reconstruct(ask())
    assert result.metrics["conservation"] < 1e-4
    totals = coarsen(result.arrays["samples"], 4)
    observed = np.broadcast_to(MASK, totals.shape)
    expected = np.broadcast_to(result.arrays["totals"], totals.shape)
    np.testing.assert_allclose(totals[observed], expected[observed], rtol=1e-4, atol=1e-3)
    for name in ("samples", "estimate", "lower"):
        assert result.arrays[name].min() >= 0


def test_what_is_hidden_is_not_looked_at(small, monkeypatch):
    case = open_case(ask())
    changed = case.model.field.values.copy()
    n = 4
    for row, col in np.argwhere(~MASK):
        changed[:, row * n : row * n + n, col * n : col * n + n] += 50
    field = dataclasses.replace(case.model.field, values=changed)
    other = dataclasses.replace(case, model=dataclasses.replace(case.model, field=field))
    lags = case.model.config.lags
    one, two = case.observe(lags), other.observe(lags)
    np.testing.assert_array_equal(one.coarse, two.coarse)
    np.testing.assert_array_equal(one.past, two.past)


def test_history_is_that_of_the_working_sensors_or_as_chosen(small):
    lags = (1, 48)
    assert (open_case(ask()).observe(lags).past_observed[0] == MASK).all()
    until_now = open_case(ask(history=api.History.UNTIL_NOW)).observe(lags)
    assert until_now.past_observed.all()
    np.testing.assert_array_equal(
        until_now.past[0, 1], coarsen(flow_values()[INDEX - 48].astype(np.float32), 4)
    )
    assert not open_case(ask(history=api.History.NONE)).observe(lags).past_observed.any()
    first_day = open_case(ask(when=START + timedelta(hours=2))).observe(lags)
    assert first_day.past_observed[0, 0].any()
    assert not first_day.past_observed[0, 1].any()


def test_supposed_conditions_reach_the_model_and_nothing_else(small):
    real = open_case(ask()).observe((1, 48))
    supposed = api.Supposed("heavy-rain", is_holiday=True, temperature_c=30)
    scenario = api.suppose(ask(), supposed)
    seen = open_case(scenario).observe((1, 48))
    np.testing.assert_array_equal(seen.coarse, real.coarse)
    _, holiday, weather, temperature, rain = seen.conditions[0]
    assert (holiday, weather, temperature, rain) == (1, 2, 30, 6)
    assert seen.slots[0] == real.slots[0] + 2 * 48
    assert seen.past_slots[0].tolist() == [real.past_slots[0, 0] + 2 * 48, real.past_slots[0, 1]]
    one, other = api.reconstruct(ask()), api.reconstruct(scenario)
    assert not np.array_equal(one.arrays["estimate"], other.arrays["estimate"])
    np.testing.assert_array_equal(one.arrays["truth"], other.arrays["truth"])
    assert api.suppose(ask(), api.Supposed()) == ask()
    # the city's own table is untouched
    assert not small.context()["holiday"].any()


@pytest.mark.parametrize(
    "change",
    [
        {"suppose_weather": "frogs"},
        {"suppose_temperature_c": 99.0},
        {"suppose_temperature_c": "warm"},
        {"suppose_holiday": "maybe"},
    ],
)
def test_what_cannot_be_supposed_is_refused(small, change):
    scenario = ask()
    edited = dataclasses.replace(scenario, parameters={**scenario.parameters, **change})
    with pytest.raises(ScenarioError):
        api.reconstruct(edited)


def test_the_card_counts_hidden_cells_only(small):
    result = api.reconstruct(ask())
    card = api.error_card(result, "vehicles")
    hidden = np.repeat(np.repeat(~MASK, 4, 0), 4, 1)
    np.testing.assert_array_equal(api.hidden_cells(result), hidden)
    truth = flow_values()[INDEX].astype(float)
    assert card.num_cells == hidden.sum() == 5 * 16
    assert card.mean_truth == pytest.approx(truth[hidden].mean())
    names = [row.name for row in card.rows]
    assert names == ["ours", "historical-share", "historical-mean", "nearest", "bicubic"]
    for row in card.rows:
        key = "estimate" if row.name == "ours" else f"method/{row.name}"
        gap = (result.arrays[key].astype(float) - truth)[hidden]
        assert row.mae == pytest.approx(np.abs(gap).mean())
        assert row.rmse == pytest.approx(np.sqrt((gap**2).mean()))
    ours, share = card.rows[:2]
    inside = (result.arrays["lower"] <= truth) & (truth <= result.arrays["upper"])
    assert ours.coverage90 == pytest.approx(inside[hidden].mean())
    assert ours.crps < ours.mae
    assert share.coverage90 is None
    # shaken networks lose against the simple baselines, and the card says so
    assert card.is_beaten
    assert "the simple baseline is better" in card.verdict


def test_a_better_model_is_said_to_be_better(small):
    result = api.reconstruct(ask())
    metrics = {**result.metrics, "ours/mae": 0.5 * result.metrics["historical-share/mae"]}
    card = api.error_card(dataclasses.replace(result, metrics=metrics))
    assert not card.is_beaten
    assert "50 % less" in card.verdict


def test_the_papers_method_stands_on_the_card_where_it_is_installed(
    small, sensors_data, tmp_path, monkeypatch
):
    shutil.copytree(sensors_data, tmp_path / "data")
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path / "data"))
    path = write_small_paper(tmp_path / "data" / "weights", small)
    result = api.reconstruct(ask())
    system = load_paper(path)
    seen = open_case(ask()).observe(all_lags(system.config))
    with one_thread():
        drawn = system.sample(seen, 3, PAPER_SAMPLES, PAPER_STEPS)
    np.testing.assert_array_equal(result.arrays["method/paper"], drawn.mean(0))
    card = api.error_card(result)
    assert [row.name for row in card.rows][:2] == ["ours", "paper"]
    assert card.rows[1].coverage90 is not None
    assert card.rows[1].crps < card.rows[1].mae
    # and a job stops within it
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 12:
            raise JobCancelledError("The job was cancelled.")

    context = SimpleNamespace(device="cpu", raise_if_cancelled=check)
    steps = run(ask(sampling=api.Sampling(samples=2, steps=1)).to_json(), context)
    with pytest.raises(JobCancelledError):
        list(steps)


def test_a_cancelled_job_stops_between_two_evaluations(small):
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 4:
            raise JobCancelledError("The job was cancelled.")

    context = SimpleNamespace(device="cpu", raise_if_cancelled=check)
    steps = run(ask().to_json(), context)
    assert next(steps).message == "First estimate"
    with pytest.raises(JobCancelledError):
        list(steps)
    assert len(calls) == 4


BAD = {
    "nothing is left": (lambda: ask(np.zeros((4, 4), bool)), MaskError, "No sensor is left"),
    "nothing is missing": (lambda: ask(np.ones((4, 4), bool)), MaskError, "No sensor is missing"),
    "numbers as a mask": (lambda: ask(np.ones((4, 4))), MaskError, "true or false"),
    "another shape": (lambda: ask(MASK[:3]), MaskError, "another shape"),
    "too many samples": (
        lambda: ask(sampling=api.Sampling(samples=999)),
        ScenarioError,
        "out of range",
    ),
    "too many steps": (lambda: ask(sampling=api.Sampling(steps=99)), ScenarioError, "out of range"),
    "no steps": (lambda: ask(sampling=api.Sampling(steps=0)), ScenarioError, "out of range"),
    "a huge seed": (lambda: ask(sampling=api.Sampling(seed=2**40)), ScenarioError, "seed"),
    "no time zone": (lambda: ask(when=datetime(2024, 9, 19)), ScenarioError, "time zone"),
    "before the series": (lambda: ask(when=START - timedelta(days=1)), FieldError, "outside"),
    "no such field": (lambda: ask(field="speed"), EngineError, "no weights"),
    "no such weights": (lambda: ask(weights="moon"), WeightsError, "no weights of that name"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_an_error_in_words(small, name):
    make, kind, words = BAD[name]
    with pytest.raises(kind, match=words):
        api.reconstruct(make())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": "many"}, "missing or not whole"),
        ({"history": "?"}, "history is not known"),
        ({"time": "yesterday"}, "names no time"),
        ({"rows": 10**6, "cols": 10**6}, "size is impossible"),
    ],
)
def test_an_edited_scenario_is_refused(small, change, words):
    scenario = ask()
    edited = dataclasses.replace(scenario, parameters={**scenario.parameters, **change})
    with pytest.raises(EngineError, match=words):
        api.reconstruct(edited)


def test_a_sensor_outside_the_map_is_refused(small):
    edited = dataclasses.replace(ask(), edits=(RemoveSensors(((0, 9),)),))
    with pytest.raises(MaskError, match="outside the map"):
        api.reconstruct(edited)


def test_damaged_weights_are_named(small, sensors_data, tmp_path, monkeypatch):
    shutil.copytree(sensors_data, tmp_path / "data")
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path / "data"))
    path = tmp_path / "data" / "weights" / "small.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    card = json.loads(path.with_suffix(".json").read_text())
    card["sha256"] = "0" * 64  # the good weights are kept in this process under their own checksum
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        api.reconstruct(ask())
    path.with_suffix(".json").write_text("{")
    with pytest.raises(WeightsError, match="card cannot be read"):
        api.find_model(small)


def test_weights_of_another_city_or_grid_are_refused(small, sensors_data, tmp_path):
    other = write_small_weights(tmp_path, small, "other", city="elsewhere")
    with pytest.raises(WeightsError, match="another city"):
        api.reconstruct(ask(weights=str(other)))
    unit = write_small_weights(tmp_path, small, "unit", unit="people")
    with pytest.raises(FieldError, match="another unit"):
        api.reconstruct(ask(weights=str(unit)))
    card = json.loads(other.with_suffix(".json").read_text())
    card["data"]["city"], card["config"]["rows"] = "small", 8
    other.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="another grid"):
        api.reconstruct(ask(weights=str(other)))


def test_values_that_are_no_numbers_are_refused(small):
    case = open_case(ask())
    values = case.model.field.values.astype(np.float32)
    values[INDEX, 0, 0] = np.nan
    field = dataclasses.replace(case.model.field, values=values)
    broken = dataclasses.replace(case, model=dataclasses.replace(case.model, field=field))
    with pytest.raises(FieldError, match="no number"):
        broken.observe((1, 48))


def coarse_city(root, small):
    """The small city as its sensors alone see it."""
    fine = small.field("flow")
    grid = Grid(*fine.grid.bounds, 4, 4, 1)
    metadata = dataclasses.replace(small.metadata, id="coarse", grid=grid, files={})
    totals = coarsen(fine.values.astype(np.float32), 4)
    with CityWriter(root, metadata) as writer:
        writer.add_field(
            "flow",
            FieldSeries(
                fine.name, totals, grid, fine.start, fine.step, fine.unit, fine.aggregation
            ),
        )
    return registry.open_city("coarse")


@pytest.fixture
def coarse(small, tmp_path, monkeypatch):
    """A city of sensors' totals alone, with the weights of the fine one."""
    write_small_weights(tmp_path / "weights", small, "coarse", city="coarse")
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path))
    return coarse_city(tmp_path / "cities", small)


def test_a_city_without_truth_gets_the_same_map_and_no_errors(small, coarse, sensors_data):
    result = api.reconstruct(dataclasses.replace(ask(), city_id="coarse"))
    assert "truth" not in result.arrays
    assert api.error_card(result) is None
    system = load_reconstructor(sensors_data / "weights" / "small.safetensors")
    flows = flows_of_field(small.field("flow"), coarse.context())
    seen = observe(flows, np.array([INDEX]), MASK[None], system.config.lags)
    np.testing.assert_array_equal(result.arrays["estimate"], system.estimate(seen)[0])
    model = api.find_model(coarse)
    assert model.fine.shape == (16, 16)
    assert not model.has_truth
