"""The city format: names, kinds of files, limits. What a folder may be called and may hold."""

import re
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from engine.errors import InputError

FORMAT: Final = "citybrush-city"
VERSION: Final = 1
METADATA_NAME: Final = "city.json"

MAX_METADATA_BYTES: Final = 4 * 2**20
MAX_FILES: Final = 4_096
MAX_FILE_BYTES: Final = 2**30
"""One file on disk, in bytes."""
MAX_ARRAY_BYTES: Final = 2**30
"""One array once unpacked, in bytes: a year of 64 x 64 cells at 10 minutes fits."""
MAX_TABLE_ROWS: Final = 5_000_000
MAX_TABLE_BYTES: Final = 2**30
"""One table, or one row group of trajectories, once unpacked, in bytes."""

_CITY_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_MAX_PARTS = 6


class FileKind(StrEnum):
    """What a file of a city holds."""

    STREETS = "streets"
    ZONES = "zones"
    BASEMAP = "basemap"
    FIELD = "field"
    SENSORS = "sensors"
    SEGMENTS = "segments"
    TRAJECTORIES = "trajectories"
    CONTEXT = "context"
    EVENTS = "events"
    NETWORK = "network"
    INTERVENTIONS = "interventions"


TABLE_NAMES: Final[dict[FileKind, str]] = {
    FileKind.STREETS: "streets.parquet",
    FileKind.ZONES: "zones.parquet",
    FileKind.BASEMAP: "basemap.parquet",
    FileKind.SENSORS: "sensors.parquet",
    FileKind.CONTEXT: "context.parquet",
    FileKind.EVENTS: "events.parquet",
}
SEGMENTS_NAME: Final = "series/segments.npz"
INTERVENTIONS_NAME: Final = "interventions/index.json"


def check_city_id(city_id: str) -> str:
    """The id itself, if it may name a city's folder on every system.

    Raises:
        InputError: it is empty, too long, holds other signs than a-z, 0-9 and '-', or is a name
            that an operating system keeps for itself.
    """
    if not _CITY_ID.fullmatch(city_id) or _RESERVED.fullmatch(city_id):
        raise InputError(
            "This is no city id.",
            repr(city_id[:80]),
            "Use 1 to 64 lower-case letters, digits and hyphens.",
        )
    return city_id


def check_name(name: str) -> str:
    """The name itself, if a field or an intervention may be called so.

    Raises:
        InputError: it holds other signs than a-z, 0-9, '_' and '-', or is too long.
    """
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise InputError(
            "This name cannot be used for a file of a city.",
            repr(name[:80]),
            "Use 1 to 64 lower-case letters, digits, '_' and '-'.",
        )
    return name


def check_file_name(name: str) -> str:
    """The relative name itself, if it stays inside the city's folder on every system.

    Raises:
        InputError: it is absolute, climbs with '..', is nested too deeply or holds odd signs.
    """
    parts = PurePosixPath(name).parts
    fits = 0 < len(parts) <= _MAX_PARTS and "/".join(parts) == name
    if not fits or not all(_PART.fullmatch(p) and not _RESERVED.fullmatch(p) for p in parts):
        raise InputError(
            "A file name leaves the city's folder or holds signs that are not allowed.",
            repr(name[:120]),
            "Use plain relative names such as fields/inflow.npz.",
        )
    return name


def field_path(name: str, prefix: str = "") -> str:
    """Where the field ``name`` lies below ``prefix``."""
    return join_name(prefix, f"fields/{check_name(name)}.npz")


def join_name(prefix: str, name: str) -> str:
    """A file's name below a folder of the city; the empty prefix is the city itself."""
    return f"{prefix}/{name}" if prefix else name
