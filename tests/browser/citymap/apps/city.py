"""A small real city for the tests' maps: Adlershof, from the SUMO package, read by sumolib."""

from functools import lru_cache
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
import sumo
import sumolib

from engine.domain import Grid
from engine.render.basemap import Basemap

NETWORK = Path(sumo.SUMO_HOME) / "tools" / "game" / "DRT" / "osm.net.xml"
ATTRIBUTION = "© OpenStreetMap contributors, ODbL"


@lru_cache(maxsize=1)
def streets() -> gpd.GeoDataFrame:
    """Streets for cars: street_id, name, kind, line."""
    net = sumolib.net.readNet(str(NETWORK))
    rows = []
    for edge in net.getEdges():
        if edge.allows("passenger"):
            line = [net.convertXY2LonLat(x, y) for x, y in edge.getShape()]
            rows.append((edge.getID(), edge.getName(), edge.getType(), shapely.LineString(line)))
    names, titles, kinds, lines = zip(*rows, strict=True)
    table = {"street_id": names, "name": titles, "kind": kinds}
    return gpd.GeoDataFrame(table, geometry=list(lines), crs="EPSG:4326")


@lru_cache(maxsize=1)
def areas() -> gpd.GeoDataFrame:
    """A park, a pond, a railway and some blocks, placed inside of the streets' box."""
    west, south, east, north = streets().total_bounds
    width, height = east - west, north - south

    def box(x, y, w, h):
        return shapely.box(
            west + x * width, south + y * height, west + (x + w) * width, south + (y + h) * height
        )

    shapes = [("green", box(0.62, 0.55, 0.2, 0.2)), ("water", box(0.68, 0.6, 0.06, 0.08))]
    shapes += [
        ("building", box(0.2 + 0.05 * i, 0.2 + 0.06 * j, 0.03, 0.035))
        for i in range(6)
        for j in range(4)
    ]
    line = shapely.LineString([(west, south + 0.9 * height), (east, south + 0.35 * height)])
    shapes.append(("rail", line))
    kinds, geometry = zip(*shapes, strict=True)
    return gpd.GeoDataFrame({"kind": kinds}, geometry=list(geometry), crs="EPSG:4326")


@lru_cache(maxsize=1)
def basemap() -> Basemap:
    """Streets and areas below the cells."""
    return Basemap.from_frames(streets(), areas(), ATTRIBUTION)


def grid(rows: int, cols: int | None = None) -> Grid:
    """The city's box in that many rows and columns."""
    west, south, east, north = (float(v) for v in streets().total_bounds)
    return Grid(west, south, east, north, rows, cols or rows)


def occupancy(rows: int, cols: int) -> np.ndarray:
    """Two busy places, in persons."""
    y, x = np.mgrid[0:rows, 0:cols] / np.array([rows, cols])[:, None, None]
    return 80 * np.exp(-((x - 0.35) ** 2 + (y - 0.4) ** 2) / 0.02) + 45 * np.exp(
        -((x - 0.7) ** 2 + (y - 0.65) ** 2) / 0.01
    )
