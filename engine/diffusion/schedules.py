"""How much noise each step adds."""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import InputError

MAX_STEPS = 4000
"""The longest chain that a caller may ask for."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """Variances of a diffusion of T steps.

    Args:
        betas: (T + 1,) float64; ``betas[t]`` is the variance that step t adds, ``betas[0]`` is 0.

    Raises:
        InputError: there are no or too many steps, or a variance is outside (0, 1).
    """

    betas: Tensor

    def __post_init__(self) -> None:
        steps = self.betas[1:]
        if self.betas.ndim != 1 or not 1 <= len(steps) <= MAX_STEPS:
            raise InputError(
                "A schedule's number of steps is out of range.",
                str(tuple(self.betas.shape)),
                f"Use 1 to {MAX_STEPS} steps.",
            )
        if self.betas[0] != 0 or not bool(((steps > 0) & (steps < 1)).all()):
            raise InputError("A schedule's variances must lie between 0 and 1.")

    @property
    def num_steps(self) -> int:
        """T."""
        return len(self.betas) - 1

    @property
    def alphas(self) -> Tensor:
        """(T + 1,), ``1 - betas``."""
        return 1 - self.betas

    @property
    def alpha_bars(self) -> Tensor:
        """(T + 1,), running product of :attr:`alphas`; 1 at step 0."""
        return self.alphas.cumprod(0)

    def at(self, values: Tensor, t_B: Tensor, like: Tensor) -> Tensor:
        """``values[t]`` for each sample, shaped to broadcast over ``like`` and in its type."""
        picked = values.to(device=t_B.device, dtype=like.dtype)[t_B]
        return picked.reshape(-1, *([1] * (like.ndim - 1)))


def _with_step_zero(betas: Tensor) -> Schedule:
    return Schedule(torch.cat([betas.new_zeros(1), betas]))


def linear_schedule(num_steps: int, first: float = 1e-4, last: float = 0.02) -> Schedule:
    """Variances equally spaced from ``first`` to ``last``. Source: [DDPM], section 4."""
    return _with_step_zero(torch.linspace(first, last, num_steps, dtype=torch.float64))


def quadratic_schedule(num_steps: int, first: float = 1e-4, last: float = 0.5) -> Schedule:
    """Square roots of the variances equally spaced. Source: CSDI, arXiv 2107.03502, section 6."""
    roots = torch.linspace(first**0.5, last**0.5, num_steps, dtype=torch.float64)
    return _with_step_zero(roots**2)


def even_steps(num_steps: int, evaluations: int) -> list[int]:
    """At most ``evaluations`` steps of a chain of ``num_steps``, evenly spread, T first, 1 last.

    Raises:
        InputError: fewer than one evaluation.
    """
    if evaluations < 1:
        raise InputError("A sampler needs at least one evaluation.", str(evaluations))
    count = min(evaluations, num_steps)
    spread = torch.linspace(num_steps, 1, count, dtype=torch.float64).round()
    return [int(step) for step in spread]
