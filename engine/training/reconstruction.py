"""Training of the reconstruction system: windows, masks and history, drawn anew each time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.models.baselines.historical import HistoricalShare
from engine.models.baselines.profile import OtherDays, fit_profile
from engine.models.diffrecon.ours.condition import Condition
from engine.models.diffrecon.ours.config import Config
from engine.models.diffrecon.ours.objective import Batch, Networks, build_networks
from engine.models.diffrecon.ours.system import Reconstructor
from engine.models.flows import FlowSeries, Index, Maps, coarsen
from engine.models.masks import Mask, mixture_mask, named_masks
from engine.models.moments import WEEKDAY, Conditions
from engine.models.observations import Observations, observe, observe_in_order

SAME_MASK = 0.5
"""How often the earlier frames have the frame's own mask; otherwise each has one of its own."""

NO_PAST = 0.1
"""How often there are no earlier frames at all."""

BLEND = 0.5
"""How often a frame is blended with that of another day, where values are whole numbers."""

UNKNOWN_CONDITIONS = 0.1
"""How often holiday, weather and temperature are not known."""

DAYS_PER_WEEK = 7
RESIDUAL_WEIGHT = 0.2
VALIDATION_MASKS = ("fix40", "random80", "quarter")
VALIDATION_BATCH = 48


def draw_masks(shape: tuple[int, int], num_past: int, rng: np.random.Generator) -> Mask:
    """Masks of one training example, its own first, (1 + L, I, J)."""
    masks = np.zeros((1 + num_past, *shape), dtype=np.bool_)
    masks[0] = mixture_mask(shape, rng)
    if rng.random() < NO_PAST:
        return masks
    same = rng.random() < SAME_MASK
    for row in range(1, 1 + num_past):
        masks[row] = masks[0] if same else mixture_mask(shape, rng)
    return masks


def _with_gaps(conditions: Conditions, rngs: Sequence[np.random.Generator]) -> Conditions:
    """Conditions of some rows made unknown, but for the weekday, as users may leave them."""
    gaps = np.array([rng.random() < UNKNOWN_CONDITIONS for rng in rngs])
    known = conditions.copy()
    known[gaps, WEEKDAY + 1 :] = np.nan
    return known


