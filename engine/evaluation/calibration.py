"""Band widths, and errors of hidden totals, measured on frames that were not trained on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.models.diffrecon.ours.bands import Bands, calibrate, spread_of
from engine.models.diffrecon.ours.system import Reconstructor
from engine.models.flows import FlowSeries, coarsen, spread
from engine.models.masks import named_masks
from engine.models.observations import observe_in_order

MASKS = ("fix20", "fix60", "random40", "random80", "quarter", "blocks50", "strokes70")

LEAST_SPREAD = 0.5
"""Of a square root of counts: no count is surer than a Poisson count."""

USUAL_GROWTH = 0.05
"""Weights the fit of a spread: variance per count beyond the floor."""

TINY = 1e-9

Values = NDArray[np.float64]


def measure_bands(
    system: Reconstructor,
    series: FlowSeries,
    masks: Sequence[str] = MASKS,
    every: int = 7,
    seed: int = 1,
) -> Bands:
    """Bands that hold the truth nine times in ten, over several masks.

    Args:
        system: trained networks.
        series: days that were not trained on.
        masks: names of mask patterns; each takes other frames of the series.
        every: take each ``every``-th frame.
        seed: of masks and samples; other than the benchmark's.

    Returns:
        Factors per bin, for cells below working and below missing sensors.
    """
    truth = series.frames(series.regular_starts())
    columns: list[list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]] = [[], [], [], []]
    for number, name in enumerate(masks):
        drawn = named_masks(name, len(truth), series.coarse_shape, seed)
        seen = observe_in_order(series, drawn, system.config.lags)
        for frame in range(number % every, len(truth), every):
            *_, answer = system.reconstruct(seen[frame : frame + 1], seed=seed + frame)
            known = spread(drawn[frame].astype(np.float32), system.config.magnification) > 0
            parts = answer.estimate, spread_of(answer.samples, answer.estimate), known
            for column, part in zip(columns, (*parts, truth[frame]), strict=True):
                column.append(part)
    estimate, width, known_cells, true = (np.stack(column) for column in columns)
    return calibrate(
        estimate.astype(np.float32),
        width.astype(np.float32),
        known_cells.astype(np.bool_),
        true.astype(np.float32),
    )


def measure_hidden_spread(
    system: Reconstructor,
    series: FlowSeries,
    masks: Sequence[str] = MASKS,
    every: int = 7,
    seed: int = 1,
) -> tuple[float, float]:
    """How far the totals of hidden coarse cells are from what the model makes of them.

    Args:
        system: trained networks.
        series: days that were not trained on.
        masks: names of mask patterns; each takes other frames of the series.
        every: take each ``every``-th frame.
        seed: of masks.

    Returns:
        Floor and growth of the spread, in square roots of counts; for the weights' card.
    """
    truth = coarsen(series.frames(series.regular_starts()), series.magnification)
    found: list[Values] = []
    true: list[Values] = []
    for number, name in enumerate(masks):
        drawn = named_masks(name, len(truth), series.coarse_shape, seed)
        seen = observe_in_order(series, drawn, system.config.lags)
        for frame in range(number % every, len(truth), every):
            _, coarse = system.complete(seen[frame : frame + 1])
            found.append(coarse[0][~drawn[frame]].astype(np.float64))
            true.append(truth[frame][~drawn[frame]].astype(np.float64))
    return fit_spread(np.concatenate(true), np.concatenate(found))


def fit_spread(values: Values, expected: Values) -> tuple[float, float]:
    """Floor and growth of the spread of square roots, by weighted least squares.

    Args:
        values: counts, any shape.
        expected: of the same shape.

    Returns:
        ``floor, growth``: the variance of a square root is floor² + growth² x expected.
    """
    x = expected.ravel()
    square = (np.sqrt(values) - np.sqrt(expected)).ravel() ** 2
    weight = 1 / (LEAST_SPREAD**2 + USUAL_GROWTH * x)
    sides = np.stack([weight, weight * x], 1)
    floor, growth = np.linalg.lstsq(sides, weight * square)[0]
    if growth < 0:
        floor = np.average(square, weights=weight**2)
    floor = max(float(floor), LEAST_SPREAD**2)
    grown = (weight**2 * x * (square - floor)).sum() / max((weight**2 * x**2).sum(), TINY)
    return float(np.sqrt(floor)), float(np.sqrt(max(grown, 0)))
