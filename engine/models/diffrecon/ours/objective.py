"""What training minimises."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.diffusion.fewstep import straight_path
from engine.models.diffrecon.ours.condition import Condition
from engine.models.diffrecon.ours.config import Config
from engine.models.diffrecon.ours.networks import (
    MeanEstimate,
    MeanNetwork,
    ResidualDenoiser,
    residual_of,
)

ROOT_FLOOR = 1e-3
"""Keeps the square root's slope finite where an estimate is zero, in counts."""

EARLIEST_TIME = 0.2
"""Residual errors are weighted by 1 / time, but not beyond this time."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step sees.

    Args:
        condition: B frames.
        truth: (B, R, C) counts.
        noise: (B, R, C) standard normal.
        time: (B,) in (0, 1].
    """

    condition: Condition
    truth: Tensor
    noise: Tensor
    time: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        parts = (part.to(device) for part in (self.truth, self.noise, self.time))
        return Batch(self.condition.to(device), *parts)


ABSOLUTE_SHARE = 0.02
SQUARED_SHARE = 0.004
"""Weights of the plain errors beside that of square roots; per count and per squared count."""


def mean_loss(fine: Tensor, truth: Tensor) -> Tensor:
    """Squared difference of square roots, and a little of the absolute and squared error.

    The first counts each cell by its Poisson noise; the others are what a user's map is judged by.
    """
    roots = ((fine + ROOT_FLOOR).sqrt() - truth.sqrt()).square().mean()
    gap = fine - truth
    plain = ABSOLUTE_SHARE * gap.abs().mean() + SQUARED_SHARE * gap.square().mean()
    return roots + plain


def residual_loss(guess: Tensor, target: Tensor, time_B: Tensor) -> Tensor:
    """Squared error of the clean residual, weighted towards the path's end."""
    weight = 1 / time_B.clamp_min(EARLIEST_TIME)
    return (weight[:, None, None] * (guess - target).square()).mean()


class Networks(nn.Module):
    """Mean network and denoiser, trained together: the denoiser learns what the mean leaves.

    Args:
        config: sizes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.mean = MeanNetwork(config)
        self.residual = ResidualDenoiser(config)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss of the mean and loss of the residual, scalars."""
        mean = self.mean(batch.condition)
        # the denoiser must not pull the mean towards what is easy to denoise
        fixed = MeanEstimate(mean.fine.detach(), mean.coarse.detach(), mean.points.detach())
        target = residual_of(batch.truth, fixed.fine, self.config.residual_scale)
        x_t = straight_path(target, batch.noise, batch.time)
        guess = self.residual(x_t, batch.time, fixed, batch.condition.observed)
        losses = mean_loss(mean.fine, batch.truth), residual_loss(guess, target, batch.time)
        return losses


def build_networks(config: Config, seed: int) -> Networks:
    """Networks with initial weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Networks(config)
