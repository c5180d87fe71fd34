"""The mean network and the residual denoiser."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.models.conservation import block_sums, conserve
from engine.models.diffrecon.ours.condition import (
    Condition,
    Features,
    num_features,
    prepare,
    to_map,
    to_points,
)
from engine.models.diffrecon.ours.config import Config
from engine.models.diffrecon.ours.points import PointBlock
from engine.models.dropout import SeededDropout

TIME_FREQUENCIES = 8


@dataclass(frozen=True, eq=False)
class MeanEstimate:
    """What one evaluation of the mean network gives.

    Args:
        fine: (B, R, C) the best map, non-negative, with the observed totals exact.
        coarse: (B, I, J) the completed coarse map.
        points: (B, P, D) features that the denoiser is conditioned on.
    """

    fine: Tensor
    coarse: Tensor
    points: Tensor


class MeanNetwork(nn.Module):
    """Corrects historical share: a factor per missing coarse cell, log-shares within each.

    Args:
        config: sizes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        d, p = config.width, config.points
        self.config = config
        self.enter = nn.Linear(num_features(config), d)
        self.place = nn.Parameter(torch.zeros(p, d))
        self.past_enter = nn.Linear(3, d)
        self.past_lag = nn.Parameter(0.02 * torch.randn(len(config.lags), 1, d))
        self.past_place = nn.Parameter(0.02 * torch.randn(p, d))
        self.drop = SeededDropout(config.dropout)
        self.blocks = nn.ModuleList(
            PointBlock(d, config.heads, config.latents, config.rows, config.cols, config.dropout)
            for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(d)
        self.leave = nn.Linear(d, config.cells + 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        self.place_read = nn.Linear(d, config.place_rank)
        self.place_leave = nn.Parameter(torch.zeros(p, config.place_rank, config.cells + 1))
        self.smoothing = nn.Linear(d, len(config.half_widths))
        nn.init.zeros_(self.smoothing.weight)
        nn.init.zeros_(self.smoothing.bias)

    def forward(self, condition: Condition) -> MeanEstimate:
        """The best map of each frame."""
        features = prepare(condition, self.config)
        x = self.drop(self.enter(features.present) + self.place)
        past = self._past(features)
        for block in self.blocks:
            x = block(x, past, features.past_known)
        x = self.norm(x)
        correction = self.leave(x).float() + self._of_place(x)
        shares, factor = correction[..., :-1], correction[..., -1]
        coarse = torch.where(
            condition.observed,
            condition.coarse,
            features.completed * factor.exp().unflatten(1, features.completed.shape[1:]),
        )
        split = (self._log_prior(condition.prior, x) + shares).softmax(-1)
        fine = to_map(split * coarse.flatten(1)[..., None], self.config.rows, self.config.cols)
        return MeanEstimate(fine, coarse, x)

    def _log_prior(self, prior: Tensor, x: Tensor) -> Tensor:
        """Logarithms of the base prior, moved towards other smoothings, (B, P, Q).

        How much each scale of history is to be trusted differs by place and hour; it need not
        pass through the features, which are fewer than the fine cells of all scales.
        """
        n, scales = self.config.magnification, prior.shape[1]
        logs = to_points((prior + self.config.small_count).log(), n)
        logs = logs.reshape(len(logs), -1, scales, n * n)
        base = logs[:, :, self.config.base_scale]
        trust = self.smoothing(x).float()[..., None]
        return base + (trust * (logs - base[:, :, None])).sum(2)

    def _of_place(self, x: Tensor) -> Tensor:
        """What is particular to each coarse cell: a road that fills first, a stadium."""
        return torch.einsum("bpr,pro->bpo", self.place_read(self.drop(x)).float(), self.place_leave)

    def _past(self, features: Features) -> Tensor | None:
        if not self.config.lags or not self.config.use_past:
            return None
        return (self.past_enter(features.past) + self.past_lag + self.past_place).flatten(1, 2)


def time_features(time_B: Tensor) -> Tensor:
    """Sines and cosines of a time in [0, 1], (B,) to (B, 16)."""
    rates = torch.exp2(torch.arange(TIME_FREQUENCIES, device=time_B.device)) * (math.pi / 4)
    angle = time_B[:, None] * rates
    return torch.cat([angle.sin(), angle.cos()], -1)


class ResidualDenoiser(nn.Module):
    """Estimates the clean residual from a noisy one on the straight path.

    A residual is the difference of square roots between a fine map and its mean, divided by
    ``config.residual_scale``: a Poisson count's is close to standard normal.

    Args:
        config: sizes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        d = config.residual_width
        self.config = config
        self.enter = nn.Linear(3 * config.cells + 1, d)
        self.time = nn.Sequential(nn.Linear(2 * TIME_FREQUENCIES, d), nn.GELU(), nn.Linear(d, d))
        self.condition = nn.Linear(config.width, d)
        self.blocks = nn.ModuleList(
            PointBlock(d, config.heads, config.latents, config.rows, config.cols, config.dropout)
            for _ in range(config.residual_blocks)
        )
        self.norm = nn.LayerNorm(d)
        self.leave = nn.Linear(d, config.cells)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x_t: Tensor, time_B: Tensor, mean: MeanEstimate, observed: Tensor) -> Tensor:
        """Clean residual, (B, R, C).

        Args:
            x_t: (B, R, C) noisy residual.
            time_B: (B,) in (0, 1], 1 is pure noise.
            mean: of the same frames.
            observed: (B, I, J) bool.
        """
        root = mean.fine.sqrt()
        fine = to_points(torch.stack([x_t, root, (-4 * root).exp()], 1), self.config.magnification)
        known = observed.flatten(1)[..., None].to(fine.dtype)
        x = self.enter(torch.cat([fine, known], -1)) + self.condition(mean.points)
        x = x + self.time(time_features(time_B))[:, None]
        for block in self.blocks:
            x = block(x)
        guess = self.leave(self.norm(x)).float()
        # what the noisy residual says by itself if residuals were standard normal
        time = time_B[:, None, None]
        gain = (1 - time) / ((1 - time) ** 2 + time**2)
        return gain * x_t + to_map(guess, self.config.rows, self.config.cols)


def residual_of(fine: Tensor, mean: Tensor, scale: float) -> Tensor:
    """The residual of a fine map, (B, R, C)."""
    return (fine.sqrt() - mean.sqrt()) / scale


def fine_of(residual: Tensor, mean: Tensor, scale: float) -> Tensor:
    """The non-negative fine map of a residual, (B, R, C)."""
    return (mean.sqrt() + scale * residual).clamp_min(0).square()


def project_residual(
    residual: Tensor, mean: MeanEstimate, condition: Condition, scale: float
) -> Tensor:
    """The residual of the nearest map that is non-negative and keeps the observed totals."""
    fine = fine_of(residual, mean.fine, scale)
    kept = conserve(fine, condition.coarse, condition.observed, mean.fine)
    return residual_of(kept, mean.fine, scale)


def relative_error_of_totals(fine: Tensor, condition: Condition) -> float:
    """Largest relative difference between observed totals and the sums of a map's cells."""
    n = fine.shape[-1] // condition.coarse.shape[-1]
    gap = (block_sums(fine, n) - condition.coarse).abs() / condition.coarse.clamp_min(1)
    return float((gap * condition.observed).max())
