"""GPS points from any CSV or Parquet table, by a mapping of its columns.

Tables are read in blocks. Rows of a trip must stand together and in order of time; people and
trips may be numbers or names.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from engine.cities.importers.gps import UNKNOWN_PERSON, GpsPoints, check_file, check_points
from engine.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

WGS84 = "EPSG:4326"
BLOCK_BYTES = 4 * 2**20
"""Bytes of CSV read at once; no row may be longer."""
BLOCK_ROWS = 65_536
MAX_NAMES = 20_000_000
"""Different names of trips or people that are remembered."""


@dataclass(frozen=True)
class ColumnMapping:
    """Which column holds what.

    Args:
        trip: number or name of the trip.
        time: moment of the point: a timestamp, text in ISO 8601, or a number of ``time_unit``.
        lon: longitude, or easting in ``crs``.
        lat: latitude, or northing in ``crs``.
        person: number or name of the person; None when the table does not tell.
        crs: coordinate system of the positions.
        scale: positions are multiplied by this, such as 1e-6 for millionths of a degree.
        time_zone: of times that name none.
        time_unit: of times that are numbers, in seconds: 1, or 1e-3 for milliseconds.
    """

    trip: str = "traj"
    time: str = "time"
    lon: str = "lon"
    lat: str = "lat"
    person: str | None = None
    crs: str = WGS84
    scale: float = 1.0
    time_zone: str = "UTC"
    time_unit: float = 1.0

    def __post_init__(self) -> None:
        names = self.columns
        if not all(names) or len(set(names)) != len(names):
            raise InputError(
                "Each column of the mapping needs a name of its own.", ", ".join(names)
            )
        if not (np.isfinite(self.scale) and self.scale > 0 and self.time_unit > 0):
            raise InputError("The mapping's scale and time unit must be above zero.")

    @property
    def columns(self) -> list[str]:
        """Names of all columns that are read."""
        person = [] if self.person is None else [self.person]
        return [self.trip, self.time, self.lon, self.lat, *person]


MICRODEGREE_COLUMNS = ColumnMapping(
    trip="traj", time="time", lon="lon_udeg", lat="lat_udeg", person="user", scale=1e-6
)
"""Columns traj, user, time, lat_udeg, lon_udeg: our own layout of point tables."""


def read_table_points(path: Path, mapping: ColumnMapping) -> Iterator[GpsPoints]:
    """Points of a ``.parquet``, ``.csv`` or ``.csv.gz`` file, in chunks.

    Raises:
        InputError: the file cannot be read, columns are missing, or values do not fit.
    """
    from pyarrow import ArrowException

    check_file(path)
    is_parquet = path.suffix.lower() in (".parquet", ".pq")
    batches = _parquet_batches if is_parquet else _csv_batches
    decoder = _Decoder(mapping, path.name)
    try:
        for batch in batches(path, mapping):
            if batch.num_rows:
                yield decoder.decode(batch)
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError("The table cannot be read.", f"{path.name}: {error}"[:300]) from error


def _parquet_batches(path: Path, mapping: ColumnMapping) -> Iterator["pa.RecordBatch"]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        _check_columns(file.schema_arrow.names, mapping, path.name)
        yield from file.iter_batches(BLOCK_ROWS, columns=mapping.columns)


def _csv_batches(path: Path, mapping: ColumnMapping) -> Iterator["pa.RecordBatch"]:
    from pyarrow import csv

    convert = csv.ConvertOptions(include_columns=mapping.columns, strings_can_be_null=True)
    names = csv.open_csv(path, csv.ReadOptions(block_size=BLOCK_BYTES)).schema.names
    _check_columns(names, mapping, path.name)
    yield from csv.open_csv(path, csv.ReadOptions(block_size=BLOCK_BYTES), convert_options=convert)


def _check_columns(names: Iterable[str], mapping: ColumnMapping, where: str) -> None:
    present = list(names)
    missing = [name for name in mapping.columns if name not in present]
    if missing:
        raise InputError(
            f"The table has no column {' and no column '.join(repr(name) for name in missing)}.",
            where,
            f"It has: {', '.join(present[:20])}.",
        )


@dataclass
class _Decoder:
    """Turns blocks of a table into points; remembers names and the last trip between blocks."""

    mapping: ColumnMapping
    where: str
    rows: int = 0
    trips: dict[str, int] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)

    def decode(self, batch: "pa.RecordBatch") -> GpsPoints:
        place = f"{self.where}, rows {self.rows + 1} to {self.rows + batch.num_rows}"
        self.rows += batch.num_rows
        mapping = self.mapping
        person = np.full(batch.num_rows, UNKNOWN_PERSON, np.int64)
        if mapping.person is not None:
            person = _numbers_of(batch.column(mapping.person), self.people, place)
        lon, lat = to_degrees(
            _floats(batch.column(mapping.lon), place) * mapping.scale,
            _floats(batch.column(mapping.lat), place) * mapping.scale,
            mapping.crs,
        )
        points = GpsPoints(
            _numbers_of(batch.column(mapping.trip), self.trips, place),
            person,
            _seconds(batch.column(mapping.time), mapping, place),
            lon,
            lat,
        )
        return check_points(points, place)


def to_degrees(
    x: NDArray[np.float64], y: NDArray[np.float64], crs: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes of positions in a coordinate system.

    Raises:
        InputError: the system is unknown, or the positions do not lie in it.
    """
    if crs.upper() in (WGS84, "OGC:CRS84", "CRS84"):
        return x, y
    from pyproj import Transformer
    from pyproj.exceptions import CRSError, ProjError

    try:
        transformer = Transformer.from_crs(crs, WGS84, always_xy=True, only_best=False)
        lon, lat = transformer.transform(x, y)
    except (CRSError, ProjError) as error:
        raise InputError(
            "The coordinate system is not known.", crs[:80], "Use a code such as EPSG:32650."
        ) from error
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise InputError(
            "Positions lie outside their coordinate system.",
            crs[:80],
            "Check the system, and whether the two columns are swapped.",
        )
    return np.asarray(lon, np.float64), np.asarray(lat, np.float64)


