"""Tables in Parquet files: footers checked before a row is read, written byte for byte.

GeoParquet is read here with pyarrow and our own check of each geometry; GDAL is never asked.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, Final

from engine.cities.footers import Footer, read_footer
from engine.cities.format import MAX_TABLE_BYTES, MAX_TABLE_ROWS
from engine.errors import CityDamagedError, EngineError
from engine.geo.wkb import check_wkb

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

MAX_VERTICES: Final = 5_000_000
"""All geometries of one table together."""
_CRS = "EPSG:4326"
_COMPRESSION_LEVEL: Final = 15


@dataclass(frozen=True)
class OpenTable:
    """A Parquet file whose footer was checked.

    Args:
        parquet: to read from; never ask it for the description of a column.
        footer: what it declares.
    """

    parquet: "pq.ParquetFile"
    footer: Footer


def open_table(file: IO[bytes], where: str, columns: Sequence[str] = ()) -> OpenTable:
    """Open a Parquet file and check what its footer declares.

    Args:
        file: seekable.
        where: its name, for messages.
        columns: columns that must be there.

    Raises:
        CityDamagedError: no Parquet, truncated, too large, or a column is missing.
    """
    import pyarrow.parquet as pq

    footer = read_footer(file, where)
    if footer.num_rows > MAX_TABLE_ROWS:
        raise _damaged(f"The table declares {footer.num_rows:,} rows", where)
    for group in footer.row_groups:
        num_values = max((column.num_values for column in group.columns), default=0)
        num_bytes = max(group.num_bytes, sum(column.num_bytes for column in group.columns))
        if max(num_bytes, num_values * 8) > MAX_TABLE_BYTES:
            raise _damaged("The table declares more than can be read", where)
    with _damage(where):
        table = pq.ParquetFile(
            file, thrift_string_size_limit=2**24, thrift_container_size_limit=2**20
        )
    missing = sorted(set(columns) - set(table.schema_arrow.names))
    if missing:
        raise _damaged(f"The table lacks the column '{missing[0]}'", where)
    return OpenTable(table, footer)


def read_table(file: IO[bytes], where: str, columns: Mapping[str, str]) -> "pd.DataFrame":
    """Read a small table.

    Args:
        file: seekable.
        where: its name, for messages.
        columns: the columns that must be there, each with its Arrow type.

    Raises:
        CityDamagedError: see :func:`open_table`; or a column of another type.
    """
    table = _read_all(file, where, columns)
    with _damage(where):
        return _to_pandas(table)


def read_geo_table(file: IO[bytes], where: str, columns: Mapping[str, str]) -> "gpd.GeoDataFrame":
    """Read a small GeoParquet table in EPSG:4326.

    Raises:
        CityDamagedError: see :func:`open_table`; or a geometry that is none or beyond the limits.
    """
    import geopandas as gpd
    import shapely

    table = _read_all(file, where, {**columns, "geometry": "binary"})
    _check_geo_metadata(table.schema.metadata or {}, where)
    blobs = table.column("geometry").to_pylist()
    num_vertices = 0
    for row, blob in enumerate(blobs):
        if blob is None:
            raise _damaged("A row has no geometry", f"{where}: row {row}")
        try:
            num_vertices += check_wkb(blob)
        except EngineError as error:
            raise _damaged(error.what.rstrip("."), f"{where}: row {row}") from error
    if num_vertices > MAX_VERTICES:
        raise _damaged(f"The table holds {num_vertices:,} vertices", where)
    with _damage(where):
        frame = _to_pandas(table.drop_columns(["geometry"]))
        try:
            shapes = shapely.from_wkb(blobs)
        except shapely.errors.ShapelyError as error:
            raise _damaged("A geometry cannot be read", where) from error
        return gpd.GeoDataFrame(frame, geometry=shapes, crs=_CRS)


def pack_table(table: "pa.Table", row_group_rows: int = 65_536, plain: Sequence[str] = ()) -> bytes:
    """The bytes of a Parquet file; equal tables give equal bytes.

    Args:
        table: what to write.
        row_group_rows: rows read together.
        plain: integer columns (leaf paths) whose neighbours are close, stored as differences.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    leaves = _leaf_paths(table.schema)
    target = pa.BufferOutputStream()
    pq.write_table(
        table,
        target,
        row_group_size=row_group_rows,
        compression="zstd",
        compression_level=_COMPRESSION_LEVEL,
        use_dictionary=[leaf for leaf in leaves if leaf not in plain],
        column_encoding=dict.fromkeys(plain, "DELTA_BINARY_PACKED"),
        write_statistics=True,
        version="2.6",
    )
    return bytes(target.getvalue())


def pack_frame(frame: "pd.DataFrame", columns: Mapping[str, str]) -> bytes:
    """The bytes of a small table with exactly these columns, in this order.

    Raises:
        CityDamagedError: a column is missing or cannot be stored as its type.
    """
    return pack_table(_arrow(frame, columns))


