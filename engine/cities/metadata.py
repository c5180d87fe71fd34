"""What ``city.json`` says, as frozen types that check themselves."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from engine.cities.format import (
    FORMAT,
    MAX_FILE_BYTES,
    MAX_FILES,
    METADATA_NAME,
    VERSION,
    FileKind,
    check_city_id,
    check_file_name,
)
from engine.domain import Aggregation, Grid
from engine.domain.fields import KNOWN_UNITS
from engine.errors import CityDamagedError, CityVersionError, EngineError, InputError

_SHA256_LENGTH = 64


@dataclass(frozen=True)
class Source:
    """Where data came from, and on which terms it may be used.

    Args:
        name: the source in plain words.
        terms: its licence or terms in plain words.
        url: its address; shown, never fetched.
    """

    name: str
    terms: str
    url: str = ""


@dataclass(frozen=True)
class FileEntry:
    """One row of the ``files`` table.

    Args:
        kind: what the file holds.
        num_bytes: its size.
        sha256: its checksum, lower-case hexadecimal.
        title: what it measures, in plain words.
        unit: unit of its values; one of :data:`engine.domain.fields.KNOWN_UNITS`.
        step_s: length of one time step, seconds.
        start: beginning of the first step, with offset.
        aggregation: whether merged cells sum or average.
        shape: shape of its main array, or number of rows.
        columns: its columns or arrays.
        scales: stored integer x scale = value in the unit, by column.
    """

    kind: FileKind
    num_bytes: int
    sha256: str
    title: str = ""
    unit: str | None = None
    step_s: float | None = None
    start: datetime | None = None
    aggregation: Aggregation | None = None
    shape: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    scales: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.num_bytes <= MAX_FILE_BYTES:
            raise InputError("A file's size is impossible or too large.", str(self.num_bytes))
        if len(self.sha256) != _SHA256_LENGTH or set(self.sha256) - set("0123456789abcdef"):
            raise InputError("A checksum is no SHA-256.", self.sha256[:80])
        if self.unit is not None and self.unit not in KNOWN_UNITS:
            raise InputError(
                f"The unit '{self.unit}' is not known.", "", f"Use: {', '.join(KNOWN_UNITS)}."
            )
        if self.step_s is not None and not (isfinite(self.step_s) and self.step_s > 0):
            raise InputError("A time step must be longer than zero.", str(self.step_s))
        if self.start is not None and self.start.tzinfo is None:
            raise InputError("A start time has no time zone.", self.start.isoformat())
        if any(not isfinite(scale) or scale <= 0 for scale in self.scales.values()):
            raise InputError("A scale must be a positive number.", str(dict(self.scales)))
        object.__setattr__(self, "scales", MappingProxyType(dict(self.scales)))

    def to_json(self) -> dict[str, Any]:
        """Plain values without the empty ones."""
        data: dict[str, Any] = {
            "kind": self.kind.value,
            "bytes": self.num_bytes,
            "sha256": self.sha256,
            "title": self.title,
            "unit": self.unit,
            "step_s": self.step_s,
            "start": self.start.isoformat() if self.start else None,
            "aggregation": self.aggregation.value if self.aggregation else None,
            "shape": list(self.shape),
            "columns": list(self.columns),
            "scales": dict(self.scales),
        }
        return {name: value for name, value in data.items() if value not in (None, "", [], {})}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "FileEntry":
        """The entry that :meth:`to_json` wrote; unknown keys are passed over."""
        start, aggregation = data.get("start"), data.get("aggregation")
        return cls(
            kind=FileKind(data["kind"]),
            num_bytes=_whole(data["bytes"]),
            sha256=_text(data["sha256"]),
            title=_text(data.get("title", "")),
            unit=None if data.get("unit") is None else _text(data["unit"]),
            step_s=None if data.get("step_s") is None else float(data["step_s"]),
            start=None if start is None else datetime.fromisoformat(_text(start)),
            aggregation=None if aggregation is None else Aggregation(aggregation),
            shape=tuple(_whole(n) for n in data.get("shape", ())),
            columns=tuple(_text(name) for name in data.get("columns", ())),
            scales={_text(k): float(v) for k, v in data.get("scales", {}).items()},
        )


@dataclass(frozen=True)
class CityMetadata:
    """A city in words, its area and grid, and the table of its files.

    Args:
        id: id and folder name.
        title: its name for people.
        description: one or two sentences.
        simulated: whether traffic was simulated; shown wherever the city is.
        timezone: IANA name of its time zone.
        crs_metric: a projected CRS in metres, such as ``EPSG:32633``.
        grid: its area, rows, columns and magnification.
        sources: where its data came from.
        attribution: the line shown on every map.
        notice: what a user must know, such as "simulated traffic".
        files: relative name -> entry.
    """

    id: str
    title: str
    grid: Grid
    timezone: str
    crs_metric: str
    description: str = ""
    simulated: bool = False
    sources: tuple[Source, ...] = ()
    attribution: str = ""
    notice: str = ""
    files: Mapping[str, FileEntry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_city_id(self.id)
        try:
            ZoneInfo(self.timezone)
        except (ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
            raise InputError("The city's time zone is not known.", self.timezone[:80]) from error
        except KeyError as error:
            raise InputError(
                "The city's time zone is not known.",
                self.timezone[:80],
                "Give an IANA name such as Europe/Berlin.",
            ) from error
        if len(self.files) > MAX_FILES:
            raise InputError(f"A city has at most {MAX_FILES:,} files.", str(len(self.files)))
        seen: set[str] = set()
        for name in self.files:
            if check_file_name(name).casefold() in seen:
                raise InputError("Two files differ in capital letters only.", name)
            seen.add(name.casefold())
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.timezone)

    @property
    def num_bytes(self) -> int:
        """All listed files together."""
        return sum(entry.num_bytes for entry in self.files.values())

    def to_json(self) -> dict[str, Any]:
        """Plain values as they stand in ``city.json``, without the checksum."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "simulated": self.simulated,
            "timezone": self.timezone,
            "crs_metric": self.crs_metric,
            "bounds": list(self.grid.bounds),
            "grid": {
                "rows": self.grid.rows,
                "cols": self.grid.cols,
                "magnification": self.grid.magnification,
            },
            "sources": [{k: v for k, v in vars(s).items() if v} for s in self.sources],
            "attribution": self.attribution,
            "notice": self.notice,
            "files": {name: entry.to_json() for name, entry in sorted(self.files.items())},
        }

    def to_bytes(self) -> bytes:
        """The content of ``city.json``: sorted, readable, with its own checksum."""
        data = self.to_json()
        data["checksum"] = _checksum(data)
        return (
            json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        ).encode()


