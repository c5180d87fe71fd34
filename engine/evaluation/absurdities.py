"""Questions that no model should answer without a warning, to try the warning with.

Shapes: B frames, I x J coarse cells.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace

import numpy as np

from engine.models.flows import FlowSeries, Index, Maps, coarsen
from engine.models.masks import MAX_RATIO, mixture_mask, random_mask
from engine.models.moments import TEMPERATURE
from engine.models.observations import Observations, observe

Rng = np.random.Generator

POOL = 800
"""Masks as in training, to choose from."""

SPIKE = 5
HEAT_C = 55
BUSY_SHARE = 0.5
"""Hours with at least this share of the day's busiest are busy."""

QUIET_SHARE = 0.1


def _shuffled(maps: Maps, rng: Rng) -> Maps:
    flat = maps.reshape(len(maps), -1)
    return np.stack([rng.permutation(row) for row in flat]).reshape(maps.shape)


def _rows_shuffled(maps: Maps, rng: Rng) -> Maps:
    return np.stack([rng.permutation(frame) for frame in maps])


def _constant(maps: Maps, _rng: Rng) -> Maps:
    return np.broadcast_to(maps.mean((1, 2), keepdims=True), maps.shape)


def _checkered(maps: Maps, _rng: Rng) -> Maps:
    odd = np.indices(maps.shape[1:]).sum(0) % 2 == 1
    return np.where(odd, SPIKE * maps + maps.mean((1, 2), keepdims=True), maps)


ABSURDITIES: Mapping[str, Callable[[Maps, Rng], Maps]] = {
    "ten times as much": lambda maps, _rng: 10 * maps,
    "a tenth": lambda maps, _rng: np.floor(maps / 10),
    "cells shuffled": _shuffled,
    "rows shuffled": _rows_shuffled,
    "north and south swapped": lambda maps, _rng: maps[:, ::-1],
    "the same everywhere": _constant,
    "every other cell a spike": _checkered,
}
"""Distortions of the coarse totals."""


def ordinary_cases(series: FlowSeries, starts: Index, rng: Rng) -> Observations:
    """Frames under masks as in training, each drawn from a pool of them."""
    pool = np.stack([mixture_mask(series.coarse_shape, rng) for _ in range(POOL)])
    return observe(series, starts, pool[rng.integers(POOL, size=len(starts))])


def absurd_cases(series: FlowSeries, starts: Index, rng: Rng) -> Iterator[tuple[str, Observations]]:
    """Frames made absurd in one way after the other, under masks as in training.

    Cases in which the masks hide all that is absurd are left out.

    Args:
        series: frames to distort.
        starts: (B,) base steps at which they begin.
        rng: of masks and distortions.

    Yields:
        What was done, and the frames.
    """
    seen, totals = ordinary_cases(series, starts, rng), _totals(series, starts)
    for name, distort in ABSURDITIES.items():
        yield name, with_totals(seen, distort(totals, rng))
    city = totals.sum((1, 2))
    busy = np.flatnonzero(city >= BUSY_SHARE * city.max())
    quiet = np.flatnonzero(city <= QUIET_SHARE * city.max())
    for name, hours, others in (
        ("a quiet hour's map in the rush", busy, quiet),
        ("a rush hour's map in the quiet", quiet, busy),
    ):
        if len(hours) and len(others):
            yield name, with_totals(pick(seen, hours), totals[rng.choice(others, len(hours))])
    few = max(1, int((1 - MAX_RATIO) * totals[0].size) - 1)
    masks = [random_mask(series.coarse_shape, 1 - few / totals[0].size, rng) for _ in starts]
    yield "hardly a sensor left", replace(seen, coarse=totals, observed=np.stack(masks))
    if not np.isnan(seen.conditions[:, TEMPERATURE]).any():
        conditions = seen.conditions.copy()
        conditions[:, TEMPERATURE] = HEAT_C
        yield "unheard-of heat", replace(seen, conditions=conditions)


def with_totals(seen: Observations, totals: Maps) -> Observations:
    """Frames that show other totals, without those in which nothing visible differs."""
    differs = ((totals != seen.coarse) & seen.observed).any((1, 2))
    return pick(replace(seen, coarse=np.asarray(totals, np.float32)), np.flatnonzero(differs))


def pick(seen: Observations, frames: Index) -> Observations:
    """Some of the frames."""
    return replace(seen, **{f.name: getattr(seen, f.name)[frames] for f in fields(seen)})


def _totals(series: FlowSeries, starts: Index) -> Maps:
    return coarsen(series.frames(starts), series.magnification)
