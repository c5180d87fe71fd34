"""Tables with a row for each time and place, as CSV or Parquet: grid cells or stations.

Such as TAP (Tracking Air Pollution in China) hands out its grids, and most sensor networks their
stations. A mapping says which columns mean what.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.cities.format import MAX_ARRAY_BYTES
from engine.cities.importers.gridded import (
    MAX_IMPORT_BYTES,
    Channel,
    FrameClock,
    Frames,
    GriddedImport,
    GriddedRules,
    Instants,
    assemble_import,
    check_values,
    read_as_input,
)
from engine.cities.importers.gridded_clock import clock_of_walls
from engine.cities.tables import open_table
from engine.domain import Aggregation, Grid
from engine.errors import InputError
from engine.geo.cells import OUTSIDE, cells_of

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS: Final = 50_000_000
_REGULAR_TOLERANCE: Final = 0.01
_HEADER_BYTES: Final = 65_536
_OFFSET = re.compile(r".*(?:Z|[+-]\d\d:?\d\d)")


@dataclass(frozen=True)
class TableColumns:
    """Which columns mean what.

    Args:
        time: ISO 8601, with an offset, or local without.
        value: what was measured.
        lon: longitude of the cell's middle or the station, degrees.
        lat: its latitude.
        station: its name, where the stations' positions stand in a table of their own.
    """

    time: str
    value: str
    lon: str = "lon"
    lat: str = "lat"
    station: str | None = None


@dataclass(frozen=True)
class TableTarget:
    """What becomes of the rows.

    Args:
        channel: name, title, unit and rule of the field.
        zone: IANA name of the zone of local times, and for showing.
        step: length of a step; the smallest distance of two times when None.
        grid: the cells; None takes those of the rows themselves, if they are regular.
        absent_is_zero: whether a cell without a row at a time that has others counts as zero
            (as in lists of counts), instead of missing.
    """

    channel: Channel
    zone: str
    step: timedelta | None = None
    grid: Grid | None = None
    absent_is_zero: bool = False


@dataclass(frozen=True)
class _Rows:
    """L rows: instants or walls by number, positions, values."""

    times: NDArray[np.object_]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    values: NDArray[np.float64]

    def take(self, chosen: NDArray[np.int64]) -> "_Rows":
        """The rows of these numbers."""
        return _Rows(self.times[chosen], self.lon[chosen], self.lat[chosen], self.values[chosen])


def read_grid_table(
    path: Path,
    columns: TableColumns,
    target: TableTarget,
    rules: GriddedRules,
    stations: Path | None = None,
) -> GriddedImport:
    """Read a table of cells or stations.

    Args:
        path: ``.csv`` or ``.parquet``.
        columns: which mean what.
        target: what becomes of them. Places in the same cell are added or averaged.
        rules: bounds and the order of rows are not used: positions say it all.
        stations: table with the columns ``station``, ``lon``, ``lat`` of the mapping.

    Raises:
        InputError: the file, a column, a time, a position or a value does not fit.
    """
    rows = _read_rows(path, columns, stations)
    bad = check_values(rows.values.reshape(-1, 1, 1), path.name, rules)
    rows = _Rows(rows.times, rows.lon, rows.lat, bad[0].reshape(-1).astype(np.float64))
    grid = target.grid or _regular_grid(rows, rules.magnification, path.name)
    moments, index = np.unique(rows.times, return_inverse=True)
    clock = _clock([str(moment) for moment in moments], target, path.name)
    kept = _without_twins(rows, index, rules, path.name)
    num_twice = len(index) - len(kept)
    rows, index = rows.take(kept), index[kept]
    row, col = cells_of(grid, rows.lon, rows.lat)
    inside = row != OUTSIDE
    notes = [f"{int((~inside).sum()):,} rows lie outside of the grid."] if not inside.all() else []
    if not inside.any():
        raise InputError("No row lies inside the grid.", path.name, "Check bounds and columns.")
    if len(moments) * grid.num_cells * 8 > MAX_ARRAY_BYTES:
        raise InputError("The table makes too large a field.", f"{len(moments):,} times")
    flat = index * grid.num_cells + row * grid.cols + col
    frames = _fill(flat[inside], rows.values[inside], (len(moments), *grid.shape), target)
    rules = GriddedRules(
        **(vars(rules) | {"bounds": grid.bounds, "magnification": grid.magnification})
        | {"north_first": True, "mark_bad": True}
    )
    notes += [f"{num_twice:,} rows that repeat another are left out."] if num_twice else []
    notes += [f"{bad[1]:,} impossible values are marked as missing."] if bad[1] else []
    done = assemble_import({target.channel: frames}, clock, grid.bounds, rules, path.name)
    said = [note for note in done.notes if "impossible" not in note]  # empty cells are no values
    return GriddedImport(done.fields, (*notes, *said))


def _fill(
    flat: NDArray[np.int64],
    values: NDArray[np.float64],
    shape: tuple[int, int, int],
    target: TableTarget,
) -> Frames:
    """(T, R, C): rows added or averaged by cell; NaN, or zero, where no row is."""
    size = int(np.prod(shape))
    known = np.isfinite(values)
    counts = np.bincount(flat[known], minlength=size)
    total = np.bincount(flat[known], values[known], size)
    if target.channel.aggregation is Aggregation.MEAN:
        np.divide(total, counts, out=total, where=counts > 0)
    absent = counts == 0
    if target.absent_is_zero:
        absent &= np.bincount(flat[~known], minlength=size) > 0
    total[absent] = np.nan
    return total.reshape(shape)


def _regular_grid(rows: _Rows, magnification: int, where: str) -> Grid:
    """The grid whose cells' middles are the rows' positions."""
    west, east, cols = _regular_axis(rows.lon, "longitudes", where)
    south, north, num_rows = _regular_axis(rows.lat, "latitudes", where)
    return Grid(west, south, east, north, num_rows, cols, magnification)


def _regular_axis(places: NDArray[np.float64], name: str, where: str) -> tuple[float, float, int]:
    known = np.unique(np.round(places, 7))
    gaps = np.diff(known)
    step = float(gaps.min()) if len(gaps) else 0.0
    multiples = gaps / step if step else gaps
    if not step or (np.abs(multiples - np.rint(multiples)) > _REGULAR_TOLERANCE).any():
        raise InputError(
            f"The {name} of the rows are no regular grid.",
            where,
            "Give bounds, rows and columns of a grid to lay them on.",
        )
    count = round((known[-1] - known[0]) / step) + 1
    step = float(known[-1] - known[0]) / (count - 1)
    return float(known[0]) - step / 2, float(known[-1]) + step / 2, count


def _clock(moments: list[str], target: TableTarget, where: str) -> FrameClock:
    import pandas as pd

    aware = [bool(_OFFSET.fullmatch(moment[10:])) for moment in moments]
    if any(aware) != all(aware):
        raise InputError("Some times have an offset and some have none.", where)
    try:
        parsed = pd.to_datetime(moments, format="ISO8601", utc=all(aware))
    except (ValueError, OverflowError) as error:
        raise InputError(
            "A time cannot be read.", f"{where}: {str(error)[:120]}", "Use ISO 8601."
        ) from error
    if parsed.isna().any():
        raise InputError("A row has no time.", where)
    local = parsed.tz_convert(target.zone).tz_localize(None) if all(aware) else parsed
    walls = local.to_numpy().astype("datetime64[s]")
    step = target.step or _smallest_step(walls, where)
    if not all(aware):
        return clock_of_walls(walls, step, target.zone)
    instants: Instants = parsed.tz_localize(None).to_numpy().astype("datetime64[s]")
    return FrameClock(instants, step, target.zone)


def _smallest_step(walls: Instants, where: str) -> timedelta:
    gaps = np.diff(np.unique(walls)).astype(np.int64)
    if not len(gaps):
        raise InputError("One time alone has no step.", where, "Give the length of a step.")
    return timedelta(seconds=int(gaps.min()))


def _without_twins(
    rows: _Rows, index: NDArray[np.int64], rules: GriddedRules, where: str
) -> NDArray[np.int64]:
    """Numbers of the rows that are the first of their time and place."""
    _, place = np.unique(np.stack([rows.lon, rows.lat]), axis=1, return_inverse=True)
    place = place.reshape(-1)
    keys = index.astype(np.int64) * (int(place.max(initial=0)) + 1) + place
    _, first = np.unique(keys, return_index=True)
    num_twice = len(keys) - len(first)
    if num_twice and not rules.keep_first:
        row = int(np.setdiff1d(np.arange(len(keys)), first)[0])
        raise InputError(
            f"{num_twice:,} rows have the time and place of another one.",
            f"{where}: row {row + 1}, {rows.times[row]}",
            "Keep the first of each (--keep-first), or leave one of them out.",
        )
    return np.sort(first)


def _read_rows(path: Path, columns: TableColumns, stations: Path | None) -> _Rows:
    if stations is None:
        wanted = {columns.time: "text", columns.value: "number"}
        wanted |= {columns.lon: "number", columns.lat: "number"}
        table = _read_columns(path, wanted)
        lon, lat = table[columns.lon], table[columns.lat]
    else:
        if columns.station is None:
            raise InputError("Which column names the station?", path.name, "Map 'station'.")
        wanted = {columns.time: "text", columns.value: "number", columns.station: "text"}
        table = _read_columns(path, wanted)
        lon, lat = _positions(table[columns.station], columns, stations)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise InputError("A row has no position.", path.name)
    return _Rows(table[columns.time], lon, lat, table[columns.value])


def _positions(
    names: NDArray[np.object_], columns: TableColumns, stations: Path
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    name = columns.station or ""
    table = _read_columns(stations, {name: "text", columns.lon: "number", columns.lat: "number"})
    known, first = np.unique(table[name].astype(str), return_index=True)
    if len(known) != len(table[name]):
        raise InputError("A station stands twice in the table of stations.", stations.name)
    wanted, index = np.unique(names.astype(str), return_inverse=True)
    strangers = sorted(set(wanted) - set(known))
    if strangers:
        raise InputError(f"The station '{strangers[0][:60]}' has no position.", stations.name)
    rows = first[np.searchsorted(known, wanted)][index]
    return table[columns.lon][rows], table[columns.lat][rows]


def _read_columns(path: Path, wanted: dict[str, str]) -> dict[str, Any]:
    """The wanted columns of a CSV or Parquet file as arrays of text or numbers."""
    import pyarrow as pa

    def read() -> pa.Table:
        if path.stat().st_size > MAX_IMPORT_BYTES:
            raise InputError("The file is too large.", path.name)
        reader = _read_parquet if path.suffix == ".parquet" else _read_csv
        batches = []
        num_rows = 0
        for batch in reader(path, wanted):
            num_rows += batch.num_rows
            if num_rows > MAX_ROWS:
                raise InputError(f"The table has more than {MAX_ROWS:,} rows.", path.name)
            batches.append(pa.Table.from_batches([batch]))
        if not num_rows:
            raise InputError("The table has no rows.", path.name)
        return pa.concat_tables(batches)

    try:
        table = read_as_input(path.name, read)
        return {name: _to_array(table.column(name), kind) for name, kind in wanted.items()}
    except pa.ArrowException as error:
        detail = str(error).partition("\n")[0][:160]
        raise InputError("The table cannot be read.", f"{path.name}: {detail}") from error


def _to_array(column: "pa.ChunkedArray", kind: str) -> NDArray[Any]:
    import pyarrow as pa

    if kind == "number":
        return column.cast(pa.float64()).to_numpy()
    if pa.types.is_timestamp(column.type):
        return np.array([value and value.isoformat() for value in column.to_pylist()], object)
    return np.array(column.cast(pa.string()).fill_null("").to_pylist(), object)


def _read_csv(path: Path, wanted: dict[str, str]) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = next(csv.reader([file.readline(_HEADER_BYTES)]), [])
    _check_header(header, wanted, path.name)
    kinds = {"text": pa.string(), "number": pa.float64()}
    convert = arrow_csv.ConvertOptions(
        include_columns=list(wanted), column_types={n: kinds[k] for n, k in wanted.items()}
    )
    with arrow_csv.open_csv(path, convert_options=convert) as reader:
        yield from reader


def _read_parquet(path: Path, wanted: dict[str, str]) -> "Iterator[pa.RecordBatch]":
    with path.open("rb") as file:
        table = open_table(file, path.name).parquet
        _check_header(table.schema_arrow.names, wanted, path.name)
        yield from table.iter_batches(columns=list(wanted), use_threads=False)


def _check_header(header: list[str], wanted: dict[str, str], where: str) -> None:
    missing = [name for name in wanted if name not in header]
    if missing:
        raise InputError(
            f"The table has no column '{missing[0][:60]}'.",
            where,
            f"It has: {', '.join(header[:20])[:300]}. Say which is meant.",
        )
