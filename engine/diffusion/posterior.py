"""The reverse step's Gaussian when the clean data are known or estimated."""

from torch import Tensor

from engine.diffusion.schedules import Schedule
from engine.errors import InputError


def posterior_variance(t_B: Tensor, schedule: Schedule, like: Tensor) -> Tensor:
    """Variance of q(x_{t-1} | x_t, x_0), zero at t = 1.

    Source: [DDPM] Eq. (6), with the variance written out beside its Eq. (7).

    Returns:
        (B, 1, ...) to broadcast over ``like``.
    """
    bar_t = schedule.at(schedule.alpha_bars, t_B, like)
    bar_prev = schedule.at(schedule.alpha_bars, t_B - 1, like)
    return (1 - bar_prev) / (1 - bar_t) * schedule.at(schedule.betas, t_B, like)


def posterior_mean(x_t: Tensor, x_0: Tensor, t_B: Tensor, schedule: Schedule) -> Tensor:
    """Mean of q(x_{t-1} | x_t, x_0).

    Source: [DDPM] Eq. (7).

    Args:
        x_t: (B, ...) noisy state.
        x_0: clean data or an estimate of it, same shape and scale.
        t_B: step, int64, 1 <= t <= T.
        schedule: variances.

    Returns:
        The mean, shape of x_t.

    Raises:
        InputError: x_t and x_0 differ in shape.
    """
    if x_t.shape != x_0.shape:
        raise InputError(
            "State and clean estimate differ in shape.", f"{tuple(x_t.shape)}, {tuple(x_0.shape)}"
        )
    bar_t = schedule.at(schedule.alpha_bars, t_B, x_t)
    bar_prev = schedule.at(schedule.alpha_bars, t_B - 1, x_t)
    beta = schedule.at(schedule.betas, t_B, x_t)
    weight_0 = bar_prev.sqrt() * beta / (1 - bar_t)
    weight_t = (1 - beta).sqrt() * (1 - bar_prev) / (1 - bar_t)
    return weight_0 * x_0 + weight_t * x_t


def mean_from_eps(x_t: Tensor, eps: Tensor, t_B: Tensor, schedule: Schedule) -> Tensor:
    """The same mean, written with a noise estimate in place of the clean data.

    Source: [DDPM] Eq. (11).
    """
    beta = schedule.at(schedule.betas, t_B, x_t)
    bar_t = schedule.at(schedule.alpha_bars, t_B, x_t)
    return (x_t - beta / (1 - bar_t).sqrt() * eps) / (1 - beta).sqrt()
