"""The city below the cells: water, green, buildings, rails and streets, from its own files."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pydeck as pdk
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from engine.errors import CityError

if TYPE_CHECKING:
    import geopandas as gpd

DECIMALS: Final = 6
TOLERANCE_DEG: Final = 4.5e-6
"""Half a metre: how far a street of the base map may lie from where it is."""
AREA_KINDS: Final = ("green", "water", "building")
RAIL_WIDTH_M: Final = 2.5
DEFAULT_STREET_WIDTH_M: Final = 5.0
STREET_WIDTH_M: Final = {
    "motorway": 15.0,
    "trunk": 13.0,
    "primary": 12.0,
    "secondary": 10.0,
    "tertiary": 8.0,
    "residential": 6.0,
    "unclassified": 6.0,
    "living_street": 5.0,
    "service": 3.0,
    "footway": 1.5,
    "path": 1.5,
    "cycleway": 2.0,
}

THEMES: Final[dict[str, dict[str, tuple[int, int, int, int]]]] = {
    "light": {
        "paper": (255, 255, 255, 255),
        "background": (243, 242, 238, 255),
        "ink": (24, 33, 43, 255),
        "water": (176, 206, 224, 255),
        "green": (211, 228, 200, 255),
        "building": (224, 219, 211, 255),
        "rail": (173, 173, 178, 255),
        "street": (196, 203, 211, 255),
        "casing": (255, 255, 255, 255),
        "selectable": (112, 125, 140, 235),
        "closed": (200, 40, 40, 255),
    },
    "dark": {
        "paper": (16, 21, 27, 255),
        "background": (22, 28, 35, 255),
        "ink": (231, 236, 241, 255),
        "water": (27, 52, 71, 255),
        "green": (28, 46, 37, 255),
        "building": (40, 48, 57, 255),
        "rail": (84, 92, 102, 255),
        "street": (66, 77, 89, 255),
        "casing": (16, 21, 27, 255),
        "selectable": (135, 148, 163, 235),
        "closed": (255, 112, 96, 255),
    },
}
"""Colours of the map by theme; layers called ``base-<kind>`` take theirs from here."""


@dataclass(frozen=True, eq=False)
class Basemap:
    """GeoJSON of the city's features by kind; holds no names, so nothing of it is ever text.

    Args:
        features: by kind (water, green, building, rail, street): lists of GeoJSON features.
        attribution: who made the data and under which licence; shown on every map.
    """

    features: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    attribution: str = ""

    @classmethod
    def from_frames(
        cls,
        streets: "gpd.GeoDataFrame | None" = None,
        areas: "gpd.GeoDataFrame | None" = None,
        attribution: str = "",
    ) -> "Basemap":
        """From a city's tables.

        Args:
            streets: lines with a column ``kind``; EPSG:4326.
            areas: shapes with a column ``kind`` of water, green, building, rail; EPSG:4326.
            attribution: who made the data and under which licence.
        """
        features: dict[str, list[dict[str, Any]]] = {}
        if areas is not None:
            for kind, shape in zip(areas["kind"], areas.geometry, strict=True):
                if kind in (*AREA_KINDS, "rail") and not _is_empty(shape):
                    features.setdefault(str(kind), []).append(_feature(shape, {}))
        if streets is not None:
            features["street"] = [
                _feature(_simple(shape), {"width": street_width_m(str(kind))})
                for kind, shape in zip(streets["kind"], streets.geometry, strict=True)
                if not _is_empty(shape)
            ]
        return cls(features, attribution)

    @cached_property
    def digest(self) -> str:
        """Changes with the content."""
        text = json.dumps([self.features, self.attribution], separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def layers(self) -> list[pdk.Layer]:
        """Layers from the ground up, in the light theme's colours."""
        layers = [
            pdk.Layer(
                "GeoJsonLayer",
                id=f"base-{kind}",
                data=_collection(self.features[kind]),
                stroked=False,
                filled=True,
                get_fill_color=list(THEMES["light"][kind]),
                pickable=False,
            )
            for kind in AREA_KINDS
            if self.features.get(kind)
        ]
        for kind, width in (("rail", RAIL_WIDTH_M), ("street", "properties.width")):
            if self.features.get(kind):
                layers.append(
                    pdk.Layer(
                        "GeoJsonLayer",
                        id=f"base-{kind}",
                        data=_collection(self.features[kind]),
                        stroked=True,
                        filled=False,
                        get_line_color=list(THEMES["light"][kind]),
                        get_line_width=width,
                        line_width_min_pixels=1,
                        pickable=False,
                    )
                )
        return layers


