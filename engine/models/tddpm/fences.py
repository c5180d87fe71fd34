"""Closed streets as places that no trip may enter."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from engine.cities import City
from engine.errors import UnknownStreetError
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.tracks import Floats, LocalPlane

if TYPE_CHECKING:
    import geopandas as gpd

CELL_M = 8.0
HALF_STREET_M = 8.0
OTHER_STREET_M = 18.0
"""Where another street is this close, a trip may be on that one: crossings stay open."""
_STEP_M = 3.0


def street_fence(city: City, closed: tuple[str, ...], plane: LocalPlane, side_m: float) -> Fence:
    """Cells on closed streets and away from open ones.

    Args:
        city: gives the streets' lines.
        closed: ids of the closed streets.
        plane: of the trips.
        side_m: side of the square around the plane's origin that trips lie in.

    Raises:
        UnknownStreetError: the city has no such street.
    """
    streets = city.streets().query("car")
    shut = streets["street_id"].isin(closed)
    missing = set(closed) - set(streets["street_id"])
    if missing:
        raise UnknownStreetError("The city has no such street.", ", ".join(sorted(missing)[:3]))
    num = int(np.ceil(side_m / CELL_M))
    edge = num * CELL_M / 2
    middle = (np.arange(num) + 0.5) * CELL_M
    x, y = np.meshgrid(middle - edge, edge - middle)
    places = np.stack([x, y], axis=-1)
    near = _distances(_points_along(streets[shut], plane), places) <= HALF_STREET_M
    others = _points_along(streets[~shut], plane)
    away = _distances(others, places) > OTHER_STREET_M
    return Fence(-edge, edge, (CELL_M, CELL_M), near & away)


def _distances(points_m: Floats, places_m: Floats) -> Floats:
    if not len(points_m):
        return np.full(places_m.shape[:-1], np.inf)
    return np.asarray(cKDTree(points_m).query(places_m)[0])


def _points_along(streets: "gpd.GeoDataFrame", plane: LocalPlane) -> Floats:
    """(K, 2) metres, every few metres along the streets."""
    import shapely

    parts = shapely.get_parts(streets.geometry.to_numpy())
    coords, owner = shapely.get_coordinates(parts, return_index=True)
    points = plane.to_metres(coords[:, 0], coords[:, 1])
    same = owner[1:] == owner[:-1]
    begin, end = points[:-1][same], points[1:][same]
    steps = np.maximum(np.ceil(np.linalg.norm(end - begin, axis=1) / _STEP_M), 1).astype(int)
    leg = np.repeat(np.arange(len(begin)), steps)
    within = np.arange(len(leg)) - np.repeat(np.cumsum(steps) - steps, steps)
    share = (within / steps[leg])[:, None]
    return np.concatenate([begin[leg] * (1 - share) + end[leg] * share, points])