def pack_geo_frame(
    frame: "gpd.GeoDataFrame", columns: Mapping[str, str], notes: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of a GeoParquet table in EPSG:4326 (version 1.0.0 of its specification).

    Args:
        frame: the rows.
        columns: the columns to write, each with its Arrow type.
        notes: what else the file says of itself, by name.

    Raises:
        CityDamagedError: a column is missing, or a geometry cannot be stored.
    """
    import pyarrow as pa
    import shapely

    where = ", ".join(columns)
    if frame.crs is None or frame.crs.to_epsg() != 4326:
        raise _damaged("A table's geometry is not in EPSG:4326", where)
    shapes = frame.geometry.to_numpy()
    if len(shapes) and bool(shapely.is_missing(shapes).any()):
        raise _damaged("A row has no geometry", where)
    blobs = shapely.to_wkb(shapely.force_2d(shapes), byte_order=1)
    for blob in blobs:
        check_wkb(blob)
    table = _arrow(frame, columns).append_column("geometry", pa.array(blobs, pa.binary()))
    kinds = sorted(set(frame.geometry.geom_type))
    bounds = [float(v) for v in frame.total_bounds] if len(frame) else []
    geo: dict[str, Any] = {"encoding": "WKB", "crs": _crs_json(), "geometry_types": kinds}
    if bounds:
        geo["bbox"] = bounds
    head = {"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": geo}}
    metadata = {**(notes or {}), "geo": json.dumps(head, sort_keys=True)}
    return pack_table(table.replace_schema_metadata(metadata))


def _arrow(frame: "pd.DataFrame", columns: Mapping[str, str]) -> "pa.Table":
    import pyarrow as pa

    missing = sorted(set(columns) - set(frame.columns))
    if missing:
        raise _damaged(f"A table lacks the column '{missing[0]}'", ", ".join(columns))
    types = {name: arrow_type(kind) for name, kind in columns.items()}
    with _damage(", ".join(columns)):
        arrays = [pa.array(frame[name], type=kind) for name, kind in types.items()]
    return pa.table(arrays, names=list(columns))


def arrow_type(kind: str) -> "pa.DataType":
    """The Arrow type of a name such as ``string``, ``time`` (UTC, ms) or ``list<int32>``."""
    import pyarrow as pa

    if kind.startswith("list<"):
        return pa.list_(arrow_type(kind[5:-1]))
    if kind == "time":
        return pa.timestamp("ms", tz="UTC")
    return pa.type_for_alias(kind)


def _read_all(file: IO[bytes], where: str, columns: Mapping[str, str]) -> "pa.Table":
    opened = open_table(file, where, tuple(columns))
    if sum(group.num_bytes for group in opened.footer.row_groups) > MAX_TABLE_BYTES:
        raise _damaged("The table declares more than can be read", where)
    with _damage(where):
        table = opened.parquet.read(columns=list(columns), use_threads=False)
        for name, kind in columns.items():
            if not _is_of_kind(table.schema.field(name).type, kind):
                found = str(table.schema.field(name).type)
                raise _damaged(f"The column '{name}' is {found}, not {kind}", where)
        return table


def _to_pandas(table: "pa.Table") -> "pd.DataFrame":
    """The rows with missing text as empty text, so that no page shows "nan"."""
    import pyarrow.compute as pc
    import pyarrow.types as pat

    for index, field in enumerate(table.schema):
        if pat.is_string(field.type) or pat.is_large_string(field.type):
            table = table.set_column(index, field, pc.fill_null(table.column(index), ""))
    return table.to_pandas()


def _is_of_kind(found: "pa.DataType", kind: str) -> bool:
    """Whether a stored type can stand for the wanted one: the same family, whatever its width."""
    import pyarrow.types as pat

    families = {
        "string": (pat.is_string, pat.is_large_string, pat.is_dictionary),
        "int": (pat.is_integer,),
        "float": (pat.is_floating, pat.is_integer),
        "double": (pat.is_floating, pat.is_integer),
        "bool": (pat.is_boolean,),
        "time": (pat.is_timestamp,),
        "list": (pat.is_list, pat.is_large_list),
        "binary": (pat.is_binary, pat.is_large_binary),
    }
    family = kind.partition("<")[0].rstrip("0123456789")
    return any(fits(found) for fits in families[family])


def _check_geo_metadata(metadata: Mapping[bytes, bytes], where: str) -> None:
    try:
        head = json.loads(metadata[b"geo"])
        column = head["columns"][head["primary_column"]]
        crs = column.get("crs", {"id": {"code": "CRS84"}})
        code = str(crs["id"]["code"])
        fits = head["primary_column"] == "geometry" and column["encoding"] == "WKB"
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _damaged("The table says nothing of its geometry", where) from error
    if not fits or code not in ("4326", "CRS84"):
        raise _damaged("The geometry must be WKB in EPSG:4326", f"{where}: {code[:20]}")


def _leaf_paths(schema: "pa.Schema") -> list[str]:
    import pyarrow.types as pat

    return [f"{f.name}.list.element" if pat.is_list(f.type) else f.name for f in schema]


@lru_cache(maxsize=1)
def _crs_json() -> dict[str, Any]:
    from pyproj import CRS

    return dict(CRS.from_user_input(_CRS).to_json_dict())


@contextmanager
def _damage(where: str) -> Iterator[None]:
    """Turn what Arrow says about broken bytes into a CityDamagedError."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        detail = str(error).partition("\n")[0][:160]
        raise _damaged("The table cannot be read", f"{where}: {detail}") from error


def _damaged(what: str, where: str) -> CityDamagedError:
    return CityDamagedError(
        f"{what}.", where, "Restore the file, or import or simulate the city again."
    )
