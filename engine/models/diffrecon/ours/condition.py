"""Observations and history as tensors, on scales that a network likes."""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from engine.models.conservation import block_sums
from engine.models.diffrecon.ours.config import Config
from engine.models.moments import HOLIDAY, RAIN, TEMPERATURE, WEEKDAY

HARMONICS = 3
WEEKDAYS = 7
MOMENT_FEATURES = WEEKDAYS + 6
"""One-hot weekday; holiday, temperature and rain, each beside a flag that says it is known."""
USUAL_TEMPERATURE_C, TEMPERATURE_SCALE_C = 12.0, 8.0
POINT_CHANNELS = 3
"""Per coarse cell and frame: observed or not, deviation from history, size or level."""


@dataclass(frozen=True, eq=False)
class Condition:
    """All that the networks are told of a batch of frames.

    Args:
        prior: (B, K, R, C) float32, historical mean frames at each smoothing scale.
        slots: (B,) int64.
        coarse: (B, I, J) totals, zero where not observed.
        observed: (B, I, J) bool.
        past: (B, L, I, J) totals of earlier frames, zero where not observed.
        past_observed: (B, L, I, J) bool.
        past_prior: (B, L, I, J) historical means of the earlier frames.
        moment: (B, 5) conditions, as :mod:`engine.models.moments` has them.
    """

    prior: Tensor
    slots: Tensor
    coarse: Tensor
    observed: Tensor
    past: Tensor
    past_observed: Tensor
    past_prior: Tensor
    moment: Tensor

    def __len__(self) -> int:
        return len(self.slots)

    def to(self, device: torch.device) -> "Condition":
        """The same on another device."""
        return Condition(*(getattr(self, f.name).to(device) for f in fields(self)))


def to_points(fine: Tensor, magnification: int) -> Tensor:
    """Gather each coarse cell's fine cells: (B, K, R, C) to (B, P, K * Q)."""
    b, k, rows, cols = fine.shape
    n = magnification
    blocks = fine.reshape(b, k, rows // n, n, cols // n, n).permute(0, 2, 4, 1, 3, 5)
    return blocks.reshape(b, rows * cols // n**2, k * n * n)


def to_map(points: Tensor, rows: int, cols: int) -> Tensor:
    """Undo :func:`to_points` for one channel: (B, P, Q) to (B, R, C), I = rows, J = cols."""
    n = math.isqrt(points.shape[-1])
    blocks = points.reshape(len(points), rows, cols, n, n).permute(0, 1, 3, 2, 4)
    return blocks.reshape(len(points), rows * n, cols * n)


def observed_level(coarse: Tensor, observed: Tensor, prior: Tensor, counts: float = 0.0) -> Tensor:
    """Observed totals over their history, (..., I, J) to (..., 1, 1); 1 if nothing is known.

    The mean of a Gamma distribution around 1 that weighs as much as ``counts`` counts, once the
    totals are seen as Poisson counts: few counts say little.
    """
    seen = (coarse * observed).sum((-2, -1), keepdim=True) + counts
    usual = (prior * observed).sum((-2, -1), keepdim=True) + counts
    return torch.where(usual > 0, seen / usual.clamp_min(1e-6), torch.ones_like(usual))


def deviation(coarse: Tensor, observed: Tensor, expected: Tensor) -> Tensor:
    """Difference of square roots where observed, else zero, (..., I, J)."""
    return (coarse.sqrt() - expected.sqrt()) * observed


@dataclass(frozen=True, eq=False)
class Features:
    """The condition, prepared for the mean network.

    Args:
        present: (B, P, F) features of each coarse cell.
        past: (B, L, P, 3) value, size and mask of each earlier point.
        past_known: (B, L * P) bool.
        completed: (B, I, J) totals, missing ones by history and level.
        base: (B, R, C) the prior that is corrected.
    """

    present: Tensor
    past: Tensor
    past_known: Tensor
    completed: Tensor
    base: Tensor


def num_features(config: Config) -> int:
    """F, the width of :attr:`Features.present`."""
    frames = 1 + len(config.lags)
    maps = 1 + len(config.half_widths)
    moment = MOMENT_FEATURES if config.use_conditions else 0
    return POINT_CHANNELS * frames + config.cells * maps + 2 * HARMONICS + moment


def prepare(condition: Condition, config: Config) -> Features:
    """Features of a batch; counts enter as square roots, shares as logarithms."""
    n, b, p = config.magnification, len(condition), config.points
    base = condition.prior[:, config.base_scale]
    usual = block_sums(base, n)
    observed = condition.observed.float()
    extra = config.level_counts
    level = observed_level(condition.coarse, observed, usual, extra)
    now = torch.stack(
        [observed, deviation(condition.coarse, observed, usual * level), _size(usual)], -1
    )
    known = condition.past_observed.float()
    if not config.use_past:
        known = torch.zeros_like(known)
    past_level = observed_level(condition.past, known, condition.past_prior, extra)
    drift = deviation(condition.past, known, condition.past_prior * past_level)
    trend = 5 * past_level.clamp(0.2, 5).log() * known
    before = torch.stack([known, drift, trend], -1).permute(0, 2, 3, 1, 4).reshape(b, p, -1)
    logs = (condition.prior + config.small_count).log()
    shapes = logs - logs[:, config.base_scale, None]
    fine = to_points(torch.cat([0.4 * base[:, None].sqrt() - 0.8, shapes], 1), n)
    present = [now.flatten(1, 2), before, fine, _clock(condition.slots, config)]
    if config.use_conditions:
        present.append(_moment(condition.moment))
    return Features(
        present=torch.cat([part.expand(b, p, -1) for part in present], -1),
        past=torch.stack([drift, _size(condition.past_prior), known], -1).flatten(2, 3),
        past_known=known.flatten(1) > 0,
        completed=torch.where(condition.observed, condition.coarse, usual * level),
        base=base,
    )


def _size(usual: Tensor) -> Tensor:
    return 0.2 * usual.sqrt() - 1.4


def _moment(conditions: Tensor) -> Tensor:
    """Weekday, holiday, temperature and rain on even scales, (B, 5) to (B, 1, 13)."""
    weekday = conditions[:, WEEKDAY]
    days = torch.arange(WEEKDAYS, device=conditions.device)
    numbers = torch.stack(
        [
            conditions[:, HOLIDAY],
            (conditions[:, TEMPERATURE] - USUAL_TEMPERATURE_C) / TEMPERATURE_SCALE_C,
            conditions[:, RAIN].clamp_min(0).log1p(),
        ],
        -1,
    )
    known = ~numbers.isnan()
    parts = [weekday[:, None] == days, numbers.nan_to_num(), known]
    return torch.cat([part.to(numbers.dtype) for part in parts], -1)[:, None]


def _clock(slots: Tensor, config: Config) -> Tensor:
    """Sine and cosine of the time of day, (B, 1, 6)."""
    order = torch.arange(1, HARMONICS + 1, device=slots.device)
    angle = slots[:, None] * order * (2 * math.pi / config.slots_per_day)
    return torch.cat([angle.sin(), angle.cos()], -1)[:, None]
