"""Training of the UrbanFM baseline: complete coarse maps in, fine maps out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from engine.models.baselines.urbanfm import Config, UrbanFM
from engine.models.flows import FlowSeries, Index, coarsen


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step sees.

    Args:
        coarse: (B, I, J) complete totals.
        slots: (B,).
        truth: (B, R, C) counts.
    """

    coarse: Tensor
    slots: Tensor
    truth: Tensor


class UrbanFMTask:
    """What the training loop needs to know to train UrbanFM.

    Args:
        train: the series to train on.
        valid: a series that is not trained on.
        config: sizes; the scales are taken from the training series.
        seed: of the initial weights.
    """

    is_fixed = False

    def __init__(self, train: FlowSeries, valid: FlowSeries, config: Config, seed: int) -> None:
        frames = train.frames(train.regular_starts())
        scaled = replace(
            config,
            largest_coarse=float(coarsen(frames, train.magnification).max()),
            largest_fine=float(frames.max()),
        )
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.network: nn.Module = UrbanFM(scaled)
        self.config, self.train, self.valid = scaled, train, valid
        self.num_examples = train.num_starts

    def batch(self, examples: Index, rngs: Sequence[np.random.Generator]) -> Batch:
        """The frames at these beginnings; nothing is random."""
        del rngs
        return self._batch_of(self.train, examples)

    def to_device(self, batch: Batch, device: torch.device) -> Batch:
        """The batch on another device."""
        parts = (part.to(device) for part in (batch.coarse, batch.slots, batch.truth))
        return Batch(*parts)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean squared error of scaled maps, as in the paper."""
        gap = network(batch.coarse, batch.slots) - batch.truth
        return (gap / self.config.largest_fine).square().mean()

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Errors of complete maps of the validation days, in counts."""
        starts = self.valid.regular_starts()
        device = next(network.parameters()).device
        batch = self.to_device(self._batch_of(self.valid, starts), device)
        gap = network(batch.coarse, batch.slots) - batch.truth
        rmse = float(gap.square().mean().sqrt())
        return {"score": rmse, "mae": float(gap.abs().mean())}

    def _batch_of(self, series: FlowSeries, starts: Index) -> Batch:
        frames = series.frames(starts)
        coarse = coarsen(frames, series.magnification)
        return Batch(
            torch.from_numpy(coarse),
            torch.from_numpy(series.slots(starts) % series.slots_per_day),
            torch.from_numpy(frames),
        )
