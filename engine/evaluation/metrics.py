"""Errors of maps, of samples and of bands. Every cell counts, empty ones too.

Shapes: S samples, ``...`` any maps.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import InputError

Values = NDArray[np.float64]


def _pair(estimate: ArrayLike, truth: ArrayLike) -> tuple[Values, Values]:
    a, b = np.asarray(estimate, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if a.shape != b.shape:
        raise InputError("Estimate and truth differ in shape.", f"{a.shape}, {b.shape}")
    return a, b


def mean_absolute_error(estimate: ArrayLike, truth: ArrayLike) -> float:
    """MAE over all cells. Source: [DiffRecon] Eq. (35), per cell."""
    a, b = _pair(estimate, truth)
    return float(np.abs(a - b).mean())


def root_mean_square_error(estimate: ArrayLike, truth: ArrayLike) -> float:
    """RMSE over all cells. Source: [DiffRecon] Eq. (36), per cell."""
    a, b = _pair(estimate, truth)
    return float(np.sqrt(((a - b) ** 2).mean()))


def ranked_probability_score(samples: ArrayLike, truth: ArrayLike) -> Values:
    """CRPS of an ensemble for each cell, in the unit of the values.

    The fair estimate: it does not punish an ensemble for being small. One sample scores its
    absolute error.

    Source: Ferro, Quarterly Journal of the Royal Meteorological Society 140 (2014), 1917-1923.

    Args:
        samples: (S, ...).
        truth: (...).

    Returns:
        (...).
    """
    s = np.sort(np.asarray(samples, dtype=np.float64), axis=0)
    y = np.asarray(truth, dtype=np.float64)
    if s.shape[1:] != y.shape or not len(s):
        raise InputError("Samples and truth differ in shape.", f"{s.shape}, {y.shape}")
    distance = np.abs(s - y).mean(0)
    count = len(s)
    if count == 1:
        return np.asarray(distance)
    rank = 2 * np.arange(1, count + 1) - count - 1
    spread = np.tensordot(rank, s, axes=1) / (count * (count - 1))
    return np.asarray(distance - spread)


def coverage(lower: ArrayLike, upper: ArrayLike, truth: ArrayLike) -> float:
    """Share of cells whose truth lies within the band, ends included."""
    low, y = _pair(lower, truth)
    high, _ = _pair(upper, truth)
    return float(((low <= y) & (y <= high)).mean())
