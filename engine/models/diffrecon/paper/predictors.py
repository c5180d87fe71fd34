"""The noise predictors of Diffusion-C and Diffusion-F."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.diffusion.parametrisation import eps_from_velocity
from engine.models.diffrecon.paper.config import Config
from engine.models.diffrecon.paper.external import ExternalEncoder
from engine.models.diffrecon.paper.sequences import Sequences
from engine.models.diffrecon.paper.st_pointformer import STPointFormer
from engine.models.diffrecon.paper.t_patternnet import TPatternNet
from engine.models.diffrecon.paper.unet import Decoder, Encoder, StepEmbedding


@dataclass(frozen=True, eq=False)
class Context:
    """What a stage knows of the sequence; the same at every step of the diffusion.

    Args:
        inter: (B, channels, I_down, J_down) features of the sequence; None if switched off.
        external: (B, d) features of the moment.
    """

    inter: Tensor | None
    external: Tensor


class InterEncoder(Protocol):
    """Features of the whole sequence at the U-Net's bottleneck.

    Source: [DiffRecon] Eq. (12).
    """

    channels: int

    def __call__(self, *sequence: Tensor) -> Tensor:
        """(B, channels, I_down, J_down)."""
        ...


def intra_map_features(encoder: Encoder, current: Tensor, step: Tensor) -> list[Tensor]:
    """Features of the current map alone, level by level.

    Source: [DiffRecon] Eq. (11).
    """
    levels: list[Tensor] = encoder(current, step)
    return levels


class NoisePredictor(nn.Module):
    """U-Net whose bottleneck is joined with features of the sequence.

    Source: [DiffRecon] Eq. (13).

    Differs from paper: the decoder's output is the velocity, of which the noise follows exactly.
    The paper's decoder gives the noise itself, and a clean map follows from it by dividing by
    almost nothing at the noisiest steps: on DiDi, as many steps of training left a mean error of
    34 vehicles a cell against 2.2. The loss is the paper's, on the noise.

    Args:
        config: sizes; its schedule turns velocities into noise.
        enter: channels of the current map and its conditions; the first is the noisy map.
        widths: channels of each level, the finest first.
        inter: channels of the sequence's features; 0 for none.
    """

    def __init__(self, config: Config, enter: int, widths: tuple[int, ...], inter: int) -> None:
        super().__init__()
        step = 2 * widths[0]
        self.schedule = config.schedule
        self.step = StepEmbedding(step, config.d_model)
        self.encoder = Encoder(enter, widths, step)
        self.decoder = Decoder(widths[-1] + inter, widths, step)

    def forward(
        self, current: Tensor, t_B: Tensor, inter: Tensor | None, external: Tensor
    ) -> Tensor:
        """Estimated noise, (B, R, C), of a current map with its conditions, (B, enter, R, C)."""
        step = self.step(t_B, external)
        levels = intra_map_features(self.encoder, current, step)
        bottleneck = levels[-1]
        if inter is not None:
            bottleneck = torch.cat([bottleneck, inter.to(bottleneck.dtype)], 1)
        v: Tensor = self.decoder(bottleneck, levels, step)
        return eps_from_velocity(current[:, 0].float(), v.float(), t_B, self.schedule)


class DiffusionC(nn.Module):
    """Predicts the noise in a coarse map, given the incomplete maps of a sequence.

    Args:
        config: sizes and switches.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        grid, w = (config.rows, config.cols), config.width
        self.external = ExternalEncoder(config.d_model)
        self.points = (
            STPointFormer(
                1 + len(config.lags),
                grid,
                config.d_model,
                config.heads,
                config.layers,
                (grid[0] // 2, grid[1] // 2),
            )
            if config.use_st_pointformer
            else None
        )
        channels = self.points.channels if self.points else 0
        self.predictor = NoisePredictor(config, 3, (w, 2 * w), channels)

    def context(self, seen: Sequences) -> Context:
        """What the incomplete maps say, whatever the step."""
        external = self.external(seen.external)
        inter = self.points(seen.maps, seen.observed, external) if self.points else None
        return Context(inter, external)

    def forward(
        self, x_t: Tensor, t_B: Tensor, seen: Sequences, context: Context | None = None
    ) -> Tensor:
        """Estimated noise, (B, I, J)."""
        known = context or self.context(seen)
        mask = seen.observed[:, -1].to(x_t.dtype)
        current = torch.stack([x_t, seen.maps[:, -1], mask], 1)
        noise: Tensor = self.predictor(current, t_B, known.inter, known.external)
        return noise


class DiffusionF(nn.Module):
    """Predicts the noise in a fine map, given the complete coarse maps of a series.

    Args:
        config: sizes and switches.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        grid, w = (config.rows, config.cols), config.width
        self.external = ExternalEncoder(config.d_model)
        self.patterns = (
            TPatternNet(
                grid, config.d_model, config.layers, config.periods, config.kernels, config.d_model
            )
            if config.use_t_patternnet
            else None
        )
        levels = config.magnification.bit_length()
        widths = (w, *([2 * w] * (levels - 1)))
        channels = self.patterns.channels if self.patterns else 0
        self.predictor = NoisePredictor(config, 2, widths, channels)
        self.spread = nn.Upsample(scale_factor=config.magnification, mode="nearest")

    def context(self, coarse: Tensor, seen: Sequences) -> Context:
        """What the complete maps say, whatever the step."""
        inter = self.patterns(seen.with_current(coarse)) if self.patterns else None
        return Context(inter, self.external(seen.external))

    def forward(
        self,
        x_t: Tensor,
        t_B: Tensor,
        coarse: Tensor,
        seen: Sequences,
        context: Context | None = None,
    ) -> Tensor:
        """Estimated noise, (B, R, C), given the completed current map (B, I, J)."""
        known = context or self.context(coarse, seen)
        current = torch.stack([x_t, self.spread(coarse[:, None])[:, 0]], 1)
        noise: Tensor = self.predictor(current, t_B, known.inter, known.external)
        return noise
