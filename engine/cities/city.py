"""A city on disk, opened for reading."""

import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from engine.cities.files import CityFiles
from engine.cities.format import TABLE_NAMES, FileKind
from engine.cities.interventions import Intervention, read_interventions
from engine.cities.metadata import CityMetadata
from engine.cities.recordings import SENSOR_COLUMNS, Recordings, empty_frame
from engine.cities.tables import read_geo_table
from engine.domain import FieldSeries, Grid

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

STREET_COLUMNS = {
    "street_id": "string",
    "name": "string",
    "kind": "string",
    "speed_kmh": "float",
    "lanes": "int32",
    "length_m": "double",
    "car": "bool",
    "edges": "list<string>",
}
ZONE_COLUMNS = {
    "zone_id": "string",
    "name": "string",
    "kind": "string",
    "homes": "double",
    "jobs": "double",
    "study": "double",
    "leisure": "double",
}
BASEMAP_COLUMNS = {"kind": "string", "name": "string"}
EVENT_COLUMNS = {
    "event_id": "string",
    "name": "string",
    "zone_id": "string",
    "kind": "string",
    "begin": "time",
    "end": "time",
    "visitors": "int64",
}
_CACHED_FIELDS = 4


class City(Recordings):
    """A city: its description at once, everything else when it is asked for.

    Tables that a city does not have come back without rows; fields, segments and trajectories
    that it does not have are an error. Safe to share between threads. Tables are fresh copies,
    which the caller may change.

    Args:
        folder: the city's folder.
        whole: refuse a city of which any file is missing or has another size.

    Raises:
        CityNotFoundError: no city there.
        CityDamagedError: its description is damaged, or a file is missing or has another size.
        CityVersionError: written in another version of the format.
    """

    def __init__(self, folder: Path, whole: bool = True) -> None:
        super().__init__(CityFiles(folder, whole))
        self._lock = threading.RLock()
        self._cached_field = lru_cache(maxsize=_CACHED_FIELDS)(super().field)
        self._cached_table = lru_cache(maxsize=None)(self._read_geo)

    @property
    def metadata(self) -> CityMetadata:
        """All that ``city.json`` says."""
        return self.files.metadata

    @property
    def id(self) -> str:
        """The city's id."""
        return self.metadata.id

    @property
    def title(self) -> str:
        """The city's name for people."""
        return self.metadata.title

    @property
    def folder(self) -> Path:
        """Where it lies on the disk."""
        return self.files.folder

    @property
    def digest(self) -> str:
        """SHA-256 of ``city.json``: changes with any change of the city."""
        return self.files.digest

    @property
    def grid(self) -> Grid:
        """The grid of the fields."""
        return self.metadata.grid

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        return self.grid.bounds

    @property
    def zone(self) -> ZoneInfo:
        """The city's time zone."""
        return self.metadata.zone

    def field(self, name: str) -> FieldSeries:
        """A field as stored; the last few are kept.

        Raises:
            CityError: no field of that name.
            CityDamagedError: the file is missing, truncated, edited, or does not fit.
        """
        with self._lock:
            return self._cached_field(name)

    def streets(self) -> "gpd.GeoDataFrame":
        """Streets: the columns of :data:`STREET_COLUMNS` and lines in EPSG:4326."""
        return self._geo_table(FileKind.STREETS)

    def zones(self) -> "gpd.GeoDataFrame":
        """Zones of demand: the columns of :data:`ZONE_COLUMNS` and areas in EPSG:4326."""
        return self._geo_table(FileKind.ZONES)

    def basemap(self) -> "gpd.GeoDataFrame":
        """Water, green, buildings and rails: kind, name and shapes in EPSG:4326."""
        return self._geo_table(FileKind.BASEMAP)

    def sensors(self) -> "pd.DataFrame":
        """Sensors on street segments: the columns of :data:`SENSOR_COLUMNS`."""
        return self._table(FileKind.SENSORS, SENSOR_COLUMNS)

    def events(self) -> "pd.DataFrame":
        """Events that drew visitors: the columns of :data:`EVENT_COLUMNS`, times in UTC."""
        return self._table(FileKind.EVENTS, EVENT_COLUMNS)

    def interventions(self) -> tuple[Intervention, ...]:
        """Days with an edit beside the same day untouched."""
        return read_interventions(self.files)

    def network_path(self, name: str) -> Path:
        """Where a file of the simulator's network lies, checked first.

        Args:
            name: its name below ``network/``.

        Raises:
            CityDamagedError: not listed, missing, truncated or edited.
        """
        path = f"network/{name}"
        self.files.verify(path)
        return self.folder / path

    def _geo_table(self, kind: FileKind) -> "gpd.GeoDataFrame":
        with self._lock:
            return self._cached_table(kind).copy()

    def _read_geo(self, kind: FileKind) -> "gpd.GeoDataFrame":
        import geopandas as gpd

        columns = GEO_COLUMNS[kind]
        path = TABLE_NAMES[kind]
        if path not in self.metadata.files:
            return gpd.GeoDataFrame(empty_frame(columns), geometry=[], crs="EPSG:4326")
        with self.files.open(path) as file:
            return read_geo_table(file, path, columns)


GEO_COLUMNS = {
    FileKind.STREETS: STREET_COLUMNS,
    FileKind.ZONES: ZONE_COLUMNS,
    FileKind.BASEMAP: BASEMAP_COLUMNS,
}
