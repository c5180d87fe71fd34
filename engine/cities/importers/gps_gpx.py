"""GPX 1.0 and 1.1 tracks, read as a stream.

The parser is expat with document type declarations refused: without them there are no entities
to expand and nothing to fetch. Routes and waypoints have no times and are passed over.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.parsers import expat

import numpy as np

from engine.cities.importers.gps import UNKNOWN_PERSON, GpsPoints, check_file, check_points
from engine.errors import InputError

READ_BYTES = 2**20
CHUNK_POINTS = 65_536
MAX_DEPTH = 32
MAX_TEXT = 100
"""Signs of a time; longer text inside one is an attack or an error."""


def read_gpx_points(path: Path, time_zone_known: bool = True) -> Iterator[GpsPoints]:
    """Points of all track segments, each segment a trip, in chunks.

    Args:
        path: the file.
        time_zone_known: refuse times without an offset; otherwise they are taken as UTC.

    Raises:
        InputError: malformed XML, a document type declaration, a point without position or time.
    """
    check_file(path)
    reader = _Reader(path.name, time_zone_known)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    reader.parser = parser
    with path.open("rb") as file:
        try:
            while block := file.read(READ_BYTES):
                parser.Parse(block, False)
                if len(reader.rows) >= CHUNK_POINTS:
                    yield reader.take()
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise InputError(
                "The file is no well-formed XML.", f"{path.name}, line {error.lineno}"
            ) from error
    if not reader.saw_gpx:
        raise InputError("The file is no GPX file.", path.name)
    if reader.rows:
        yield reader.take()
    elif not reader.num_points:
        raise InputError("The file holds no track points.", path.name)


class _Reader:
    """Collects track points while expat walks through the file."""

    parser: "expat.XMLParserType"

    def __init__(self, name: str, time_zone_known: bool) -> None:
        self.rows: list[tuple[float, float, float, float]] = []
        self.num_points = 0
        self.saw_gpx = False
        self._name = name
        self._time_zone_known = time_zone_known
        self._depth = 0
        self._trip = -1
        self._position: tuple[float, float] | None = None
        self._time: str | None = None
        self._in_time = False

    @property
    def _where(self) -> str:
        return f"{self._name}, line {self.parser.CurrentLineNumber}"

    def refuse_doctype(self, *_: object) -> None:
        raise InputError(
            "The file has a document type declaration, which GPX files do not have.", self._where
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InputError("The file's elements are nested too deeply.", self._where)
        if self._depth == 1:
            self.saw_gpx = name == "gpx"
        elif name == "trkseg":
            self._trip += 1
        elif name == "trkpt":
            self._position, self._time = self._read_position(attributes), None
        elif name == "time" and self._position is not None:
            self._in_time, self._time = True, ""

    def text(self, text: str) -> None:
        if self._in_time and self._time is not None:
            self._time += text
            if len(self._time) > MAX_TEXT:
                raise InputError("A time is longer than any time is.", self._where)

    def end(self, tag: str) -> None:
        name = tag.rpartition(" ")[2]
        self._depth -= 1
        if name == "time":
            self._in_time = False
        elif name == "trkpt" and self._position is not None:
            lon, lat = self._position
            self.rows.append((float(self._trip), self._read_time(), lon, lat))
            self.num_points += 1
            self._position = None

    def take(self) -> GpsPoints:
        """The points collected so far, checked."""
        trip, time_s, lon, lat = np.array(self.rows).T
        person = np.full(len(trip), UNKNOWN_PERSON, np.int64)
        points = GpsPoints(trip.astype(np.int64), person, time_s, lon, lat)
        self.rows = []
        return check_points(points, self._name)

    def _read_position(self, attributes: dict[str, str]) -> tuple[float, float]:
        try:
            return float(attributes["lon"]), float(attributes["lat"])
        except (KeyError, ValueError) as error:
            raise InputError("A track point has no position.", self._where) from error

    def _read_time(self) -> float:
        if not self._time:
            raise InputError(
                "A track point has no time.", self._where, "Trips need the time of each point."
            )
        try:
            moment = datetime.fromisoformat(self._time.strip())
        except ValueError as error:
            raise InputError("A time cannot be read.", self._where) from error
        if moment.tzinfo is None:
            if self._time_zone_known:
                raise InputError(
                    "A time has no time zone.", self._where, "GPX times end in Z, for UTC."
                )
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