def blend_counts(first: Maps, second: Maps, share: float, rng: np.random.Generator) -> Maps:
    """A frame that might have been: each event of ``first`` is kept with probability ``share``.

    Events of ``second`` are kept with the other probability. Sums of thinned Poisson counts are
    Poisson counts, so that the noise of a blend is that of a real frame; ten days become ninety
    pairs, and none can be learnt by heart.

    Args:
        first: whole numbers, any shape.
        second: the same of another day.
        share: 0 to 1.
        rng: of the thinning.

    Returns:
        Whole numbers, shape of ``first``.
    """
    kept = rng.binomial(first.astype(np.int64), share)
    return (kept + rng.binomial(second.astype(np.int64), 1 - share)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Check:
    """One validation mask: what is seen, what is true, and what historical share makes of it."""

    seen: Observations
    baseline_mae: float
    baseline_rmse: float


def errors_of(estimate: Maps, truth: Maps) -> tuple[float, float]:
    """Mean absolute and root mean square error over all fine cells, in counts."""
    gap = estimate.astype(np.float64) - truth
    return float(np.abs(gap).mean()), float(np.sqrt((gap**2).mean()))


class ReconstructionTask:
    """What the training loop needs to know to train the system.

    Args:
        train: the series to train on.
        valid: a series that is not trained on, on the same grid and clock.
        config: sizes of the networks.
        seed: of the initial weights.
    """

    is_fixed = False

    def __init__(self, train: FlowSeries, valid: FlowSeries, config: Config, seed: int) -> None:
        self.network: nn.Module = build_networks(config, seed)
        self.config, self.train, self.valid = config, train, valid
        self.num_examples = train.num_starts
        self.profile = fit_profile(train)
        self._is_whole = bool((train.values == np.rint(train.values)).all())
        self._history = OtherDays(train, config.half_widths)
        coarse = coarsen(train.values, train.magnification)
        usual = replace(train, values=coarse, magnification=1)
        self._usual = OtherDays(usual, (config.half_widths[config.base_scale],))
        self._truth = valid.frames(valid.regular_starts())
        self._checks = {name: self._check(name) for name in VALIDATION_MASKS}

    def batch(self, examples: Index, rngs: Sequence[np.random.Generator]) -> Batch:
        """Frames with masks from the mixture; the prior leaves out the frame's own days."""
        lags = np.asarray(self.config.lags, dtype=np.int64)
        masks = np.stack([draw_masks(self.train.coarse_shape, len(lags), rng) for rng in rngs])
        partners = np.array(
            [self._partner(int(start), rng) for start, rng in zip(examples, rngs, strict=True)]
        )
        seen, truth = self._blended(examples, partners, masks, rngs)
        earlier = (examples[:, None] - lags).ravel(), (partners[:, None] - lags).ravel()
        usual = self._usual.frame_means(*earlier)[:, 0]
        noise = np.stack([rng.standard_normal(truth.shape[1:], np.float32) for rng in rngs])
        times = np.array([1 - rng.random() for rng in rngs], dtype=np.float32)
        condition = Condition(
            torch.from_numpy(self._history.frame_means(examples, partners)),
            torch.from_numpy(seen.slots),
            torch.from_numpy(seen.coarse),
            torch.from_numpy(np.ascontiguousarray(seen.observed)),
            torch.from_numpy(seen.past),
            torch.from_numpy(np.ascontiguousarray(seen.past_observed)),
            torch.from_numpy(usual.reshape(seen.past.shape)),
            torch.from_numpy(_with_gaps(seen.conditions, rngs)),
        )
        parts = (torch.from_numpy(part) for part in (truth, noise, times))
        return Batch(condition, *parts)

    def _partner(self, start: int, rng: np.random.Generator) -> int:
        """The beginning of the frame to blend with, on another day; itself for no blend.

        Where a calendar is known, it is the same weekday's, so that the earlier frames fit too.
        """
        train = self.train
        step = train.slots_per_day * (1 if train.num_day_kinds == 1 else DAYS_PER_WEEK)
        same_slot = np.arange(start % step, self.num_examples, step)
        same_slot = same_slot[train.slots(same_slot) == train.slots(np.array([start]))]
        chosen = int(rng.choice(same_slot))
        return chosen if self._is_whole and rng.random() < BLEND else start

    def _blended(
        self, starts: Index, partners: Index, masks: Mask, rngs: Sequence[np.random.Generator]
    ) -> tuple[Observations, Maps]:
        """Observations and truth of frames that are blends with their partners."""
        lags, n = self.config.lags, self.train.magnification
        seen, other = (observe(self.train, when, masks, lags) for when in (starts, partners))
        truth, second = self.train.frames(starts), self.train.frames(partners)
        past = seen.past.copy()
        for row, rng in enumerate(rngs):
            if starts[row] == partners[row]:
                continue
            share = float(rng.random())
            truth[row] = blend_counts(truth[row], second[row], share, rng)
            past[row] = blend_counts(past[row], other.past[row], share, rng)
        known = seen.past_observed & other.past_observed
        blended = replace(seen, coarse=coarsen(truth, n), past=past, past_observed=known)
        return blended, truth

    def to_device(self, batch: Batch, device: torch.device) -> Batch:
        """The batch on another device."""
        return batch.to(device)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The mean's loss and a share of the denoiser's."""
        mean, residual = network(batch)
        total: Tensor = mean + RESIDUAL_WEIGHT * residual
        return total

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Errors of the best map on the validation days; score 1 is historical share."""
        if not isinstance(network, Networks):
            raise TypeError(type(network).__name__)
        return self.figures(self.system([network]))

    def figures(self, system: Reconstructor) -> dict[str, float]:
        """The same of a whole system."""
        figures: dict[str, float] = {}
        ratios = []
        for name, check in self._checks.items():
            mae, rmse = errors_of(estimate_in_batches(system, check.seen), self._truth)
            figures |= {f"{name}_mae": mae, f"{name}_rmse": rmse}
            ratios += [mae / check.baseline_mae, rmse / check.baseline_rmse]
        return {"score": float(np.mean(ratios)), **figures}

    def system(self, members: Sequence[Networks]) -> Reconstructor:
        """The networks with the history of the training days."""
        device = next(members[0].parameters()).device
        return Reconstructor(self.config, self.profile.step_means(0), members, device=device)

    def _check(self, name: str) -> _Check:
        masks = named_masks(name, len(self._truth), self.valid.coarse_shape)
        seen = observe_in_order(self.valid, masks, self.config.lags)
        share = HistoricalShare(self.profile).estimate(seen)
        return _Check(seen, *errors_of(share, self._truth))


def estimate_in_batches(system: Reconstructor, seen: Observations) -> NDArray[np.float32]:
    """Best maps of many frames, quicker than one by one and equal to rounding, (B, R, C)."""
    rows = []
    for first in range(0, len(seen), VALIDATION_BATCH):
        rows.append(system.complete(seen[first : first + VALIDATION_BATCH])[0])
    return np.concatenate(rows)
