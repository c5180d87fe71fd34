from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.domain.sensors import TimeAxis
from engine.errors import WeightsError
from engine.models.forecast_windows import Scale, WindowSet
from engine.models.himnet.blending import Beside, blend
from engine.models.himnet.direct import DirectConfig, DirectNet
from engine.models.himnet.streets import drop_edges, weigh_sources
from engine.models.stid.network import STID, STIDConfig

N = 5
SMALL = DirectConfig(
    N, steps_per_day=24, history=6, horizon=4, embedding=4, graph_embedding=3, pool=2
)
CHAIN = torch.diag(torch.ones(N - 1), 1) + torch.diag(torch.ones(N - 1), -1)


RICH = replace(SMALL, members=3, heads=2, earlier=6, earlier_mean=3, tails=0.5)


def _network(seed=0, streets=CHAIN, config=SMALL):
    network = DirectNet(config, streets, torch.Generator().manual_seed(seed)).eval()
    network.set_scale(Scale(45, 12, (1 / 7,) * 7), torch.full((24, N), 50.0))
    return network


@pytest.fixture
def batch():
    values = np.random.default_rng(0).uniform(20, 70, (40, N)).astype(np.float32)
    axis = TimeAxis.counted(40, 3, 24, start_weekday=4)
    return WindowSet(values, values > 22, axis, 6, 4, earlier=7).batch(np.array([0, 4, 20]))


def test_quantiles_are_in_order_and_in_the_datas_unit(batch):
    forecast = _network().forecast(batch)
    assert forecast.middle_BHN.shape == (3, 4, N)
    assert (forecast.lower_BHN < forecast.middle_BHN).all()
    assert (forecast.middle_BHN < forecast.upper_BHN).all()
    assert 0 < forecast.middle_BHN.mean() < 100


def test_edit_that_changes_nothing_changes_nothing(batch):
    network = _network()
    plain, edited = network.forecast(batch), network.forecast(batch, CHAIN.clone())
    assert torch.equal(plain.middle_BHN, edited.middle_BHN)


def test_closed_street_changes_the_forecast(batch):
    network = _network()
    closed = CHAIN.clone()
    closed[1, 2] = closed[2, 1] = 0
    assert not torch.equal(
        network.forecast(batch).middle_BHN, network.forecast(batch, closed).middle_BHN
    )


def test_silent_sensor_says_nothing(batch):
    network = _network()
    heard = batch.history_valid_BTN.clone()
    heard[:, :, 3] = False
    loud, quiet = batch.history_BTN.clone(), batch.history_BTN.clone()
    loud[:, :, 3] = 1e4
    forecasts = [
        network.forecast(replace(batch, history_BTN=history, history_valid_BTN=heard)).middle_BHN
        for history in (loud, quiet)
    ]
    assert torch.equal(*forecasts)


@pytest.mark.parametrize("config", [SMALL, RICH])
def test_every_parameter_learns(batch, config):
    network = _network(config=config)
    network.objective(network(*network.inputs(batch)), batch).backward()
    assert not [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0]


def test_forecast_does_not_see_the_truth(batch):
    network = _network()
    blind = replace(batch, truth_BHN=torch.zeros_like(batch.truth_BHN))
    assert torch.equal(network.forecast(blind).middle_BHN, network.forecast(batch).middle_BHN)


def test_sources_by_hand():
    adjacency = torch.tensor([[0, 1.0, 3.0], [1, 0, 0], [0, 0, 0]])
    alive = torch.tensor([[True, True, True], [False, True, True]])
    weights = weigh_sources(adjacency, alive)
    assert weights[0].tolist() == [[0, 0.25, 0.75], [1, 0, 0], [0, 0, 0]]
    assert weights[1].tolist() == [[0, 0.25, 0.75], [0, 0, 0], [0, 0, 0]]


def test_edges_are_dropped_in_both_directions():
    draws = torch.rand(4, N, N, generator=torch.Generator().manual_seed(0))
    share = torch.tensor([0.0, 0.5, 0.5, 1.0])
    left = drop_edges(CHAIN, draws, share)
    assert torch.equal(left, left.transpose(1, 2))
    assert torch.equal(left[0], CHAIN)
    assert left[3].sum() == 0
    assert 0 < left[1:3].sum() < 2 * CHAIN.sum()


def test_members_are_averaged(batch):
    network = _network(config=RICH)
    each = network.unscale(network(*network.inputs(batch)))
    assert len(each) == 3
    assert not torch.allclose(each[0], each[1])
    torch.testing.assert_close(network.forecast(batch).middle_BHN, each[..., 1].mean(dim=0))


def test_first_member_is_the_network_alone(batch):
    alone = _network(config=replace(RICH, members=1))
    given = alone.inputs(batch)
    assert torch.equal(alone(*given)[0], _network(config=RICH)(*given)[0])


def test_hours_before_the_history_count_only_where_asked_for(batch):
    other = replace(batch, earlier_BPN=batch.earlier_BPN + 10)
    for config, is_seen in ((RICH, True), (SMALL, False)):
        network = _network(config=config)
        before, after = network.forecast(batch).middle_BHN, network.forecast(other).middle_BHN
        assert torch.equal(before, after) is not is_seen


