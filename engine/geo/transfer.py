"""Values from cells to hexagons and back, by shared area.

Areas are taken in the plane of longitude and sine of latitude, where equal areas on the sphere are
equal areas (Lambert's cylindrical projection). Of a hexagon only what lies inside the grid's box
counts: nothing was measured outside.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from engine.domain import Aggregation, Grid
from engine.errors import FieldError, GridError
from engine.geo.cells import column_edges, row_edges
from engine.geo.hexagons import HexCells

if TYPE_CHECKING:
    pass

Floats = NDArray[np.float64]
_DECIMALS = 15


@dataclass(frozen=True, eq=False)
class Transfer:
    """Shared areas of R x C cells and H hexagons.

    Args:
        grid: the cells.
        hexagons: the hexagons over the same box.
        shared: (H, R x C) sparse, area shared by a hexagon and a cell, of a plane of equal area.
    """

    grid: Grid
    hexagons: HexCells
    shared: sparse.csr_array

    def to_hexagons(self, values: NDArray[np.generic], aggregation: Aggregation) -> Floats:
        """Values of cells as values of hexagons.

        Sums: each cell's value is shared out in proportion to area, so the total stays the same.
        Means: each hexagon averages its cells by area; cells without a value (NaN) do not count.

        Args:
            values: (..., R, C).
            aggregation: what the values are.

        Returns:
            (..., H) float64. A hexagon of which no part has a value is NaN.

        Raises:
            FieldError: the values have another shape.
        """
        if values.shape[-2:] != self.grid.shape:
            raise FieldError("The map has another shape than its grid.", str(values.shape))
        flat = np.asarray(values, np.float64).reshape(-1, self.grid.num_cells)
        return _move(self.shared, flat, aggregation).reshape(*values.shape[:-2], -1)

    def to_cells(self, values: NDArray[np.generic], aggregation: Aggregation) -> Floats:
        """Values of hexagons as values of cells; see :meth:`to_hexagons`.

        Args:
            values: (..., H).
            aggregation: what the values are.

        Returns:
            (..., R, C) float64.

        Raises:
            FieldError: the values have another shape.
        """
        if values.shape[-1:] != (len(self.hexagons),):
            raise FieldError("There must be one value for each hexagon.", str(values.shape))
        flat = np.asarray(values, np.float64).reshape(-1, len(self.hexagons))
        return _move(self.shared.T.tocsr(), flat, aggregation).reshape(
            *values.shape[:-1], *self.grid.shape
        )


def transfer_between(grid: Grid, hexagons: HexCells) -> Transfer:
    """Measure the areas that cells and hexagons share.

    Raises:
        GridError: the hexagons lie over another box, or do not cover it.
    """
    import shapely

    if hexagons.grid.bounds != grid.bounds:
        raise GridError("The hexagons lie over another area than the grid.")
    boxes, shapes = _boxes(grid), _polygons(hexagons)
    tree = shapely.STRtree(boxes)
    hexes, cells = tree.query(shapes, predicate="intersects")
    areas = shapely.area(shapely.intersection(shapes[hexes], boxes[cells]))
    touching = areas > 0
    shared = sparse.csr_array(
        (areas[touching], (hexes[touching], cells[touching])), (len(hexagons), grid.num_cells)
    )
    covered = shared.sum(axis=0)
    if not np.allclose(covered, shapely.area(boxes), rtol=1e-3, atol=0):
        raise GridError("The hexagons do not cover the grid.")
    return Transfer(grid, hexagons, shared)


def _move(shared: sparse.csr_array, values: Floats, aggregation: Aggregation) -> Floats:
    """(K, from) values to (K, to) by shared areas of shape (to, from)."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    reached = shared @ known.T.astype(np.float64)
    if aggregation is Aggregation.SUM:
        given = shared.sum(axis=0)
        share = np.divide(1.0, given, out=np.zeros_like(given), where=given > 0)
        moved = shared @ (filled * share).T
    else:
        moved = shared @ filled.T
        np.divide(moved, reached, out=moved, where=reached > 0)
    moved[reached == 0] = np.nan
    return np.ascontiguousarray(moved.T)


def _boxes(grid: Grid) -> "NDArray[np.object_]":
    import shapely

    # Rounded, since GEOS clips wrongly at denormal numbers.
    lon = np.round(column_edges(grid), _DECIMALS)
    sine = np.round(np.sin(np.radians(row_edges(grid))), _DECIMALS)
    row, col = (index.ravel() for index in np.indices(grid.shape))
    return shapely.box(lon[col], sine[row + 1], lon[col + 1], sine[row])


def _polygons(hexagons: HexCells) -> "NDArray[np.object_]":
    import shapely

    polygons = []
    for ring in hexagons.rings():
        plane = np.column_stack([ring[:, 0], np.sin(np.radians(ring[:, 1]))])
        polygons.append(shapely.Polygon(plane))
    return np.array(polygons, dtype=object)
