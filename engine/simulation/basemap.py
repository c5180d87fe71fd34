"""What else the carried network shows of the place: rails, footpaths, service roads.

Nothing is invented: the network holds no water, parks or buildings, so the base map has none.
"""

import gzip
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

import geopandas as gpd
import numpy as np
from shapely import LineString, MultiLineString, box
from shapely.ops import linemerge

from engine.domain import Grid
from engine.simulation.construction import to_degrees

KINDS = {
    "railway.rail": "rail",
    "railway.light_rail": "rail",
    "railway.tram": "tram",
    "highway.service": "service",
    "highway.track": "service",
    "highway.footway": "footway",
    "highway.path": "footway",
    "highway.steps": "footway",
    "highway.pedestrian": "footway",
    "highway.cycleway": "footway",
}
"""Kinds of edge that cars do not use, and what the base map calls them."""


def read_basemap(source: Path, grid: Grid) -> gpd.GeoDataFrame:
    """Rails, trams, service roads and footpaths of the uncleaned network, cut to the grid.

    Args:
        source: the network as the package carries it.
        grid: the city's area.

    Returns:
        kind, name and geometry (EPSG:4326), one row for each kind and name.
    """
    data = gzip.decompress(source.read_bytes()) if source.suffix == ".gz" else source.read_bytes()
    root = ET.fromstring(data)
    location = root.find("location")
    offset = (
        tuple(float(v) for v in location.attrib["netOffset"].split(","))
        if location is not None
        else (0, 0)
    )
    lines: dict[tuple[str, str], list[LineString]] = defaultdict(list)
    seen: set[frozenset[tuple[float, float]]] = set()
    for edge in root.findall("edge"):
        parts = edge.get("type", "").split("|")
        kind = next((KINDS[part] for part in reversed(parts) if part in KINDS), "")
        lane = edge.find("lane")
        if not kind or edge.get("function") or lane is None:
            continue
        text = edge.get("shape") or lane.attrib["shape"]
        points = np.array([[float(v) for v in p.split(",")[:2]] for p in text.split()])
        ends = frozenset((round(float(x)), round(float(y))) for x, y in points[[0, -1]])
        if ends not in seen and len(points) > 1:
            seen.add(ends)
            degrees = to_degrees((offset[0], offset[1]), points).round(6)
            lines[kind, edge.get("name", "")].append(LineString(degrees))
    area = box(*grid.bounds)
    rows = []
    for kind, name in sorted(lines):
        cut = linemerge(MultiLineString(lines[kind, name])).intersection(area)
        if not cut.is_empty:
            rows.append({"kind": kind, "name": name, "geometry": cut})
    return gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326")
