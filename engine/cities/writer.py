"""Writing a city: built aside, flushed, and put in place all at once."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from engine.cities.archives import pack_arrays
from engine.cities.city import EVENT_COLUMNS, GEO_COLUMNS, City
from engine.cities.format import (
    INTERVENTIONS_NAME,
    MAX_FILE_BYTES,
    METADATA_NAME,
    SEGMENTS_NAME,
    TABLE_NAMES,
    FileKind,
    check_file_name,
    field_path,
    join_name,
)
from engine.cities.interventions import InterventionSpec, pack_interventions
from engine.cities.metadata import CityMetadata, FileEntry
from engine.cities.recordings import CONTEXT_COLUMNS, SENSOR_COLUMNS
from engine.cities.segments import SegmentSeries, encode_speed
from engine.cities.storage import FolderTransaction
from engine.cities.tables import pack_frame, pack_geo_frame
from engine.cities.trajectories import (
    COLUMNS,
    SPEED_COLUMN,
    SPEED_SCALE_KMH,
    TrajectoryBatch,
    pack_trajectories,
)
from engine.domain import FieldSeries
from engine.errors import InputError, StorageError

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

_FRAME_COLUMNS = {
    FileKind.SENSORS: SENSOR_COLUMNS,
    FileKind.CONTEXT: CONTEXT_COLUMNS,
    FileKind.EVENTS: EVENT_COLUMNS,
}


class CityWriter:
    """Builds a city as ``root/metadata.id``; what stood there before stays until all is written.

    Use it as a context: leaving normally puts the city in place, leaving by an exception throws
    the new one away. Equal content gives equal bytes.

    Args:
        root: folder of cities.
        metadata: the description; its table of files is filled here.
        keep: files or folders of the old city, not listed in its table, to carry over, such as
            ``README.md``.

    Raises:
        StorageError: nothing can be written here.
    """

    def __init__(self, root: Path, metadata: CityMetadata, keep: Iterable[str] = ()) -> None:
        self._metadata = replace(metadata, files={})
        self._files: dict[str, FileEntry] = {}
        self._specs: list[InterventionSpec] = []
        self._keep = [check_file_name(name) for name in keep]
        self._folder = FolderTransaction(root, metadata.id)

    @property
    def num_bytes(self) -> int:
        """Written so far."""
        return sum(entry.num_bytes for entry in self._files.values())

    def add_field(self, name: str, series: FieldSeries, prefix: str = "") -> None:
        """Write ``fields/NAME.npz``.

        Args:
            name: its file name; the series' own name is its title.
            series: on the city's own grid.
            prefix: folder inside of the city, for the days of interventions.

        Raises:
            InputError: the series lies on another grid.
            StorageError: a full disk, missing rights.
        """
        if series.grid != self._metadata.grid:
            raise InputError("A field must lie on the city's own grid.", name)
        self._add(
            field_path(name, prefix),
            pack_arrays({"values": series.values}),
            FileKind.FIELD,
            title=series.name,
            unit=series.unit,
            step_s=series.step.total_seconds(),
            start=series.start,
            aggregation=series.aggregation,
            shape=series.values.shape,
            columns=("values",),
        )

    def add_streets(self, streets: "gpd.GeoDataFrame") -> None:
        """Write ``streets.parquet``: :data:`engine.cities.city.STREET_COLUMNS` and geometry."""
        self._add_geo(FileKind.STREETS, streets, unique="street_id")

    def add_zones(self, zones: "gpd.GeoDataFrame") -> None:
        """Write ``zones.parquet``: :data:`engine.cities.city.ZONE_COLUMNS` and geometry."""
        self._add_geo(FileKind.ZONES, zones, unique="zone_id")

    def add_basemap(self, basemap: "gpd.GeoDataFrame") -> None:
        """Write ``basemap.parquet``: kind, name and geometry."""
        self._add_geo(FileKind.BASEMAP, basemap)

    def add_sensors(self, sensors: "pd.DataFrame") -> None:
        """Write ``sensors.parquet``: :data:`engine.cities.recordings.SENSOR_COLUMNS`."""
        self._add_frame(FileKind.SENSORS, sensors, unique="sensor_id")

    def add_context(self, context: "pd.DataFrame", prefix: str = "") -> None:
        """Write ``context.parquet``: :data:`engine.cities.recordings.CONTEXT_COLUMNS`.

        Raises:
            InputError: times do not increase.
            StorageError: a full disk, missing rights.
        """
        if not context["time"].is_monotonic_increasing or context["time"].duplicated().any():
            raise InputError("The times of weather and calendar must increase.", "context")
        self._add_frame(FileKind.CONTEXT, context, prefix)

    def add_events(self, events: "pd.DataFrame") -> None:
        """Write ``events.parquet``: :data:`engine.cities.city.EVENT_COLUMNS`."""
        self._add_frame(FileKind.EVENTS, events, unique="event_id")

    def add_segments(self, series: SegmentSeries, prefix: str = "") -> None:
        """Write ``series/segments.npz``: speed as small integers with a scale, and counts."""
        speed, scale = encode_speed(series.speed_kmh)
        top = int(series.count.max(initial=0))
        arrays = {
            "speed_kmh": speed,
            "count": series.count.astype(np.min_scalar_type(top)),
            "sensor_ids": np.array(series.sensor_ids, dtype=np.str_),
        }
        self._add(
            join_name(prefix, SEGMENTS_NAME),
            pack_arrays(arrays),
            FileKind.SEGMENTS,
            unit="km/h",
            step_s=series.step.total_seconds(),
            start=series.start,
            shape=series.speed_kmh.shape,
            columns=tuple(sorted(arrays)),
            scales={"speed_kmh": scale, "count": 1.0},
        )

    def add_trajectories(self, batch: TrajectoryBatch, prefix: str = "") -> None:
        """Write one more ``trajectories/part-NN.parquet``; a part of 20,000 trips is handy."""
        head = join_name(prefix, "trajectories/part-")
        number = sum(name.startswith(head) for name in self._files)
        has_speed = batch.speed_kmh is not None
        self._add(
            f"{head}{number:02d}.parquet",
            pack_trajectories(batch),
            FileKind.TRAJECTORIES,
            unit="km/h" if has_speed else None,
            step_s=batch.step_s,
            shape=(len(batch), len(batch.lon_udeg)),
            columns=(*COLUMNS, SPEED_COLUMN) if has_speed else tuple(COLUMNS),
            scales={"lon_udeg": 1e-6, "lat_udeg": 1e-6}
            | ({SPEED_COLUMN: SPEED_SCALE_KMH} if has_speed else {}),
        )

    def add_network(self, name: str, content: bytes) -> None:
        """Write ``network/NAME``, which only the simulator reads."""
        self._add(f"network/{name}", content, FileKind.NETWORK)

    def add_intervention(self, spec: InterventionSpec) -> None:
        """List an intervention; its two days are written with ``prefix=spec.edited`` and so on."""
        if any(spec.id == other.id for other in self._specs):
            raise InputError("Two interventions have the same id.", spec.id)
        self._specs.append(spec)

    def commit(self) -> City:
        """Put the city in place and open it.

        Raises:
            StorageError: a full disk, missing rights; the old city is untouched.
        """
        if self._specs:
            content = pack_interventions(self._specs)
            self._add(INTERVENTIONS_NAME, content, FileKind.INTERVENTIONS)
        for name in self._keep:
            self._folder.keep(name)
        metadata = replace(self._metadata, files=self._files)
        self._folder.write(METADATA_NAME, metadata.to_bytes())
        self._folder.commit()
        return City(self._folder.final)

    def abort(self) -> None:
        """Throw away what was written; the old city stays."""
        self._folder.abort()

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit, or throw away when an exception passes."""
        if kind is not None:
            self.abort()
            return
        try:
            self.commit()
        except BaseException:
            self.abort()
            raise

    def _add(self, name: str, content: bytes, kind: FileKind, **about: object) -> None:
        if check_file_name(name) in self._files:
            raise InputError("A file of the city was written twice.", name)
        if len(content) > MAX_FILE_BYTES:
            raise StorageError("A file of the city is too large.", f"{name}: {len(content):,} B")
        self._folder.write(name, content)
        digest = hashlib.sha256(content).hexdigest()
        self._files[name] = FileEntry(kind, len(content), digest, **about)  # type: ignore[arg-type]

    def _add_geo(self, kind: FileKind, frame: "gpd.GeoDataFrame", unique: str = "") -> None:
        columns = GEO_COLUMNS[kind]
        _check_unique(frame, unique, kind)
        content = pack_geo_frame(frame, columns)
        shape, names = (len(frame),), (*columns, "geometry")
        self._add(TABLE_NAMES[kind], content, kind, shape=shape, columns=names)

    def _add_frame(
        self, kind: FileKind, frame: "pd.DataFrame", prefix: str = "", unique: str = ""
    ) -> None:
        columns: Mapping[str, str] = _FRAME_COLUMNS[kind]
        _check_unique(frame, unique, kind)
        name = join_name(prefix, TABLE_NAMES[kind])
        content = pack_frame(frame, columns)
        self._add(name, content, kind, shape=(len(frame),), columns=tuple(columns))


def _check_unique(frame: "pd.DataFrame", column: str, kind: FileKind) -> None:
    if column and frame[column].duplicated().any():
        twice = frame[column][frame[column].duplicated()].iloc[0]
        raise InputError(f"An id stands twice in the table of {kind.value}.", str(twice)[:80])
