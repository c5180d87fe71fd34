from math import e

import pytest
import torch

from engine.models.himnet.objective import (
    masked_huber,
    masked_mae,
    pinball_loss,
    teacher_probability,
)


def test_invalid_entries_count_for_nothing():
    prediction = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    truth = torch.tensor([0.0, float("nan"), 7.0])
    loss = masked_mae(prediction, truth, torch.tensor([True, False, True]))
    loss.backward()
    assert loss.item() == pytest.approx((1 + 4) / 2)
    assert prediction.grad.tolist() == [0.5, 0.0, -0.5]


def test_a_zero_is_data_where_the_mask_says_so():
    loss = masked_mae(torch.tensor([3.0, 3.0]), torch.zeros(2), torch.tensor([True, True]))
    assert loss.item() == 3


def test_nothing_valid_is_no_loss():
    assert masked_mae(torch.ones(2), torch.zeros(2), torch.zeros(2, dtype=torch.bool)).item() == 0


def test_huber_by_hand():
    loss = masked_huber(torch.tensor([0.5, 4.0]), torch.zeros(2), torch.tensor([True, True]))
    assert loss.item() == pytest.approx((0.5 * 0.25 + (4 - 0.5)) / 2)


def test_pinball_by_hand():
    quantiles = torch.tensor([[[[1.0, 2.0]]]])
    loss = pinball_loss(
        quantiles,
        torch.tensor([[[4.0]]]),
        torch.tensor([[[True]]]),
        torch.tensor([0.1, 0.5]),
    )
    assert loss.item() == pytest.approx(2 * (0.1 * 3 + 0.5 * 2) / 2)


def test_pinball_is_least_at_the_quantile():
    truth = torch.randn(20_000, 1, 1, generator=torch.Generator().manual_seed(0))
    valid, q = torch.ones_like(truth, dtype=torch.bool), torch.tensor([0.9])
    losses = {
        guess: pinball_loss(torch.full((20_000, 1, 1, 1), guess), truth, valid, q).item()
        for guess in (0.88, 1.08, 1.28, 1.48, 1.68)
    }
    assert min(losses, key=losses.get) == 1.28


def test_teacher_hands_over_with_k_6000():
    assert teacher_probability(0) == pytest.approx(6000 / 6001)
    assert teacher_probability(6000) == pytest.approx(6000 / (6000 + e))
    assert teacher_probability(52_197) == pytest.approx(0.5, abs=1e-3)  # k ln k
    assert teacher_probability(10**9) == pytest.approx(0)
