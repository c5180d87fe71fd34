"""Answers as NetCDF, by the CF conventions; frame by frame, in memory of one frame.

The classic format keeps its records, one a frame, one behind the other at the end of the file. So
the first frame is written with scipy, the others are appended, and their number goes into the
header last.

Source: CF Metadata Conventions 1.11; NetCDF Classic and 64-bit Offset Format (OGC 11-072).
"""

from collections.abc import Iterable, Iterator
from datetime import UTC
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import FieldError
from engine.geo.cells import cell_centers
from engine.scenarios.answers import AnswerFrame, AnswerLayout

if TYPE_CHECKING:
    from scipy.io import netcdf_file

Part = NDArray[np.generic]
CONVENTIONS = "CF-1.11"
EPOCH = "seconds since 1970-01-01 00:00:00 +00:00"
NUM_RECORDS_AT = 4
"""Where the header holds the number of records."""

FILL_BYTE = b"\x81"
"""Fills the end of a record's bytes up to a multiple of four."""

TITLES = {
    "estimate": "most likely value",
    "lower": "lower end of the 90 % band",
    "upper": "upper end of the 90 % band",
    "uncertainty": "width of the 90 % band",
    "truth": "true value",
    "error": "absolute error of the estimate",
}
_RATES = {"km/h": "km h-1", "mph": "mi h-1", "µg/m³": "ug m-3"}
"""Units as UDUNITS spells them; counts and shares are pure numbers there."""


def write_netcdf(file: IO[bytes], layout: AnswerLayout, frames: Iterable[AnswerFrame]) -> None:
    """Write frames, the first one first.

    Args:
        file: empty, open for writing, seekable.
        layout: what the frames share.
        frames: at least one, in order of time.

    Raises:
        FieldError: there are no frames, or one does not fit.
    """
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise FieldError("There are no frames to write.")
    file.write(_head(layout, first))
    count = 1
    for frame in rest:
        for part in _record(layout, frame):
            content = part.tobytes()
            file.write(content + -len(content) % 4 * FILL_BYTE)
        count += 1
    file.seek(NUM_RECORDS_AT)
    file.write(count.to_bytes(4, "big"))


def _head(layout: AnswerLayout, first: AnswerFrame) -> bytes:
    """The header, the fixed variables and the first record."""
    from scipy.io import netcdf_file

    content = BytesIO()
    dataset = netcdf_file(content, "w", version=2)
    lon, lat = cell_centers(layout.grid)
    for name, size in (("time", None), ("bound", 2), ("lat", len(lat)), ("lon", lon.shape[1])):
        dataset.createDimension(name, size)
    _axis(dataset, "lat", lat[:, 0], "latitude", "degrees_north")
    _axis(dataset, "lon", lon[0], "longitude", "degrees_east")
    for (name, kind, dimensions), part in zip(
        _columns(layout), _record(layout, first), strict=True
    ):
        variable = dataset.createVariable(name, kind, dimensions)
        variable[0] = part
        _describe(variable, _attributes(layout, name))
    texts = {name: text for name, text in layout.provenance.texts().items() if text}
    _describe(
        dataset, {"Conventions": CONVENTIONS, "source": "Citybrush", "crs": "EPSG:4326", **texts}
    )
    dataset.flush()
    return content.getvalue()


def _axis(dataset: "netcdf_file", name: str, values: Part, title: str, units: str) -> None:
    variable = dataset.createVariable(name, "f8", (name,))
    variable[:] = values
    _describe(variable, {"standard_name": title, "long_name": title, "units": units})


def _describe(target: object, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        setattr(target, name, value.encode() if isinstance(value, str) else value)


def _columns(layout: AnswerLayout) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name, type and dimensions of each part of a record."""
    place = ("time", "lat", "lon")
    yield "time", "f8", ("time",)
    yield "time_bounds", "f8", ("time", "bound")
    yield "sensor", "i1", place
    yield from ((name, "f4", place) for name in layout.names)


def _record(layout: AnswerLayout, frame: AnswerFrame) -> Iterator[Part]:
    """The parts of a record, big-endian."""
    frame = frame.checked(layout)
    begin = frame.time.astimezone(UTC).timestamp()
    yield np.array(begin, ">f8")
    yield np.array([begin, begin + layout.step.total_seconds()], ">f8")
    yield frame.working(layout).astype(np.int8)
    yield from (frame.maps[name].astype(">f4") for name in layout.names)


def _attributes(layout: AnswerLayout, name: str) -> dict[str, Any]:
    if name == "time_bounds":
        return {}
    if name == "time":
        title = {"standard_name": "time", "long_name": "beginning of the frame"}
        return {**title, "units": EPOCH, "calendar": "standard", "bounds": "time_bounds"}
    if name == "sensor":
        return {
            "long_name": "whether the sensor around the cell worked",
            "flag_values": np.array([0, 1], np.int8),
            "flag_meanings": "missing working",
        }
    return {
        "long_name": TITLES.get(name, name),
        "units": next((u for unit, u in _RATES.items() if layout.unit.startswith(unit)), "1"),
        "unit_in_words": layout.unit,
    }
