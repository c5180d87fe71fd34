"""From noise to data, one ancestral step after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.diffusion.noise import draw
from engine.diffusion.posterior import posterior_mean, posterior_variance
from engine.diffusion.schedules import Schedule

CPU = torch.device("cpu")

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(x_t, t_B) -> estimate of x_0. The condition, and what the network predicts, are inside it."""

Projection = Callable[[Tensor], Tensor]
"""Maps an estimate of x_0 onto what is known for sure of it."""


@dataclass(frozen=True, eq=False)
class SamplingStep:
    """How far a sampler is.

    Args:
        evaluations: network evaluations so far.
        total: evaluations in all.
        estimate: (B, ...) the current estimate of the clean data; after the last step the sample.
    """

    evaluations: int
    total: int
    estimate: Tensor


def unchanged(x_0: Tensor) -> Tensor:
    """The projection of a sampler that knows nothing for sure."""
    return x_0


def reverse_step(x_t: Tensor, x_0: Tensor, t_B: Tensor, eps: Tensor, schedule: Schedule) -> Tensor:
    """One draw of p(x_{t-1} | x_t, condition), given the denoiser's estimate of x_0.

    Source: [DiffRecon] Eq. (6), with mean and variance of [DDPM] Eq. (7); no noise at t = 1.
    """
    deviation = posterior_variance(t_B, schedule, x_t).clamp_min(0).sqrt()
    return posterior_mean(x_t, x_0, t_B, schedule) + deviation * eps


@torch.no_grad()
def sample_ancestral(
    denoise: Denoiser,
    shape: Sequence[int],
    schedule: Schedule,
    generators: Sequence[torch.Generator],
    project: Projection = unchanged,
    device: torch.device = CPU,
) -> Iterator[SamplingStep]:
    """All T steps from pure noise, as a pure loop that yields its progress.

    Source: [DiffRecon] Eq. (7); [DDPM] algorithm 2.

    Args:
        denoise: estimate of x_0 from (x_t, t_B).
        shape: shape of one sample, without the batch axis.
        schedule: variances.
        generators: one per sample, on the CPU.
        project: applied to each estimate of x_0.
        device: where the denoiser works.

    Yields:
        One :class:`SamplingStep` per network evaluation.
    """
    x_t = draw(shape, generators, torch.empty(0, device=device))
    for step in range(schedule.num_steps, 0, -1):
        t_B = torch.full((len(x_t),), step, device=x_t.device)
        x_0 = project(denoise(x_t, t_B))
        eps = draw(shape, generators, x_t)
        x_t = reverse_step(x_t, x_0, t_B, eps, schedule)
        yield SamplingStep(schedule.num_steps - step + 1, schedule.num_steps, x_0)