def _floats(column: "pa.Array", where: str) -> NDArray[np.float64]:
    import pyarrow as pa

    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError("A position is no number.", where) from error


def _numbers_of(column: "pa.Array", names: dict[str, int], where: str) -> NDArray[np.int64]:
    """Numbers as they are; names are numbered in the order of their appearance."""
    import pyarrow as pa

    if column.null_count:
        raise InputError("A trip or a person is missing.", where)
    if pa.types.is_integer(column.type):
        return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)
    encoded = column.cast(pa.string()).dictionary_encode()
    codes = [names.setdefault(name, len(names)) for name in encoded.dictionary.to_pylist()]
    if len(names) > MAX_NAMES:
        raise InputError(f"There are more than {MAX_NAMES:,} names of trips or people.", where)
    index = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return np.array(codes, np.int64)[index]


def _seconds(column: "pa.Array", mapping: ColumnMapping, where: str) -> NDArray[np.float64]:
    import pyarrow as pa

    if column.null_count:
        raise InputError("A point has no time.", where, "Trips need the time of each point.")
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return np.asarray(_floats(column, where) * mapping.time_unit)
    try:
        if not pa.types.is_timestamp(column.type):
            column = _parse_times(column.cast(pa.string()))
        zone = column.type.tz
        stamps = column.cast(pa.timestamp("ms", tz=zone), safe=False).cast(pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            "A time cannot be read.", where, "Use ISO 8601, such as 2009-05-01T08:15:00Z."
        ) from error
    seconds = np.asarray(stamps.to_numpy(zero_copy_only=False), np.float64) / 1e3
    return seconds if zone else local_to_utc_s(seconds, mapping.time_zone)


def _parse_times(text: "pa.Array") -> "pa.Array":
    """ISO 8601 with or without an offset; one way for the whole block."""
    import pyarrow as pa

    for kind in (pa.timestamp("ms", tz="UTC"), pa.timestamp("ms")):
        try:
            return text.cast(kind)
        except pa.ArrowInvalid:
            continue
    raise pa.ArrowInvalid("no known format")


def local_to_utc_s(local_s: NDArray[np.float64], time_zone: str) -> NDArray[np.float64]:
    """Seconds of wall clocks since 1970 as seconds UTC.

    Of an hour that exists twice, the first is meant.

    Raises:
        InputError: the zone is unknown.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(
            "The time zone is not known.", time_zone[:80], "Use a name such as Europe/Lisbon."
        ) from error
    if time_zone == "UTC" or not len(local_s):
        return local_s
    # offsets change on quarters of an hour: one lookup for each that occurs
    quarter, index = np.unique(np.floor(local_s / 900), return_inverse=True)
    start = datetime(1970, 1, 1)  # a wall clock, made aware below
    shift = [
        ((start + timedelta(seconds=float(q) * 900)).replace(tzinfo=zone).utcoffset())
        for q in quarter
    ]
    seconds = np.array([s.total_seconds() if s else 0.0 for s in shift])
    return np.asarray(local_s - seconds[index])
