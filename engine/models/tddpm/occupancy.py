"""The occupancy of a whole city, cut into the maps of overlapping regions.

A city map is a fine raster whose cells are those of the regions' maps: an axis-parallel region
on the raster is an exact slice of it. Row 0 is the north edge.

Shapes: Y rows, X columns, S cells a side of a region's map, R regions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import OccupancyError
from engine.models.tddpm.frames import MAP_SIZE, Frames
from engine.models.tddpm.tracks import Floats, Indices

REGION_M = 3_000.0
"""Side of a region in the paper, metres."""
MAX_RASTER_CELLS = 16_000_000


@dataclass(frozen=True, eq=False)
class CityMap:
    """How many points lie in each cell of a city's fine raster.

    Args:
        counts: (Y, X) float64, finite, non-negative, not all zero.
        west_m: western edge, metres.
        north_m: northern edge, metres.
        cell_m: side of a cell, metres.

    Raises:
        OccupancyError: any of these does not hold.
    """

    counts: Floats
    west_m: float
    north_m: float
    cell_m: float

    def __post_init__(self) -> None:
        counts = self.counts
        if counts.ndim != 2 or not 0 < counts.size <= MAX_RASTER_CELLS or not self.cell_m > 0:
            raise OccupancyError("The city's map has an impossible size.", str(counts.shape))
        bad = ~np.isfinite(counts) | (counts < 0)
        if bad.any():
            row, col = np.argwhere(bad)[0]
            raise OccupancyError(
                "The occupancy map holds a value that is negative or no number.",
                f"row {row}, column {col}",
                "Use zero for a blocked cell and a positive number elsewhere.",
            )
        if not counts.any():
            raise OccupancyError(
                "The occupancy map is zero everywhere.", "", "Leave at least one place open."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (Y, X)."""
        return self.counts.shape[0], self.counts.shape[1]

    def with_counts(self, counts: Floats) -> "CityMap":
        """The same raster with other values."""
        if counts.shape != self.counts.shape:
            raise OccupancyError(
                "The edited map has another shape than the city's.",
                f"{counts.shape}, city {self.counts.shape}",
            )
        return CityMap(counts, self.west_m, self.north_m, self.cell_m)

    def cell_of(self, points_m: NDArray[np.floating]) -> Indices:
        """Flat cell index of (..., 2) points, or -1 outside the raster."""
        rows, cols = self.shape
        col = np.floor((points_m[..., 0] - self.west_m) / self.cell_m).astype(np.int64)
        row = np.floor((self.north_m - points_m[..., 1]) / self.cell_m).astype(np.int64)
        inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
        return np.where(inside, row * cols + col, -1)

    def centers_m(self, cells: Indices) -> Floats:
        """(..., 2) middles of flat cell indices, metres."""
        row, col = np.divmod(cells, self.shape[1])
        return np.stack(
            [
                self.west_m + (col + 0.5) * self.cell_m,
                self.north_m - (row + 0.5) * self.cell_m,
            ],
            axis=-1,
        )

    def count(self, points_m: NDArray[np.floating]) -> Floats:
        """(Y, X) number of points in each cell; points outside are left out."""
        cells = self.cell_of(points_m)
        counts = np.bincount(cells[cells >= 0], minlength=self.counts.size)
        return counts.reshape(self.shape).astype(np.float64)


def map_of_points(
    points_m: NDArray[np.floating],
    cell_m: float,
    bounds_m: tuple[float, float, float, float] | None = None,
) -> CityMap:
    """The fine raster of all points.

    Args:
        points_m: (P, 2) metres.
        cell_m: side of a cell, metres.
        bounds_m: west, south, east, north of the raster; by default those of the points.

    Raises:
        OccupancyError: there are no points, or the raster would have too many cells.
    """
    if not len(points_m):
        raise OccupancyError("There are no points to make a map of.")
    low, high = points_m.min(axis=0), points_m.max(axis=0)
    west, south, east, north = bounds_m or (*map(float, low), *map(float, high))
    cols = max(1, int(np.ceil((east - west) / cell_m + 1e-9)))
    rows = max(1, int(np.ceil((north - south) / cell_m + 1e-9)))
    if rows * cols > MAX_RASTER_CELLS:
        raise OccupancyError(
            "The points spread over too large an area.",
            f"{rows:,} x {cols:,} cells of {cell_m:.0f} m",
            "Check their coordinates, or give the city's bounding box.",
        )
    blank = np.zeros((rows, cols))
    # one cell is set only so that the empty raster may count its points
    blank[0, 0] = 1
    return CityMap(blank, west, north, cell_m).with_counts(
        CityMap(blank, west, north, cell_m).count(np.asarray(points_m))
    )


