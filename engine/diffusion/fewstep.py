"""Samplers of a handful of evaluations: implicit steps of a chain, and the straight path."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from engine.diffusion.noise import draw
from engine.diffusion.parametrisation import eps_from_x_0
from engine.diffusion.reverse import CPU, Denoiser, Projection, SamplingStep, unchanged
from engine.diffusion.schedules import Schedule, even_steps
from engine.errors import InputError


def implicit_step(
    x_t: Tensor, x_0: Tensor, t_B: Tensor, next_B: Tensor, schedule: Schedule
) -> Tensor:
    """From step t to any earlier step without fresh noise.

    Source: [DDIM] Eq. (12), sigma = 0.
    """
    eps = eps_from_x_0(x_t, x_0, t_B, schedule)
    bar_next = schedule.at(schedule.alpha_bars, next_B, x_t)
    return bar_next.sqrt() * x_0 + (1 - bar_next).sqrt() * eps


@torch.no_grad()
def sample_implicit(
    denoise: Denoiser,
    x_T: Tensor,
    schedule: Schedule,
    evaluations: int,
    project: Projection = unchanged,
) -> Iterator[SamplingStep]:
    """A few steps of a trained chain, deterministic from the given noise. Source: [DDIM]."""
    steps = [*even_steps(schedule.num_steps, evaluations), 0]
    x_t = x_T
    for done, (step, following) in enumerate(pairwise(steps), start=1):
        t_B = torch.full((len(x_t),), step, device=x_t.device)
        x_0 = project(denoise(x_t, t_B))
        x_t = implicit_step(x_t, x_0, t_B, torch.full_like(t_B, following), schedule)
        yield SamplingStep(done, len(steps) - 1, x_0)


def straight_path(x_0: Tensor, eps: Tensor, time_B: Tensor) -> Tensor:
    """The point between data (time 0) and noise (time 1) on the straight line through both.

    Source: [RF] Eq. (1), whose time runs the other way.
    """
    time = time_B.reshape(-1, *([1] * (x_0.ndim - 1)))
    return (1 - time) * x_0 + time * eps


def straight_times(evaluations: int, last: float = 0.0) -> list[float]:
    """``evaluations`` + 1 times from 1 down to ``last``, equally spaced.

    Raises:
        InputError: fewer than one evaluation.
    """
    if evaluations < 1:
        raise InputError("A sampler needs at least one evaluation.", str(evaluations))
    return [1 - (1 - last) * i / evaluations for i in range(evaluations + 1)]


def straight_step(x_t: Tensor, x_0: Tensor, time: float, following: float) -> Tensor:
    """Euler's step along the velocity (x_t - x_0) / time; exact when x_0 is."""
    return x_0 + (x_t - x_0) * (following / time)


@torch.no_grad()
def sample_straight(
    denoise: Denoiser,
    shape: Sequence[int],
    generators: Sequence[torch.Generator],
    evaluations: int,
    project: Projection = unchanged,
    device: torch.device = CPU,
) -> Iterator[SamplingStep]:
    """Samples along the straight path; the first estimate is the posterior mean.

    Source: [RF] algorithm 1, with a denoiser that predicts x_0.

    Args:
        denoise: estimate of x_0 from (x_t, time_B), time float32 in (0, 1].
        shape: shape of one sample, without the batch axis.
        generators: one per sample, on the CPU.
        evaluations: number of network evaluations.
        project: applied to each estimate of x_0.
        device: where the denoiser works.

    Yields:
        One :class:`SamplingStep` per evaluation; the last one's estimate is the sample.
    """
    times = straight_times(evaluations)
    x_t = draw(shape, generators, torch.empty(0, device=device))
    for done, (time, following) in enumerate(pairwise(times), start=1):
        x_0 = project(denoise(x_t, torch.full((len(x_t),), time, device=device)))
        x_t = straight_step(x_t, x_0, time, following)
        yield SamplingStep(done, evaluations, x_0)


def straight_noisy_step(
    x_t: Tensor, x_0: Tensor, time: float, following: float, eps: Tensor, eta: float = 1.0
) -> Tensor:
    """A step along the straight path that replaces a part of the noise by fresh noise.

    The marginals stay the straight path's, so that errors of earlier steps are forgotten. Of the
    noise at time t the share ``(s (1 - t) / (t (1 - s))) ** eta`` is kept at time s.

    Source: arXiv 2211.01095 (DPM-Solver++), the stochastic solver of first order; eta as in
    arXiv 2010.02502 (DDIM), where it is at most 1.

    Args:
        x_t: the state, any shape.
        x_0: what the denoiser makes of it.
        time: t, in (0, 1].
        following: s, in [0, t).
        eps: fresh standard normal noise.
        eta: 0 keeps all noise (:func:`straight_step`); 1 draws from q(x_s | x_t, x_0) of the
            path's Markov chain, as ancestral sampling does; more replaces more.
    """
    old = (x_t - (1 - time) * x_0) / time
    kept = float((following * (1 - time) / (time * (1 - following))) ** eta)
    noise = kept * old + (1 - kept**2) ** 0.5 * eps
    return (1 - following) * x_0 + following * noise


@torch.no_grad()
def sample_straight_ancestral(
    denoise: Denoiser,
    shape: Sequence[int],
    generators: Sequence[torch.Generator],
    evaluations: int,
    project: Projection = unchanged,
    device: torch.device = CPU,
) -> Iterator[SamplingStep]:
    """Samples along the straight path with fresh noise at every step; needs many steps.

    The yardstick of the few-step sampler: same network, same path. Arguments and yields are those
    of :func:`sample_straight`.
    """
    times = straight_times(evaluations)
    x_t = draw(shape, generators, torch.empty(0, device=device))
    for done, (time, following) in enumerate(pairwise(times), start=1):
        x_0 = project(denoise(x_t, torch.full((len(x_t),), time, device=device)))
        x_t = straight_noisy_step(x_t, x_0, time, following, draw(shape, generators, x_t))
        yield SamplingStep(done, evaluations, x_0)
