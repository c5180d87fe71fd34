"""A small city with every kind of file, written through the product's own writer."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry import LineString, box

from engine.cities import (
    CityMetadata,
    CityWriter,
    InterventionSpec,
    SegmentSeries,
    Source,
    Split,
    TrajectoryBatch,
)
from engine.domain import Aggregation, CloseStreets, FieldSeries, Grid

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2025, 3, 30, tzinfo=BERLIN)  # the night in which an hour is lost
GRID = Grid(13.50, 52.40, 13.58, 52.44, 8, 8, 4)
NUM_TRIPS = 5_000


def describe(city_id="demo", **about):
    return CityMetadata(
        city_id,
        "Demo",
        GRID,
        "Europe/Berlin",
        "EPSG:32633",
        simulated=True,
        sources=(Source("made by a test", "Apache-2.0"),),
        **about,
    )


def field(seed=0, values=None, **changes):
    if values is None:
        values = np.random.default_rng(seed).poisson(4, (48, 8, 8)).astype(np.uint16)
    about = {
        "name": "Vehicles entering",
        "values": values,
        "grid": GRID,
        "start": START,
        "step": timedelta(minutes=30),
        "unit": "vehicles",
        "aggregation": Aggregation.SUM,
    }
    return FieldSeries(**(about | changes))


def streets(ids=("north", "south")):
    lines = [LineString([(13.50, 52.41 + i / 1e4), (13.58, 52.42)]) for i in range(len(ids))]
    table = {
        "street_id": list(ids),
        "name": ["Nordallee", None][: len(ids)],
        "kind": ["primary"] * len(ids),
        "speed_kmh": [50.0] * len(ids),
        "lanes": [2] * len(ids),
        "length_m": [5_400.0] * len(ids),
        "car": [True] * len(ids),
        "edges": [["1", "-1"]] * len(ids),
    }
    return gpd.GeoDataFrame(table, geometry=lines, crs="EPSG:4326")


def trips(seed=0, num_trips=NUM_TRIPS, first=0):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(1, 20, num_trips))])
    return TrajectoryBatch(
        tuple(f"trip-{first + i}" for i in range(num_trips)),
        tuple(rng.choice(["work", "leisure"], num_trips)),
        np.datetime64("2025-03-30T00:00:00", "ms") + 10_000 * np.arange(num_trips),
        offsets,
        rng.integers(13_500_000, 13_580_000, offsets[-1]).astype(np.int32),
        rng.integers(52_400_000, 52_440_000, offsets[-1]).astype(np.int32),
        rng.uniform(0, 60, offsets[-1]).astype(np.float32),
        5.0,
    )


def segments(seed=0):
    rng = np.random.default_rng(seed)
    speed = rng.uniform(5, 60, (288, 2)).astype(np.float32)
    speed[::7] = np.nan
    count = rng.poisson(5, (288, 2)).astype(np.uint8)
    return SegmentSeries(speed, count, ("s1", "s2"), START, timedelta(minutes=5))


def hours(num=24):
    return pd.DataFrame(
        {
            "time": pd.date_range(START, periods=num, freq="h").tz_convert(UTC),
            "temperature_c": np.linspace(2, 9, num),
            "rain_mm_h": 0.0,
            "weather": "dry",
            "holiday": False,
            "day_type": "sunday",
        }
    )


def write_city(root: Path, city_id="demo", seed=0):
    with CityWriter(root, describe(city_id)) as writer:
        writer.add_streets(streets())
        zones = {"zone_id": ["z"], "name": ["Z"], "kind": ["mixed"]}
        numbers = dict.fromkeys(("homes", "jobs", "study", "leisure"), 1.0)
        shape = [box(13.50, 52.40, 13.54, 52.44)]
        writer.add_zones(gpd.GeoDataFrame(zones | numbers, geometry=shape, crs="EPSG:4326"))
        water = {"kind": ["water"], "name": [""]}
        writer.add_basemap(gpd.GeoDataFrame(water, geometry=shape, crs="EPSG:4326"))
        writer.add_field("inflow", field(seed))
        writer.add_field("speed", field(seed, unit="km/h", aggregation=Aggregation.MEAN))
        sensors = {
            "sensor_id": ["s1", "s2"],
            "street_id": ["north", "south"],
            "edge": ["1", "2"],
            "name": ["S1", "S2"],
            "lon": [13.51, 13.52],
            "lat": [52.41, 52.42],
        }
        writer.add_sensors(pd.DataFrame(sensors))
        writer.add_segments(segments(seed))
        writer.add_trajectories(trips(seed))
        writer.add_trajectories(trips(seed + 1, 100, first=NUM_TRIPS))
        writer.add_context(hours())
        event = {
            "event_id": ["fair"],
            "name": ["Fair"],
            "zone_id": ["z"],
            "kind": ["fair"],
            "begin": [START],
            "end": [START + timedelta(hours=3)],
            "visitors": [500],
        }
        writer.add_events(pd.DataFrame(event))
        writer.add_network("osm.net.xml", b"<net/>")
        spec = InterventionSpec("close-north", "Close it", Split.TEST, (CloseStreets(("north",)),))
        writer.add_field("inflow", field(seed + 1), prefix=spec.edited)
        writer.add_field("inflow", field(seed + 2), prefix=spec.untouched)
        writer.add_intervention(spec)
    return root / city_id
