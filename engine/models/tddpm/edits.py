"""A user's edited occupancy map, carried over to the city's fine raster, and back.

The painted map is coarser than the raster. Within a painted cell the fine pattern of streets
is kept and scaled; where the city had nothing and the user paints something, it spreads evenly.
"""

import numpy as np

from engine.domain import Grid, OccupancyMap
from engine.errors import OccupancyError
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.tracks import Floats, Indices, LocalPlane, Tracks


def painted_cell(city: CityMap, painted: OccupancyMap, plane: LocalPlane) -> Indices:
    """(Y, X) flat index of the painted cell that holds each raster cell's middle, or -1."""
    rows, cols = city.shape
    middles = city.centers_m(np.arange(rows * cols))
    lon, lat = plane.to_degrees(middles)
    grid = painted.grid
    col = np.floor((lon - grid.west) / (grid.east - grid.west) * grid.cols).astype(np.int64)
    row = np.floor((grid.north - lat) / (grid.north - grid.south) * grid.rows).astype(np.int64)
    inside = (row >= 0) & (row < grid.rows) & (col >= 0) & (col < grid.cols)
    return np.where(inside, row * grid.cols + col, -1).reshape(city.shape)


def apply_painted(
    city: CityMap, base: OccupancyMap, painted: OccupancyMap, plane: LocalPlane
) -> CityMap:
    """The city's raster with each painted cell scaled as the user changed it.

    A painted map equal to its base returns the raster unchanged, bit for bit.

    Args:
        city: the raster before the edit.
        base: the map that the user was shown, on the painted grid.
        painted: the same map after the edit; zero is blocked.
        plane: of the raster.

    Raises:
        OccupancyError: the two maps are on different grids, or nothing is left of the city.
    """
    if base.grid != painted.grid:
        raise OccupancyError("The edited map lies on another grid than the one it was made from.")
    cell = painted_cell(city, painted, plane).ravel()
    inside = cell >= 0
    before, after = base.values.ravel(), painted.values.ravel()
    changed = np.zeros(len(cell), dtype=bool)
    changed[inside] = (before != after)[cell[inside]]
    counts = city.counts.ravel().copy()
    held = np.bincount(cell[inside], counts[inside], minlength=len(before))
    size = np.bincount(cell[inside], minlength=len(before))
    # points per unit of the user's scale, from the whole map, for places that had none
    per_unit = held.sum() / max(before.sum(), 1e-300)
    target = np.where(before > 0, held * after / np.maximum(before, 1e-300), after * per_unit)
    target = np.where((held == 0) & (after > 0), after * per_unit, target)
    at = cell[changed]
    scaled = counts[changed] * (target / np.maximum(held, 1e-300))[at]
    even = (target / np.maximum(size, 1))[at]
    counts[changed] = np.where(held[at] > 0, scaled, even)
    if not counts.any():
        raise OccupancyError(
            "The edit blocks every place of the city.", "", "Leave at least one place open."
        )
    return city.with_counts(counts.reshape(city.shape))


def painted_fence(base: OccupancyMap, painted: OccupancyMap, plane: LocalPlane) -> Fence:
    """The painted cells that were open and now are zero.

    A place that nobody visited before the edit is empty, not blocked.
    """
    grid = base.grid
    corners = np.array([grid.west, grid.east]), np.array([grid.south, grid.north])
    (west, south), (east, north) = plane.to_metres(*corners)
    cell_m = (float(east - west) / grid.cols, float(north - south) / grid.rows)
    blocked = (painted.values == 0) & (base.values > 0)
    return Fence(float(west), float(north), cell_m, blocked)


def painted_occupancy(city: CityMap, grid: Grid, plane: LocalPlane) -> OccupancyMap:
    """The map to paint on: the raster's counts in the cells of a grid.

    Raises:
        OccupancyError: nobody is in the grid.
    """
    return OccupancyMap(_cell_sums(city, city.counts, grid, plane), grid)


def occupancy_of_trips(tracks: Tracks, grid: Grid, plane: LocalPlane) -> Floats:
    """(R, C) number of points of trips in each cell of a grid; for the difference map."""
    lon, lat = plane.to_degrees(tracks.points_m)
    counts, _, _ = np.histogram2d(
        -lat,
        lon,
        bins=(grid.rows, grid.cols),
        range=((-grid.north, -grid.south), (grid.west, grid.east)),
    )
    return np.asarray(counts, dtype=np.float64)


def _cell_sums(city: CityMap, counts: Floats, grid: Grid, plane: LocalPlane) -> Floats:
    # any map on the grid tells which cell a raster cell belongs to
    even = OccupancyMap(np.ones(grid.shape), grid)
    cell = painted_cell(city, even, plane).ravel()
    inside = cell >= 0
    sums = np.bincount(cell[inside], counts.ravel()[inside], minlength=grid.num_cells)
    return np.asarray(sums.reshape(grid.shape), dtype=np.float64)