@dataclass(frozen=True, eq=False)
class RegionGrid:
    """Slightly overlapping regions that cover a city, and how often each is visited.

    Source: [TDDPM], assembly of a city: N_r is proportional to p(r).

    Args:
        row: (R,) first raster row of each region; may lie outside the raster.
        col: (R,) first raster column.
        weight: (R,) float64, p(r): share of the city's points, summing to 1. A point in an
            overlap counts in equal parts for the regions that hold it.
    """

    row: Indices
    col: Indices
    weight: Floats

    def __len__(self) -> int:
        return len(self.row)


def cut_regions(city: CityMap, overlap: int = 8, size: int = MAP_SIZE) -> RegionGrid:
    """Cover the raster with regions whose neighbours share ``overlap`` cells; empty ones go."""
    starts = [_starts(length, size, size - overlap) for length in city.shape]
    share = city.counts / np.multiply.outer(
        *[_cover(length, start, size) for length, start in zip(city.shape, starts, strict=True)]
    )
    row, col = (axis.ravel() for axis in np.meshgrid(*starts, indexing="ij"))
    total = np.zeros((city.shape[0] + 1, city.shape[1] + 1))
    total[1:, 1:] = share.cumsum(axis=0).cumsum(axis=1)
    top, left = (np.clip(axis, 0, n) for axis, n in zip((row, col), city.shape, strict=True))
    low, right = (
        np.clip(axis + size, 0, n) for axis, n in zip((row, col), city.shape, strict=True)
    )
    weight = total[low, right] - total[top, right] - total[low, left] + total[top, left]
    # differences of running sums leave dust where nothing is
    used = weight > 1e-9 * total[-1, -1]
    return RegionGrid(row[used], col[used], weight[used] / weight[used].sum())


def _starts(length: int, size: int, stride: int) -> Indices:
    """First cells of the regions along one axis, centred on the raster."""
    num = max(1, -(-(length - size) // stride) + 1)
    covered = (num - 1) * stride + size
    return np.arange(num) * stride - (covered - length) // 2


def _cover(length: int, starts: Indices, size: int) -> Floats:
    """(length,) how many regions hold each row or column."""
    cells = np.arange(length)[:, None]
    return ((cells >= starts) & (cells < starts + size)).sum(axis=1).astype(np.float64)


def slice_map(city: CityMap, row: int, col: int, size: int = MAP_SIZE) -> Floats:
    """(S, S) counts of the region that begins at a raster cell; zero beyond the raster."""
    out = np.zeros((size, size))
    top, left = max(row, 0), max(col, 0)
    low, right = min(row + size, city.shape[0]), min(col + size, city.shape[1])
    if top < low and left < right:
        out[top - row : low - row, left - col : right - col] = city.counts[top:low, left:right]
    return out


def frames_of_slices(city: CityMap, row: Indices, col: Indices, size: int = MAP_SIZE) -> Frames:
    """Canonical frames of the regions that begin at raster cells."""
    half_m = city.cell_m * size / 2
    center = np.stack(
        [
            city.west_m + np.asarray(col) * city.cell_m + half_m,
            city.north_m - np.asarray(row) * city.cell_m - half_m,
        ],
        axis=-1,
    )
    return Frames(center.astype(np.float64), half_m, np.zeros(len(center)))


def region_side_m(width_m: float, height_m: float) -> float:
    """Side of a region: 3 km, or half of the shorter side of a city below 6 km."""
    return min(REGION_M, min(width_m, height_m) / 2)


def network_input(counts: NDArray[np.floating]) -> NDArray[np.float32]:
    """Maps as the networks read them: log1p of the share per cell, scaled to a maximum of 1.

    Shares are taken times the number of cells, so that an even map is log1p(1) everywhere before
    scaling. An empty map stays zero.

    Args:
        counts: (..., S, S), any scale.
    """
    total = counts.sum(axis=(-2, -1), keepdims=True)
    cells = counts.shape[-1] * counts.shape[-2]
    level = np.log1p(counts * (cells / np.maximum(total, 1e-300)))
    top = level.max(axis=(-2, -1), keepdims=True)
    return np.asarray(level / np.maximum(top, 1e-12), dtype=np.float32)
