from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.domain.sensors import SensorSeries, TimeAxis
from engine.errors import InputError
from engine.models.forecast_windows import WindowSet
from engine.models.himnet.objective import teacher_probability
from engine.training.forecast import (
    ForecastTask,
    MilestoneAdam,
    PublishedRecipe,
    PublishedTask,
    StreetTask,
)
from engine.training.forecast_recipe import (
    Extras,
    build_network,
    build_trainer,
    read_forecast_recipe,
)
from engine.training.loop import TrainingConfig

N = 4
QUICK = TrainingConfig(steps=4, batch_size=4, validate_every=2, checkpoint_every=2, half=False)


@pytest.fixture(scope="module")
def windows():
    time = np.arange(80)[:, None]
    values = (
        50 + 10 * np.sin(time / 4 + np.arange(N)) + np.random.default_rng(0).normal(size=(80, N))
    )
    series = SensorSeries(
        "speed", tuple("abcd"), values.astype(np.float32), TimeAxis.counted(80, 0, 24, 0), "mph"
    )
    return WindowSet.of(series.part(0, 55), 6, 4), WindowSet.of(series.part(55, 80), 6, 4)


def _rngs(count):
    return [np.random.default_rng(i) for i in range(count)]


def test_some_windows_forget_their_weekday(windows):
    network = build_network("stid", windows[0], 0)
    batch = ForecastTask(network, *windows).batch(np.arange(40), _rngs(40)).windows
    unknown = (batch.weekday_BS < 0).all(dim=1)
    assert 0.1 < unknown.double().mean() < 0.6
    assert torch.equal(unknown, (batch.weekday_BS < 0).any(dim=1))


def test_streets_close_and_sensors_fall_silent(windows):
    streets = torch.ones(N, N) - torch.eye(N)
    network = build_network("ours", windows[0], 0, streets)
    batch = StreetTask(network, *windows).batch(np.arange(40), _rngs(40))
    edges = batch.streets_BNN.sum((1, 2))
    assert 0 < (edges < streets.sum()).sum() < 40
    silent = ~batch.windows.history_valid_BTN.any(dim=1)
    assert silent.any() and not silent.all()
    assert batch.windows.truth_valid_BHN.all()  # what is silent is still asked for


def test_usual_day_holds_nothing_of_its_window(windows):
    network = build_network("ours", windows[0], 0)
    batch = StreetTask(network, *windows).batch(np.array([20]), _rngs(1))
    values, usual = windows[0].values_TN, batch.usual_BSN[0].numpy()
    for place, others in ((0, [44]), (6, [2, 50]), (8, [4, 52])):  # the same slot, 24 steps a day
        np.testing.assert_allclose(usual[place], values[others].mean(axis=0), rtol=1e-4)
    features = network.inputs(batch.windows, batch.streets_BNN, batch.usual_BSN)[0]
    scaled = (batch.usual_BSN - network.value_mean) / network.value_std
    assert torch.equal(features[..., 12:22].transpose(1, 2), scaled)


def test_silent_sensor_was_silent_before(windows):
    reaching = replace(windows[0], earlier=5)
    network = build_network("ours", reaching, 0, None, {"earlier": 4, "earlier_mean": 2})
    batch = StreetTask(network, reaching, windows[1]).batch(np.arange(10, 40), _rngs(30)).windows
    silent = ~batch.history_valid_BTN.any(dim=1)
    assert silent.any()
    assert torch.equal(~batch.earlier_valid_BPN.any(dim=1), silent)


def test_unknown_size_is_refused(windows):
    with pytest.raises(InputError, match="unknown size"):
        build_network("ours", windows[0], 0, None, {"width": 3})


def test_teacher_draws_follow_the_probability(windows):
    task = PublishedTask(build_network("paper", windows[0], 0), *windows)
    task.teacher_probability = 0.0
    assert not task.batch(np.arange(2), _rngs(2)).feeds_H.any()
    task.teacher_probability = 1.0
    assert task.batch(np.arange(2), _rngs(2)).feeds_H.all()


