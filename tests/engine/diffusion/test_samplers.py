"""Samplers against a denoiser whose answer is known: Gaussian data."""

import math
from itertools import pairwise

import pytest
import torch

from engine.diffusion.fewstep import (
    sample_implicit,
    sample_straight,
    sample_straight_ancestral,
    straight_noisy_step,
    straight_step,
    straight_times,
)
from engine.diffusion.noise import draw, sample_generator
from engine.diffusion.reverse import sample_ancestral
from engine.diffusion.schedules import linear_schedule

MEAN, DEVIATION = 1.5, 0.5
SCHEDULE = linear_schedule(500, 1e-4, 0.04)


def chain_denoiser(x_t, t_B):
    """E[x_0 | x_t] when x_0 is normal."""
    bar = SCHEDULE.at(SCHEDULE.alpha_bars, t_B, x_t)
    gain = DEVIATION**2 * bar.sqrt() / (DEVIATION**2 * bar + 1 - bar)
    return MEAN + gain * (x_t - bar.sqrt() * MEAN)


def path_denoiser(x_t, time_B):
    """The same on the straight path."""
    time = time_B.reshape(-1, 1)
    gain = DEVIATION**2 * (1 - time) / (DEVIATION**2 * (1 - time) ** 2 + time**2)
    return MEAN + gain * (x_t - (1 - time) * MEAN)


def last(steps):
    *_, step = steps
    return step


def test_ancestral_sampling_has_the_data_distribution():
    generators = [sample_generator(0, i) for i in range(4)]
    step = last(sample_ancestral(chain_denoiser, (5_000,), SCHEDULE, generators))
    assert step.evaluations == step.total == 500
    assert step.estimate.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert step.estimate.std().item() == pytest.approx(DEVIATION, abs=0.02)


def test_implicit_sampling_maps_noise_to_its_quantile():
    # the probability-flow ODE of a Gaussian is monotone: x_0 = mean + deviation * noise
    noise = torch.tensor([[-1.0, 0.0, 2.0]], dtype=torch.float64)
    step = last(sample_implicit(chain_denoiser, noise, SCHEDULE, 500))
    assert torch.allclose(step.estimate, MEAN + DEVIATION * noise, atol=0.05)


def test_straight_first_estimate_is_the_posterior_mean():
    generators = [sample_generator(0, i) for i in range(2)]
    first = next(iter(sample_straight(path_denoiser, (5,), generators, 4)))
    assert torch.allclose(first.estimate, torch.full((2, 5), MEAN))


def test_straight_sampling_converges_to_the_data_distribution():
    errors = []
    for evaluations in (2, 8, 64):
        generators = [sample_generator(0, i) for i in range(2)]
        step = last(sample_straight(path_denoiser, (20_000,), generators, evaluations))
        errors.append(abs(step.estimate.std().item() - DEVIATION))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02


def test_ancestral_sampling_of_the_straight_path_has_the_data_distribution():
    generators = [sample_generator(0, i) for i in range(4)]
    step = last(sample_straight_ancestral(path_denoiser, (5_000,), generators, 300))
    assert step.estimate.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert step.estimate.std().item() == pytest.approx(DEVIATION, abs=0.02)


def test_fresh_noise_beyond_the_ancestral_chain_keeps_the_data_distribution():
    generator = sample_generator(0, 0)
    times = straight_times(400)
    x_t = torch.randn(20_000, generator=generator)
    for time, following in pairwise(times[:-1]):
        x_0 = path_denoiser(x_t, torch.tensor([time]))[0]
        fresh = torch.randn(len(x_t), generator=generator)
        x_t = straight_noisy_step(x_t, x_0, time, following, fresh, eta=2.0)
    assert x_t.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert x_t.std().item() == pytest.approx(DEVIATION, abs=0.02)


def test_no_fresh_noise_is_the_straight_step():
    generator = sample_generator(0, 0)
    x_t, x_0, fresh = torch.randn(3, 50, generator=generator)
    step = straight_noisy_step(x_t, x_0, 0.6, 0.4, fresh, eta=0.0)
    torch.testing.assert_close(step, straight_step(x_t, x_0, 0.6, 0.4))


def test_projection_holds_in_every_estimate():
    def project(x_0):
        return x_0 - x_0.mean(-1, keepdim=True)

    generators = [sample_generator(0, 0)]
    for step in sample_straight(path_denoiser, (6,), generators, 5, project):
        assert abs(step.estimate.mean().item()) < 1e-6


def test_a_sample_does_not_depend_on_its_company():
    alone = last(sample_ancestral(chain_denoiser, (3,), SCHEDULE, [sample_generator(7, 2)]))
    crowd = [sample_generator(7, i) for i in (0, 1, 2)]
    together = last(sample_ancestral(chain_denoiser, (3,), SCHEDULE, crowd))
    assert torch.equal(alone.estimate[0], together.estimate[2])


def test_generators_differ_by_seed_sample_and_purpose():
    like = torch.empty(0)
    keys = [(0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b")]
    draws = {tuple(draw((4,), [sample_generator(*key)], like)[0].tolist()) for key in keys}
    assert len(draws) == len(keys)
    again = draw((4,), [sample_generator(0, 0, "a")], like)[0]
    assert tuple(again.tolist()) in draws
    assert all(math.isfinite(v) for row in draws for v in row)
