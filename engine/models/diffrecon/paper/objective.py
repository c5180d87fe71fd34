"""What the two stages minimise, apart and together."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

from engine.diffusion.forward import diffuse
from engine.diffusion.parametrisation import x_0_from_eps
from engine.models.diffrecon.paper.config import Config
from engine.models.diffrecon.paper.predictors import DiffusionC, DiffusionF
from engine.models.diffrecon.paper.sequences import Sequences

LARGEST_ROOT = 8.0
"""Estimates of clean maps are cut at this many standard deviations: at the noisiest step, an error
of the noise is magnified a thousandfold."""


class Phase(StrEnum):
    """What is trained."""

    PRETRAINING = "pretraining"
    JOINT = "joint"


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step sees; maps are standardised roots.

    Args:
        seen: the sequences.
        coarse: (B, I, J) complete current map.
        fine: (B, R, C) complete fine map.
        coarse_noise: (B, I, J) standard normal.
        fine_noise: (B, R, C) standard normal.
        coarse_steps: (B,) step of C.
        fine_steps: (B,) step of F.
    """

    seen: Sequences
    coarse: Tensor
    fine: Tensor
    coarse_noise: Tensor
    fine_noise: Tensor
    coarse_steps: Tensor
    fine_steps: Tensor


def keep_observed(estimate: Tensor, seen: Sequences) -> Tensor:
    """A coarse estimate with the observed cells as they were observed, (B, I, J)."""
    return torch.where(seen.observed[:, -1], seen.maps[:, -1], estimate)


class Stages(nn.Module):
    """Both noise predictors and their losses.

    Args:
        config: sizes and switches.
        phase: each stage on its own, or F on what C makes of the incomplete map.
    """

    def __init__(self, config: Config, phase: Phase = Phase.PRETRAINING) -> None:
        super().__init__()
        self.config, self.phase = config, phase
        self.completion = DiffusionC(config)
        self.inference = DiffusionF(config)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean squared error of the noise in C and in F, scalars."""
        schedule = self.config.schedule
        x_t = diffuse(batch.coarse, batch.coarse_steps, batch.coarse_noise, schedule)
        noise = self.completion(x_t, batch.coarse_steps, batch.seen)
        coarse = batch.coarse
        if self.phase is Phase.JOINT:
            guess = x_0_from_eps(x_t, noise, batch.coarse_steps, schedule)
            coarse = keep_observed(guess.clamp(-LARGEST_ROOT, LARGEST_ROOT), batch.seen)
        fine_t = diffuse(batch.fine, batch.fine_steps, batch.fine_noise, schedule)
        fine_noise = self.inference(fine_t, batch.fine_steps, coarse, batch.seen)
        return (
            (noise - batch.coarse_noise).square().mean(),
            (fine_noise - batch.fine_noise).square().mean(),
        )


def build_stages(config: Config, seed: int, phase: Phase = Phase.PRETRAINING) -> Stages:
    """Networks with initial weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Stages(config, phase)
