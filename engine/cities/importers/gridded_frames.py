"""Parts of a field: fewer cells, longer steps."""

import numpy as np

from engine.domain import Aggregation, FieldSeries, Grid
from engine.errors import GridError, InputError
from engine.geo.cells import column_edges, row_edges


def crop_field(
    series: FieldSeries, rows: tuple[int, int], cols: tuple[int, int], magnification: int
) -> FieldSeries:
    """The cells of some rows and columns.

    Args:
        series: the whole field.
        rows: first row and the row after the last.
        cols: first column and the column after the last.
        magnification: of the part.

    Raises:
        GridError: the part is empty or reaches beyond the field, or the magnification does not
            divide it.
    """
    grid = series.grid
    inside = 0 <= rows[0] < rows[1] <= grid.rows and 0 <= cols[0] < cols[1] <= grid.cols
    if not inside:
        raise GridError(
            "The part reaches beyond the field, or is empty.",
            f"rows {rows[0]}:{rows[1]} of {grid.rows}, columns {cols[0]}:{cols[1]} of {grid.cols}",
        )
    lon, lat = column_edges(grid), row_edges(grid)
    part = Grid(
        *(float(lon[cols[0]]), float(lat[rows[1]]), float(lon[cols[1]]), float(lat[rows[0]])),
        rows=rows[1] - rows[0],
        cols=cols[1] - cols[0],
        magnification=magnification,
    )
    values = series.values[:, slice(*rows), slice(*cols)]
    return FieldSeries(
        series.name, values, part, series.start, series.step, series.unit, series.aggregation
    )


def merge_steps(series: FieldSeries, num_steps: int) -> FieldSeries:
    """Several steps as one: summed or averaged as the field's cells are.

    Steps left over at the end are dropped. A longer step is missing when any of its steps is, if
    they sum; if they average, those that are there count.

    Raises:
        InputError: not one longer step fits.
    """
    count = len(series) // num_steps if num_steps > 0 else 0
    if count < 1:
        raise InputError(
            "The series is too short for such long steps.", f"{num_steps} of {len(series)} steps"
        )
    values = series.values[: count * num_steps].reshape(count, num_steps, *series.grid.shape)
    if series.aggregation is Aggregation.SUM:
        wide = np.float32 if values.dtype.kind == "f" else np.uint32
        merged = values.sum(axis=1, dtype=wide)
    else:
        known = np.isfinite(values)
        total = np.where(known, values, 0).sum(axis=1, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            merged = (total / known.sum(axis=1)).astype(np.float32)
    return FieldSeries(
        series.name,
        merged,
        series.grid,
        series.start,
        series.step * num_steps,
        series.unit,
        series.aggregation,
    )
