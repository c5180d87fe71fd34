"""What a denoiser may predict: the noise, the clean data, or the velocity between them.

``v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0`` is the target of progressive distillation,
arXiv 2202.00512, appendix D. Any one of the three gives the other two at a known step.
"""

from torch import Tensor

from engine.diffusion.schedules import Schedule


def _scales(x_t: Tensor, t_B: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
    alpha_bar = schedule.at(schedule.alpha_bars, t_B, x_t)
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def x_0_from_eps(x_t: Tensor, eps: Tensor, t_B: Tensor, schedule: Schedule) -> Tensor:
    """The clean data that a noise estimate implies.

    Source: [DiffRecon] Eq. (10).

    Differs from paper: the paper subtracts the noise unscaled, which is no inverse of its Eq. (4);
    this is that inverse.
    """
    signal, noise = _scales(x_t, t_B, schedule)
    return (x_t - noise * eps) / signal


def eps_from_x_0(x_t: Tensor, x_0: Tensor, t_B: Tensor, schedule: Schedule) -> Tensor:
    """The noise that an estimate of the clean data implies."""
    signal, noise = _scales(x_t, t_B, schedule)
    return (x_t - signal * x_0) / noise


def velocity(x_0: Tensor, eps: Tensor, t_B: Tensor, schedule: Schedule) -> Tensor:
    """The velocity target v at step t."""
    signal, noise = _scales(x_0, t_B, schedule)
    return signal * eps - noise * x_0


def x_0_from_velocity(x_t: Tensor, v: Tensor, t_B: Tensor, schedule: Schedule) -> Tensor:
    """The clean data that a velocity estimate implies; stable at every noise level."""
    signal, noise = _scales(x_t, t_B, schedule)
    return signal * x_t - noise * v


def eps_from_velocity(x_t: Tensor, v: Tensor, t_B: Tensor, schedule: Schedule) -> Tensor:
    """The noise that a velocity estimate implies; at the noisiest step hardly more than x_t."""
    signal, noise = _scales(x_t, t_B, schedule)
    return noise * x_t + signal * v
