"""Windows of a sensor series: what a forecast sees and what it is asked for.

Shapes: T steps of the series or of the history, H of the horizon, N sensors, B windows.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.domain.sensors import SensorSeries, TimeAxis
from engine.errors import SensorError


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Windows as tensors; values in the data's own unit, zero where invalid.

    Args:
        history_BTN: what was measured.
        history_valid_BTN: bool, where it was.
        truth_BHN: what followed.
        truth_valid_BHN: bool, where it is known.
        slot_BS: slots of the day of the S = T + H steps.
        weekday_BS: weekdays, or negative.
        earlier_BPN: what was measured in the P steps before the history; None if not asked for.
        earlier_valid_BPN: bool, where it was.
    """

    history_BTN: Tensor
    history_valid_BTN: Tensor
    truth_BHN: Tensor
    truth_valid_BHN: Tensor
    slot_BS: Tensor
    weekday_BS: Tensor
    earlier_BPN: Tensor | None = None
    earlier_valid_BPN: Tensor | None = None

    def __len__(self) -> int:
        return len(self.history_BTN)

    def to(self, device: torch.device | str) -> "WindowBatch":
        """The same batch on a device."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return WindowBatch(**{name: value.to(device) for name, value in given.items()})


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Every window of a series, cut on demand.

    Args:
        values_TN: float32; anything where invalid.
        valid_TN: bool, where a value was measured.
        axis: the series' time axis.
        history: steps that a forecast sees.
        horizon: steps that it is asked for.
        earlier: P, steps before those that a method may look at too; those before the series'
            beginning count as not measured, so that the windows are the same whatever P is.

    Raises:
        SensorError: shapes differ, or the series is too short for one window.
    """

    values_TN: NDArray[np.float32]
    valid_TN: NDArray[np.bool_]
    axis: TimeAxis
    history: int = 12
    horizon: int = 12
    earlier: int = 0

    def __post_init__(self) -> None:
        if self.values_TN.ndim != 2 or self.values_TN.shape != self.valid_TN.shape:
            raise SensorError(
                "Values and validity of a series must both have the shape (steps, sensors).",
                f"{self.values_TN.shape} and {self.valid_TN.shape}",
            )
        if len(self.axis) != len(self.values_TN):
            raise SensorError("The time axis is not as long as the series.")
        if len(self) < 1:
            raise SensorError(
                "The series is too short for a forecast.",
                f"{len(self.values_TN)} steps",
                f"Give at least {self.history + self.horizon} steps.",
            )

    @classmethod
    def of(
        cls, series: SensorSeries, history: int = 12, horizon: int = 12, earlier: int = 0
    ) -> "WindowSet":
        """All windows of a series."""
        valid_TN = np.isfinite(series.values_TN)
        return cls(series.values_TN, valid_TN, series.axis, history, horizon, earlier)

    @classmethod
    def ahead_of(
        cls, series: SensorSeries, history: int = 12, horizon: int = 12, earlier: int = 0
    ) -> "WindowSet":
        """Windows whose last one's history is a series' end, its truth not known yet.

        There is no other window, unless there are earlier steps to look at.

        Raises:
            SensorError: the series is shorter than the history.
        """
        if len(series) < history:
            raise SensorError(
                "The series is too short for a forecast.",
                f"{len(series)} steps",
                f"Give at least {history} steps.",
            )
        last = series.part(max(0, len(series) - history - earlier), len(series))
        future_HN = np.full((horizon, len(series.sensors)), np.nan, dtype=np.float32)
        values_TN = np.concatenate([last.values_TN, future_HN])
        axis = last.axis.extended(horizon)
        return cls(values_TN, np.isfinite(values_TN), axis, history, horizon, earlier)

    def __len__(self) -> int:
        return max(0, len(self.values_TN) - self.history - self.horizon + 1)

    @property
    def num_sensors(self) -> int:
        """N."""
        return self.values_TN.shape[1]

    def batch(self, starts_B: NDArray[np.int64]) -> WindowBatch:
        """The windows that begin at these steps."""
        index_BS = starts_B[:, None] + np.arange(self.history + self.horizon)
        valid_BSN = self.valid_TN[index_BS]
        values_BSN = np.where(valid_BSN, self.values_TN[index_BS], np.float32(0))
        values, valid = torch.from_numpy(values_BSN), torch.from_numpy(valid_BSN)
        t = self.history
        return WindowBatch(
            values[:, :t],
            valid[:, :t],
            values[:, t:],
            valid[:, t:],
            torch.from_numpy(self.axis.slot_T[index_BS]),
            torch.from_numpy(self.axis.weekday_T[index_BS]),
            *self._before(starts_B),
        )

    def last(self) -> WindowBatch:
        """The last window."""
        return self.batch(np.array([len(self) - 1]))

    def _before(self, starts_B: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Values and validity of the steps before windows, if such are asked for."""
        if not self.earlier:
            return ()
        index_BP = starts_B[:, None] + np.arange(-self.earlier, 0)
        inside_BP1 = (index_BP >= 0)[..., None]
        index_BP = index_BP.clip(min=0)
        valid_BPN = self.valid_TN[index_BP] & inside_BP1
        values_BPN = np.where(valid_BPN, self.values_TN[index_BP], np.float32(0))
        return torch.from_numpy(values_BPN), torch.from_numpy(valid_BPN)

    def batches(self, size: int, stride: int = 1) -> Iterator[WindowBatch]:
        """All windows in order (or each ``stride``-th), ``size`` at a time."""
        starts = np.arange(0, len(self), stride, dtype=np.int64)
        for begin in range(0, len(starts), size):
            yield self.batch(starts[begin : begin + size])


@dataclass(frozen=True, eq=False)
class Forecast:
    """What a method says about the H steps after a window, in the data's own unit.

    Args:
        middle_BHN: the point forecast (the median, where the method has bands).
        lower_BHN: 5 % quantile, if the method has bands.
        upper_BHN: 95 % quantile.
    """

    middle_BHN: Tensor
    lower_BHN: Tensor | None = None
    upper_BHN: Tensor | None = None


class Forecaster(Protocol):
    """A method that can be asked."""

    def forecast(self, batch: WindowBatch) -> Forecast:
        """The forecast of each window of the batch; sees nothing of its truth."""
        ...


class ForecastNetwork(Forecaster, Protocol):
    """A method that is trained: its inputs, what it is trained on, and its scale.

    The forward pass takes what :meth:`inputs` returns, so that a network that is wrapped for
    several devices can be called in its place.
    """

    def inputs(self, batch: WindowBatch) -> tuple[Tensor, ...]:
        """What the forward pass takes."""
        ...

    def objective(self, output: Tensor, batch: WindowBatch) -> Tensor:
        """Mean loss of the forward pass's output, a scalar, in the data's own unit."""
        ...


@dataclass(frozen=True)
class Scale:
    """What the values are scaled with, and which weekdays there were in training.

    Args:
        mean: of the valid values, in the data's unit.
        std: standard deviation, likewise.
        weekday_share: of Monday ... Sunday among the steps; even where weekdays are unknown.
    """

    mean: float
    std: float
    weekday_share: tuple[float, ...]

    @classmethod
    def of(cls, windows: WindowSet) -> "Scale":
        """The scale of a training set.

        Raises:
            SensorError: nothing is valid, or nothing varies.
        """
        mean, std = measure_scale(windows.values_TN, windows.valid_TN)
        weekday_T = windows.axis.weekday_T
        counts = np.bincount(weekday_T[weekday_T >= 0], minlength=7).astype(np.float64)
        counts = counts if counts.sum() else np.ones(7)
        return cls(mean, std, tuple(float(share) for share in counts / counts.sum()))


def measure_scale(
    values_TN: NDArray[np.float32], valid_TN: NDArray[np.bool_]
) -> tuple[float, float]:
    """Mean and standard deviation of the valid values, in the data's unit.

    Raises:
        SensorError: nothing is valid, or nothing varies.
    """
    known = values_TN[valid_TN].astype(np.float64)
    if not known.size or not known.std() > 0:
        raise SensorError(
            "The series has no valid value that varies.", "", "Check the missing-value rule."
        )
    return float(known.mean()), float(known.std())
