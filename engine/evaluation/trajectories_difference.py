"""The difference between trips of two versions of a city, and which of it is beyond chance.

Each version's trips have expansion factors that were fitted to a map. What other trips would have
shown is estimated by leaving out one group of trips after the other and fitting all factors anew
(delete-a-group jackknife of a calibrated survey; Wolter 2007, Introduction to Variance Estimation,
chapter 4): a spread that took the factors as given would be several times too wide. Over all
cells, the share of marks that are chance is controlled (Benjamini and Hochberg 1995, J. R. Stat.
Soc. B 57, 289).

Legend: N pairs of trips, G cells of the grid, J groups, R rows, C columns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import stdtr

from engine.domain import Grid
from engine.models.tddpm.expansion import expansion_factors, replicate_factors
from engine.models.tddpm.tracks import Floats, Indices, LocalPlane, Tracks

FALSE_SHARE = 0.05
"""Share of the marked cells that may be marked by chance."""
MIN_TRIPS = 8
"""Cells that fewer trips pass are never marked: their spread is not known."""
MOST_GROUPS, FEWEST_GROUPS = 64, 20
FITTED_TRIPS = 64 * 4_096
"""Trips of all groups together; many trips are left out in fewer, larger groups."""


@dataclass(frozen=True, eq=False)
class Difference:
    """What changes in each cell.

    Args:
        change: (R, C) after less before, in the unit of the maps.
        spread: (R, C) standard error of the change.
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


def fit_without_groups(
    counts: tuple[sparse.csr_matrix, sparse.csr_matrix],
    maps: tuple[Floats, Floats],
    units: tuple[Indices, Indices],
) -> tuple[Floats, Floats]:
    """(J, N) factors of both versions with each group of trips left out; 0 for those.

    Args:
        counts: (N, G) points of each trip before and after.
        maps: (G,) what the trips before and after are to meet.
        units: (N,) from :func:`number_distinct`: copies of a trip are left out together.

    Raises:
        InputError: no trip passes a place of a map.
    """
    whole = expansion_factors(counts[0], maps[0])[:, None]
    num_trips, num_units = len(whole), 1 + max(int(unit.max()) for unit in units)
    groups = min(max(FITTED_TRIPS // num_trips, FEWEST_GROUPS), MOST_GROUPS, num_units)
    kept = [(unit[:, None] % groups != np.arange(groups)).astype(np.float64) for unit in units]
    start = replicate_factors(counts[0], maps[0], np.ones_like(whole), kept[0])
    start = np.where(kept[0] > 0, start, whole)
    before, after = (
        replicate_factors(count, wanted, start, copies).T
        for count, wanted, copies in zip(counts, maps, kept, strict=True)
    )
    return before, after


def number_distinct(before: Tracks, after: Tracks) -> tuple[Indices, Indices]:
    """(N,) and (N,) numbers of trips, the same for the same trip wherever it stands."""
    rows = [
        np.column_stack([tracks.start_s, tracks.num_points, *tracks.ends_m()])
        for tracks in (before, after)
    ]
    _, number = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    # neighbours in space are in different groups, and not always in the same order
    shuffled = np.random.default_rng(len(number)).permutation(int(number.max()) + 1)
    number = shuffled[number.ravel()]
    return number[: len(before)], number[len(before) :]


def jackknife_spread(without: Floats) -> Floats:
    """Standard error of figures, from what they are (J, ...) with each group left out."""
    return np.asarray(without.std(axis=0) * np.sqrt(len(without) - 1))


def compare_fitted(
    counts: tuple[sparse.csr_matrix, sparse.csr_matrix],
    factors: tuple[Floats, Floats],
    without: tuple[Floats, Floats],
    shape: tuple[int, int],
) -> Difference:
    """The difference map of N pairs.

    Args:
        counts: (N, G) points of each trip before and after.
        factors: from :func:`engine.models.tddpm.expansion.paired_factors`.
        without: from :func:`fit_without_groups`.
        shape: (R, C).
    """
    before, after = counts
    change = after.T @ factors[1] - before.T @ factors[0]
    spread = jackknife_spread((after.T @ without[1].T - before.T @ without[0].T).T)
    passing = np.asarray(((before + after) > 0).sum(axis=0)).ravel()
    testable = (passing >= MIN_TRIPS) & (spread > 0)
    p_value = np.ones(len(change))
    score = np.abs(change[testable]) / spread[testable]
    p_value[testable] = 2 * stdtr(len(without[0]) - 1, -score)
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
