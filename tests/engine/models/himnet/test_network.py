from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.domain.sensors import UNKNOWN_WEEKDAY, TimeAxis
from engine.models.forecast_windows import WindowSet
from engine.models.himnet.meta import Hoisted, Reassociated, Regenerated
from engine.models.himnet.network import HimNet, HimNetConfig, Teacher

SMALL = HimNetConfig(5, steps_per_day=24, history=6, horizon=4, hidden=8)


def _network(seed=0, config=SMALL):
    return HimNet(config, torch.Generator().manual_seed(seed))


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    values = rng.uniform(20, 70, (40, 5)).astype(np.float32)
    axis = TimeAxis.counted(40, 3, 24, start_weekday=4)
    return WindowSet(values, values > 25, axis, 6, 4).batch(np.arange(3))


@pytest.mark.parametrize(
    ("num_sensors", "published"), [(207, 1_250_937), (228, 1_251_273), (325, 1_252_825)]
)
def test_parameter_count_is_the_published_one(num_sensors, published):
    network = _network(config=HimNetConfig(num_sensors))
    assert sum(p.numel() for p in network.parameters()) == published


def test_forms_agree_on_the_whole_network(batch):
    network = _network()
    inputs = network.features(batch)
    direct = network(*inputs, encoder_form=Regenerated, decoder_form=Regenerated)
    assert direct.shape == (3, 4, 5, 1)
    for encoder, decoder in ((Hoisted, Hoisted), (Hoisted, Reassociated)):
        fast = network(*inputs, encoder_form=encoder, decoder_form=decoder)
        torch.testing.assert_close(fast, direct, rtol=1e-5, atol=1e-6)


def test_same_seed_same_network(batch):
    assert torch.equal(_network(7).forecast(batch), _network(7).forecast(batch))
    assert not torch.equal(_network(7).forecast(batch), _network(8).forecast(batch))


def test_a_sample_does_not_depend_on_its_batch(batch):
    network = _network()
    alone = type(batch)(**{name: value[1:2] for name, value in vars(batch).items()})
    torch.testing.assert_close(network.forecast(alone)[0], network.forecast(batch)[1])


def test_teacher_feeds_the_truth_or_not(batch):
    network, generator = _network(), torch.Generator().manual_seed(0)
    inputs = network.features(batch)
    truth = torch.full((3, 4, 5, 1), 9.0)
    own = network(*inputs)
    never = network(*inputs, teacher=Teacher(truth, 0.0, generator))
    always = network(*inputs, teacher=Teacher(truth, 1.0, generator))
    assert torch.equal(never, own)
    assert torch.equal(always[:, 0], own[:, 0])  # the first step has seen no truth yet
    assert not torch.allclose(always[:, 1], own[:, 1])


def test_loss_ignores_what_is_invalid(batch):
    network, (a, b) = _network(), (torch.Generator().manual_seed(1) for _ in range(2))
    network.set_scale(45, 12, torch.full((7,), 1 / 7))
    wild = torch.where(batch.truth_valid_BHN, batch.truth_BHN, 1e6)
    assert not torch.equal(wild, batch.truth_BHN)
    changed = replace(batch, truth_BHN=wild)
    assert network.loss(changed, 1.0, a).item() == network.loss(batch, 1.0, b).item()


def test_every_parameter_learns(batch):
    network = _network()
    network.loss(batch, 0.5, torch.Generator().manual_seed(0)).backward()
    assert not [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0]


def test_unknown_weekday_is_the_average_of_training(batch):
    network = _network()
    network.set_scale(45, 12, torch.tensor([0, 0, 0, 0, 1.0, 0, 0]))  # Fridays only
    unknown = replace(batch, weekday_BS=torch.full_like(batch.weekday_BS, UNKNOWN_WEEKDAY))
    friday = replace(batch, weekday_BS=torch.full_like(batch.weekday_BS, 4))
    sunday = replace(batch, weekday_BS=torch.full_like(batch.weekday_BS, 6))
    torch.testing.assert_close(network.forecast(unknown), network.forecast(friday))
    assert not torch.allclose(network.forecast(unknown), network.forecast(sunday))


def test_forecast_is_in_the_datas_unit(batch):
    network = _network()
    before = network(*network.features(batch))
    network.set_scale(100.0, 10.0, torch.full((7,), 1 / 7))
    shifted = replace(batch, history_BTN=batch.history_BTN * 10 + 100)
    torch.testing.assert_close(
        network.forecast(shifted), before.squeeze(-1) * 10 + 100, rtol=1e-5, atol=1e-3
    )
