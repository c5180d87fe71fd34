"""Sensor tables: from timestamps, names and numbers to a :class:`SensorSeries`.

:mod:`engine.cities.importers.sensors_benchmarks` reads the layouts of the public benchmark sets,
:mod:`engine.cities.importers.sensors_graphs` what connects the sensors. Here is what they share:
the checks of time and values, and the reader of any table by a mapping of its columns.

Shapes: T time steps, N sensors, L rows of a long table.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.domain.sensors import SensorSeries, TimeAxis
from engine.errors import SensorError

if TYPE_CHECKING:
    import pandas as pd

MAX_STEPS = 2_000_000
MAX_SENSORS = 10_000
MAX_VALUES = 400_000_000
"""What is read at most: 1.6 GB of float32."""
MAX_GAP_SHARE = 0.5
"""A table that lacks more than this share of its steps is refused."""

Times = NDArray[np.datetime64]
Values = NDArray[np.float32]


@dataclass(frozen=True)
class SensorRules:
    """How readings become a series.

    Args:
        name: what is measured.
        unit: of the values.
        step: the step that the series must have; None takes the table's own.
        zone: time zone of local timestamps. Without one they must be regular as they stand;
            with one, the days on which clocks change are put right.
        missing: values that stand for "not measured", beside NaN. Speeds often use 0; for
            counts 0 is data.
        mark_gaps: whether missing time steps become missing values; otherwise they are refused.
        drop_constant: whether sensors that never vary are left out.
        keep_constant: whether they are kept, as a short extract needs; refused if neither.
    """

    name: str = "speed"
    unit: str = "mph"
    step: timedelta | None = None
    zone: str | None = None
    missing: tuple[float, ...] = ()
    mark_gaps: bool = True
    drop_constant: bool = False
    keep_constant: bool = False


@dataclass(frozen=True)
class SensorColumns:
    """Which columns of a table mean what.

    A long table has a row for each time and sensor: give ``sensor`` and ``value``. A wide table
    has a row for each time and a column for each sensor: leave both out; ``sensors`` then picks
    columns, by default all but the time.
    """

    time: str
    sensor: str | None = None
    value: str | None = None
    sensors: tuple[str, ...] = field(default=())


def read_sensor_table(path: Path, columns: SensorColumns, rules: SensorRules) -> SensorSeries:
    """Read any CSV (also ``.csv.gz``) or Parquet table of sensor readings.

    Raises:
        SensorError: the file cannot be read, a column is missing, or the readings do not fit
            the rules; see :func:`assemble_series`.
    """
    frame = _read_frame(path)
    wanted = [columns.time, *filter(None, (columns.sensor, columns.value)), *columns.sensors]
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise SensorError(
            f"The table has no column '{absent[0]}'.",
            path.name,
            f"It has: {', '.join(map(str, frame.columns[:12]))}. Map its columns.",
        )
    times = _to_times(frame[columns.time], path.name)
    if (columns.sensor is None) != (columns.value is None):
        raise SensorError("A long table needs both a sensor and a value column.", path.name)
    if columns.sensor is not None and columns.value is not None:
        numbers = _to_numbers(frame[[columns.value]], path.name)[:, 0]
        names = frame[columns.sensor].astype(str).to_numpy(np.str_)
        times, sensors, values_TN = _pivot(times, names, numbers, path.name)
    else:
        picked = list(columns.sensors) or [c for c in frame.columns if c != columns.time]
        sensors, values_TN = tuple(map(str, picked)), _to_numbers(frame[picked], path.name)
    return assemble_series(times, sensors, values_TN, rules, path.name)


def assemble_series(
    times: Times, sensors: tuple[str, ...], values_TN: Values, rules: SensorRules, where: str
) -> SensorSeries:
    """Readings with timestamps as a regular, checked series.

    Args:
        times: T timestamps, in any order; local wall clock times.
        sensors: N names.
        values_TN: the readings.
        rules: see :class:`SensorRules`.
        where: the file's name, for messages.

    Raises:
        SensorError: duplicate timestamps, another step, times off the step, gaps, constant
            sensors, or too large.
    """
    check_size(len(times), len(sensors), where)
    if len(times) < 2:
        raise SensorError("The table has fewer than two time steps.", where)
    instants = times if rules.zone is None else _to_instants(times, rules.zone, where)
    order = np.argsort(instants, kind="stable")
    instants, values_TN = instants[order], values_TN[order]
    _refuse_duplicates(instants, where, has_zone=rules.zone is not None)
    step = _find_step(instants, rules.step, where)
    index = (instants - instants[0]) // step
    num_steps = int(index[-1]) + 1
    check_size(num_steps, len(sensors), where)
    _check_gaps(instants, index, step, rules, where)
    regular_TN = np.full((num_steps, len(sensors)), np.nan, dtype=np.float32)
    regular_TN[index] = values_TN
    every = instants[0] + np.arange(num_steps) * step
    local = every if rules.zone is None else _to_local(every, rules.zone)
    return clean_series(sensors, regular_TN, _axis_of(local, step, where), rules, where)


def clean_series(
    sensors: tuple[str, ...], values_TN: Values, axis: TimeAxis, rules: SensorRules, where: str
) -> SensorSeries:
    """A series on a known time axis: missing values marked, constant sensors treated.

    Raises:
        SensorError: a sensor never varies (or measured nothing), or the shapes differ.
    """
    values_TN = np.array(values_TN, dtype=np.float32)
    values_TN[np.isin(values_TN, np.array(rules.missing, dtype=np.float32))] = np.nan
    lowest = np.where(np.isfinite(values_TN), values_TN, np.inf).min(axis=0)
    highest = np.where(np.isfinite(values_TN), values_TN, -np.inf).max(axis=0)
    varies_N = highest > lowest
    if rules.keep_constant:
        return SensorSeries(rules.name, sensors, values_TN, axis, rules.unit)
    if not varies_N.all() and not rules.drop_constant:
        stuck = [sensor for sensor, varies in zip(sensors, varies_N, strict=True) if not varies]
        raise SensorError(
            f"{len(stuck)} of {len(sensors)} sensors never vary or measured nothing.",
            f"{where}: {', '.join(stuck[:5])}",
            "Leave them out (drop_constant), or correct the missing-value rule.",
        )
    if not varies_N.any():
        raise SensorError("No sensor of the table varies.", where)
    kept = tuple(sensor for sensor, varies in zip(sensors, varies_N, strict=True) if varies)
    return SensorSeries(rules.name, kept, values_TN[:, varies_N], axis, rules.unit)


def check_size(num_steps: int, num_sensors: int, where: str) -> None:
    """Refuse what could not be held in memory, before it is allocated.

    Raises:
        SensorError: too many steps, sensors or values.
    """
    if num_steps > MAX_STEPS or num_sensors > MAX_SENSORS or num_steps * num_sensors > MAX_VALUES:
        raise SensorError(
            "The table is too large.",
            f"{where}: {num_steps:,} steps, {num_sensors:,} sensors",
            f"At most {MAX_STEPS:,} steps, {MAX_SENSORS:,} sensors, {MAX_VALUES:,} values.",
        )


def _read_frame(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise SensorError("The table cannot be read.", path.name, str(error)[:200]) from error


def _to_times(column: "pd.Series[Any]", where: str) -> Times:
    """Wall clock times without zone; numbers are refused, since their unit would be a guess."""
    import pandas as pd

    if column.dtype.kind in "iuf":
        raise SensorError(
            "The time column holds numbers.", where, "Give dates and times as ISO 8601 text."
        )
    try:
        parsed = pd.to_datetime(column, format=None if column.dtype.kind == "M" else "ISO8601")
    except (ValueError, TypeError) as error:
        raise SensorError("A timestamp cannot be read.", where, str(error)[:200]) from error
    if parsed.isna().any():
        raise SensorError("A timestamp is missing.", f"{where}, row {int(parsed.isna().argmax())}")
    if getattr(parsed.dt, "tz", None) is not None:
        parsed = parsed.dt.tz_localize(None)
    return parsed.to_numpy().astype("datetime64[s]")


def _to_numbers(frame: "pd.DataFrame", where: str) -> Values:
    import pandas as pd

    columns = []
    for name in frame.columns:
        try:
            columns.append(pd.to_numeric(frame[name]).to_numpy(np.float32, na_value=np.nan))
        except (ValueError, TypeError) as error:
            raise SensorError(
                f"The column '{name}' holds something that is no number.", where, str(error)[:200]
            ) from error
    return np.stack(columns, axis=1)


def _pivot(
    times_L: Times, names_L: NDArray[np.str_], values_L: Values, where: str
) -> tuple[Times, tuple[str, ...], Values]:
    """Rows of a long table as (T, N)."""
    times, row_L = np.unique(times_L, return_inverse=True)
    sensors, column_L = np.unique(names_L, return_inverse=True)
    check_size(len(times), len(sensors), where)
    cell_L = row_L * len(sensors) + column_L
    if len(np.unique(cell_L)) != len(cell_L):
        counts = np.bincount(cell_L, minlength=len(times) * len(sensors))
        first = int(np.argmax(counts > 1))
        raise SensorError(
            "A sensor has two readings at the same time.",
            f"{where}: {sensors[first % len(sensors)]} at {times[first // len(sensors)]}",
            "Keep one. Where clocks go back in autumn, give times in UTC.",
        )
    values_TN = np.full((len(times), len(sensors)), np.nan, dtype=np.float32)
    values_TN.flat[cell_L] = values_L
    return times, tuple(map(str, sensors)), values_TN


def _to_instants(times: Times, zone: str, where: str) -> Times:
    """UTC of local times; of a time that occurs twice in autumn, the first row is the earlier."""
    import pandas as pd

    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise SensorError(f"The time zone '{zone}' is not known.", where) from error
    local = pd.DatetimeIndex(times)
    try:
        instants = local.tz_localize(zone, ambiguous=~local.duplicated())
    except ValueError as error:
        raise SensorError(
            "A timestamp lies in the hour that clocks skip in spring.",
            f"{where}: {str(error)[:80]}",
            "Correct it, or name the zone that the times are really in.",
        ) from error
    return instants.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]")


def _to_local(instants: Times, zone: str) -> Times:
    import pandas as pd

    local = pd.DatetimeIndex(instants).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return local.to_numpy().astype("datetime64[s]")


def _refuse_duplicates(instants: Times, where: str, *, has_zone: bool) -> None:
    twice = np.flatnonzero(instants[1:] == instants[:-1])
    if len(twice):
        fix = "Keep one row for each time."
        if not has_zone:
            fix += " If clocks went back there, give the time zone."
        raise SensorError(
            f"{len(twice)} timestamps occur twice.", f"{where}: {instants[twice[0]]}", fix
        )


def _find_step(instants: Times, wanted: timedelta | None, where: str) -> np.timedelta64:
    """The most frequent distance of two times; all must be whole multiples of it."""
    distances, counts = np.unique(np.diff(instants), return_counts=True)
    step = distances[counts.argmax()]
    if wanted is not None and step != np.timedelta64(wanted):
        raise SensorError(
            "The readings have another time step than asked for.",
            f"{where}: {step.astype(int)} s instead of {wanted.total_seconds():.0f} s",
            "Average or split the readings to that step first.",
        )
    off = np.flatnonzero((instants - instants[0]) % step != np.timedelta64(0, "s"))
    if len(off):
        raise SensorError(
            f"{len(off)} timestamps are off the step of {step.astype(int)} s.",
            f"{where}: {instants[off[0]]}",
            "Bring the readings to regular times first.",
        )
    return step


def _check_gaps(
    instants: Times,
    index: NDArray[np.int64],
    step: np.timedelta64,
    rules: SensorRules,
    where: str,
) -> None:
    num_missing = int(index[-1]) + 1 - len(index)
    if not num_missing or (rules.mark_gaps and num_missing <= MAX_GAP_SHARE * index[-1]):
        return
    gap = int(np.argmax(np.diff(index) > 1))
    length = instants[gap + 1] - instants[gap]
    fix = "Fill them, or let them count as missing (mark_gaps)."
    if rules.zone is None and length == np.timedelta64(3600, "s") + step:
        fix += " If clocks went forward there, give the time zone."
    raise SensorError(
        f"{num_missing} time steps are missing.", f"{where}: first after {instants[gap]}", fix
    )


def _axis_of(local: Times, step: np.timedelta64, where: str) -> TimeAxis:
    day = np.timedelta64(86_400, "s")
    if day % step != np.timedelta64(0, "s"):
        raise SensorError(
            "A day does not hold a whole number of time steps.", f"{where}: {step.astype(int)} s"
        )
    midnight = local.astype("datetime64[D]")
    slot_T = ((local - midnight) // step).astype(np.int64)
    weekday_T = (midnight.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    return TimeAxis(slot_T, weekday_T, int(day // step))
