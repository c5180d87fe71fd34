"""Readings of many sensors at the same regular times.

Shapes: T time steps, N sensors.
"""

# ruff: noqa: N815 - fields carry shape suffixes like the arrays elsewhere

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.domain.arrays import frozen
from engine.errors import SensorError

UNKNOWN_WEEKDAY = -1
"""Stands where the series does not say which day of the week a step belongs to."""


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """Which slot of the day, and which weekday, each step of a series belongs to.

    Args:
        slot_T: int64, 0 <= slot < steps_per_day.
        weekday_T: int64, Monday 0 ... Sunday 6, or :data:`UNKNOWN_WEEKDAY`.
        steps_per_day: number of slots of a day.
    """

    slot_T: NDArray[np.int64]
    weekday_T: NDArray[np.int64]
    steps_per_day: int

    def __post_init__(self) -> None:
        if self.slot_T.shape != self.weekday_T.shape or self.slot_T.ndim != 1:
            raise SensorError("Slots and weekdays of a time axis differ in length.")
        if len(self.slot_T) and not (
            self.slot_T.min() >= 0 and self.slot_T.max() < self.steps_per_day
        ):
            raise SensorError(
                "A time slot lies outside the day.",
                f"slots {self.slot_T.min()} to {self.slot_T.max()}, day of {self.steps_per_day}",
            )

    def __len__(self) -> int:
        return len(self.slot_T)

    @classmethod
    def counted(
        cls,
        num_steps: int,
        start_slot: int,
        steps_per_day: int,
        start_weekday: int = UNKNOWN_WEEKDAY,
        days: tuple[int, ...] = tuple(range(7)),
    ) -> "TimeAxis":
        """An axis without dates: steps follow each other, and so do the weekdays in ``days``.

        Args:
            num_steps: T.
            start_slot: slot of the first step.
            steps_per_day: number of slots of a day.
            start_weekday: weekday of the first step, if known.
            days: the weekdays that the series has, in order (Monday to Friday: 0 to 4).

        Raises:
            SensorError: the slot is not in the day, or the weekday not among the days.
        """
        if not 0 <= start_slot < steps_per_day:
            raise SensorError(
                f"The first step's number in the day must be from 0 to {steps_per_day - 1}.",
                str(start_slot),
            )
        count = start_slot + np.arange(num_steps, dtype=np.int64)
        if start_weekday == UNKNOWN_WEEKDAY:
            weekday = np.full(num_steps, UNKNOWN_WEEKDAY, dtype=np.int64)
        elif start_weekday in days:
            order = np.array(days, dtype=np.int64)
            weekday = order[(days.index(start_weekday) + count // steps_per_day) % len(days)]
        else:
            raise SensorError("The first step's weekday is not among the series' days.")
        return cls(count % steps_per_day, weekday, steps_per_day)

    def extended(self, num_steps: int) -> "TimeAxis":
        """The axis with so many steps after its end; a new day is the next weekday.

        After a Friday of a series without weekends that is a Saturday: the future is real.
        """
        count = self.slot_T[-1] + 1 + np.arange(num_steps, dtype=np.int64)
        weekday = (self.weekday_T[-1] + count // self.steps_per_day) % 7
        known = self.weekday_T[-1] >= 0
        return TimeAxis(
            np.concatenate([self.slot_T, count % self.steps_per_day]),
            np.concatenate([self.weekday_T, weekday if known else 0 * weekday + UNKNOWN_WEEKDAY]),
            self.steps_per_day,
        )

    def part(self, begin: int, end: int) -> "TimeAxis":
        """Steps ``begin`` to ``end``, the latter excluded."""
        return TimeAxis(self.slot_T[begin:end], self.weekday_T[begin:end], self.steps_per_day)


@dataclass(frozen=True, eq=False)
class SensorSeries:
    """What N sensors measured at T regular steps, and how the sensors are connected.

    Args:
        name: what is measured, in plain words.
        sensors: N distinct names, in the order of the columns.
        values_TN: float32, NaN where nothing was measured. Zero is a value.
        axis: the time axis, T steps.
        unit: of the values, for example ``mph``.
        positions_N2: longitude and latitude in degrees, if known.
        adjacency_NN: weight from row to column sensor, 0 to 1, if known.

    Raises:
        SensorError: any of these does not fit the others.
    """

    name: str
    sensors: tuple[str, ...]
    values_TN: NDArray[np.float32]
    axis: TimeAxis
    unit: str
    positions_N2: NDArray[np.float64] | None = None
    adjacency_NN: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        n = len(self.sensors)
        if self.values_TN.shape != (len(self.axis), n):
            raise SensorError(
                "The readings do not fit the sensors and the time axis.",
                f"values {self.values_TN.shape}, {len(self.axis)} steps, {n} sensors",
            )
        if len(set(self.sensors)) != n:
            twice = next(s for s in self.sensors if self.sensors.count(s) > 1)
            raise SensorError("Two sensors have the same name.", twice)
        if bool(np.isinf(self.values_TN).any()):
            raise SensorError("The readings have infinite values.", self.name)
        self._check_graph(n)
        object.__setattr__(self, "values_TN", frozen(self.values_TN, np.float32))

    def _check_graph(self, n: int) -> None:
        if self.positions_N2 is not None and self.positions_N2.shape != (n, 2):
            raise SensorError(
                "The positions do not fit the sensors.",
                f"{len(self.positions_N2)} positions, {n} sensors",
                "Give one longitude and latitude for each sensor.",
            )
        if self.adjacency_NN is None:
            return
        if self.adjacency_NN.shape != (n, n):
            raise SensorError(
                "The adjacency is of another size than the sensors.",
                f"{self.adjacency_NN.shape}, {n} sensors",
                "Give the adjacency of exactly these sensors, in their order.",
            )
        if not (np.isfinite(self.adjacency_NN).all() and (self.adjacency_NN >= 0).all()):
            raise SensorError("The adjacency has negative or infinite weights.", self.name)

    def __len__(self) -> int:
        return len(self.axis)

    def part(self, begin: int, end: int) -> "SensorSeries":
        """Steps ``begin`` to ``end``, the latter excluded."""
        return replace(self, values_TN=self.values_TN[begin:end], axis=self.axis.part(begin, end))

    def select(self, sensors: tuple[str, ...]) -> "SensorSeries":
        """The same readings for these sensors, in this order.

        Raises:
            SensorError: the series lacks one of them.
        """
        place = {sensor: i for i, sensor in enumerate(self.sensors)}
        missing = [sensor for sensor in sensors if sensor not in place]
        if missing:
            raise SensorError(
                f"The sensor set has changed: {len(missing)} of {len(sensors)} are missing.",
                ", ".join(missing[:5]),
                "Use readings of the sensors that the weights were trained on.",
            )
        index = np.array([place[sensor] for sensor in sensors], dtype=np.int64)
        graph, positions = self.adjacency_NN, self.positions_N2
        return replace(
            self,
            sensors=sensors,
            values_TN=self.values_TN[:, index],
            positions_N2=None if positions is None else positions[index],
            adjacency_NN=None if graph is None else graph[np.ix_(index, index)],
        )
