"""Positions and the cells of a grid.

A cell owns its west and north edges; the east and south edges of the whole box belong to the last
column and row. Membership is decided against the very edges that :func:`column_edges` and
:func:`row_edges` return, so a point on an edge falls on the same side however it was computed.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.domain import Grid, OccupancyMap
from engine.errors import InputError
from engine.geo.projection import Projection, utm_crs

if TYPE_CHECKING:
    import geopandas as gpd

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
OUTSIDE = -1
"""Row, column and cell number of a point outside of the grid."""


def column_edges(grid: Grid) -> Floats:
    """(C + 1,) longitudes, from west to east."""
    return np.linspace(grid.west, grid.east, grid.cols + 1)


def row_edges(grid: Grid) -> Floats:
    """(R + 1,) latitudes, from north to south."""
    return np.linspace(grid.north, grid.south, grid.rows + 1)


def cells_of(grid: Grid, lon: ArrayLike, lat: ArrayLike) -> tuple[Ints, Ints]:
    """Row and column of each point, both :data:`OUTSIDE` outside of the box and for NaN.

    Args:
        grid: the grid.
        lon: (P,) degrees.
        lat: (P,) degrees.

    Raises:
        InputError: as many longitudes as latitudes are needed.
    """
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    if lon.shape != lat.shape:
        raise InputError("Longitudes and latitudes differ in number.", f"{lon.shape}, {lat.shape}")
    col = np.searchsorted(column_edges(grid), lon, side="right") - 1
    row = np.searchsorted(-row_edges(grid), -lat, side="right") - 1
    inside = (lon >= grid.west) & (lon <= grid.east) & (lat >= grid.south) & (lat <= grid.north)
    row = np.where(inside, np.minimum(row, grid.rows - 1), OUTSIDE)
    col = np.where(inside, np.minimum(col, grid.cols - 1), OUTSIDE)
    return row.astype(np.int64), col.astype(np.int64)


def cell_centers(grid: Grid) -> tuple[Floats, Floats]:
    """(R, C) longitude and (R, C) latitude of the cells' middles."""
    lon, lat = column_edges(grid), row_edges(grid)
    middle_lon, middle_lat = (lon[1:] + lon[:-1]) / 2, (lat[1:] + lat[:-1]) / 2
    return (
        np.broadcast_to(middle_lon, grid.shape).copy(),
        np.broadcast_to(middle_lat[:, None], grid.shape).copy(),
    )


def cell_size_m(grid: Grid, crs: str | None = None) -> tuple[float, float]:
    """Width and height in metres of a cell in the middle of the grid.

    Args:
        grid: the grid.
        crs: metric system; the local UTM zone when None.
    """
    lon, lat = grid.center
    half_lon = (grid.east - grid.west) / grid.cols / 2
    half_lat = (grid.north - grid.south) / grid.rows / 2
    projection = Projection(crs or utm_crs(lon, lat))
    x_m, y_m = projection.to_metric(
        [lon - half_lon, lon + half_lon, lon, lon], [lat, lat, lat - half_lat, lat + half_lat]
    )
    width = np.hypot(x_m[1] - x_m[0], y_m[1] - y_m[0])
    height = np.hypot(x_m[3] - x_m[2], y_m[3] - y_m[2])
    return float(width), float(height)


def cells_to_metric(grid: Grid, crs: str | None = None) -> tuple[Floats, Floats]:
    """(R, C) easting and northing of the cells' middles, metres."""
    return Projection(crs or utm_crs(*grid.center)).to_metric(*cell_centers(grid))


def cells_of_metric(
    grid: Grid, x_m: ArrayLike, y_m: ArrayLike, crs: str | None = None
) -> tuple[Ints, Ints]:
    """Row and column of metric positions; see :func:`cells_of`."""
    return cells_of(grid, *Projection(crs or utm_crs(*grid.center)).to_degrees(x_m, y_m))


def cells_frame(grid: Grid) -> "gpd.GeoDataFrame":
    """The cells, row by row: ``row``, ``col`` and boxes in EPSG:4326."""
    import geopandas as gpd
    import shapely

    lon, lat = column_edges(grid), row_edges(grid)
    row, col = (index.ravel() for index in np.indices(grid.shape))
    boxes = shapely.box(lon[col], lat[row + 1], lon[col + 1], lat[row])
    return gpd.GeoDataFrame({"row": row, "col": col}, geometry=boxes, crs="EPSG:4326")


def histogram(
    grid: Grid, lon: ArrayLike, lat: ArrayLike, weights: ArrayLike | None = None
) -> Floats:
    """Number, or weight, of the points in each cell; points outside are left out.

    Returns:
        (R, C) float64.
    """
    row, col = cells_of(grid, lon, lat)
    inside = row != OUTSIDE
    flat = (row * grid.cols + col)[inside]
    chosen = None if weights is None else np.asarray(weights, np.float64)[inside]
    return np.bincount(flat, chosen, grid.num_cells).astype(np.float64).reshape(grid.shape)


def occupancy_of(grid: Grid, lon: ArrayLike, lat: ArrayLike) -> OccupancyMap:
    """How often each cell is visited, as points per cell.

    Raises:
        OccupancyError: no point lies inside the grid.
    """
    return OccupancyMap(histogram(grid, lon, lat), grid)
