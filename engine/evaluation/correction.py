"""The correction of the best map, measured on frames that were not trained on."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engine.evaluation.calibration import MASKS
from engine.models.diffrecon.ours.correction import KNOTS, Correction, corrected
from engine.models.diffrecon.ours.system import Reconstructor
from engine.models.flows import FlowSeries
from engine.models.masks import Mask, named_masks
from engine.models.observations import observe_in_order

STEPS = 80
LEARNING_RATE = 0.02
DECAY = 1e-3
"""Factors far from one need evidence."""

BATCH = 48


def measure_correction(
    system: Reconstructor,
    series: FlowSeries,
    masks: Sequence[str] = MASKS,
    every: int = 5,
    seed: int = 1,
) -> Correction:
    """The correction that lowers the mean absolute and the root mean square error, both alike.

    None at all where factors of one half of the days do not help on the other half, where other
    masks are drawn.

    Args:
        system: trained networks; its own correction is not used.
        series: days that were not trained on.
        masks: names of mask patterns; each takes other frames of the series.
        every: take each ``every``-th frame.
        seed: of the masks; other than the benchmark's.
    """
    truth = series.frames(series.regular_starts())
    halves: list[Tensor] = []
    columns: tuple[list[Tensor], ...] = ([], [], [], [])
    for number, name in enumerate(masks):
        drawn = _masks_of_halves(name, len(truth), series.coarse_shape, seed)
        seen = observe_in_order(series, drawn, system.config.lags)
        chosen = slice(number % every, None, every)
        part, true = seen[chosen], truth[chosen]
        for first in range(0, len(part), BATCH):
            condition = system.condition(part[first : first + BATCH])
            fine = torch.stack([mean.fine for mean in system.means(condition)]).mean(0)
            known = torch.from_numpy(np.ascontiguousarray(true[first : first + BATCH]))
            halves.append(torch.arange(first, first + len(known)) < len(part) // 2)
            row = (fine, condition.coarse, condition.observed, known.to(fine.device))
            for column, values in zip(columns, row, strict=True):
                column.append(values)
    maps = tuple(torch.cat(column) for column in columns)
    if not _helps_elsewhere(maps, torch.cat(halves).to(maps[0].device)):
        return Correction()
    sides = fit_factors(*maps).tolist()
    return Correction(tuple(sides[0]), tuple(sides[1]))


def _masks_of_halves(name: str, count: int, shape: tuple[int, int], seed: int) -> Mask:
    """Masks of which the second half of the days has other ones of the same pattern."""
    early, late = (named_masks(name, count, shape, number) for number in (seed, seed + 1))
    return np.concatenate([early[: count // 2], late[count // 2 :]])


def _helps_elsewhere(maps: Sequence[Tensor], is_early: Tensor) -> bool:
    """Whether factors fitted on one half of the days lower both errors of the other half."""
    change = torch.zeros(2)
    for fitted_on, tried_on in ((is_early, ~is_early), (~is_early, is_early)):
        factors = fit_factors(*(part[fitted_on] for part in maps))
        other = [part[tried_on] for part in maps]
        before = _errors(torch.zeros_like(factors), *other)
        change += (_errors(factors, *other) / before - 1).cpu()
    return bool((change <= 0).all())


def _errors(
    factors: Tensor, fine: Tensor, coarse: Tensor, observed: Tensor, truth: Tensor
) -> Tensor:
    """Mean absolute and root mean square error of the corrected maps, (2,) counts."""
    gap = corrected(fine, coarse, observed, factors) - truth
    return torch.stack([gap.abs().mean(), gap.square().mean().sqrt()]).clamp_min(1e-6)


def fit_factors(fine: Tensor, coarse: Tensor, observed: Tensor, truth: Tensor) -> Tensor:
    """Factors by gradient descent, from none.

    Args:
        fine: (B, R, C) best maps.
        coarse: (B, I, J) totals.
        observed: (B, I, J) bool.
        truth: (B, R, C).

    Returns:
        (2, number of knots) logarithms.
    """
    factors = torch.zeros(2, len(KNOTS), device=fine.device, requires_grad=True)
    optimiser = torch.optim.Adam([factors], lr=LEARNING_RATE)
    before = _errors(factors, fine, coarse, observed, truth).detach()
    for _ in range(STEPS):
        optimiser.zero_grad()
        errors = _errors(factors, fine, coarse, observed, truth)
        loss = (errors / before).sum() + DECAY * factors.square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return factors.detach()
