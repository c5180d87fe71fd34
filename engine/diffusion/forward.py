"""From data to noise."""

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.diffusion.schedules import Schedule


def forward_step(x_prev: Tensor, t_B: Tensor, eps: Tensor, schedule: Schedule) -> Tensor:
    """One draw of q(x_t | x_{t-1}).

    Source: [DiffRecon] Eq. (2).

    Args:
        x_prev: (B, ...) state after step t - 1.
        t_B: step, int64, 1 <= t <= T.
        eps: standard normal noise of x_prev's shape.
        schedule: variances.

    Returns:
        x_t, shape of x_prev.
    """
    beta = schedule.at(schedule.betas, t_B, x_prev)
    return (1 - beta).sqrt() * x_prev + beta.sqrt() * eps


def forward_chain(x_0: Tensor, schedule: Schedule, generator: torch.Generator) -> Iterator[Tensor]:
    """The Markov chain x_1, ..., x_T, one state after the other.

    Source: [DiffRecon] Eq. (3).
    """
    x_t = x_0
    for step in range(1, schedule.num_steps + 1):
        eps = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype, device=x_0.device)
        t_B = torch.full((len(x_0),), step, device=x_0.device)
        x_t = forward_step(x_t, t_B, eps, schedule)
        yield x_t


def marginal(x_0: Tensor, t_B: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_t | x_0).

    Source: [DiffRecon] Eq. (5).

    Returns:
        mean, shape of x_0, and variance, (B, 1, ...) to broadcast over it.
    """
    alpha_bar = schedule.at(schedule.alpha_bars, t_B, x_0)
    return alpha_bar.sqrt() * x_0, 1 - alpha_bar


def diffuse(x_0: Tensor, t_B: Tensor, eps: Tensor, schedule: Schedule) -> Tensor:
    """The state at step t at once, from clean data and one draw of noise.

    Source: [DiffRecon] Eq. (4).
    """
    mean, variance = marginal(x_0, t_B, schedule)
    return mean + variance.sqrt() * eps
