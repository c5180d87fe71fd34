"""Closed forms against numbers worked out by hand."""

import math

import pytest
import torch

from engine.diffusion.fewstep import implicit_step, straight_path, straight_step, straight_times
from engine.diffusion.forward import diffuse, forward_chain, forward_step, marginal
from engine.diffusion.parametrisation import (
    eps_from_velocity,
    eps_from_x_0,
    velocity,
    x_0_from_eps,
    x_0_from_velocity,
)
from engine.diffusion.posterior import mean_from_eps, posterior_mean, posterior_variance
from engine.diffusion.schedules import (
    MAX_STEPS,
    Schedule,
    even_steps,
    linear_schedule,
    quadratic_schedule,
)
from engine.errors import InputError

TWO = Schedule(torch.tensor([0.0, 0.36, 0.75], dtype=torch.float64))
"""alphas 0.64, 0.25; alpha_bars 0.64, 0.16."""


def one(value):
    return torch.tensor([[value]], dtype=torch.float64)


def step(t):
    return torch.tensor([t])


def test_schedule_products():
    assert TWO.num_steps == 2
    assert torch.allclose(TWO.alpha_bars, torch.tensor([1.0, 0.64, 0.16], dtype=torch.float64))


def test_linear_and_quadratic_ends_and_middle():
    linear = linear_schedule(3, 0.1, 0.3).betas
    assert linear.tolist() == pytest.approx([0, 0.1, 0.2, 0.3])
    quadratic = quadratic_schedule(3, 0.01, 0.25).betas
    assert quadratic.tolist() == pytest.approx([0, 0.01, 0.09, 0.25])


@pytest.mark.parametrize("betas", [[0.0], [0.0, 1.0], [0.0, 0.0], [0.1, 0.2]])
def test_impossible_schedules_are_refused(betas):
    with pytest.raises(InputError):
        Schedule(torch.tensor(betas))


def test_too_many_steps_are_refused():
    with pytest.raises(InputError, match="out of range"):
        linear_schedule(MAX_STEPS + 1)


def test_even_steps_begin_at_the_last_and_end_at_the_first():
    assert even_steps(50, 3) == [50, 26, 1]  # the middle is 25.5, rounded to even
    assert even_steps(2, 8) == [2, 1]
    with pytest.raises(InputError):
        even_steps(50, 0)


def test_forward_step_and_diffuse():
    # sqrt(.64) * 2 + sqrt(.36) * 1
    assert forward_step(one(2.0), step(1), one(1.0), TWO).item() == pytest.approx(2.2)
    # sqrt(.16) * 2 + sqrt(.84) * 1
    assert diffuse(one(2.0), step(2), one(1.0), TWO).item() == pytest.approx(0.8 + math.sqrt(0.84))
    mean, variance = marginal(one(2.0), step(2), TWO)
    assert (mean.item(), variance.item()) == (pytest.approx(0.8), pytest.approx(0.84))


def test_forward_chain_reaches_the_marginal():
    generator = torch.Generator()
    generator.manual_seed(0)
    last = list(forward_chain(torch.full((200_000, 1), 2.0), TWO, generator))[-1]
    assert last.mean().item() == pytest.approx(0.8, abs=0.01)
    assert last.var().item() == pytest.approx(0.84, abs=0.01)


def test_posterior_by_hand():
    # weights: x_0 sqrt(.64) * .75 / .84, x_t sqrt(.25) * .36 / .84; variance .36 / .84 * .75
    mean = posterior_mean(one(1.0), one(2.0), step(2), TWO).item()
    assert mean == pytest.approx((2 * 0.8 * 0.75 + 0.5 * 0.36) / 0.84)
    assert posterior_variance(step(2), TWO, one(0.0)).item() == pytest.approx(0.27 / 0.84)
    assert posterior_variance(step(1), TWO, one(0.0)).item() == 0
    with pytest.raises(InputError):
        posterior_mean(one(1.0), torch.zeros(1, 2), step(2), TWO)


def test_mean_from_eps_is_the_posterior_mean():
    x_0, eps = one(2.0), one(-0.7)
    x_t = diffuse(x_0, step(2), eps, TWO)
    a = mean_from_eps(x_t, eps, step(2), TWO)
    assert a.item() == pytest.approx(posterior_mean(x_t, x_0, step(2), TWO).item())


def test_parametrisations_invert_each_other():
    x_0, eps = one(2.0), one(-0.7)
    x_t = diffuse(x_0, step(2), eps, TWO)
    assert x_0_from_eps(x_t, eps, step(2), TWO).item() == pytest.approx(2.0)
    assert eps_from_x_0(x_t, x_0, step(2), TWO).item() == pytest.approx(-0.7)
    v = velocity(x_0, eps, step(2), TWO)
    assert v.item() == pytest.approx(0.4 * -0.7 - math.sqrt(0.84) * 2)
    assert x_0_from_velocity(x_t, v, step(2), TWO).item() == pytest.approx(2.0)
    assert eps_from_velocity(x_t, v, step(2), TWO).item() == pytest.approx(eps.item())


def test_implicit_step_with_the_true_x_0_stays_on_the_path():
    x_0, eps = one(2.0), one(-0.7)
    x_2 = diffuse(x_0, step(2), eps, TWO)
    x_1 = implicit_step(x_2, x_0, step(2), step(1), TWO)
    assert x_1.item() == pytest.approx(diffuse(x_0, step(1), eps, TWO).item())
    assert implicit_step(x_2, x_0, step(2), step(0), TWO).item() == pytest.approx(2.0)


def test_straight_path_and_step():
    x_t = straight_path(one(2.0), one(-1.0), torch.tensor([0.75]))
    assert x_t.item() == pytest.approx(-0.25)
    assert straight_step(x_t, one(2.0), 0.75, 0.5).item() == pytest.approx(0.5)
    assert straight_times(4) == [1, 0.75, 0.5, 0.25, 0]
    with pytest.raises(InputError):
        straight_times(0)
