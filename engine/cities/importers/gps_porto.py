"""The Porto taxi table: a row a trip, its points as JSON in the column POLYLINE.

A point is ``[longitude, latitude]``; points follow each other every 15 s from TIMESTAMP on, in
seconds since 1970, UTC. Rows with MISSING_DATA = True have gaps of unknown length and are left
out, as are empty trips.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.cities.importers.gps import GpsPoints, check_file, check_points
from engine.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

STEP_S = 15.0
COLUMNS = ("TRIP_ID", "TAXI_ID", "TIMESTAMP", "MISSING_DATA", "POLYLINE")
BLOCK_BYTES = 8 * 2**20
MAX_POLYLINE = 2 * 2**20
"""Signs of one trip; the longest published one has under 200,000."""


def read_porto_points(path: Path) -> Iterator[GpsPoints]:
    """Points of all trips, in chunks of whole trips; trips are numbered by row.

    Raises:
        InputError: the file cannot be read, columns are missing, or a trip is malformed.
    """
    import pyarrow as pa
    from pyarrow import csv

    check_file(path)
    convert = csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()))
    parse = csv.ParseOptions(newlines_in_values=False)
    try:
        reader = csv.open_csv(path, csv.ReadOptions(block_size=BLOCK_BYTES), parse, convert)
        missing = [name for name in COLUMNS if name not in reader.schema.names]
        if missing:
            raise InputError(
                f"The table has no column {', '.join(missing)}.",
                path.name,
                f"It has: {', '.join(reader.schema.names[:20])}.",
            )
        row = 0
        for batch in reader:
            points = _read_block(batch, row, path.name)
            row += batch.num_rows
            if len(points):
                yield points
    except (pa.ArrowException, OSError) as error:
        raise InputError("The table cannot be read.", f"{path.name}: {error}"[:300]) from error


def _read_block(batch: "pa.RecordBatch", first_row: int, name: str) -> GpsPoints:
    columns = {column: batch.column(column).to_pylist() for column in COLUMNS}
    trips: list[tuple[int, int, float, NDArray[np.float64]]] = []
    for index in range(batch.num_rows):
        # row 1 is the header
        where = f"{name}, row {first_row + index + 2}"
        if columns["MISSING_DATA"][index] == "True":
            continue
        places = _parse_polyline(columns["POLYLINE"][index], where)
        if len(places):
            start = _whole(columns["TIMESTAMP"][index], "TIMESTAMP", where)
            taxi = _whole(columns["TAXI_ID"][index], "TAXI_ID", where)
            trips.append((first_row + index, taxi, float(start), places))
    if not trips:
        none = np.zeros(0)
        return GpsPoints(none.astype(np.int64), none.astype(np.int64), none, none, none)
    counts = [len(places) for *_, places in trips]
    lon, lat = np.concatenate([places for *_, places in trips]).T
    points = GpsPoints(
        np.repeat(np.array([trip[0] for trip in trips], np.int64), counts),
        np.repeat(np.array([trip[1] for trip in trips], np.int64), counts),
        np.concatenate([trip[2] + STEP_S * np.arange(len(trip[3])) for trip in trips]),
        lon,
        lat,
    )
    return check_points(points, f"{name}, rows {first_row + 2} to {first_row + batch.num_rows + 1}")


def _parse_polyline(text: str | None, where: str) -> NDArray[np.float64]:
    """(n, 2) longitudes and latitudes."""
    if text is None or len(text) > MAX_POLYLINE:
        raise InputError("A trip's POLYLINE is missing or too long.", where)
    try:
        places = np.array(json.loads(text), dtype=np.float64)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise InputError("A trip's POLYLINE is no list of positions.", where) from error
    if places.size == 0:
        return np.zeros((0, 2))
    if places.ndim != 2 or places.shape[1] != 2:
        raise InputError("A trip's POLYLINE is no list of pairs.", where)
    return places


def _whole(text: str | None, column: str, where: str) -> int:
    try:
        return int(text or "")
    except ValueError as error:
        raise InputError(f"{column} is no whole number.", where) from error
