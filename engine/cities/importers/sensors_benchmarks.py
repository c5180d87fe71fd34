"""Readers of the public benchmark sets, in the layouts in which their publishers hand them out.

===================  ========================================  ==============================
set                  file                                      clock
===================  ========================================  ==============================
METR-LA, PEMS-BAY    ``.h5``, a pandas table in fixed layout   timestamps, local time
PeMSD7(M), PeMSD7(L) ``.csv`` without header; ``.npz``         none: weekdays, given by caller
PEMS03/04/07/08      ``.npz``, key ``data`` (T, N, channels)   none: given by the caller
===================  ========================================  ==============================

Sensor locations and adjacencies are read by :mod:`engine.cities.importers.sensors_graphs`.
Shapes: T time steps, N sensors.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.cities.archives import read_arrays
from engine.cities.importers.sensors import (
    MAX_STEPS,
    MAX_VALUES,
    SensorRules,
    Times,
    Values,
    assemble_series,
    check_size,
    clean_series,
)
from engine.domain.sensors import UNKNOWN_WEEKDAY, SensorSeries, TimeAxis
from engine.errors import CityDamagedError, SensorError

if TYPE_CHECKING:
    import h5py

WEEKDAYS_ONLY = (0, 1, 2, 3, 4)
_TICKS_PER_S = {"ns": 10**9, "us": 10**6, "ms": 10**3, "s": 1}


@dataclass(frozen=True)
class Clock:
    """When a series without timestamps begins, and which days it has.

    Args:
        start_slot: number of the first step in its day.
        start_weekday: Monday 0 ... Sunday 6 of the first step; negative when not known.
        steps_per_day: 288 for five minutes.
        days: the weekdays in the series; PeMSD7(M) has no weekends.
    """

    start_slot: int = 0
    start_weekday: int = UNKNOWN_WEEKDAY
    steps_per_day: int = 288
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)

    def axis(self, num_steps: int) -> TimeAxis:
        """The time axis of a series of ``num_steps``."""
        return TimeAxis.counted(
            num_steps, self.start_slot, self.steps_per_day, self.start_weekday, self.days
        )


PEMSD7M_CLOCK = Clock(start_weekday=1, days=WEEKDAYS_ONLY)
"""The whole set: the weekdays of May and June 2012, from Tuesday, May 1st, midnight."""


def read_number_table(
    path: Path, clock: Clock, rules: SensorRules, *, header: bool = False
) -> SensorSeries:
    """A ``.csv`` without times, a row a step and a column a sensor: PeMSD7's ``V_228.csv``.

    Args:
        path: may be packed (``.csv.gz``).
        clock: when it begins.
        rules: see :class:`SensorRules`.
        header: whether the first row names the sensors; else they are numbered from 0.

    Raises:
        SensorError: the file cannot be read, rows differ in length, or :func:`clean_series`.
    """
    try:
        values_TN = np.loadtxt(
            path, delimiter=",", dtype=np.float32, ndmin=2, max_rows=MAX_STEPS, skiprows=int(header)
        )
        names = np.loadtxt(path, delimiter=",", dtype=str, ndmin=1, max_rows=1) if header else ()
    except (OSError, ValueError) as error:
        raise SensorError("The table cannot be read.", path.name, str(error)[:200]) from error
    return _series_of(values_TN, clock, rules, path.name, tuple(map(str, names)))


def read_array_series(
    path: Path, key: str, clock: Clock, rules: SensorRules, channel: int = 0
) -> SensorSeries:
    """An array of an ``.npz``: (T, N), or (T, N, channels) as in PEMS03/04/07/08.

    Args:
        path: the archive; nothing is unpickled.
        key: ``data`` in PEMS03/04/07/08.
        clock: when it begins.
        rules: see :class:`SensorRules`.
        channel: which of the channels; flow is 0, occupancy 1, speed 2.

    Raises:
        SensorError: the archive cannot be read, has no such array or channel, or
            :func:`clean_series`.
    """
    try:
        with path.open("rb") as file:
            values = read_arrays(file, path.name, [key], max_bytes=8 * MAX_VALUES)[key]
    except (OSError, CityDamagedError) as error:
        raise SensorError(
            f"The array '{key}' cannot be read.", path.name, f"Is it an .npz with '{key}'?"
        ) from error
    if values.ndim == 3 and 0 <= channel < values.shape[2]:
        values = values[:, :, channel]
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise SensorError(
            "The array is no table of numbers.",
            f"{path.name}: shape {values.shape}, {values.dtype}, channel {channel}",
            "Give (steps, sensors) or (steps, sensors, channels).",
        )
    return _series_of(values.astype(np.float32), clock, rules, path.name)


def _series_of(
    values_TN: Values, clock: Clock, rules: SensorRules, where: str, names: tuple[str, ...] = ()
) -> SensorSeries:
    check_size(len(values_TN), values_TN.shape[1], where)
    sensors = names or tuple(str(i) for i in range(values_TN.shape[1]))
    if len(sensors) != values_TN.shape[1]:
        raise SensorError("The header names more or fewer sensors than the rows have.", where)
    return clean_series(sensors, values_TN, clock.axis(len(values_TN)), rules, where)


def read_pandas_h5(path: Path, rules: SensorRules) -> SensorSeries:
    """METR-LA's and PEMS-BAY's ``.h5``: one pandas table in fixed layout, read without pickle.

    The layout: ``axis0`` names the sensors, ``axis1`` holds the times as integers, and
    ``block0_values`` the (T, N) numbers. Links and storage outside of the file are refused.

    Raises:
        SensorError: no such layout, or the readings do not fit (:func:`assemble_series`).
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            group = _find_table(file, path.name)
            values = _dataset(group, "block0_values", path.name)
            names, ticks = (_dataset(group, axis, path.name) for axis in ("axis0", "axis1"))
            if values.ndim != 2 or values.shape != (*ticks.shape, *names.shape):
                raise SensorError(
                    "The table's axes do not fit its numbers.",
                    f"{path.name}: {values.shape}, {ticks.shape} times, {names.shape} sensors",
                )
            check_size(values.shape[0], values.shape[1], path.name)
            times = _read_times(ticks, path.name)
            sensors = tuple(_as_text(name) for name in names[()])
            values_TN = np.asarray(values[()], dtype=np.float32)
    except (OSError, KeyError, RuntimeError) as error:
        raise SensorError("The HDF5 file cannot be read.", path.name, str(error)[:200]) from error
    return assemble_series(times, sensors, values_TN, rules, path.name)


