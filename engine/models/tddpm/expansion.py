"""Expansion factors: how many vehicles each made trip stands for, so that together they meet a map.

Some hundred trips stand for a city's many thousands. With one factor for all of them, chance rules
what a map of them shows; factors of their own, fitted to the map that the trips were made for, take
most of it away, as the weights of a travel survey are brought to known counts.

Legend: N trips, G cells, J samples of the trips.
"""

from typing import Final

import numpy as np
from scipy import sparse

from engine.errors import InputError
from engine.models.tddpm.tracks import Floats

ROUNDS: Final = 60
MOST: Final = 6.0
"""No trip stands for more than so many times as many vehicles as the average, or for less than
one part in so many: a map that wants more wants other trips."""
_FLOOR: Final = 1e-9


def likelier_weights(weight: Floats, shares: sparse.csr_matrix, wanted: Floats) -> Floats:
    """One round of expectation maximisation: weights of a mixture that make a map likelier.

    Args:
        weight: (N,) of each trip, or (N, J) of several mixtures.
        shares: (N, G) share of each trip's points in each cell.
        wanted: (G,) the map; for several mixtures (G, 1).
    """
    mixed = shares.T @ weight
    return np.asarray(weight * (shares @ (wanted / np.maximum(mixed, _FLOOR))))


def expansion_factors(
    counts: sparse.csr_matrix, wanted: Floats, start: Floats | None = None
) -> Floats:
    """(N,) what each trip's points are multiplied by to meet a map.

    Args:
        counts: (N, G) points of each trip in each cell of the map.
        wanted: (G,) the map; its sum is that of the expanded points.
        start: (N,) factors to begin from, such as those of the same trips before an edit, so that
            no more changes than the map asks for; all the same if not given.

    Raises:
        InputError: no trip passes a place of the map.
    """
    ones = np.ones((counts.shape[0], 1))
    first = ones if start is None else start[:, None]
    return replicate_factors(counts, wanted, first, ones)[:, 0]


def paired_factors(
    before: sparse.csr_matrix, after: sparse.csr_matrix, maps: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """(N,) expansion factors of both versions; they begin alike, and differ by the edit alone.

    Args:
        before: (N, G) points of each trip.
        after: (N, G) of its partner.
        maps: (G,) what the trips before and after are to meet.

    Raises:
        InputError: the sets are not paired, or no trip passes a place of a map.
    """
    if before.shape != after.shape:
        raise InputError("The two sets of trips are not paired.", f"{before.shape}, {after.shape}")
    start = expansion_factors(before, maps[0])
    return (
        expansion_factors(before, maps[0], start),
        expansion_factors(after, maps[1], start),
    )


def replicate_factors(
    counts: sparse.csr_matrix, wanted: Floats, start: Floats, copies: Floats
) -> Floats:
    """(N, J) expansion factors of J samples of the same trips, each fitted by itself.

    Args:
        counts: (N, G) points of each trip in each cell of the map.
        wanted: (G,) the map; its sum is that of the expanded points.
        start: (N, J) or (N, 1) factors to begin from.
        copies: (N, J) how often each sample holds each trip; 0 gives the factor 0.

    Raises:
        InputError: no trip passes a place of the map.
    """
    points = np.asarray(counts.sum(axis=1), np.float64).reshape(-1, 1)
    total = wanted.sum()
    if not ((copies * points).sum(axis=0) > 0).all():
        raise InputError("No trip passes a place of the map.")
    average = total / (copies * points).sum(axis=0) * copies
    length = np.maximum(points, 1)
    weight = _shares_of(points * start * copies)
    target = wanted[:, None] / total
    shares = sparse.csr_matrix(sparse.diags(1 / length.ravel()) @ counts)
    for _ in range(ROUNDS):
        factor = likelier_weights(weight, shares, target) * total / length
        weight = _shares_of(np.clip(factor, average / MOST, average * MOST) * points)
    return np.asarray(weight * total / length)


def _shares_of(weight: Floats) -> Floats:
    """Each column over its sum."""
    return np.asarray(weight / weight.sum(axis=0))


def effective_number(factors: Floats) -> float:
    """How many trips of equal factors would know as much (Kish 1965, Survey Sampling, 11.7)."""
    return float(factors.sum() ** 2 / np.square(factors).sum())
