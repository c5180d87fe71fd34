"""A small city for tests: four streets, three weeks of half-hours on 16 × 16 cells.

Written through the product's own writer, so that what the tests read is a real city on disk.
"""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry import LineString, box

from engine.cities import City, CityMetadata, CityWriter, SegmentSeries, Source
from engine.domain import Aggregation, FieldSeries, Grid

BERLIN = ZoneInfo("Europe/Berlin")
GRID = Grid(13.51, 52.42, 13.55, 52.45, 16, 16, 4)
START = datetime(2024, 9, 2, tzinfo=BERLIN)
NUM_WEEKS = 3
STEPS_A_WEEK = 336
NOTICE = "simulated traffic on real streets, © OpenStreetMap contributors"


def flow_values(seed: int = 0) -> np.ndarray:
    """(T, R, C) counts with a daily rhythm, and a hill in the middle of the map."""
    rng = np.random.default_rng(seed)
    steps = np.arange(NUM_WEEKS * STEPS_A_WEEK)
    rhythm = 1 + np.sin((steps % 48 - 16) / 48 * 2 * np.pi)
    axis = np.linspace(-2, 2, 16)
    hill = np.exp(-(axis[:, None] ** 2) - axis[None, :] ** 2)
    return rng.poisson(40 * rhythm[:, None, None] * hill).astype(np.uint16)


def streets(names=("Ahornallee", "Birkenweg", "Canalstraße", "Domplatz")) -> gpd.GeoDataFrame:
    """One street a row, west to east."""
    lats = np.linspace(52.425, 52.445, len(names))
    return gpd.GeoDataFrame(
        {
            "street_id": [f"s{i}" for i in range(len(names))],
            "name": list(names),
            "kind": ["secondary"] * len(names),
            "speed_kmh": [50.0] * len(names),
            "lanes": [2] * len(names),
            "length_m": [2700.0] * len(names),
            "car": [True] * len(names),
            "edges": [[f"e{i}", f"-e{i}"] for i in range(len(names))],
        },
        geometry=[LineString([(13.512, lat), (13.53, lat + 0.001), (13.548, lat)]) for lat in lats],
        crs="EPSG:4326",
    )


def write_small_city(root: Path, city_id: str = "small", title: str = "Kleinstadt") -> City:
    """Write the city below ``root`` and open it."""
    metadata = CityMetadata(
        id=city_id,
        title=title,
        grid=GRID,
        timezone="Europe/Berlin",
        crs_metric="EPSG:32633",
        description="Four streets and a hill of traffic.",
        simulated=True,
        sources=(Source("made by a test", "Apache-2.0"),),
        attribution="© OpenStreetMap contributors",
        notice=NOTICE,
    )
    lines = streets()
    middle = [line.interpolate(0.5, normalized=True) for line in lines.geometry]
    rng = np.random.default_rng(1)
    num_steps = NUM_WEEKS * 7 * 288
    hours = pd.date_range(START, periods=NUM_WEEKS * STEPS_A_WEEK, freq="30min").tz_convert("UTC")
    with CityWriter(root, metadata) as writer:
        writer.add_streets(lines)
        writer.add_basemap(
            gpd.GeoDataFrame(
                {"kind": ["water", "green"], "name": ["Canal", "Park"]},
                geometry=[box(13.51, 52.42, 13.55, 52.422), box(13.54, 52.44, 13.55, 52.45)],
                crs="EPSG:4326",
            )
        )
        writer.add_field(
            "flow",
            FieldSeries(
                "vehicles entering each cell",
                flow_values(),
                GRID,
                START,
                timedelta(minutes=30),
                "vehicles",
                Aggregation.SUM,
            ),
        )
        writer.add_sensors(
            pd.DataFrame(
                {
                    "sensor_id": [f"d{i}" for i in range(4)],
                    "street_id": lines["street_id"].to_list(),
                    "edge": [f"e{i}" for i in range(4)],
                    "name": lines["name"].to_list(),
                    "lon": [point.x for point in middle],
                    "lat": [point.y for point in middle],
                }
            )
        )
        writer.add_segments(
            SegmentSeries(
                rng.uniform(10, 50, (num_steps, 4)).astype(np.float32),
                rng.poisson(5, (num_steps, 4)).astype(np.uint8),
                tuple(f"d{i}" for i in range(4)),
                START,
                timedelta(minutes=5),
            )
        )
        writer.add_context(
            pd.DataFrame(
                {
                    "time": hours,
                    "temperature_c": np.full(len(hours), 15.0, np.float32),
                    "rain_mm_h": np.zeros(len(hours), np.float32),
                    "weather": ["dry"] * len(hours),
                    "holiday": [False] * len(hours),
                    "day_type": ["weekday"] * len(hours),
                }
            )
        )
        writer.add_events(
            pd.DataFrame(
                {
                    "event_id": ["fair"],
                    "name": ["Autumn fair"],
                    "zone_id": ["z1"],
                    "kind": ["fair"],
                    "begin": [hours[400]],
                    "end": [hours[412]],
                    "visitors": [1500],
                }
            )
        )
    return City(root / city_id)
