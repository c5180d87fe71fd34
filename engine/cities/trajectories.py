"""Trips as sequences of points, many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.cities.tables import arrow_type, pack_table
from engine.errors import FieldError

if TYPE_CHECKING:
    import pyarrow as pa

MICRODEGREES: Final = 1e-6
SPEED_SCALE_KMH: Final = 0.5
"""km/h of one stored step of speed (uint8, at most 127 km/h; faster is stored as 127.5)."""
ROW_GROUP_TRIPS: Final = 2_048
MAX_TRIP_POINTS: Final = 100_000
COLUMNS: Final = {
    "trip_id": "string",
    "purpose": "string",
    "depart": "time",
    "lon_udeg": "list<int32>",
    "lat_udeg": "list<int32>",
}
SPEED_COLUMN: Final = "speed"


@dataclass(frozen=True, eq=False)
class TrajectoryBatch:
    """K trips with P points in all.

    Args:
        trip_ids: K names, unique within the city.
        purposes: K purposes; empty where unknown.
        depart: (K,) datetime64[ms], UTC, the moment of the first point.
        offsets: (K + 1,) int64; trip k has the points offsets[k] to offsets[k + 1].
        lon_udeg: (P,) int32, millionths of a degree.
        lat_udeg: (P,) int32, millionths of a degree.
        speed_kmh: (P,) float32, or None where unknown.
        step_s: seconds from one point of a trip to the next.

    Raises:
        FieldError: lengths do not fit together, or a point is not on Earth.
    """

    trip_ids: tuple[str, ...]
    purposes: tuple[str, ...]
    depart: NDArray[np.datetime64]
    offsets: NDArray[np.int64]
    lon_udeg: NDArray[np.int32]
    lat_udeg: NDArray[np.int32]
    speed_kmh: NDArray[np.float32] | None
    step_s: float

    def __post_init__(self) -> None:
        num_trips, num_points = len(self.trip_ids), len(self.lon_udeg)
        offsets = np.asarray(self.offsets, np.int64)
        lengths = np.diff(offsets)
        speed = self.speed_kmh
        fits = (
            len(self.purposes) == len(self.depart) == num_trips
            and offsets.shape == (num_trips + 1,)
            and offsets[0] == 0
            and offsets[-1] == num_points == len(self.lat_udeg)
            and (speed is None or len(speed) == num_points)
        )
        if not fits or (lengths < 1).any() or (lengths > MAX_TRIP_POINTS).any():
            raise FieldError(
                "The columns of the trajectories do not fit together.",
                f"{num_trips} trips, {num_points} points",
            )
        if num_points and (
            np.abs(self.lon_udeg.astype(np.int64)).max() > 180_000_000
            or np.abs(self.lat_udeg.astype(np.int64)).max() > 90_000_000
        ):
            raise FieldError("A trajectory has points that are not on Earth.")
        if speed is not None and not (np.isfinite(speed).all() and (speed >= 0).all()):
            raise FieldError("A trajectory's speed is negative or no number.")
        if np.isnat(self.depart).any() or self.step_s <= 0:
            raise FieldError("A trajectory lacks its time, or its step is not above zero.")
        object.__setattr__(self, "offsets", offsets)
        object.__setattr__(self, "depart", self.depart.astype("datetime64[ms]"))

    def __len__(self) -> int:
        return len(self.trip_ids)

    @property
    def lon_deg(self) -> NDArray[np.float64]:
        """(P,) longitudes."""
        return np.asarray(self.lon_udeg * MICRODEGREES, np.float64)

    @property
    def lat_deg(self) -> NDArray[np.float64]:
        """(P,) latitudes."""
        return np.asarray(self.lat_udeg * MICRODEGREES, np.float64)

    @property
    def num_points(self) -> NDArray[np.int64]:
        """(K,) points of each trip."""
        return np.diff(self.offsets)

    @property
    def times(self) -> NDArray[np.datetime64]:
        """(P,) datetime64[ms], UTC: departure + step x index."""
        counts = self.num_points
        index = np.arange(len(self.lon_udeg)) - np.repeat(self.offsets[:-1], counts)
        shift = np.rint(index * self.step_s * 1_000).astype("timedelta64[ms]")
        return np.repeat(self.depart, counts) + shift

    def take(self, trips: NDArray[np.generic] | Sequence[int]) -> "TrajectoryBatch":
        """The trips of these numbers, or of a (K,) bool mask."""
        chosen = np.arange(len(self))[np.asarray(trips)]
        counts = self.num_points[chosen]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        points = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], counts)
        speed = None if self.speed_kmh is None else self.speed_kmh[points]
        return TrajectoryBatch(
            tuple(self.trip_ids[k] for k in chosen),
            tuple(self.purposes[k] for k in chosen),
            self.depart[chosen],
            offsets,
            self.lon_udeg[points],
            self.lat_udeg[points],
            speed,
            self.step_s,
        )


def pack_trajectories(batch: TrajectoryBatch) -> bytes:
    """The bytes of one part of the trajectories; equal batches give equal bytes."""
    import pyarrow as pa

    def lists(values: NDArray[np.generic]) -> "pa.Array":
        return pa.ListArray.from_arrays(pa.array(batch.offsets.astype(np.int32)), pa.array(values))

    columns: dict[str, Any] = {
        "trip_id": pa.array(batch.trip_ids, arrow_type("string")),
        "purpose": pa.array(batch.purposes, arrow_type("string")),
        "depart": pa.array(batch.depart).cast(arrow_type("time")),
        "lon_udeg": lists(batch.lon_udeg.astype(np.int32)),
        "lat_udeg": lists(batch.lat_udeg.astype(np.int32)),
    }
    if batch.speed_kmh is not None:
        stored = np.minimum(np.rint(batch.speed_kmh / SPEED_SCALE_KMH), 255).astype(np.uint8)
        columns[SPEED_COLUMN] = lists(stored)
    plain = ["lon_udeg.list.element", "lat_udeg.list.element"]
    return pack_table(pa.table(columns), ROW_GROUP_TRIPS, plain)


def unpack_trajectories(table: "pa.Table", step_s: float, speed_scale: float) -> TrajectoryBatch:
    """The trips of one row group.

    Raises:
        FieldError: lists of different lengths, missing values.
    """
    lon, offsets = _flat(table, "lon_udeg")
    lat, lat_offsets = _flat(table, "lat_udeg")
    speed: NDArray[np.float32] | None = None
    fits = np.array_equal(offsets, lat_offsets)
    if SPEED_COLUMN in table.column_names:
        stored, speed_offsets = _flat(table, SPEED_COLUMN)
        fits = fits and np.array_equal(offsets, speed_offsets)
        speed = stored.astype(np.float32) * np.float32(speed_scale)
    if not fits:
        raise FieldError("A trajectory's lists differ in length.")
    return TrajectoryBatch(
        tuple(table.column("trip_id").to_pylist()),
        tuple(name or "" for name in table.column("purpose").to_pylist()),
        table.column("depart").combine_chunks().to_numpy(zero_copy_only=False),
        offsets,
        lon.astype(np.int32),
        lat.astype(np.int32),
        speed,
        step_s,
    )


def _flat(table: "pa.Table", name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Values of a list column end to end, and where each row's begin."""
    import pyarrow as pa

    column = table.column(name)
    column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(column, pa.ChunkedArray):  # no rows at all
        return np.zeros(0, np.int32), np.zeros(1, np.int64)
    values = column.flatten()
    if column.null_count or values.null_count:
        raise FieldError("A trajectory has gaps in its lists.", name)
    lengths = np.asarray(column.value_lengths(), dtype=np.int64)
    return values.to_numpy(zero_copy_only=False), np.concatenate([[0], np.cumsum(lengths)])
