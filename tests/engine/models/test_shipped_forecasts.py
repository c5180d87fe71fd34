"""The shipped forecasts of PeMSD7(M): that they load, answer, and are what their card says."""

import numpy as np
import pytest
import torch

from engine.domain.sensors import TimeAxis
from engine.models.forecast_bundle import load_bundle
from engine.models.forecast_levers import cut_off, silence_sensors
from engine.models.forecast_windows import WindowSet
from engine.models.installed import find_weights

START = 8 * 12 - 48
TRAINED = ("paper", "ours", "stid")


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(find_weights("pems07m"))


@pytest.fixture(scope="module")
def window(bundle):
    """A Tuesday morning like any other, a little slower than usual."""
    usual_SN = bundle.profile.mean_SN.numpy()
    values = usual_SN[START : START + 60] - 2.0
    axis = TimeAxis.counted(60, START, 288, 1)
    facts = bundle.facts
    windows = WindowSet(
        values, np.isfinite(values), axis, facts.history, facts.horizon, facts.earlier
    )
    return windows.last()


def test_card_counts_the_parameters(bundle):
    for name in TRAINED:
        parameters = bundle.method(name).method.parameters()
        told = bundle.card["training"][name]["parameters"]
        assert sum(p.numel() for p in parameters) == told
    assert bundle.card["training"]["paper"]["parameters"] == 1_251_273  # as published
    assert len(bundle.facts.sensors) == 228


@torch.no_grad()
def test_ordinary_morning_stays_ordinary(bundle, window):
    for name in TRAINED:
        answer = bundle.method(name).forecast(window)
        off = (answer.middle_BHN - window.truth_BHN).abs().mean()
        assert off < 3, name
        assert (answer.lower_BHN <= answer.middle_BHN).all(), name
        assert (answer.upper_BHN >= answer.middle_BHN).all(), name


@torch.no_grad()
def test_levers_reach_our_network(bundle, window):
    network = bundle.method("ours").method
    plain = network.forecast(window).middle_BHN
    same = network.forecast(silence_sensors(window, []), network.adjacency_NN.clone())
    assert torch.equal(same.middle_BHN, plain)
    closed = network.forecast(window, cut_off(network.adjacency_NN, [100])).middle_BHN
    silent = network.forecast(silence_sensors(window, [100])).middle_BHN
    for edited in (closed, silent):
        assert torch.isfinite(edited).all()
        assert (edited - plain)[..., 100].abs().max() > 0.01
