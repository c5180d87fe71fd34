"""Training of the paper's reconstruction system: each stage apart, then both together."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from engine.models.baselines.profile import fit_profile
from engine.models.diffrecon.paper.config import Config
from engine.models.diffrecon.paper.objective import Batch, Phase, Stages, build_stages
from engine.models.diffrecon.paper.sequences import Scale
from engine.models.diffrecon.paper.system import PaperReconstructor, all_lags, sequences_of
from engine.models.flows import FlowSeries, Index, Maps, coarsen
from engine.models.observations import observe
from engine.training.reconstruction import draw_masks

VALIDATION_FRAMES = 64
VALIDATION_SEED = 123


def fit_scale(series: FlowSeries) -> Scale:
    """Mean and deviation of the square roots of a series' frames."""
    fine = series.frames(series.regular_starts())
    coarse = np.sqrt(coarsen(fine, series.magnification))
    roots = np.sqrt(fine)
    return Scale(float(coarse.mean()), float(coarse.std()), float(roots.mean()), float(roots.std()))


class PaperTask:
    """What the training loop needs to know to train one phase of the paper's system.

    Args:
        train: the series to train on.
        valid: a series that is not trained on.
        config: sizes and switches.
        seed: of the initial weights.
        phase: pretraining, or joint training.
        before: stages of an earlier phase to go on from.
    """

    is_fixed = False

    def __init__(
        self,
        train: FlowSeries,
        valid: FlowSeries,
        config: Config,
        seed: int,
        phase: Phase = Phase.PRETRAINING,
        before: Stages | None = None,
    ) -> None:
        stages = build_stages(config, seed, phase)
        if before is not None:
            stages.load_state_dict(before.state_dict())
        self.network: nn.Module = stages
        self.config, self.train, self.valid = config, train, valid
        self.num_examples = train.num_starts
        self.profile = fit_profile(train)
        self.scale = fit_scale(train)
        self._usual = coarsen(self.profile.frame_means(0), train.magnification)
        rng = np.random.default_rng(VALIDATION_SEED)
        count = min(VALIDATION_FRAMES, valid.num_starts)
        starts = np.sort(rng.choice(valid.num_starts, count, replace=False))
        rngs = [np.random.default_rng((VALIDATION_SEED, int(start))) for start in starts]
        self._check = self._batch_of(valid, starts, rngs)

    def batch(self, examples: Index, rngs: Sequence[np.random.Generator]) -> Batch:
        """Frames with masks from the mixture, noise and steps."""
        return self._batch_of(self.train, examples, rngs)

    def to_device(self, batch: Batch, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch(
            batch.seen.to(device),
            batch.coarse.to(device),
            batch.fine.to(device),
            batch.coarse_noise.to(device),
            batch.fine_noise.to(device),
            batch.coarse_steps.to(device),
            batch.fine_steps.to(device),
        )

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Noise errors of both stages, added."""
        coarse, fine = network(batch)
        total: Tensor = coarse + fine
        return total

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Noise errors on validation frames with fixed masks, noise and steps."""
        device = next(network.parameters()).device
        coarse, fine = (float(loss) for loss in network(self.to_device(self._check, device)))
        return {"score": coarse + fine, "coarse_noise": coarse, "fine_noise": fine}

    def system(self, stages: Stages) -> PaperReconstructor:
        """The stages with the scale and mean day of the training days."""
        return PaperReconstructor(self.config, stages.cpu(), self.scale, self.profile.step_means(0))

    def _batch_of(
        self, series: FlowSeries, starts: Index, rngs: Sequence[np.random.Generator]
    ) -> Batch:
        num_past, num_series = len(self.config.lags), self.config.series - 1
        masks = [_masks_of(series, num_past, num_series, rng) for rng in rngs]
        seen = observe(series, starts, np.stack(masks), all_lags(self.config))
        fine = series.frames(starts)
        coarse = coarsen(fine, series.magnification)
        steps = np.stack([rng.integers(1, self.config.num_steps + 1, 2) for rng in rngs])
        return Batch(
            sequences_of(seen, self.config, self._usual, self.scale),
            self.scale.coarse(torch.from_numpy(coarse)),
            self.scale.fine(torch.from_numpy(fine)),
            _normal(coarse, rngs),
            _normal(fine, rngs),
            torch.from_numpy(steps[:, 0]),
            torch.from_numpy(steps[:, 1]),
        )


def _masks_of(series: FlowSeries, num_past: int, num_series: int, rng: np.random.Generator) -> Maps:
    """Masks of a frame, of C's earlier maps, and of F's series, which shares the frame's own."""
    own = draw_masks(series.coarse_shape, num_past, rng)
    return np.concatenate([own, np.repeat(own[:1], num_series, axis=0)])


def _normal(like: Maps, rngs: Sequence[np.random.Generator]) -> Tensor:
    rows = [rng.standard_normal(like.shape[1:], np.float32) for rng in rngs]
    return torch.from_numpy(np.stack(rows))
