"""H3 hexagons over a grid's area. H3 wants latitude first: this is where the two are swapped."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import h3
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from engine.domain import Grid
from engine.errors import GridError

if TYPE_CHECKING:
    import geopandas as gpd

MAX_HEXAGONS: Final = 65_536
MAX_RESOLUTION: Final = 15
_MAX_WIDTH_DEG: Final = 30.0
_EARTH_RADIUS_KM: Final = 6371.0
_FINEST_SENSOR, _COARSEST_SENSOR = 11, 6


@dataclass(frozen=True, eq=False)
class HexCells:
    """Hexagons over a grid's area: all that touch its box, or some that stand for places.

    Args:
        grid: the grid.
        resolution: of H3, 0 to 15.
        ids: H names, sorted.
        names: what each stands for, such as a sensor; none where it stands for itself.
    """

    grid: Grid
    resolution: int
    ids: tuple[str, ...]
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def rings(self) -> list[NDArray[np.float64]]:
        """The corners of each hexagon, (K, 2) lon, lat in degrees, not closed.

        Longitudes may pass 180 at the date line, so that a ring is never torn.
        """
        middle = self.grid.center[0]
        rings = []
        for name in self.ids:
            ring = np.array(h3.cell_to_boundary(name))[:, ::-1]
            ring[:, 0] = middle + (ring[:, 0] - middle + 180.0) % 360.0 - 180.0
            rings.append(ring)
        return rings

    def frame(self) -> "gpd.GeoDataFrame":
        """``hex_id`` and polygons in EPSG:4326, in the order of :attr:`ids`."""
        import geopandas as gpd
        import shapely

        shapes = [shapely.Polygon(ring) for ring in self.rings()]
        return gpd.GeoDataFrame({"hex_id": list(self.ids)}, geometry=shapes, crs="EPSG:4326")


def hexagons_over(grid: Grid, resolution: int) -> HexCells:
    """The hexagons of one resolution that touch a grid's box, so that they cover it.

    Raises:
        GridError: no such resolution, too many hexagons, or an area too wide for them.
    """
    if not 0 <= resolution <= MAX_RESOLUTION:
        raise GridError("H3 has resolutions from 0 to 15.", str(resolution))
    if grid.east - grid.west > _MAX_WIDTH_DEG:
        raise GridError(
            f"Hexagons cover areas of at most {_MAX_WIDTH_DEG:.0f} degrees of longitude.",
            f"{grid.east - grid.west:.1f} degrees",
        )
    expected = _area_km2(grid) / h3.average_hexagon_area(resolution, unit="km^2")
    if expected > MAX_HEXAGONS:
        raise GridError(
            f"About {expected:,.0f} hexagons would be needed; at most {MAX_HEXAGONS:,} are shown.",
            f"resolution {resolution}",
            "Choose a coarser resolution.",
        )
    w, s, e, n = grid.bounds
    box = h3.LatLngPoly([(s, w), (s, e), (n, e), (n, w)])
    touching = h3.polygon_to_cells_experimental(box, resolution, contain="overlap")
    return HexCells(grid, resolution, tuple(sorted(touching)))


def hexagons_at(grid: Grid, places_N2: NDArray[np.float64]) -> tuple[HexCells, NDArray[np.int64]]:
    """A hexagon of its own for each place: the one that it lies in, or the nearest that is free.

    Two sensors at one junction, or one for each direction of a street, stand side by side.

    Args:
        grid: the city's.
        places_N2: lon, lat in degrees.

    Returns:
        The hexagons, and which of the N places each of them stands for.

    Raises:
        GridError: there are no places, or one is no number.
    """
    if not len(places_N2) or not np.isfinite(places_N2).all():
        raise GridError("There are no places to show, or one is no number.")
    resolution = _resolution_for(places_N2)
    taken: dict[str, int] = {}
    for number, (lon, lat) in enumerate(places_N2.tolist()):
        home = h3.latlng_to_cell(lat, lon, resolution)
        ring = 0
        while True:
            around = [name for name in sorted(h3.grid_ring(home, ring)) if name not in taken]
            if around:
                break
            ring += 1
        nearest = min(
            around, key=lambda name: h3.great_circle_distance(h3.cell_to_latlng(name), (lat, lon))
        )
        taken[nearest] = number
    ids = tuple(sorted(taken))
    return HexCells(grid, resolution, ids), np.array([taken[name] for name in ids])


def _resolution_for(places_N2: NDArray[np.float64]) -> int:
    """Hexagons of about a fifth of the distance to the next place, within what can be seen."""
    distinct = np.unique(places_N2, axis=0)
    if len(distinct) < 2:
        return _FINEST_SENSOR
    scale = np.array([np.cos(np.radians(distinct[:, 1].mean())), 1.0])
    nearest, _ = cKDTree(distinct * scale).query(distinct * scale, k=2)
    spacing_km = float(np.median(nearest[:, 1])) * np.pi / 180 * _EARTH_RADIUS_KM
    for resolution in range(_FINEST_SENSOR, _COARSEST_SENSOR, -1):
        if h3.average_hexagon_edge_length(resolution, unit="km") >= spacing_km / 5:
            return resolution
    return _COARSEST_SENSOR


def hexagon_of(lon: ArrayLike, lat: ArrayLike, resolution: int) -> list[str]:
    """The hexagon of each point."""
    lons, lats = np.atleast_1d(np.asarray(lon, float)), np.atleast_1d(np.asarray(lat, float))
    return [h3.latlng_to_cell(y, x, resolution) for x, y in zip(lons, lats, strict=True)]


def _area_km2(grid: Grid) -> float:
    height = np.sin(np.radians(grid.north)) - np.sin(np.radians(grid.south))
    return float(np.radians(grid.east - grid.west) * height * _EARTH_RADIUS_KM**2)