def test_batch_without_the_hours_before_is_as_if_nothing_was_heard(batch):
    network = _network(config=RICH)
    unheard = replace(batch, earlier_valid_BPN=torch.zeros_like(batch.earlier_valid_BPN))
    short = replace(batch, earlier_BPN=None, earlier_valid_BPN=None)
    assert torch.equal(network.forecast(unheard).middle_BHN, network.forecast(short).middle_BHN)


def test_means_before_the_history_by_hand(batch):
    network = _network(config=RICH)
    values = torch.full_like(batch.earlier_BPN, 999.0)
    valid = torch.zeros_like(batch.earlier_valid_BPN)
    values[:, -6:-3], values[:, -3:] = 62.0, 50.0
    valid[:, -5:-3] = valid[:, -1:] = True
    given = replace(batch, earlier_BPN=values, earlier_valid_BPN=valid)
    features_BSN = network.inputs(given)[0].transpose(1, 2)[:, -5:-1]
    expected = torch.tensor([1.0, 0.0, 2 / 3, 1 / 3]).view(1, 4, 1).expand_as(features_BSN)
    torch.testing.assert_close(features_BSN, expected)


def _plain(seed):
    plain = STID(STIDConfig(N, 24, 6, 4), torch.Generator().manual_seed(seed)).eval()
    plain.set_scale(Scale(45, 12, (1 / 7,) * 7))
    return plain


def test_blend_is_the_mean_of_all_networks(batch):
    several, plain = [_network(seed, config=RICH) for seed in (1, 2)], [_plain(3)]
    whole = blend(several, 2, Beside(plain))
    each = [
        middle
        for network in several
        for middle in network.unscale(network(*network.inputs(batch)))[:2, ..., 1]
    ]
    usual = several[0].profile_SN[batch.slot_BS[:, :6]] * 12 + 45
    filled = torch.where(batch.history_valid_BTN, batch.history_BTN, usual)
    each.append(plain[0].forecast(replace(batch, history_BTN=filled)).middle_BHN)
    found = whole.forecast(batch)
    torch.testing.assert_close(found.middle_BHN, torch.stack(each).mean(dim=0))
    direct = blend(several, 2).forecast(batch)
    torch.testing.assert_close(
        found.upper_BHN - found.lower_BHN, direct.upper_BHN - direct.lower_BHN
    )


def test_networks_of_other_data_are_not_blended():
    other = _network(config=RICH)
    other.value_mean.fill_(46)
    with pytest.raises(WeightsError, match="other data"):
        blend([_network(config=RICH), other], members=1)
    with pytest.raises(WeightsError, match="so many members"):
        blend([_network()], members=2)


STEPWISE = replace(SMALL, recurrent=3, earlier=6, earlier_mean=3, early=0.5)


def test_a_recurrent_encoder_hears_every_step_and_the_neighbours(batch):
    network = _network(config=STEPWISE)
    features_BNF, *rest = network.inputs(batch)
    features_BNF.requires_grad_()
    states = []
    network.encoder.register_forward_hook(lambda _module, _given, state: states.append(state))
    network(features_BNF, *rest)
    (state_BNC,) = states
    assert state_BNC.shape == (3, N, 3)
    (slope_BNF,) = torch.autograd.grad(state_BNC[:, 0].sum(), features_BNF)
    values_BNT = slope_BNF[..., :6]
    assert (values_BNT[:, :2] != 0).all()
    # what comes after the history is not the encoder's matter
    assert not slope_BNF[..., 18:].any()


def test_near_steps_can_weigh_more_in_the_loss(batch):
    plain, early = (_network(config=replace(SMALL, early=power)) for power in (0.0, 0.5))
    quantiles = torch.zeros(1, 3, 4, N, 3)
    found = []
    for step in (0, 3):
        truth_BHN = torch.full((3, 4, N), 45.0)
        truth_BHN[:, step] = 57.0
        given = replace(
            batch, truth_BHN=truth_BHN, truth_valid_BHN=torch.ones(3, 4, N, dtype=torch.bool)
        )
        found.append([float(network.objective(quantiles, given)) for network in (plain, early)])
    weights = torch.arange(1, 5) ** -0.5
    weights = weights / weights.mean()
    (near, near_early), (far, far_early) = found
    assert near == pytest.approx(far)
    assert near_early / near == pytest.approx(float(weights[0]))
    assert far_early / far == pytest.approx(float(weights[3]))


def test_companions_have_their_share_of_the_middle(batch):
    several = [_network(seed, config=RICH) for seed in (1, 2)]
    companion = _network(5, config=STEPWISE)
    plain = [_plain(3), _plain(4)]
    alone = blend(several, 1, Beside(plain))
    whole = blend(several, 1, Beside(plain, [companion], companion_share=0.3))
    own, other, found = (each.forecast(batch) for each in (alone, companion, whole))
    wanted_BHN = 0.7 * own.middle_BHN + 0.3 * other.middle_BHN
    torch.testing.assert_close(found.middle_BHN, wanted_BHN)
    torch.testing.assert_close(found.upper_BHN - found.lower_BHN, own.upper_BHN - own.lower_BHN)
    # of other days, or with another view of the past
    other_days = _network(5, config=STEPWISE)
    other_days.profile_SN[0] += 1
    for misfit in (other_days, _network(5, config=replace(STEPWISE, earlier=3))):
        with pytest.raises(WeightsError, match="other data"):
            blend(several, 1, Beside(plain, [misfit], companion_share=0.3))
