"""GPS points as recorded: what every GPS importer yields, and the checks that all of them share.

Importers are generators of bounded chunks, so that a file of any size is read in bounded memory.
Shapes: P points of a chunk.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError

UNKNOWN_PERSON = -1
MAX_FILE_BYTES = 64 * 2**30
MAX_POINTS = 500_000_000
MAX_TRIP_ID = 2**62
EARLIEST_S = 0.0
LATEST_S = 4_102_444_800.0
"""Times outside 1970 to 2100 are errors of unit or column."""


@dataclass(frozen=True, eq=False)
class GpsPoints:
    """A chunk of points in the order of their trips; a trip may go on in the next chunk.

    Args:
        trip: (P,) int64, number of the trip.
        person: (P,) int64, who travelled, or :data:`UNKNOWN_PERSON`.
        time_s: (P,) float64, seconds since 1970, UTC.
        lon_deg: (P,) float64, WGS 84.
        lat_deg: (P,) float64.

    Raises:
        InputError: the columns differ in length.
    """

    trip: NDArray[np.int64]
    person: NDArray[np.int64]
    time_s: NDArray[np.float64]
    lon_deg: NDArray[np.float64]
    lat_deg: NDArray[np.float64]

    def __post_init__(self) -> None:
        num = len(self.trip)
        if any(len(column) != num for column in (self.person, self.time_s, *self.position)):
            raise InputError("The columns of the GPS points differ in length.")

    def __len__(self) -> int:
        return len(self.trip)

    @property
    def position(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitudes and latitudes."""
        return self.lon_deg, self.lat_deg


def join_points(chunks: Iterable[GpsPoints]) -> GpsPoints:
    """All chunks as one.

    Raises:
        InputError: there is none, or there are more points than fit.
    """
    parts: list[GpsPoints] = []
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > MAX_POINTS:
            raise InputError(
                f"There are more than {MAX_POINTS:,} points.", "", "Import a part of them."
            )
        parts.append(chunk)
    if not total:
        raise InputError("The file holds no GPS points.")
    names = ("trip", "person", "time_s", "lon_deg", "lat_deg")
    return GpsPoints(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def check_file(path: Path) -> Path:
    """The path itself, if it is a file of a size that can be read.

    Raises:
        InputError: it does not exist, is no file, is empty or is too large.
    """
    if not path.is_file():
        raise InputError("There is no such file.", str(path))
    size = path.stat().st_size
    if size == 0:
        raise InputError("The file is empty.", path.name)
    if size > MAX_FILE_BYTES:
        raise InputError(
            f"The file has {size / 2**30:.0f} GiB; at most {MAX_FILE_BYTES // 2**30} can be read.",
            path.name,
            "Split it.",
        )
    return path


def check_points(points: GpsPoints, where: str) -> GpsPoints:
    """The points themselves, if they can be degrees of WGS 84 and moments in time.

    Args:
        points: a chunk.
        where: file and lines, for the message.

    Raises:
        InputError: values that are no numbers, metres instead of degrees, longitude and latitude
            swapped, or times in another unit.
    """
    lon, lat = points.position
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise InputError("A position is missing or no number.", where)
    worst_lon, worst_lat = _largest(lon), _largest(lat)
    if worst_lon > 180 or worst_lat > 180:
        raise InputError(
            "The positions are no degrees.",
            f"{where}: {lon[0]:.1f}, {lat[0]:.1f}",
            "Name their coordinate system, such as EPSG:32650, or a scale such as 1e-6.",
        )
    if worst_lat > 90:
        raise InputError(
            "A latitude lies beyond the poles: longitude and latitude are probably swapped.",
            f"{where}: latitude {lat[int(np.abs(lat).argmax())]:.5f}",
            "Exchange the two columns.",
        )
    if not np.isfinite(points.time_s).all():
        raise InputError("A point has no time.", where, "Trips need the time of each point.")
    if len(points) and not EARLIEST_S <= points.time_s.min() <= points.time_s.max() <= LATEST_S:
        raise InputError(
            "A time lies outside 1970 to 2100.",
            f"{where}: {points.time_s.min():.0f} s to {points.time_s.max():.0f} s since 1970",
            "Check the column and its unit.",
        )
    return points


def check_area(
    chunks: Iterable[GpsPoints], bounds: tuple[float, float, float, float], where: str
) -> Iterator[GpsPoints]:
    """Keep the points inside an expected area; stop early when all of them are elsewhere.

    A trip that leaves the area and comes back is two trips for whoever cuts at gaps.

    Args:
        chunks: of an importer.
        bounds: west, south, east, north, degrees.
        where: the file, for the message.

    Raises:
        InputError: no point is inside; the message says so when they would be if longitude and
            latitude were exchanged.
    """
    found, swapped, total = 0, 0, 0
    for chunk in chunks:
        lon, lat = chunk.position
        inside = _inside(lon, lat, bounds)
        found, total = found + int(inside.sum()), total + len(chunk)
        swapped += int(_inside(lat, lon, bounds).sum())
        if inside.any():
            yield select_points(chunk, inside)
    if found == 0:
        hint = "The file's coordinate system may be another one than was named."
        if swapped > total / 2:
            hint = "Longitude and latitude are swapped: exchange the two columns."
        raise InputError("None of the points lies in the city.", where, hint)


def select_points(points: GpsPoints, chosen: NDArray[np.bool_]) -> GpsPoints:
    """The points of a mask."""
    return GpsPoints(
        points.trip[chosen],
        points.person[chosen],
        points.time_s[chosen],
        points.lon_deg[chosen],
        points.lat_deg[chosen],
    )


def _inside(
    lon: NDArray[np.float64], lat: NDArray[np.float64], bounds: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    west, south, east, north = bounds
    return np.asarray((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north))


def _largest(values: NDArray[np.float64]) -> float:
    return float(np.abs(values).max(initial=0))
