"""From SUMO's output files to fields, sensor series and trajectories.

Legend: T half hours, T5 five-minute steps, R rows, C columns, S sensors, P points, V trips.
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyproj import Transformer

from engine.domain import Grid
from engine.simulation.inputs import POINT_STEP_S, SERIES_STEP_S, WARM_UP_S
from engine.simulation.model import TrafficModel

FIELD_STEP_S = 1800
SUB_STEPS = 8
"""Straight pieces between two points are walked in eighths, at most 9 m, to see cells crossed."""

NO_SPEED = np.nan

Floats = NDArray[np.float64]
ToDegrees = Callable[[Floats, Floats], tuple[Floats, Floats]]


@dataclass(frozen=True, eq=False)
class Tracks:
    """Trips as points every 5 s, trip after trip.

    Args:
        keys: (V,) the trips' keys, ascending.
        first_s: (V,) time of each first point, seconds after the counted hours began; negative
            for trips that were under way already.
        starts: (V + 1,) position of each trip's first point; the last entry is P.
        lon: (P,) degrees.
        lat: (P,) degrees.
        speed_kmh: (P,).
    """

    keys: NDArray[np.int64]
    first_s: NDArray[np.int64]
    starts: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    speed_kmh: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def times_s(self) -> NDArray[np.int64]:
        """(P,) time of each point."""
        sizes = np.diff(self.starts)
        step = np.arange(len(self.lon)) - np.repeat(self.starts[:-1], sizes)
        return np.repeat(self.first_s, sizes) + POINT_STEP_S * step

    def select(self, chosen: NDArray[np.bool_]) -> "Tracks":
        """The trips where ``chosen`` (V,) is true."""
        sizes = np.diff(self.starts)
        points = np.repeat(chosen, sizes)
        starts = np.concatenate([[0], np.cumsum(sizes[chosen])]).astype(np.int64)
        return Tracks(
            self.keys[chosen],
            self.first_s[chosen],
            starts,
            self.lon[points],
            self.lat[points],
            self.speed_kmh[points],
        )


def read_tracks(model: TrafficModel, path: Path) -> Tracks:
    """Read SUMO's floating-car output of a city; as :func:`read_positions`."""
    transformer = Transformer.from_crs(model.crs, "EPSG:4326", always_xy=True)

    def to_degrees(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        lon, lat = transformer.transform(x - model.offset_m[0], y - model.offset_m[1])
        return np.asarray(lon), np.asarray(lat)

    return read_positions(path, to_degrees)


def read_positions(path: Path, to_degrees: ToDegrees) -> Tracks:
    """Read SUMO's floating-car output; a trip with a gap keeps its part before it.

    A vehicle that SUMO is lifting over a blockage has no position meanwhile.

    Args:
        path: the output file.
        to_degrees: longitudes and latitudes of the network's coordinates x and y, metres.
    """
    table = pq.read_table(path)
    table = table.filter(pc.is_finite(table["vehicle_x"]))
    time_s = np.round(table["timestep_time"].to_numpy()).astype(np.int64) - WARM_UP_S
    keys = pc.cast(table["vehicle_id"], pa.int64()).to_numpy()
    order = np.lexsort((time_s, keys))
    keys, time_s = keys[order], time_s[order]
    x, y = table["vehicle_x"].to_numpy()[order], table["vehicle_y"].to_numpy()[order]
    speed = table["vehicle_speed"].to_numpy()[order] * np.float32(3.6)
    new = np.ones(len(keys), dtype=bool)
    new[1:] = keys[1:] != keys[:-1]
    starts = np.flatnonzero(new)
    step = np.arange(len(keys)) - np.repeat(starts, np.diff(np.append(starts, len(keys))))
    first = np.repeat(time_s[starts], np.diff(np.append(starts, len(keys))))
    whole = time_s == first + POINT_STEP_S * step
    sizes = np.add.reduceat(whole, starts) if len(starts) else np.zeros(0, dtype=np.int64)
    lon, lat = to_degrees(x[whole], y[whole])
    return Tracks(
        keys[starts],
        time_s[starts],
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        lon,
        lat,
        speed[whole],
    )


def cells(grid: Grid, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cell of each point as row x C + column; row 0 is the north edge."""
    col = ((lon - grid.west) / (grid.east - grid.west) * grid.cols).astype(np.int64)
    row = ((grid.north - lat) / (grid.north - grid.south) * grid.rows).astype(np.int64)
    return row.clip(0, grid.rows - 1) * grid.cols + col.clip(0, grid.cols - 1)


def count_entries(tracks: Tracks, grid: Grid, length_s: int) -> NDArray[np.uint16]:
    """Vehicles that enter each cell in each half hour; a trip's first cell counts as entered.

    Returns:
        (T, R, C).
    """
    num_steps = -(-length_s // FIELD_STEP_S)
    counts = np.zeros(num_steps * grid.num_cells, dtype=np.int64)
    times = tracks.times_s
    here = cells(grid, tracks.lon, tracks.lat)
    _add(counts, here[tracks.starts[:-1]], tracks.first_s, grid, length_s)
    last = np.zeros(len(here), dtype=bool)
    last[tracks.starts[1:] - 1] = True
    pairs = np.flatnonzero(~last)
    moved = pairs[here[pairs + 1] != here[pairs]]
    before = here[moved]
    for sub in range(1, SUB_STEPS + 1):
        share = sub / SUB_STEPS
        lon = tracks.lon[moved] + share * (tracks.lon[moved + 1] - tracks.lon[moved])
        lat = tracks.lat[moved] + share * (tracks.lat[moved + 1] - tracks.lat[moved])
        now = cells(grid, lon, lat) if sub < SUB_STEPS else here[moved + 1]
        crossed = now != before
        when = times[moved[crossed]] + int(share * POINT_STEP_S)
        _add(counts, now[crossed], when, grid, length_s)
        before = now
    return counts.reshape(num_steps, *grid.shape).clip(0, 65_535).astype(np.uint16)


def count_points(tracks: Tracks, grid: Grid, length_s: int) -> NDArray[np.uint16]:
    """Points (one for each 5 s that a vehicle is on the road) in each cell and half hour.

    Returns:
        (T, R, C).
    """
    num_steps = -(-length_s // FIELD_STEP_S)
    counts = np.zeros(num_steps * grid.num_cells, dtype=np.int64)
    _add(counts, cells(grid, tracks.lon, tracks.lat), tracks.times_s, grid, length_s)
    return counts.reshape(num_steps, *grid.shape).clip(0, 65_535).astype(np.uint16)


def _add(
    counts: NDArray[np.int64],
    cell: NDArray[np.int64],
    when_s: NDArray[np.int64],
    grid: Grid,
    length_s: int,
) -> None:
    inside = (when_s >= 0) & (when_s < length_s)
    flat = when_s[inside] // FIELD_STEP_S * grid.num_cells + cell[inside]
    counts += np.bincount(flat, minlength=len(counts))


def read_segments(
    model: TrafficModel, path: Path, length_s: int
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Mean speed (km/h, NaN without vehicles) and count of each sensor in each five minutes.

    The count is of vehicles that came onto the segment, by driving or by starting there.

    Returns:
        Two arrays of shape (T5, S).
    """
    num_steps = length_s // SERIES_STEP_S
    shape = (num_steps, len(model.sensors))
    speed, count = np.full(shape, NO_SPEED, dtype=np.float32), np.zeros(shape, dtype=np.uint16)
    if not path.exists() or not path.stat().st_size:
        return speed, count
    columns = ["interval_begin", "edge_id", "edge_speed", "edge_entered", "edge_departed"]
    table = pq.read_table(path, columns=columns)
    if not len(table):
        return speed, count
    begin = pc.cast(table["interval_begin"], pa.float64()).to_numpy()
    step = ((begin - WARM_UP_S) // SERIES_STEP_S).astype(np.int64)
    place = {edge: i for i, edge in enumerate(model.sensors)}
    sensor = np.array([place.get(edge, -1) for edge in table["edge_id"].to_pylist()])
    inside = (step >= 0) & (step < num_steps) & (sensor >= 0)
    values = table["edge_speed"].to_numpy() * 3.6
    came = table["edge_entered"].to_numpy() + table["edge_departed"].to_numpy()
    speed[step[inside], sensor[inside]] = values[inside]
    count[step[inside], sensor[inside]] = np.nan_to_num(came[inside]).astype(np.uint16)
    return speed, count


@dataclass(frozen=True, eq=False)
class TripTable:
    """Finished trips that departed in the counted hours.

    Args:
        keys: (V,) the trips' keys, ascending.
        depart_s: (V,) seconds after the counted hours began.
        duration_s: (V,) from departure to arrival.
        length_m: (V,) driven.
        loss_s: (V,) time lost against driving freely, waiting to depart included.
    """

    keys: NDArray[np.int64]
    depart_s: NDArray[np.float64]
    duration_s: NDArray[np.float64]
    length_m: NDArray[np.float64]
    loss_s: NDArray[np.float64]


def read_trips(path: Path) -> TripTable:
    """Read SUMO's trip output."""
    names = ("id", "depart", "duration", "routeLength", "timeLoss", "departDelay", "vaporized")
    table = pq.read_table(path, columns=[f"tripinfo_{name}" for name in names])
    text = {name: table[f"tripinfo_{name}"] for name in names}
    numbers = {name: pc.cast(text[name], pa.float64()).to_numpy() for name in names[1:-1]}
    keys = pc.cast(text["id"], pa.int64()).to_numpy()
    depart_s = numbers["depart"] - WARM_UP_S
    whole = np.array([not v for v in text["vaporized"].to_pylist()], dtype=bool)
    chosen = np.flatnonzero((depart_s >= 0) & whole & (numbers["duration"] >= 0))
    chosen = chosen[np.argsort(keys[chosen])]
    return TripTable(
        keys[chosen],
        depart_s[chosen],
        numbers["duration"][chosen],
        numbers["routeLength"][chosen],
        (numbers["timeLoss"] + numbers["departDelay"])[chosen],
    )


def read_teleports(path: Path) -> int:
    """How often SUMO had to lift a stuck vehicle over a blockage."""
    root = ET.parse(path).getroot()
    found = root.find("teleports")
    return int(found.attrib["total"]) if found is not None else 0
