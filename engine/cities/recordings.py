"""What was measured: fields, segments, trajectories and weather, of a city or of one day of it."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from engine.cities.archives import read_arrays
from engine.cities.files import CityFiles
from engine.cities.footers import RowGroup
from engine.cities.format import (
    SEGMENTS_NAME,
    TABLE_NAMES,
    FileKind,
    field_path,
    join_name,
)
from engine.cities.metadata import FileEntry
from engine.cities.segments import SegmentSeries, decode_speed
from engine.cities.tables import open_table, read_table
from engine.cities.trajectories import COLUMNS, SPEED_COLUMN, TrajectoryBatch, unpack_trajectories
from engine.domain import FieldSeries
from engine.errors import CityDamagedError, CityError, EngineError

if TYPE_CHECKING:
    import pandas as pd

SENSOR_COLUMNS = {
    "sensor_id": "string",
    "street_id": "string",
    "edge": "string",
    "name": "string",
    "lon": "double",
    "lat": "double",
}
CONTEXT_COLUMNS = {
    "time": "time",
    "temperature_c": "float",
    "rain_mm_h": "float",
    "weather": "string",
    "holiday": "bool",
    "day_type": "string",
}
Bounds = tuple[float, float, float, float]
_T = TypeVar("_T")


@dataclass(frozen=True)
class TripFilter:
    """Which trips to read.

    Args:
        purposes: only these; all when None.
        begin: only trips that depart at or after this moment.
        end: only trips that depart before this moment.
        bounds: west, south, east, north; only trips with a point inside.
        limit: at most so many trips, the first ones.
    """

    purposes: Collection[str] | None = None
    begin: datetime | None = None
    end: datetime | None = None
    bounds: Bounds | None = None
    limit: int | None = None


class Recordings:
    """The recordings below one folder of a city, each read when it is asked for.

    Args:
        files: the city's files.
        prefix: the folder inside of the city; empty for the city itself.
    """

    def __init__(self, files: CityFiles, prefix: str = "") -> None:
        self.files = files
        self.prefix = prefix

    @property
    def field_names(self) -> tuple[str, ...]:
        """Names of the fields, sorted."""
        head = join_name(self.prefix, "fields/")
        names = (n for n, e in self.files.metadata.files.items() if e.kind is FileKind.FIELD)
        inside = (n.removeprefix(head) for n in names if n.startswith(head))
        return tuple(sorted(n.removesuffix(".npz") for n in inside))

    def has(self, kind: FileKind) -> bool:
        """Whether there is any file of this kind here."""
        head = join_name(self.prefix, "")
        return any(e.kind is kind and n.startswith(head) for n, e in self._listed())

    def field(self, name: str) -> FieldSeries:
        """A field as stored, in the city's time zone.

        Raises:
            CityError: no field of that name.
            CityDamagedError: the file is missing, truncated, edited, or does not fit.
        """
        if name not in self.field_names:
            known = ", ".join(self.field_names) or "none"
            raise CityError(f"The city has no field '{name[:80]}'.", "", f"It has: {known}.")
        path = field_path(name, self.prefix)
        entry = self.files.entry(path)
        with self.files.open(path) as file:
            shape = (*entry.shape[:1], *self.files.metadata.grid.shape)
            values = read_arrays(file, path, ["values"], {"values": shape})["values"]
        return as_damage(path, lambda: self._field_series(name, entry, values))

    def segments(self) -> SegmentSeries:
        """Speed and count of the street segments.

        Raises:
            CityError: the city has none.
            CityDamagedError: the file is missing, truncated, edited, or does not fit.
        """
        path = join_name(self.prefix, SEGMENTS_NAME)
        if path not in self.files.metadata.files:
            raise CityError("The city has no series of street segments.")
        entry = self.files.entry(path)
        with self.files.open(path) as file:
            shapes = {"speed_kmh": entry.shape, "count": entry.shape, "sensor_ids": entry.shape[1:]}
            arrays = read_arrays(file, path, shapes, shapes)
        ids = tuple(str(name) for name in arrays["sensor_ids"])
        start, step = _time_axis(entry, path)
        speed = decode_speed(arrays["speed_kmh"], entry.scales.get("speed_kmh", 1.0))
        return as_damage(
            path, lambda: SegmentSeries(speed, arrays["count"], ids, self._local(start), step)
        )

    def context(self) -> "pd.DataFrame":
        """Weather and calendar over time; no rows where the city has none."""
        return self._table(FileKind.CONTEXT, CONTEXT_COLUMNS)

    @property
    def num_trajectories(self) -> int:
        """Number of trips, as ``city.json`` has it."""
        return sum(sum(self.files.entry(path).shape[:1]) for path in self.trajectory_parts())

    def trajectories(self, wanted: TripFilter | None = None) -> Iterator[TrajectoryBatch]:
        """Stream trips, one row group at a time; those that hold nothing wanted are not read.

        Yields:
            Batches of at least one trip, in stored order.

        Raises:
            CityDamagedError: a file is missing, truncated, edited, or does not fit.
        """
        wanted = wanted or TripFilter()
        left = wanted.limit
        for path in self.trajectory_parts():
            for batch in self.read_part(path, wanted):
                batch = batch if left is None else batch.take(range(min(left, len(batch))))
                if left is not None:
                    left -= len(batch)
                if len(batch):
                    yield batch
                if left == 0:
                    return

    def trajectory_parts(self) -> list[str]:
        """The files of the trajectories, in order."""
        head = join_name(self.prefix, "trajectories/")
        parts = (n for n, e in self._listed() if e.kind is FileKind.TRAJECTORIES)
        return sorted(n for n in parts if n.startswith(head))

    def purposes(self) -> tuple[str, ...]:
        """Names of the trips' purposes, sorted; reads that column alone.

        Raises:
            CityDamagedError: a file is missing, truncated, edited, or does not fit.
        """
        names: set[str] = set()
        for path in self.trajectory_parts():
            with self.files.open(path) as file:
                parquet = open_table(file, path, tuple(COLUMNS)).parquet
                column = as_damage(path, lambda p=parquet: p.read(["purpose"], use_threads=False))  # type: ignore[misc]
            names.update(name or "" for name in column.column("purpose").unique().to_pylist())
        return tuple(sorted(names - {""}))

    def read_part(self, path: str, wanted: TripFilter) -> Iterator[TrajectoryBatch]:
        """Stream the wanted trips of one file; its limit is passed over.

        Raises:
            CityDamagedError: the file is missing, truncated, edited, or does not fit.
        """
        entry = self.files.entry(path)
        step_s, scale = entry.step_s or 0.0, entry.scales.get(SPEED_COLUMN, 1.0)
        with self.files.open(path) as file:
            opened = open_table(file, path, tuple(COLUMNS))
            if (opened.footer.num_rows,) != entry.shape[:1]:
                raise CityDamagedError("A file holds another number of trips than listed.", path)
            parquet = opened.parquet
            columns = [n for n in (*COLUMNS, SPEED_COLUMN) if n in parquet.schema_arrow.names]
            in_ms = str(parquet.schema_arrow.field("depart").type).startswith("timestamp[ms")
            for index, declared in enumerate(opened.footer.row_groups):
                if in_ms and _is_outside(declared, wanted):
                    continue
                group = as_damage(
                    path,
                    lambda i=index: unpack_trajectories(  # type: ignore[misc]
                        parquet.read_row_group(i, columns, use_threads=False), step_s, scale
                    ),
                )
                yield group.take(_chosen(group, wanted))

    def _listed(self) -> Iterator[tuple[str, FileEntry]]:
        return iter(self.files.metadata.files.items())

    def _table(self, kind: FileKind, columns: dict[str, str]) -> "pd.DataFrame":
        path = join_name(self.prefix, TABLE_NAMES[kind])
        if path not in self.files.metadata.files:
            return empty_frame(columns)
        with self.files.open(path) as file:
            return read_table(file, path, columns)

    def _field_series(self, name: str, entry: FileEntry, values: np.ndarray) -> FieldSeries:
        path = field_path(name, self.prefix)
        if entry.unit is None or entry.aggregation is None:
            raise CityDamagedError("A field lacks its unit or its rule for coarsening.", path)
        start, step = _time_axis(entry, path)
        return FieldSeries(
            entry.title or name,
            values,
            self.files.metadata.grid,
            self._local(start),
            step,
            entry.unit,
            entry.aggregation,
        )

    def _local(self, start: datetime) -> datetime:
        return start.astimezone(self.files.metadata.zone)


def as_damage(where: str, read: Callable[[], _T]) -> _T:
    """Whatever is wrong with stored values is damage of the city, not of the user's input.

    Raises:
        CityDamagedError: reading failed.
    """
    try:
        return read()
    except CityError:
        raise
    except EngineError as error:
        at = f"{where}: {error.where}" if error.where else where
        raise CityDamagedError(error.what, at, error.fix) from error
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise CityDamagedError("A file of the city cannot be read.", where) from error


def empty_frame(columns: dict[str, str]) -> "pd.DataFrame":
    """A table of these columns without rows."""
    import pyarrow as pa

    from engine.cities.tables import arrow_type

    schema = pa.schema([(name, arrow_type(kind)) for name, kind in columns.items()])
    return schema.empty_table().to_pandas()


def _time_axis(entry: FileEntry, where: str) -> tuple[datetime, timedelta]:
    if entry.start is None or entry.step_s is None:
        raise CityDamagedError("A file lacks its start or its time step.", where)
    return entry.start, timedelta(seconds=entry.step_s)


def _is_outside(group: RowGroup, wanted: TripFilter) -> bool:
    """Whether a row group's departures all lie outside of the wanted time."""
    column = next((c for c in group.columns if c.path == ("depart",)), None)
    if column is None or len(column.minimum) != 8 or len(column.maximum) != 8:
        return False
    first, last = (
        np.datetime64(int.from_bytes(stored, "little", signed=True), "ms")
        for stored in (column.minimum, column.maximum)
    )
    after_end = wanted.end is not None and bool(first >= _utc(wanted.end))
    before = wanted.begin is not None and bool(last < _utc(wanted.begin))
    return after_end or before


def _chosen(batch: TrajectoryBatch, wanted: TripFilter) -> np.ndarray:
    """(K,) bool: the trips that pass the filter."""
    chosen = np.ones(len(batch), bool)
    if wanted.purposes is not None:
        chosen &= np.array([p in wanted.purposes for p in batch.purposes], bool)
    if wanted.begin is not None:
        chosen &= batch.depart >= _utc(wanted.begin)
    if wanted.end is not None:
        chosen &= batch.depart < _utc(wanted.end)
    if wanted.bounds is not None and len(batch):
        west, south, east, north = wanted.bounds
        lon, lat = batch.lon_deg, batch.lat_deg
        inside = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        chosen &= np.logical_or.reduceat(inside, batch.offsets[:-1])
    return chosen


def _utc(when: datetime) -> np.datetime64:
    return np.datetime64(when.astimezone(UTC).replace(tzinfo=None), "ms")
