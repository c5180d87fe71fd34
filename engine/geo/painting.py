"""A user's edits laid over maps."""

from collections.abc import Iterable

import numpy as np

from engine.domain import (
    BlockCells,
    Edit,
    Grid,
    OccupancyMap,
    RemoveSensors,
    SensorMask,
    SetOccupancy,
)
from engine.errors import MaskError, OccupancyError


def sensor_mask(grid: Grid, edits: Iterable[Edit]) -> SensorMask:
    """The sensors that are left once the edits have removed theirs.

    Args:
        grid: the coarse grid, on which the sensors stand.
        edits: those that are not about sensors are passed over.

    Raises:
        MaskError: an edit names a cell outside of the grid.
    """
    observed = np.ones(grid.shape, np.bool_)
    for edit in edits:
        if isinstance(edit, RemoveSensors):
            for row, col in edit.cells:
                if row >= grid.rows or col >= grid.cols:
                    raise MaskError("A removed sensor lies outside of the map.", f"{row}, {col}")
                observed[row, col] = False
    return SensorMask(observed, grid)


def edited_occupancy(occupancy: OccupancyMap, edits: Iterable[Edit]) -> OccupancyMap:
    """The occupancy once the edits are made, in their order.

    Args:
        occupancy: the map as it was.
        edits: those that are not about occupancy are passed over.

    Raises:
        OccupancyError: an edit names a cell outside of the map, or leaves nothing open.
    """
    values = np.array(occupancy.values)
    for edit in edits:
        if isinstance(edit, SetOccupancy):
            new = edit.values
        elif isinstance(edit, BlockCells):
            new = (0.0,) * len(edit.cells)
        else:
            continue
        for (row, col), value in zip(edit.cells, new, strict=True):
            if row >= values.shape[0] or col >= values.shape[1]:
                raise OccupancyError("An edited cell lies outside of the map.", f"{row}, {col}")
            values[row, col] = value
    return OccupancyMap(values, occupancy.grid)