def _find_table(file: "h5py.File", where: str) -> "h5py.Group":
    import h5py

    tables = [
        file[name]
        for name in file
        if isinstance(file.get(name, getlink=True), h5py.HardLink)
        and isinstance(file[name], h5py.Group)
        and "block0_values" in file[name]
    ]
    if len(tables) != 1 or "block1_values" in tables[0]:
        raise SensorError(
            "The HDF5 file holds no single table of numbers in pandas' fixed layout.", where
        )
    return tables[0]


def _dataset(group: "h5py.Group", name: str, where: str) -> "h5py.Dataset":
    import h5py

    is_inside = isinstance(group.get(name, getlink=True), h5py.HardLink)
    data = group[name] if is_inside else None
    if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
        raise SensorError(f"The table's '{name}' is missing or stored elsewhere.", where)
    if data.dtype.kind not in "fiuS":
        raise SensorError(f"The table's '{name}' holds neither numbers nor plain text.", where)
    return data


def _read_times(ticks: "h5py.Dataset", where: str) -> Times:
    kind = _as_text(ticks.attrs.get("kind", b"datetime64"))
    unit = kind.removeprefix("datetime64").strip("[]") or "ns"
    if not kind.startswith("datetime64") or unit not in _TICKS_PER_S or ticks.dtype.kind != "i":
        raise SensorError("The table's rows are no timestamps.", f"{where}: {kind}")
    seconds: NDArray[np.int64] = ticks[()] // _TICKS_PER_S[unit]
    return seconds.astype("datetime64[s]")


def _as_text(name: Any) -> str:  # noqa: ANN401 - what HDF5 stores: bytes, text or a number
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