def test_published_rate_is_cut_at_milestones():
    layer = torch.nn.Linear(1, 1)
    adam = MilestoneAdam(layer, 1e-3, PublishedRecipe(milestones=(3, 5)), steps_per_epoch=10)
    rates = []
    for step in (0, 29, 30, 49, 50, 99):
        adam.param_groups[0]["lr"] = 123.0  # what the loop sets does not count
        adam.next_step = step
        adam.step()
        rates.append(adam.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


@pytest.mark.parametrize("method", ["paper", "ours", "stid"])
def test_training_resumes_as_if_never_stopped(method, windows, tmp_path):
    def trainer(folder, stop_after=99):
        network = build_network(method, windows[0], 3, torch.ones(N, N))
        done = []
        run = build_trainer(network, *windows, QUICK, folder, lambda: len(done) + 1 >= stop_after)
        for state in run.run():
            done.append(state.loss)
        return run, done

    whole, losses = trainer(tmp_path / "whole")
    _, first = trainer(tmp_path / "parts", stop_after=2)
    resumed, rest = trainer(tmp_path / "parts")
    assert len(first) == 2
    assert first + rest == losses
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(value, resumed.averaged.state_dict()[name]), name
    assert {"score", "rmse", "mae_step_3"} <= set(whole.curve[0])


def test_published_schedule_is_set_before_each_step(windows):
    task_network = build_network("paper", windows[0], 0)
    run = build_trainer(task_network, *windows, QUICK)
    probabilities = [run.task.teacher_probability for _ in run.run()]
    assert probabilities == [teacher_probability(step) for step in range(4)]
    parameters = zip(run.network.parameters(), run.averaged.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in parameters)  # no averaging


RECIPE = """
[data]
name = "x"
[series]
key = "speed"
unit = "mph"
held_out_steps = 30
days = [0, 1]
[methods.stid]
epochs = 3
batch_size = 10
"""


def test_recipe_counts_epochs(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(RECIPE)
    recipe = read_forecast_recipe(path)
    settings = recipe.settings("stid", 105, seed=7)
    assert (settings.steps, settings.validate_every, settings.seed) == (30, 10, 7)
    assert recipe.facts(("a",)).days == (0, 1)
    assert recipe.start == (0, -1)


def test_method_may_have_its_own_end_and_sizes(tmp_path):
    own = "[methods.paper]\nrefit = false\nheld_out_steps = 12\nnetwork = {hidden = 8}\n"
    path = tmp_path / "x.toml"
    path.write_text(RECIPE + own)
    recipe = read_forecast_recipe(path)
    assert (recipe.held_out_steps("paper"), recipe.held_out_steps("stid")) == (12, 30)
    assert (recipe.is_refitted("paper"), recipe.is_refitted("stid")) == (False, True)
    assert (recipe.sizes("paper"), recipe.sizes("stid")) == ({"hidden": 8}, {})
    assert recipe.settings("paper", 64, 0).steps == 2


def test_recipe_says_what_is_missing_in_training(tmp_path, windows):
    path = tmp_path / "x.toml"
    path.write_text(RECIPE + "disturbances = {unknown_weekdays = 0, outages = 0, closures = 0}\n")
    recipe = read_forecast_recipe(path)
    assert recipe.disturbances("paper").closures > 0
    network = build_network("ours", windows[0], 0, torch.ones(N, N))
    missing = recipe.disturbances("stid")
    run = build_trainer(network, *windows, QUICK, extras=Extras(disturbances=missing))
    batch = run.task.batch(np.arange(30), _rngs(30))
    assert (batch.windows.weekday_BS >= 0).all() and batch.windows.history_valid_BTN.all()
    assert torch.equal(batch.streets_BNN, torch.ones(30, N, N))
    path.write_text(RECIPE + "disturbances = {noise = 1}\n")
    with pytest.raises(InputError, match="unknown disturbance"):
        read_forecast_recipe(path).disturbances("stid")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('key = "speed"', "", "cannot be read"),
        ("[methods.stid]", "[methods.other]", "no method 'stid'"),
        ("epochs = 3", "speed = 3", "unknown training setting"),
    ],
)
def test_unusable_recipe(tmp_path, old, new, message):
    path = tmp_path / "x.toml"
    path.write_text(RECIPE.replace(old, new))
    with pytest.raises(InputError, match=message):
        read_forecast_recipe(path).settings("stid", 105, 0)
