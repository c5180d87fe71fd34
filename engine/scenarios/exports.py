"""Answers as CSV and GeoParquet, and every kind of export by its name."""

import json
from collections.abc import Iterable
from enum import StrEnum
from io import BytesIO
from typing import IO

import numpy as np

from engine.errors import FieldError
from engine.geo.cells import cell_centers, cells_frame
from engine.scenarios.answers import AnswerFrame, AnswerLayout
from engine.scenarios.netcdf import write_netcdf

MAX_ROWS = 1_000_000
"""The longest GeoParquet table; each row has a polygon of its own."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NOTE = "# "
"""Begins each line of the CSV that is about the file, not of it."""


class ExportKind(StrEnum):
    """What an answer can be written as."""

    CSV = "csv"
    GEOPARQUET = "geoparquet"
    NETCDF = "netcdf"

    @property
    def suffix(self) -> str:
        """End of the file's name, with its dot."""
        return {"csv": ".csv", "geoparquet": ".parquet", "netcdf": ".nc"}[self.value]

    @property
    def media_type(self) -> str:
        """As browsers know it."""
        return {
            "csv": "text/csv",
            "geoparquet": "application/vnd.apache.parquet",
            "netcdf": "application/x-netcdf",
        }[self.value]


def export_answer(kind: ExportKind, layout: AnswerLayout, frames: Iterable[AnswerFrame]) -> bytes:
    """An answer as the content of a file.

    Args:
        kind: which format.
        layout: what the frames share.
        frames: at least one, in order of time.

    Raises:
        FieldError: there are no frames, too many for a GeoParquet table, or one does not fit.
        MaskError: a mask is of another shape.
    """
    content = BytesIO()
    write_answer(content, kind, layout, frames)
    return content.getvalue()


def write_answer(
    file: IO[bytes], kind: ExportKind, layout: AnswerLayout, frames: Iterable[AnswerFrame]
) -> None:
    """The same into an open file; CSV and NetCDF hold one frame in memory at a time.

    Args:
        file: empty, open for writing, seekable.
        kind: which format.
        layout: what the frames share.
        frames: at least one, in order of time.

    Raises:
        FieldError, MaskError: as :func:`export_answer`.
    """
    writers = {
        ExportKind.CSV: _write_csv,
        ExportKind.GEOPARQUET: _write_geoparquet,
        ExportKind.NETCDF: write_netcdf,
    }
    writers[kind](file, layout, frames)


def csv_text(text: str) -> str:
    """Text as one cell of a CSV file, quoted, never a formula of a spreadsheet."""
    plain = f"'{text}" if text.startswith(_FORMULA_STARTS) else text
    doubled = plain.replace('"', '""')
    return f'"{doubled}"'


def _write_csv(file: IO[bytes], layout: AnswerLayout, frames: Iterable[AnswerFrame]) -> None:
    grid = layout.grid
    for name, text in layout.provenance.texts().items():
        if text:
            file.write(f"{_NOTE}{name},{csv_text(text)}\n".encode())
    heads = [f"{name} ({layout.unit})" for name in layout.names]
    columns = ["time", "cell", "row", "col", "lon", "lat", "sensor", *heads]
    file.write((",".join(csv_text(column) for column in columns) + "\n").encode())
    row, col = (index.ravel() for index in np.indices(grid.shape))
    lon, lat = (np.round(axis.ravel(), 7) for axis in cell_centers(grid))
    places = [
        ",".join(map(str, place))
        for place in zip(
            range(grid.num_cells),
            row.tolist(),
            col.tolist(),
            lon.tolist(),
            lat.tolist(),
            strict=True,
        )
    ]
    num_frames = 0
    for frame in frames:
        frame = frame.checked(layout)
        moment = frame.time.isoformat()
        works = frame.working(layout).ravel().astype(np.int8).astype(str)
        cells = [_numbers(frame, name) for name in layout.names]
        rows = zip(places, works, *cells, strict=True)
        file.write("".join(f"{moment},{','.join(parts)}\n" for parts in rows).encode())
        num_frames += 1
    if not num_frames:
        raise FieldError("There are no frames to write.")


def _numbers(frame: AnswerFrame, name: str) -> list[str]:
    """Shortest texts that give back the very same numbers; nothing for what is not known."""
    values = frame.maps[name].ravel()
    texts = values.astype(np.float32).astype(str)
    return np.where(np.isnan(values), "", texts).tolist()


def _write_geoparquet(file: IO[bytes], layout: AnswerLayout, frames: Iterable[AnswerFrame]) -> None:
    import pandas as pd

    from engine.cities.tables import pack_geo_frame

    cells = cells_frame(layout.grid)
    parts = []
    for frame in frames:
        frame = frame.checked(layout)
        part = cells.assign(
            time=frame.time,
            cell=np.arange(layout.grid.num_cells),
            sensor=frame.working(layout).ravel(),
            **{name: frame.maps[name].ravel() for name in layout.names},
        )
        parts.append(part)
        if len(parts) * layout.grid.num_cells > MAX_ROWS:
            raise FieldError(
                f"A GeoParquet table holds at most {MAX_ROWS:,} rows.",
                f"{layout.grid.num_cells:,} cells a frame",
                "Write fewer frames, or NetCDF.",
            )
    if not parts:
        raise FieldError("There are no frames to write.")
    types = {"time": "time", "cell": "int32", "row": "int32", "col": "int32", "sensor": "bool"}
    types |= dict.fromkeys(layout.names, "float")
    units = json.dumps(dict.fromkeys(layout.names, layout.unit), ensure_ascii=False)
    notes = {**layout.provenance.texts(), "units": units}
    file.write(pack_geo_frame(pd.concat(parts, ignore_index=True), types, notes))
