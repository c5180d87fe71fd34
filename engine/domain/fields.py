"""A series of maps with its time axis, unit and rule for coarsening."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from engine.domain.arrays import frozen
from engine.domain.grid import Grid
from engine.domain.time import TimeAxis
from engine.errors import FieldError

KNOWN_UNITS = ("vehicles", "trips", "people", "points", "share", "km/h", "mph", "µg/m³")
"""Units that the product knows how to label; a field in another unit is refused."""


class Aggregation(StrEnum):
    """What happens to the values of cells, or of time steps, that are merged."""

    SUM = "sum"
    MEAN = "mean"


@dataclass(frozen=True, eq=False)
class FieldSeries:
    """Maps over time on one grid.

    Args:
        name: what is measured, in plain words.
        values: (T, R, C), finite or NaN where nothing was measured, non-negative.
        grid: the grid of R rows and C columns.
        start: beginning of the first step, with a time zone.
        step: length of one step in real (not wall-clock) time.
        unit: one of :data:`KNOWN_UNITS`.
        aggregation: whether merged cells sum or average.

    Raises:
        FieldError: any of these does not fit.
    """

    name: str
    values: NDArray[np.generic]
    grid: Grid
    start: datetime
    step: timedelta
    unit: str
    aggregation: Aggregation

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.ndim != 3 or values.shape[1:] != self.grid.shape or not len(values):
            raise FieldError(
                "The field's shape does not fit its grid.",
                f"values {values.shape}, grid {self.grid.shape}",
                "Give values of shape (time steps, rows, columns).",
            )
        if values.dtype.kind not in "fiu":
            raise FieldError("The field's values are no numbers.", str(values.dtype))
        if values.dtype.kind != "u" and bool(np.any(values < 0)):
            raise FieldError("The field has negative values.", self.name)
        if values.dtype.kind == "f" and bool(np.any(np.isinf(values))):
            raise FieldError("The field has infinite values.", self.name)
        TimeAxis(self.start, self.step, len(values))
        if self.unit not in KNOWN_UNITS:
            raise FieldError(
                f"The field's unit '{self.unit}' is not known.",
                self.name,
                f"Use one of: {', '.join(KNOWN_UNITS)}.",
            )
        if values.flags.writeable or not values.flags.c_contiguous:
            object.__setattr__(self, "values", frozen(values))
        object.__setattr__(self, "aggregation", Aggregation(self.aggregation))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def axis(self) -> TimeAxis:
        """The steps in time."""
        return TimeAxis(self.start, self.step, len(self))

    @property
    def end(self) -> datetime:
        """End of the last step, in the start's time zone."""
        return self.axis.end

    def time_of(self, index: int) -> datetime:
        """Beginning of step ``index``; see :meth:`TimeAxis.time_of`."""
        return self.axis.time_of(index)

    def index_of(self, when: datetime) -> int:
        """The step that holds a moment; see :meth:`TimeAxis.index_of`."""
        return self.axis.index_of(when)

    def coarsen(self) -> "FieldSeries":
        """The field on the coarse grid: cells summed or averaged by :attr:`aggregation`.

        Returns:
            A series of shape (T, R / N, C / N).
        """
        n, grid = self.grid.magnification, self.grid.coarse()
        blocks = self.values.reshape(len(self), grid.rows, n, grid.cols, n)
        if self.aggregation is Aggregation.SUM:
            values = blocks.sum(axis=(2, 4))
        else:
            values = blocks.mean(axis=(2, 4))
        return FieldSeries(
            self.name, values, grid, self.start, self.step, self.unit, self.aggregation
        )
