from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.domain.sensors import UNKNOWN_WEEKDAY, TimeAxis
from engine.models.forecast_windows import Scale, WindowSet
from engine.models.himnet.meta import Hoisted, Reassociated, Regenerated
from engine.models.himnet.network import HimNet, HimNetConfig, Teacher

EVEN = (1 / 7,) * 7
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
    inputs = network.inputs(batch)
    direct = network(*inputs, encoder_form=Regenerated, decoder_form=Regenerated)
    assert direct.shape == (3, 4, 5, 1)
    for encoder, decoder in ((Hoisted, Hoisted), (Hoisted, Reassociated)):
        fast = network(*inputs, encoder_form=encoder, decoder_form=decoder)
        torch.testing.assert_close(fast, direct, rtol=1e-5, atol=1e-6)


def test_same_seed_same_network(batch):
    assert torch.equal(
        _network(7).forecast(batch).middle_BHN, _network(7).forecast(batch).middle_BHN
    )
    assert not torch.equal(
        _network(7).forecast(batch).middle_BHN, _network(8).forecast(batch).middle_BHN
    )


def test_a_sample_does_not_depend_on_its_batch(batch):
    network = _network()
    given = {name: value for name, value in vars(batch).items() if value is not None}
    alone = type(batch)(**{name: value[1:2] for name, value in given.items()})
    torch.testing.assert_close(
        network.forecast(alone).middle_BHN[0], network.forecast(batch).middle_BHN[1]
    )


def test_teacher_feeds_the_truth_or_not(batch):
    network = _network()
    inputs, truth = network.inputs(batch), torch.full((3, 4, 5, 1), 9.0)
    own = network(*inputs)
    never, second = torch.zeros(4, dtype=torch.bool), torch.tensor([False, True, False, False])
    assert torch.equal(network(*inputs, teacher=Teacher(truth, never)), own)
    taught = network(*inputs, teacher=Teacher(truth, second))
    assert torch.equal(taught[:, :2], own[:, :2])  # the truth of step 1 reaches step 2
    assert not torch.allclose(taught[:, 2], own[:, 2])


def test_loss_and_teacher_ignore_what_is_invalid(batch):
    network = _network()
    network.set_scale(Scale(45, 12, EVEN))
    wild = torch.where(batch.truth_valid_BHN, batch.truth_BHN, 1e6)
    assert not torch.equal(wild, batch.truth_BHN)
    losses = []
    for each in (batch, replace(batch, truth_BHN=wild)):
        teacher = network.teacher(each, torch.ones(4, dtype=torch.bool))
        losses.append(network.objective(network(*network.inputs(each), teacher=teacher), each))
    assert losses[0].item() == losses[1].item()


def test_every_parameter_learns(batch):
    network = _network()
    network.objective(network(*network.inputs(batch)), batch).backward()
    assert not [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0]


def test_unknown_weekday_is_the_average_of_training(batch):
    network = _network()
    network.set_scale(Scale(45, 12, (0, 0, 0, 0, 1, 0, 0)))  # Fridays only
    unknown = replace(batch, weekday_BS=torch.full_like(batch.weekday_BS, UNKNOWN_WEEKDAY))
    friday = replace(batch, weekday_BS=torch.full_like(batch.weekday_BS, 4))
    sunday = replace(batch, weekday_BS=torch.full_like(batch.weekday_BS, 6))
    torch.testing.assert_close(
        network.forecast(unknown).middle_BHN, network.forecast(friday).middle_BHN
    )
    assert not torch.allclose(
        network.forecast(unknown).middle_BHN, network.forecast(sunday).middle_BHN
    )


def test_forecast_is_in_the_datas_unit(batch):
    network = _network()
    before = network(*network.inputs(batch))
    network.set_scale(Scale(100, 10, EVEN))
    shifted = replace(batch, history_BTN=batch.history_BTN * 10 + 100)
    torch.testing.assert_close(
        network.forecast(shifted).middle_BHN, before.squeeze(-1) * 10 + 100, rtol=1e-5, atol=1e-3
    )
