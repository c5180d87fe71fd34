"""What is ordinary for a model: limits measured on days that it was not trained on.

The limits are set so that few ordinary frames, under masks as in training, lie beyond any of them.
How many ordinary and how many absurd ones then do is measured on days apart from those that set
the limits.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.evaluation.absurdities import absurd_cases, ordinary_cases
from engine.evaluation.calibration import fit_spread, measure_hidden_spread
from engine.evaluation.familiarity import (
    CARD_KEY,
    MEASURES,
    SHARES,
    Familiarity,
    Figures,
    Spreads,
    measure_figures,
    oddities,
    share_bin,
)
from engine.models.diffrecon.ours.sensors import CARD_KEY as HIDDEN_KEY
from engine.models.diffrecon.ours.system import Reconstructor
from engine.models.flows import FlowSeries, Index, Maps, coarsen
from engine.models.masks import MAX_RATIO
from engine.models.moments import RAIN, TEMPERATURE, WEATHER
from engine.models.observations import Observations

ORDINARY = "ordinary"
FLAGGED = 0.02
"""Share of ordinary cases beyond a limit, on the days that set the limits."""

CASES = 3000
"""Ordinary cases, about; each frame appears under several masks."""

_HALVINGS = 30

Flags = NDArray[np.bool_]


def measure_familiarity(
    system: Reconstructor, train: FlowSeries, valid: FlowSeries, seed: int = 3
) -> Familiarity:
    """What is ordinary for a model, and how well that tells ordinary from absurd.

    Args:
        system: the model, with the mean day of its training.
        train: the days that it was trained on; only their weather is read.
        valid: days that it was not trained on, two or more.
        seed: of masks and distortions.

    Raises:
        InputError: fewer than two days to measure on.
    """
    starts = valid.regular_starts()
    days = valid.days(starts)
    halves = [starts[days % 2 == parity] for parity in (0, 1)]
    if not all(len(half) for half in halves):
        raise InputError("What is ordinary cannot be measured on a single day.")
    counts: dict[str, list[float]] = {}
    for part, (measured, tested) in enumerate((halves, halves[::-1])):
        known = _limits(system, train, valid, measured, seed + part)
        for name, flags in flag_cases(system, known, valid, tested, seed + 2 + part):
            counts.setdefault(name, []).extend(flags)
    known = _limits(system, train, valid, starts, seed)
    rates = {name: round(float(np.mean(flags)), 4) for name, flags in counts.items() if flags}
    return replace(known, rates=rates)


def card_figures(system: Reconstructor, train: FlowSeries, valid: FlowSeries) -> dict[str, Any]:
    """What the card of freshly trained weights says of hidden totals and of ordinary questions.

    Args:
        system: the model.
        train: the days that it was trained on.
        valid: days that it was not trained on; of a single one only hidden totals are measured.
    """
    figures: dict[str, Any] = {HIDDEN_KEY: list(measure_hidden_spread(system, valid))}
    if len(np.unique(valid.days(valid.regular_starts()))) > 1:
        figures[CARD_KEY] = measure_familiarity(system, train, valid).to_json()
    return figures


def flag_cases(
    system: Reconstructor, known: Familiarity, series: FlowSeries, starts: Index, seed: int
) -> list[tuple[str, list[bool]]]:
    """Which cases are called unfamiliar, ordinary ones first, then each kind of absurd ones."""
    rng = np.random.default_rng(seed)
    cases = [(ORDINARY, ordinary_cases(series, _repeated(starts), rng))]
    cases += absurd_cases(series, starts, rng)
    return [(name, _is_odd(system, seen, known).tolist()) for name, seen in cases]


def _is_odd(system: Reconstructor, seen: Observations, known: Familiarity) -> Flags:
    figures = measure_figures(seen, system.usual, known.spreads)
    return _any_odd(figures, seen, known)


def _any_odd(figures: Figures, seen: Observations, known: Familiarity) -> Flags:
    return np.stack(list(oddities(figures, seen, known).values())).max(0) > 1


def _repeated(starts: Index) -> Index:
    return np.repeat(starts, max(1, CASES // len(starts)))


def _limits(
    system: Reconstructor, train: FlowSeries, valid: FlowSeries, starts: Index, seed: int
) -> Familiarity:
    """Limits at the lowest quantile beyond which few enough ordinary cases lie."""
    rng = np.random.default_rng(seed)
    seen = ordinary_cases(valid, _repeated(starts), rng)
    spreads = _spreads(system.usual, valid, starts)
    figures = measure_figures(seen, system.usual, spreads)
    cells = seen.observed[0].size
    weather = train.moments(train.regular_starts())
    kinds = np.unique(weather[:, WEATHER])
    known = Familiarity(
        spreads=spreads,
        limits={},
        max_missing=round(MAX_RATIO * cells) / cells,
        max_way=0,
        temperature=_range(weather[:, TEMPERATURE]),
        rain=_range(weather[:, RAIN]),
        weathers=tuple(int(kind) for kind in kinds[~np.isnan(kinds)]),
    )
    low, high = 0.5, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        flagged = _any_odd(figures, seen, _at(known, figures, seen, middle)).mean()
        low, high = (middle, high) if flagged > FLAGGED else (low, middle)
    return _at(known, figures, seen, high)


def _at(known: Familiarity, figures: Figures, seen: Observations, quantile: float) -> Familiarity:
    place = share_bin(seen.observed)
    rows = [place == b if (place == b).any() else place >= 0 for b in range(len(SHARES) + 1)]
    limits = {
        name: tuple(float(np.quantile(getattr(figures, name)[row], quantile)) for row in rows)
        for name in MEASURES
    }
    max_way = float(np.quantile(figures.way.max((1, 2)), quantile))
    return replace(known, limits=limits, max_way=max(max_way, 1.0))


def _spreads(usual_day: Maps, series: FlowSeries, starts: Index) -> Spreads:
    """Spreads of totals around the mean day, all sensors working."""
    coarse = coarsen(series.frames(starts), series.magnification).astype(np.float64)
    usual = usual_day[series.slots(starts)].astype(np.float64)
    total, usual_total = coarse.sum((1, 2)), usual.sum((1, 2))
    ratio = np.where(usual_total > 0, total / np.maximum(usual_total, 1e-9), 1)
    return Spreads(fit_spread(total, usual_total), fit_spread(coarse, usual * ratio[:, None, None]))


def _range(values: Maps) -> tuple[float, float] | None:
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if len(known) else None
