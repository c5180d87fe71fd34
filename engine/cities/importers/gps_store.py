"""Writing imported points as a table of our own layout, chunk by chunk.

Columns traj, user, time (UTC, milliseconds), lat_udeg, lon_udeg (millionths of a degree), as
:data:`engine.cities.importers.gps_table.MICRODEGREE_COLUMNS` reads them back.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.cities.importers.gps import MAX_POINTS, GpsPoints
from engine.errors import InputError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa


def write_points(path: Path, chunks: Iterable[GpsPoints]) -> int:
    """Write all chunks in bounded memory; the file appears when it is complete.

    Args:
        path: ends in ``.parquet``.
        chunks: of an importer.

    Returns:
        The number of points.

    Raises:
        InputError: another ending, no points, too many, or what the importer finds wrong.
        StorageError: writing failed; what was there before is untouched.
    """
    if path.suffix.lower() != ".parquet":
        raise InputError("Points are written as .parquet.", path.name)
    filled = (chunk for chunk in chunks if len(chunk))
    first = next(filled, None)
    if first is None:
        raise InputError("The file holds no GPS points.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            total = _write_chunks(file, first, filled)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError("The points could not be written.", str(path), str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)
    return total


def _write_chunks(file: IO[bytes], first: GpsPoints, rest: Iterable[GpsPoints]) -> int:
    from pyarrow import parquet

    table = _table_of(first)
    total = len(first)
    encodings: dict[str, Any] = {
        "compression": "zstd",
        # a point lies near the one before it
        "use_dictionary": ["traj", "user"],
        "column_encoding": dict.fromkeys(("time", "lat_udeg", "lon_udeg"), "DELTA_BINARY_PACKED"),
    }
    with parquet.ParquetWriter(file, table.schema, **encodings) as writer:
        writer.write_table(table)
        for chunk in rest:
            total += len(chunk)
            if total > MAX_POINTS:
                raise InputError(f"There are more than {MAX_POINTS:,} points.")
            writer.write_table(_table_of(chunk))
    return total


def _table_of(points: GpsPoints) -> "pa.Table":
    import pyarrow as pa

    def microdegrees(degrees: NDArray[np.float64]) -> "pa.Array":
        return pa.array(np.rint(degrees * 1e6).astype(np.int32))

    time_ms = np.rint(points.time_s * 1e3).astype(np.int64)
    return pa.table(
        {
            "traj": pa.array(points.trip),
            "user": pa.array(points.person),
            "time": pa.array(time_ms).cast(pa.timestamp("ms")),
            "lat_udeg": microdegrees(points.lat_deg),
            "lon_udeg": microdegrees(points.lon_deg),
        }
    )
