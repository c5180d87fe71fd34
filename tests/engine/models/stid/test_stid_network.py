from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.domain.sensors import UNKNOWN_WEEKDAY, TimeAxis
from engine.models.forecast_windows import Scale, WindowSet
from engine.models.stid.network import STID, ResidualLayer, STIDConfig

SMALL = STIDConfig(5, steps_per_day=24, history=6, horizon=4, embedding=3)


def _network(seed=0, config=SMALL):
    return STID(config, torch.Generator().manual_seed(seed)).eval()


@pytest.fixture
def batch():
    values = np.random.default_rng(0).uniform(20, 70, (40, 5)).astype(np.float32)
    axis = TimeAxis.counted(40, 3, 24, start_weekday=4)
    return WindowSet(values, values > 25, axis, 6, 4).batch(np.arange(3))


def test_parameter_count_is_the_published_one():
    assert sum(p.numel() for p in _network(config=STIDConfig(228)).parameters()) == 117_772


def test_layer_by_hand():
    layer = ResidualLayer(1, 0.0)
    with torch.no_grad():
        for linear, weight, bias in ((layer.first, 2.0, -1.0), (layer.second, 3.0, 0.5)):
            linear.weight.fill_(weight)
            linear.bias.fill_(bias)
    assert layer(torch.tensor([[4.0]])).item() == 4 + 3 * (2 * 4 - 1) + 0.5
    assert layer(torch.tensor([[0.1]])).item() == pytest.approx(0.1 + 0.5)  # ReLU cuts


def test_forecast_of_each_sensor_and_step(batch):
    network = _network()
    network.set_scale(Scale(45, 12, (1 / 7,) * 7))
    forecast = network.forecast(batch).middle_BHN
    assert forecast.shape == (3, 4, 5)
    one = replace(batch, history_BTN=batch.history_BTN.clone())
    one.history_BTN[1, :, 2] += 20
    changed = network.forecast(one).middle_BHN != forecast
    assert changed[1, :, 2].all()
    assert changed.sum() == 4  # sensors and samples do not see each other


def test_unknown_weekday_is_the_average_of_training(batch):
    network = _network()
    network.set_scale(Scale(45, 12, (0, 0, 0, 0, 1, 0, 0)))  # Fridays only
    unknown = replace(batch, weekday_BS=torch.full_like(batch.weekday_BS, UNKNOWN_WEEKDAY))
    friday = replace(batch, weekday_BS=torch.full_like(batch.weekday_BS, 4))
    torch.testing.assert_close(
        network.forecast(unknown).middle_BHN, network.forecast(friday).middle_BHN
    )


@pytest.mark.thorough
def test_learns_a_rule_by_heart(batch):
    network = _network()
    network.set_scale(Scale(45, 12, (1 / 7,) * 7))
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    losses = []
    for _ in range(150):
        loss = network.objective(network(*network.inputs(batch)), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
