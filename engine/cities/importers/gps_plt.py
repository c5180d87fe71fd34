"""Geolife's ``.plt`` files: six lines of header, then one point a line.

A line is ``latitude,longitude,0,altitude in feet,days since 1899-12-30,date,time``, in GMT.
A folder is read as published: ``Data/PERSON/Trajectory/*.plt``, the person's number in the path.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from engine.cities.importers.gps import UNKNOWN_PERSON, GpsPoints, check_file, check_points
from engine.errors import InputError

HEADER_LINES = 6
NUM_FIELDS = 7
MAX_LINE = 200
MAX_FILES = 1_000_000
MAX_BYTES = 256 * 2**20
"""The longest published file has 6 MiB."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_plt_points(path: Path) -> Iterator[GpsPoints]:
    """Points of one file, or of all ``.plt`` files below a folder, one file a chunk.

    Raises:
        InputError: there is none, or a file is damaged.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.plt"))
    if not files:
        raise InputError("There are no .plt files here.", str(path))
    if len(files) > MAX_FILES:
        raise InputError(f"There are more than {MAX_FILES:,} files.", str(path))
    people: dict[str, int] = {}
    for number, file in enumerate(files):
        yield read_plt_file(file, number, _person(file, people))


def _person(file: Path, people: dict[str, int]) -> int:
    """The person of a file, from the folder above ``Trajectory``."""
    if file.parent.name.lower() != "trajectory":
        return UNKNOWN_PERSON
    name = file.parent.parent.name
    # the published folders are numbers; others are numbered beyond them
    return int(name) if name.isdecimal() else people.setdefault(name, 10**6 + len(people))


def read_plt_file(path: Path, trip: int, person: int) -> GpsPoints:
    """One trip.

    Args:
        path: the file.
        trip: number that its points get.
        person: likewise.

    Raises:
        InputError: it is no such file.
    """
    check_file(path)
    if path.stat().st_size > MAX_BYTES:
        raise InputError("The file is too large for a .plt file.", path.name)
    rows: list[tuple[float, float, float]] = []
    try:
        with path.open(encoding="ascii") as lines:
            for number, line in enumerate(lines, start=1):
                if number > HEADER_LINES and line.strip():
                    rows.append(_parse_line(line, f"{path.name}, line {number}"))
    except UnicodeDecodeError as error:
        raise InputError("The file is no text in ASCII.", path.name) from error
    if not rows:
        raise InputError("The file holds no points below its six lines of header.", path.name)
    lat, lon, time_s = np.array(rows).T
    num = len(rows)
    points = GpsPoints(np.full(num, trip), np.full(num, person), time_s, lon, lat)
    return check_points(points, path.name)


def _parse_line(line: str, where: str) -> tuple[float, float, float]:
    """Latitude, longitude and seconds UTC."""
    parts = line[:MAX_LINE].strip().split(",")
    if len(parts) != NUM_FIELDS:
        raise InputError(
            f"A line has {len(parts)} fields; Geolife's have {NUM_FIELDS}.",
            where,
            "Expected: latitude, longitude, 0, altitude, days, date, time.",
        )
    try:
        moment = datetime.fromisoformat(f"{parts[5]}T{parts[6]}").replace(tzinfo=UTC)
        return float(parts[0]), float(parts[1]), (moment - _EPOCH).total_seconds()
    except ValueError as error:
        raise InputError("A position or a time cannot be read.", where, str(error)[:100]) from error
