"""Closing the loop: generated occupancy is compared with the map and brought towards it.

Three means. Regions that have received fewer points than the map wants are drawn more often. Of
several tries of a trip the one is kept that lowers the distance to the map most, and that between
the trips' ends and what the map tells of them. Trips that touch a blocked cell are never kept.

Differs from paper: the paper samples each region's share once and looks at nothing afterwards.

Shapes: M tries, Q match cells, R regions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from engine.models.tddpm.frames import MAP_SIZE
from engine.models.tddpm.occupancy import CityMap, RegionGrid
from engine.models.tddpm.tracks import Floats, Indices, Tracks
from engine.models.tddpm.trip_ends import EndsLedger, EndsRule

MATCH_FACTOR = 3
"""Raster cells a side of a match cell: about 140 m for regions of 3 km."""
PRIOR_POINTS = 0.5
"""Points that a match cell is expected to hold at least, so that rare cells do not rule."""
MAX_PASSES = 6
"""Rounds over the trips of a chunk in which each may change to another of its tries."""
MISFIT_OF_A_POINT = 1.0
"""A trip e times too long or too short costs so much for every point."""
CROSSING_STEP = 0.25
"""Points between two points of a trip are looked at this often per cell side."""


class OccupancyLedger:
    """What was generated so far, against what the map wants.

    Args:
        target: the edited city's raster.
        regions: its regions.
        ends: how the map tells where trips begin and end; None if it does not.
    """

    def __init__(self, target: CityMap, regions: RegionGrid, ends: EndsRule | None = None) -> None:
        self._target = target
        self._ends = EndsLedger(target, ends) if ends else None
        self._regions = regions
        rows, cols = (-(-n // MATCH_FACTOR) for n in target.shape)
        self._shape = rows, cols
        padded = np.zeros((rows * MATCH_FACTOR, cols * MATCH_FACTOR))
        padded[: target.shape[0], : target.shape[1]] = target.counts
        coarse = padded.reshape(rows, MATCH_FACTOR, cols, MATCH_FACTOR).sum(axis=(1, 3))
        self._share = coarse.ravel() / coarse.sum()
        self._have = np.zeros(rows * cols)

    @property
    def num_points(self) -> int:
        """Points counted so far."""
        return int(self._have.sum())

    @property
    def distance(self) -> float:
        """Total variation between generated and wanted occupancy on match cells, in [0, 1]."""
        if not self._have.any():
            return 1.0
        return float(np.abs(self._have / self._have.sum() - self._share).sum() / 2)

    def region_weights(self, num_next: float) -> Floats:
        """(R,) how many of the next ``num_next`` points each region should receive.

        What p(r) wants of all points up to then, less what the region has; points in overlaps
        count for each region in the proportion in which p(r) counts them. A region that has too
        many keeps a twentieth of its share, so that none is ever left out for good.
        """
        share = self._region_sums(self._share)
        have = self._region_sums(self._have)
        total = self._have.sum() + num_next
        wanted = self._regions.weight
        deficit = wanted * total - have * (wanted / np.maximum(share, 1e-300))
        return np.maximum(deficit, 0.05 * wanted * num_next)

    def choose(
        self,
        tries: Tracks,
        slot: Indices,
        allowed: NDArray[np.bool_],
        misfit: Floats | None = None,
    ) -> Indices:
        """The try to keep of each slot: one after the other, then again with all others known.

        Args:
            tries: M trips.
            slot: (M,) which trip each is a try of; ascending.
            allowed: (M,) tries that may be kept.
            misfit: (M,) of each try's length, which counts for every point; None if not known.

        Returns:
            Indices of the tries kept, ascending; a slot without an allowed try has none.
        """
        counts = self._count(tries)
        misfits = np.zeros(len(tries)) if misfit is None else MISFIT_OF_A_POINT * misfit
        end_cells = self._ends.cells_of(tries) if self._ends else None
        num_trips = (self._ends.num_trips if self._ends else 0) + len(np.unique(slot))
        wanted = self._share * (self._have.sum() + _mean_points(tries, slot))
        begins = np.flatnonzero(np.concatenate([[True], np.diff(slot) != 0]))
        ends = np.append(begins[1:], len(slot))
        choices = [
            np.arange(*ends_of)[allowed[slice(*ends_of)]]
            for ends_of in zip(begins, ends, strict=True)
        ]
        choices = [tries_of for tries_of in choices if len(tries_of)]
        kept = np.full(len(choices), -1)
        for number_of_pass in range(MAX_PASSES):
            before = kept.copy()
            for number, tries_of in enumerate(choices):
                if kept[number] >= 0:
                    self._add(counts, end_cells, kept[number], -1)
                costs = [
                    self._cost(counts, index, wanted, misfits[index], is_first=not number_of_pass)
                    + self._cost_of_ends(end_cells, index, num_trips)
                    for index in tries_of
                ]
                kept[number] = tries_of[int(np.argmin(costs))]
                self._add(counts, end_cells, kept[number], 1)
            if np.array_equal(kept, before):
                break
        return kept

    def _add(
        self, counts: sparse.csr_matrix, end_cells: Indices | None, index: int, times: int
    ) -> None:
        row = slice(*counts.indptr[index : index + 2])
        self._have[counts.indices[row]] += times * counts.data[row]
        if self._ends is not None and end_cells is not None:
            self._ends.add(end_cells[index], times)

    def _cost_of_ends(self, end_cells: Indices | None, index: int, num_trips: int) -> float:
        if self._ends is None or end_cells is None:
            return 0.0
        return self._ends.cost(end_cells[index], num_trips)

    def _cost(
        self,
        counts: sparse.csr_matrix,
        index: int,
        wanted: Floats,
        misfit: float,
        *,
        is_first: bool,
    ) -> float:
        """Change of the squared distance if this trip were kept; over its points at first."""
        row = slice(*counts.indptr[index : index + 2])
        cells, added = counts.indices[row], counts.data[row]
        scale = wanted[cells] + PRIOR_POINTS
        change = 2 * added * (self._have[cells] - wanted[cells]) + added**2
        num_points = max(float(added.sum()), 1.0)
        cost = float((change / scale).sum()) + misfit * num_points
        return cost / num_points if is_first else cost

    def _count(self, tracks: Tracks) -> sparse.csr_matrix:
        """(M, Q) points of each trip in each match cell."""
        cell = self._target.cell_of(tracks.points_m)
        row, col = np.divmod(cell, self._target.shape[1])
        match = row // MATCH_FACTOR * self._shape[1] + col // MATCH_FACTOR
        inside = cell >= 0
        trip = tracks.trip_of_point()[inside]
        ones = np.ones(len(trip))
        shape = len(tracks), len(self._share)
        return sparse.csr_matrix((ones, (trip, match[inside])), shape=shape)

    def _region_sums(self, match: Floats) -> Floats:
        """(R,) sum over the match cells whose middle lies in a region."""
        total = np.zeros((self._shape[0] + 1, self._shape[1] + 1))
        total[1:, 1:] = match.reshape(self._shape).cumsum(axis=0).cumsum(axis=1)

        def bounds(first: Indices, length: int) -> tuple[Indices, Indices]:
            middle = np.arange(length) * MATCH_FACTOR + MATCH_FACTOR // 2
            return np.searchsorted(middle, first), np.searchsorted(middle, first + MAP_SIZE)

        top, low = bounds(self._regions.row, self._shape[0])
        left, right = bounds(self._regions.col, self._shape[1])
        sums = total[low, right] - total[top, right] - total[low, left] + total[top, left]
        return np.maximum(sums, 0)


def _mean_points(tries: Tracks, slot: Indices) -> float:
    """Points that the slots will add, if each keeps an average try."""
    return float(len(tries.points_m) * len(np.unique(slot)) / len(slot))


@dataclass(frozen=True, eq=False)
class Fence:
    """Cells of a grid on the plane that no trip may enter.

    Args:
        west_m: western edge of the grid.
        north_m: northern edge.
        cell_m: width and height of a cell.
        cells: (Y, X) True where a trip may not go.
    """

    west_m: float
    north_m: float
    cell_m: tuple[float, float]
    cells: NDArray[np.bool_]

    @classmethod
    def on_raster(cls, city: CityMap, cells: NDArray[np.bool_]) -> "Fence":
        """Cells of a city's raster."""
        return cls(city.west_m, city.north_m, (city.cell_m, city.cell_m), cells)

    def holds(self, points_m: NDArray[np.floating]) -> NDArray[np.bool_]:
        """True for (..., 2) points in a marked cell."""
        rows, cols = self.cells.shape
        col = np.floor((points_m[..., 0] - self.west_m) / self.cell_m[0]).astype(np.int64)
        row = np.floor((self.north_m - points_m[..., 1]) / self.cell_m[1]).astype(np.int64)
        inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
        return inside & self.cells[np.clip(row, 0, rows - 1), np.clip(col, 0, cols - 1)]

    def entered(self, tracks: Tracks) -> NDArray[np.bool_]:
        """(N,) True for trips that enter a marked cell, at a point or between two points."""
        hit = np.zeros(len(tracks), dtype=bool)
        if not self.cells.any():
            return hit
        trip = tracks.trip_of_point()
        start = tracks.points_m[:-1].astype(np.float64)
        stop = tracks.points_m[1:].astype(np.float64)
        near = np.flatnonzero((trip[1:] == trip[:-1]) & self._may_cross(start, stop))
        start, stop = start[near], stop[near]
        length = np.linalg.norm(stop - start, axis=1)
        step_m = CROSSING_STEP * min(self.cell_m)
        pieces = np.maximum(np.ceil(length / step_m), 1).astype(np.int64)
        leg = np.repeat(np.arange(len(pieces)), pieces)
        within = np.arange(len(leg)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        share = (within / pieces[leg])[:, None]
        passed = start[leg] * (1 - share) + stop[leg] * share
        hit[trip[near[leg[self.holds(passed)]]]] = True
        hit[trip[self.holds(tracks.points_m.astype(np.float64))]] = True
        return hit

    def _may_cross(self, start: Floats, stop: Floats) -> NDArray[np.bool_]:
        """Legs whose box meets the box around all marked cells."""
        rows, cols = (np.flatnonzero(self.cells.any(axis=axis)) for axis in (1, 0))
        west = self.west_m + cols[0] * self.cell_m[0]
        east = self.west_m + (cols[-1] + 1) * self.cell_m[0]
        north = self.north_m - rows[0] * self.cell_m[1]
        south = self.north_m - (rows[-1] + 1) * self.cell_m[1]
        low, high = np.minimum(start, stop), np.maximum(start, stop)
        meets_x = (high[:, 0] >= west) & (low[:, 0] <= east)
        meets_y = (high[:, 1] >= south) & (low[:, 1] <= north)
        both: NDArray[np.bool_] = meets_x & meets_y
        return both


def touches(tracks: Tracks, city: CityMap, cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) True for trips that enter a marked (Y, X) cell of a city's raster."""
    return Fence.on_raster(city, cells).entered(tracks)
