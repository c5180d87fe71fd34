"""The difference between two sets of paired trips on a map, and which of it is more than chance.

Trip i of one set and trip i of the other were made from the same random numbers. The differences of
the pairs are what varies; where their sum is far from zero against that, the cell is marked. Over
all cells, the share of marks that are chance is controlled (Benjamini and Hochberg 1995, J. R.
Stat. Soc. B 57, 289).

Legend: N pairs of trips, G cells of the grid, R rows, C columns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import stdtr

from engine.domain import Grid
from engine.errors import InputError
from engine.models.tddpm.tracks import Floats, LocalPlane, Tracks

FALSE_SHARE = 0.05
"""Share of the marked cells that may be marked by chance."""
MIN_TRIPS = 8
"""Cells that fewer pairs differ in are never marked: their spread is not known."""


@dataclass(frozen=True, eq=False)
class Difference:
    """What changes in each cell.

    Args:
        change: (R, C) after less before, in the unit of the weights.
        spread: (R, C) standard error of the change from pair to pair.
        marked: (R, C) bool, beyond sampling noise.
    """

    change: Floats
    spread: Floats
    marked: NDArray[np.bool_]


def count_trips_in_cells(tracks: Tracks, grid: Grid, plane: LocalPlane) -> sparse.csr_matrix:
    """(N, G) points of each trip in each cell; those outside the grid are left out."""
    lon, lat = plane.to_degrees(tracks.points_m)
    col = np.floor((lon - grid.west) / (grid.east - grid.west) * grid.cols).astype(np.int64)
    row = np.floor((grid.north - lat) / (grid.north - grid.south) * grid.rows).astype(np.int64)
    inside = (row >= 0) & (row < grid.rows) & (col >= 0) & (col < grid.cols)
    trip = tracks.trip_of_point()[inside]
    cell = row[inside] * grid.cols + col[inside]
    shape = len(tracks), grid.rows * grid.cols
    return sparse.csr_matrix((np.ones(len(trip)), (trip, cell)), shape=shape)


def weigh(counts: sparse.csr_matrix, weights: Floats | float) -> sparse.csr_matrix:
    """(N, G) points, each trip's times its weight."""
    per_trip = np.broadcast_to(np.asarray(weights, np.float64), counts.shape[0])
    return sparse.csr_matrix(sparse.diags(per_trip) @ counts)


def compare_pairs(
    before: sparse.csr_matrix,
    after: sparse.csr_matrix,
    weights: tuple[Floats | float, Floats | float],
    shape: tuple[int, int],
) -> Difference:
    """The difference map of N pairs.

    Args:
        before: (N, G) points of each trip.
        after: (N, G) of its partner.
        weights: what a point before and after stands for, (N,) or one number for all.
        shape: (R, C).

    Raises:
        InputError: the sets are not paired.
    """
    if before.shape != after.shape or before.shape[1] != shape[0] * shape[1]:
        raise InputError("The two sets of trips are not paired.", f"{before.shape}, {after.shape}")
    num = before.shape[0]
    pairs = (weigh(after, weights[1]) - weigh(before, weights[0])).tocsr()
    change = np.asarray(pairs.sum(axis=0)).ravel()
    squares = np.asarray(pairs.multiply(pairs).sum(axis=0)).ravel()
    variance = np.maximum(squares - change**2 / num, 0) * num / max(num - 1, 1)
    spread = np.sqrt(variance)
    differing = np.asarray((pairs != 0).sum(axis=0)).ravel()
    testable = (differing >= MIN_TRIPS) & (spread > 0)
    p_value = np.ones(len(change))
    score = np.abs(change[testable]) / spread[testable]
    p_value[testable] = 2 * stdtr(max(num - 1, 1), -score)
    marked = control_false_share(p_value, testable)
    return Difference(change.reshape(shape), spread.reshape(shape), marked.reshape(shape))


def control_false_share(
    p_value: Floats, testable: NDArray[np.bool_], share: float = FALSE_SHARE
) -> NDArray[np.bool_]:
    """Which hypotheses to reject so that at most ``share`` of the rejections are false."""
    num = int(testable.sum())
    marked = np.zeros(len(p_value), dtype=bool)
    if not num:
        return marked
    index = np.flatnonzero(testable)
    order = index[np.argsort(p_value[index], kind="stable")]
    below = np.flatnonzero(p_value[order] <= share * np.arange(1, num + 1) / num)
    if len(below):
        marked[order[: below[-1] + 1]] = True
    return marked


def correlation(first: Floats, second: Floats) -> float | None:
    """Pearson's correlation of two maps; None where one of them is flat."""
    a, b = np.ravel(first).astype(np.float64), np.ravel(second).astype(np.float64)
    if not a.std() > 0 or not b.std() > 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
