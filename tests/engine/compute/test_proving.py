import threading

import numpy as np
import pytest
import torch

from engine.compute import proving_sampler
from engine.compute.context import WorkerContext
from engine.compute.proving import ProvingRequest
from engine.errors import InputError


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _sample(request, seed):
    context = WorkerContext("id", seed, "cpu", threading.Event())
    steps, estimates = proving_sampler.run(request, context), []
    while True:
        try:
            estimates.append(next(steps))
        except StopIteration as end:
            return end.value, estimates


def test_the_denoiser_of_one_gaussian_is_the_textbook_one():
    mean, x = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 0.0]])
    # posterior mean of N(mean, 0.5²) seen through noise of 1: weights 0.2 and 0.8
    clean = proving_sampler.denoise(x, torch.tensor(1.0), mean, 0.5)
    torch.testing.assert_close(clean, torch.tensor([[0.2 * 3 + 0.8 * 1, 0.8 * -2]]))


def test_the_denoiser_weighs_components_by_prior_and_distance():
    means, x = torch.tensor([[-1.0], [1.0]]), torch.tensor([[0.0]])
    # equally far: only the prior 1 : 2 speaks; the width of a component is negligible
    clean = proving_sampler.denoise(x, torch.tensor(1.0), means, 1e-6)
    torch.testing.assert_close(clean, torch.tensor([[1 / 3]]))


def test_noise_levels_fall_from_the_highest_to_none():
    levels = proving_sampler.noise_levels(50)
    assert levels[0] == pytest.approx(proving_sampler.SIGMA_MAX)
    assert levels[-2] == pytest.approx(proving_sampler.SIGMA_MIN)
    assert levels[-1] == 0
    assert bool((levels.diff() < 0).all())


def test_samples_lie_around_the_components_in_their_proportions():
    request = ProvingRequest(num_steps=200, num_samples=600, size=8)
    result, estimates = _sample(request, seed=3)
    assert result.maps.shape == (600, 8, 8)
    assert np.median(result.distances) == pytest.approx(request.spread, rel=0.1)
    shares = np.bincount(result.components, minlength=3) / 600
    # weights 1 : 2 : 3; three standard errors are 0.06
    np.testing.assert_allclose(shares, [1 / 6, 2 / 6, 3 / 6], atol=0.065)
    assert len(estimates) == 200
    assert estimates[-1].fraction == 1.0
    assert estimates[-1].estimate.shape == (8, 8)


def test_the_seed_alone_decides():
    request = ProvingRequest(num_steps=20, size=8)
    (first, _), (again, _), (other, _) = (_sample(request, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.maps, again.maps)
    assert not np.array_equal(first.maps, other.maps)


@pytest.mark.parametrize(
    "options", [{"num_steps": 1}, {"num_samples": 0}, {"size": 999}, {"spread": 0.0}]
)
def test_impossible_requests_are_refused(options):
    with pytest.raises(InputError):
        ProvingRequest(**options)