def parse_metadata(content: bytes) -> CityMetadata:
    """Read ``city.json``.

    Args:
        content: the file's bytes, already limited in size.

    Raises:
        CityVersionError: another version of the format.
        CityDamagedError: no such file, edited by hand, or values that do not fit.
    """
    data = _parse_object(content)
    _check_version(data)
    try:
        metadata = _metadata_from_json(data)
    except EngineError as error:
        raise CityDamagedError(
            f"The city's description does not fit: {error.what}",
            f"{METADATA_NAME}: {error.where}" if error.where else METADATA_NAME,
            error.fix,
        ) from error
    except KeyError as error:
        raise CityDamagedError("The city's description lacks a value.", f"{error}") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CityDamagedError(
            "The city's description holds a value of the wrong kind.",
            f"{METADATA_NAME}: {str(error)[:200]}",
        ) from error
    if "checksum" in data and data.pop("checksum") != _checksum(data):
        raise CityDamagedError(
            "The city's description was edited after it was written.",
            METADATA_NAME,
            "Restore the file, or import the city again.",
        )
    return metadata


def _metadata_from_json(data: Mapping[str, Any]) -> CityMetadata:
    west, south, east, north = (float(v) for v in data["bounds"])
    shape = data["grid"]
    grid = Grid(
        *(west, south, east, north),
        rows=shape["rows"],
        cols=shape["cols"],
        magnification=shape.get("magnification", 1),
    )
    files = {}
    for name, entry in data["files"].items():
        try:
            files[name] = FileEntry.from_json(entry)
        except EngineError as error:
            where = f"{name}: {error.where}" if error.where else name
            raise InputError(error.what, where, error.fix) from error
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise InputError("An entry does not fit.", f"{name}: {error}") from error
    return CityMetadata(
        id=_text(data["id"]),
        title=_text(data["title"]),
        grid=grid,
        timezone=_text(data["timezone"]),
        crs_metric=_text(data["crs_metric"]),
        description=_text(data.get("description", "")),
        simulated=_flag(data["simulated"]),
        sources=tuple(
            Source(_text(s["name"]), _text(s["terms"]), _text(s.get("url", "")))
            for s in data.get("sources", ())
        ),
        attribution=_text(data.get("attribution", "")),
        notice=_text(data.get("notice", "")),
        files=files,
    )


def _parse_object(content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CityDamagedError(
            "The city's description is no JSON.", f"{METADATA_NAME}: {str(error)[:200]}"
        ) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise CityDamagedError(
            "This is not the description of a city.",
            METADATA_NAME,
            f"Its 'format' must be '{FORMAT}'.",
        )
    return data


def _check_version(data: Mapping[str, Any]) -> None:
    version = data.get("version")
    if version == VERSION and not isinstance(version, bool):
        return
    newer = isinstance(version, int) and version > VERSION
    raise CityVersionError(
        f"The city is written in version {str(version)[:20]} of the format; "
        f"this program reads version {VERSION}.",
        METADATA_NAME,
        "Update Citybrush." if newer else "Import or simulate the city again.",
    )


def _checksum(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:80]} is no text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{str(value)[:80]} is no whole number from 0 up")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{str(value)[:80]} is neither true nor false")
    return value
