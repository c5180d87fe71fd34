"""Speed and count on street segments over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import FieldError

MISSING: Final[Mapping[str, int]] = {"uint8": 0xFF, "uint16": 0xFFFF}
"""The stored integer that stands for "not measured", by type."""
SPEED_SCALES: Final[Mapping[str, float]] = {"uint8": 0.5, "uint16": 0.01}
"""km/h of one stored step of speed, by type."""


@dataclass(frozen=True, eq=False)
class SegmentSeries:
    """What the sensors on street segments measured.

    Args:
        speed_kmh: (T, S) float32, mean speed; NaN where no vehicle passed or nothing was measured.
        count: (T, S) unsigned integers, vehicles in the step.
        sensor_ids: S names, in the order of the columns.
        start: beginning of the first step, with a time zone.
        step: length of one step.

    Raises:
        FieldError: shapes differ, values are impossible, or the start has no time zone.
    """

    speed_kmh: NDArray[np.float32]
    count: NDArray[np.generic]
    sensor_ids: tuple[str, ...]
    start: datetime
    step: timedelta

    def __post_init__(self) -> None:
        speed, count = np.asarray(self.speed_kmh, np.float32), np.asarray(self.count)
        if speed.ndim != 2 or speed.shape != count.shape or speed.shape[1] != len(self.sensor_ids):
            raise FieldError(
                "Speed and count of the segments do not fit together.",
                f"speed {speed.shape}, count {count.shape}, {len(self.sensor_ids)} sensors",
            )
        if count.dtype.kind != "u":
            if count.dtype.kind != "i" or (count.size and count.min() < 0):
                raise FieldError("Counts must be whole numbers from 0 up.", str(count.dtype))
            count = count.astype(np.min_scalar_type(int(count.max(initial=0))))
        if bool((speed < 0).any()) or bool(np.isinf(speed).any()):
            raise FieldError("A segment's speed is negative or infinite.")
        if len(set(self.sensor_ids)) != len(self.sensor_ids):
            raise FieldError("Two sensors have the same name.")
        if self.start.tzinfo is None or self.step <= timedelta(0):
            raise FieldError("The segments need a start with a time zone, and a step above zero.")
        for name, array in (("speed_kmh", speed), ("count", count)):
            if array.flags.writeable:
                array = np.array(array, order="C")
                array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.speed_kmh)

    def time_of(self, index: int) -> datetime:
        """Beginning of step ``index``, in the start's time zone."""
        return (self.start.astimezone(UTC) + index * self.step).astimezone(self.start.tzinfo)


def encode_speed(speed_kmh: NDArray[np.float32]) -> tuple[NDArray[np.unsignedinteger], float]:
    """Speeds as small integers, and the km/h that one of them stands for.

    Returns:
        Integers in the narrowest type of :data:`SPEED_SCALES` that holds the fastest, NaN as
        :data:`MISSING`; and the scale.

    Raises:
        FieldError: a speed above 650 km/h.
    """
    top = float(np.nanmax(speed_kmh)) if np.isfinite(speed_kmh).any() else 0.0
    for dtype, scale in SPEED_SCALES.items():
        if top <= (MISSING[dtype] - 1) * scale:
            scaled = np.rint(np.nan_to_num(speed_kmh.astype(np.float64)) / scale)
            scaled[np.isnan(speed_kmh)] = MISSING[dtype]
            return scaled.astype(dtype), scale
    raise FieldError("A segment's speed cannot be true.", f"{top:.0f} km/h")


def decode_speed(stored: NDArray[np.generic], scale: float) -> NDArray[np.float32]:
    """What :func:`encode_speed` was given, to half a step; floats are passed on."""
    missing = MISSING.get(stored.dtype.name)
    speed = stored.astype(np.float32) * np.float32(scale)
    if missing is not None:
        speed[stored == missing] = np.nan
    speed.setflags(write=False)
    return speed
