"""The two maps that a user paints: which sensors are there, and how busy each place is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.domain.arrays import frozen
from engine.domain.grid import Grid
from engine.errors import MaskError, OccupancyError


@dataclass(frozen=True, eq=False)
class SensorMask:
    """Which cells of a coarse map are observed.

    Args:
        observed: (R, C) bool, True where a sensor is working.
        grid: the coarse grid of R rows and C columns.

    Raises:
        MaskError: the mask is not boolean or has another shape.
    """

    observed: NDArray[np.bool_]
    grid: Grid

    def __post_init__(self) -> None:
        observed = np.asarray(self.observed)
        if observed.shape != self.grid.shape:
            raise MaskError(
                "The mask has another shape than the map.",
                f"mask {observed.shape}, map {self.grid.shape}",
            )
        if observed.dtype != np.bool_:
            raise MaskError("The mask must hold true or false in each cell.", str(observed.dtype))
        object.__setattr__(self, "observed", frozen(observed))

    @property
    def num_missing(self) -> int:
        """Number of cells without a working sensor."""
        return int((~self.observed).sum())


@dataclass(frozen=True, eq=False)
class OccupancyMap:
    """How often each cell is occupied, relative to the others; zero is a blocked cell.

    Args:
        values: (R, C) float64, finite, non-negative, not all zero; any scale.
        grid: the grid of R rows and C columns.

    Raises:
        OccupancyError: any of these does not hold.
    """

    values: NDArray[np.float64]
    grid: Grid

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        if values.shape != self.grid.shape:
            raise OccupancyError(
                "The occupancy map has another shape than its grid.",
                f"values {values.shape}, grid {self.grid.shape}",
            )
        bad = ~np.isfinite(values) | (values < 0)
        if bad.any():
            row, col = np.argwhere(bad)[0]
            raise OccupancyError(
                "The occupancy map holds a value that is negative or no number.",
                f"row {row}, column {col}, and {int(bad.sum()) - 1} more cells",
                "Use zero for a blocked cell and a positive number elsewhere.",
            )
        if not values.any():
            raise OccupancyError(
                "The occupancy map is zero everywhere.", "", "Leave at least one place open."
            )
        object.__setattr__(self, "values", frozen(values))

    @property
    def total(self) -> float:
        """Sum over all cells, in the map's own scale."""
        return float(self.values.sum())

    def normalised(self) -> NDArray[np.float64]:
        """(R, C), summing to 1."""
        return np.asarray(self.values / self.values.sum(), dtype=np.float64)
