"""Made trips as files: CSV for spreadsheets, GeoParquet for analysts, GPX for map programs."""

import io
from datetime import UTC, datetime
from enum import StrEnum
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd

from engine.api.trips_maps import when_of
from engine.cities.registry import open_city
from engine.domain import Result
from engine.errors import InputError

STEP_S = 5.0
GPX_MOST_TRIPS = 5_000
"""More make a file that map programs do not open."""


class TripsFormat(StrEnum):
    """Kinds of file; the value is the ending of its name."""

    CSV = "csv"
    GEOPARQUET = "parquet"
    GPX = "gpx"


def export_trips(result: Result, version: str, kind: TripsFormat) -> bytes:
    """The trips of ``before`` or ``after`` as a file.

    CSV: one row a point, columns trip, time (UTC), lon, lat, expansion (vehicles that the trip
    stands for). GeoParquet: one row a trip, columns trip, start (UTC), points, expansion, geometry
    (lines, EPSG:4326). GPX: one track a trip.

    Raises:
        InputError: there is no such version, or there are too many trips for the format.
    """
    if version not in ("before", "after"):
        raise InputError("Trips are of the city before or after the edit.", version[:40])
    writers = {
        TripsFormat.CSV: _write_csv,
        TripsFormat.GEOPARQUET: _write_geoparquet,
        TripsFormat.GPX: _write_gpx,
    }
    return writers[kind](_points(result, version))


def _points(result: Result, version: str) -> pd.DataFrame:
    """One row a point: trip, time (UTC), lon, lat, vehicles that the trip stands for."""
    offsets = result.arrays[f"{version}/offsets"].astype(np.int64)
    counts = np.diff(offsets)
    trip = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(trip)) - np.repeat(offsets[:-1], counts)
    start_s = result.arrays[f"{version}/start_s"].astype(np.float64)
    city = open_city(result.scenario.city_id)
    day = when_of(result.scenario).day
    midnight = datetime(day.year, day.month, day.day, tzinfo=city.zone).astimezone(UTC)
    seconds = pd.to_timedelta(np.rint((start_s[trip] + within * STEP_S) * 1e3), unit="ms")
    return pd.DataFrame(
        {
            "trip": trip,
            "time": pd.Timestamp(midnight) + seconds,
            "lon": result.arrays[f"{version}/lon_udeg"].astype(np.float64) / 1e6,
            "lat": result.arrays[f"{version}/lat_udeg"].astype(np.float64) / 1e6,
            "expansion": result.arrays[f"{version}/expansion"][trip].round(4),
        }
    )


def _write_csv(points: pd.DataFrame) -> bytes:
    text = points.assign(time=points["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return text.to_csv(index=False).encode()


def _write_geoparquet(points: pd.DataFrame) -> bytes:
    import geopandas as gpd
    import shapely

    grouped = points.groupby("trip", sort=True)
    # a trip of one point is a line that stays there
    alone = grouped["trip"].transform("size") == 1
    doubled = pd.concat([points, points[alone]]).sort_values("trip", kind="stable")
    lines = shapely.linestrings(
        doubled[["lon", "lat"]].to_numpy(), indices=doubled["trip"].to_numpy()
    )
    table = gpd.GeoDataFrame(
        {
            "trip": list(grouped.groups),
            "start": grouped["time"].min().to_numpy(),
            "points": grouped.size().to_numpy(),
            "expansion": grouped["expansion"].first().to_numpy(),
        },
        geometry=lines,
        crs="EPSG:4326",
    )
    content = io.BytesIO()
    table.to_parquet(content, index=False, compression="zstd")
    return content.getvalue()


def _write_gpx(points: pd.DataFrame) -> bytes:
    num = points["trip"].nunique()
    if num > GPX_MOST_TRIPS:
        raise InputError(
            "There are too many trips for one GPX file.",
            f"{num:,}, at most {GPX_MOST_TRIPS:,}",
            "Download them as GeoParquet or CSV.",
        )
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<gpx version="1.1" creator="Citybrush" xmlns="http://www.topografix.com/GPX/1/1">',
    ]
    for trip, rows in points.groupby("trip", sort=True):
        lines.append(f"<trk><name>{escape(f'made trip {trip}')}</name><trkseg>")
        lines += [
            f'<trkpt lat="{lat:.6f}" lon="{lon:.6f}"><time>{time:%Y-%m-%dT%H:%M:%SZ}</time></trkpt>'
            for time, lon, lat in zip(rows["time"], rows["lon"], rows["lat"], strict=True)
        ]
        lines.append("</trkseg></trk>")
    lines.append("</gpx>")
    return "\n".join(lines).encode()


def trips_file_name(result: Result, version: str, kind: TripsFormat) -> str:
    """A name that says what is in the file."""
    day = when_of(result.scenario).day
    return f"{result.scenario.city_id}-{day:%Y%m%d}-{version}.{kind.value}"