@dataclass(frozen=True, eq=False)
class StreetLines:
    """The streets that can be chosen, as flat arrays.

    Args:
        ids: of each street, unique.
        names: of each street, may be empty.
        kinds: of each street, may be empty.
        owners: (P,) uint32; the street that each line belongs to.
        starts: (P,) uint32; where each line begins in ``coords``.
        coords: (K, 2) float64; lon, lat.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    owners: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    coords: NDArray[np.float64]

    @classmethod
    def from_frame(cls, streets: "gpd.GeoDataFrame") -> "StreetLines":
        """From a city's table of streets: street_id, name, kind and lines; EPSG:4326.

        Raises:
            CityError: there is no street in it.
        """
        lines = [
            (str(street), part)
            for street, shape in zip(streets["street_id"], streets.geometry, strict=True)
            for part in _lines(shape)
        ]
        if not lines:
            raise CityError(
                "This city has no streets to choose from.",
                "streets table",
                "Choose a city with streets, or import them.",
            )
        rows = {str(row.street_id): row for row in streets.itertuples()}
        ids = tuple(dict.fromkeys(street for street, _ in lines))
        index = {street: i for i, street in enumerate(ids)}
        sizes = [len(part) for _, part in lines]
        return cls(
            ids=ids,
            names=tuple(_text(getattr(rows[street], "name", "")) for street in ids),
            kinds=tuple(_text(getattr(rows[street], "kind", "")) for street in ids),
            owners=np.array([index[street] for street, _ in lines], dtype=np.uint32),
            starts=np.cumsum([0, *sizes[:-1]]).astype(np.uint32),
            coords=np.concatenate([part for _, part in lines]),
        )


def street_width_m(kind: str) -> float:
    """Width to draw a street with, by its kind in OpenStreetMap's or SUMO's words."""
    plain = kind.removeprefix("highway.").removesuffix("_link")
    return STREET_WIDTH_M.get(plain, DEFAULT_STREET_WIDTH_M)


def _text(value: object) -> str:
    """Text of a table's cell; a missing value (None, NaN) is empty."""
    return value if isinstance(value, str) else ""


def _is_empty(shape: BaseGeometry | None) -> bool:
    return shape is None or shape.is_empty


def _lines(shape: BaseGeometry | None) -> Iterator[NDArray[np.float64]]:
    if shape is None or shape.is_empty:
        return
    for part in shapely.get_parts(shape):
        if part.geom_type in ("LineString", "LinearRing") and len(part.coords) > 1:
            yield np.array(part.coords, dtype=np.float64)[:, :2].round(DECIMALS)


def _simple(line: BaseGeometry) -> BaseGeometry:
    """The line without points that nobody would miss: each costs the browser time in each frame."""
    return shapely.simplify(line, TOLERANCE_DEG, preserve_topology=False)


def _feature(shape: BaseGeometry, properties: dict[str, Any]) -> dict[str, Any]:
    geometry = shapely.geometry.mapping(shape)
    rounded = {"type": geometry["type"], "coordinates": _rounded(geometry["coordinates"])}
    return {"type": "Feature", "properties": properties, "geometry": rounded}


def _rounded(part: Iterable[Any]) -> list[Any]:
    values = list(part)
    if values and isinstance(values[0], int | float):
        return [round(float(value), DECIMALS) for value in values[:2]]
    return [_rounded(value) for value in values]


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features}
