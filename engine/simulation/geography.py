"""Streets, zones and sensors as tables with geometry, in the columns of :mod:`engine.cities`."""

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely import (
    GeometryCollection,
    MultiLineString,
    MultiPoint,
    MultiPolygon,
    Polygon,
    box,
    union_all,
    voronoi_polygons,
)
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry

from engine.simulation.construction import to_degrees
from engine.simulation.model import TrafficModel
from engine.simulation.network import RoadNetwork
from engine.simulation.streets import find_streets

ZONE_REACH_M = 110.0
"""Zones end at this distance from their streets."""


def street_table(network: RoadNetwork) -> gpd.GeoDataFrame:
    """All streets, in both directions."""
    rows = [
        {
            "street_id": s.id,
            "name": s.name,
            "kind": s.kind,
            "speed_kmh": s.speed_kmh,
            "lanes": s.lanes,
            "length_m": s.length_m,
            "car": True,
            "edges": list(s.edges),
            "geometry": _lines_in_degrees(network, s.lines),
        }
        for s in find_streets(network)
    ]
    return gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326")


def _lines_in_degrees(network: RoadNetwork, lines: MultiLineString) -> MultiLineString:
    return MultiLineString(
        [
            LineString(to_degrees(network.offset, np.array(line.coords)).round(6))
            for line in lines.geoms
        ]
    )


def zone_table(model: TrafficModel, network: RoadNetwork) -> gpd.GeoDataFrame:
    """Zones as areas: what is nearer to their streets than to those of other zones."""
    shapes = {edge.id: LineString(edge.shape) for edge in network.edges}
    owners: dict[tuple[float, float], int] = {}
    for number, zone in enumerate(model.zones):
        for edge in zone.edges:
            line = shapes[edge]
            steps = max(2, int(line.length // 15))
            for step in range(steps):
                point = line.interpolate((step + 0.5) / steps, normalized=True)
                owners.setdefault((round(point.x), round(point.y)), number)
    cells = list(voronoi_polygons(MultiPoint(list(owners)), ordered=True).geoms)
    rows = []
    for number, zone in enumerate(model.zones):
        own = [i for i, owner in enumerate(owners.values()) if owner == number]
        reach = union_all([shapes[e] for e in zone.edges]).buffer(ZONE_REACH_M)
        area = union_all([cells[i] for i in own]).intersection(reach)
        rows.append(
            {
                "zone_id": zone.id,
                "name": zone.name,
                "kind": zone.kind,
                "homes": zone.homes,
                "jobs": zone.jobs,
                "study": zone.study,
                "leisure": zone.leisure,
                "geometry": _area_in_degrees(model, area.simplify(1.0)),
            }
        )
    return gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326")


def _area_in_degrees(model: TrafficModel, area: BaseGeometry) -> BaseGeometry:
    parts = list(area.geoms) if isinstance(area, MultiPolygon | GeometryCollection) else [area]
    inside = [
        Polygon(to_degrees(model.offset_m, np.array(part.exterior.coords)).round(6))
        for part in parts
        if isinstance(part, Polygon) and part.area > 1
    ]
    return union_all(inside).intersection(box(*model.grid.bounds))


def sensor_table(model: TrafficModel) -> pd.DataFrame:
    """One row for each sensor, in the order of the series' columns."""
    street_name = {street.id: street.name for street in model.streets}
    edges = [model.edges[model.edge_index[name]] for name in model.sensors]
    lonlat = to_degrees(model.offset_m, np.array([(e.x_m, e.y_m) for e in edges]))
    return pd.DataFrame(
        {
            "sensor_id": sensor_ids(model),
            "street_id": [e.street for e in edges],
            "edge": [e.id for e in edges],
            "name": [street_name[e.street] for e in edges],
            "lon": lonlat[:, 0].round(6),
            "lat": lonlat[:, 1].round(6),
        }
    )


def sensor_ids(model: TrafficModel) -> tuple[str, ...]:
    """Readable names of the sensors: street and number."""
    counts: dict[str, int] = {}
    names = []
    for edge in model.sensors:
        street = model.edges[model.edge_index[edge]].street
        counts[street] = counts.get(street, 0) + 1
        names.append(f"{street}-{'abcdefgh'[counts[street] - 1]}")
    return tuple(names)
