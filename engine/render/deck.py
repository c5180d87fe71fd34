"""Maps -> ``pydeck.Deck``. Functions here build and return; they never show.

A deck made here is complete for ``st.pydeck_chart`` when values are given to :func:`heat_deck`.
The map component takes the same description without values: it fills the layers called
``<view>/cells`` and ``<view>/trips`` itself, from arrays that change while the user looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, hypot, log2, radians
from typing import Any, Final

import numpy as np
import pydeck as pdk
from numpy.typing import NDArray

from engine.domain import Grid
from engine.errors import GridError, InputError
from engine.geo.hexagons import HexCells
from engine.render.basemap import Basemap
from engine.render.palettes import ColorScale, cell_colors

Cells = Grid | HexCells
Bounds = tuple[float, float, float, float]

METRES_PER_DEGREE: Final = 111_320.0
MAX_VIEWS: Final = 4
PITCH_DEG: Final = 50
BEARING_DEG: Final = -18
COLUMN_HEIGHT_SHARE: Final = 0.14
_COVERAGE: Final = 0.95
_TYPICAL_WIDTH_PX: Final = 900


@dataclass(frozen=True, eq=False)
class HeatView:
    """One of the linked views: a map, or one per time step.

    Args:
        title: shown above it.
        values: (cells) or (T, cells) or, on a grid, (R, C) or (T, R, C); NaN is "no data".
        scale: its colours, unit and legend.
    """

    title: str
    values: NDArray[Any]
    scale: ColorScale

    def frames(self, cells: Cells) -> NDArray[np.float64]:
        """The values as (T, cells).

        Raises:
            InputError: they do not fit the cells, or one is infinite.
        """
        values, count = np.asarray(self.values), count_cells(cells)
        if values.dtype.kind not in "fiub" or not values.size or values.size % count:
            raise InputError(
                f"The values of '{self.title}' do not fit the map.",
                f"shape {values.shape}, {count:,} cells",
                "Give one value per cell and time step.",
            )
        frames = values.reshape(-1, count)
        if values.shape[-1] != count and values.shape[-2:] != getattr(cells, "shape", None):
            raise InputError(
                f"The values of '{self.title}' are not arranged as the map's cells are.",
                f"shape {values.shape}, map {getattr(cells, 'shape', (count,))}",
            )
        if values.dtype.kind == "f" and bool(np.isinf(frames).any()):
            raise InputError(f"The values of '{self.title}' hold infinity.")
        return np.asarray(frames, dtype=np.float64)


def count_cells(cells: Cells) -> int:
    """Number of cells of a grid or of hexagons."""
    return cells.num_cells if isinstance(cells, Grid) else len(cells)


def centres(cells: Cells) -> NDArray[np.float64]:
    """(cells, 2) lon, lat of each cell's middle, grids row by row from the north-west."""
    if isinstance(cells, Grid):
        west, south, east, north = cells.bounds
        lon = west + (np.arange(cells.cols) + 0.5) * (east - west) / cells.cols
        lat = north - (np.arange(cells.rows) + 0.5) * (north - south) / cells.rows
        return np.stack(np.meshgrid(lon, lat), axis=-1).reshape(-1, 2)
    return np.array([ring.mean(axis=0) for ring in cells.rings()])


def bounds_of(cells: Cells) -> Bounds:
    """West, south, east, north of all cells, degrees."""
    if isinstance(cells, Grid):
        return cells.bounds
    if not len(cells):
        raise GridError("There are no hexagons to show.", "", "Choose a finer resolution.")
    corners = np.concatenate(cells.rings())
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    return float(west), float(south), float(east), float(north)


def cells_to_json(cells: Cells) -> dict[str, Any]:
    """What the browser needs to find cells by arithmetic; arrays stay arrays."""
    if isinstance(cells, Grid):
        return {
            "kind": "grid",
            "rows": cells.rows,
            "cols": cells.cols,
            "bounds": [float(edge) for edge in cells.bounds],
        }
    rings = cells.rings()
    middles = np.array([ring.mean(axis=0) for ring in rings])
    # hexagons of one city are alike: the one in the middle stands for all (a pentagon never does)
    full = [i for i, ring in enumerate(rings) if len(ring) == 6]
    nearest = min(full, key=lambda i: float(np.abs(middles[i] - middles.mean(axis=0)).sum()))
    return {
        "kind": "h3",
        # the browser shows them, and finds hexagons by their centres
        "ids": list(cells.names or cells.ids),
        "centres": middles.ravel(),
        "outline": (rings[nearest] - middles[nearest]).ravel().tolist(),
    }


def cell_layer(view: str, cells: Cells, *, is_3d: bool, data: list[Any] | None = None) -> pdk.Layer:
    """The cells of one view; without data, for the map component to fill."""
    west, south, east, north = bounds_of(cells)
    metres = METRES_PER_DEGREE * cos(radians((south + north) / 2))
    common: dict[str, Any] = {
        "id": f"{view}/cells",
        "data": data or [],
        "extruded": is_3d,
        "coverage": _COVERAGE,
        "elevation_scale": column_height_m((west, south, east, north)),
        "get_fill_color": "color",
        "get_elevation": "height",
        "pickable": bool(data),
    }
    if isinstance(cells, HexCells):
        return pdk.Layer("H3HexagonLayer", get_hexagon="id", high_precision=False, **common)
    half_x = (east - west) / cells.cols * metres / 2
    half_y = (north - south) / cells.rows * METRES_PER_DEGREE / 2
    corners = [[-half_x, -half_y], [half_x, -half_y], [half_x, half_y], [-half_x, half_y]]
    return pdk.Layer(
        "ColumnLayer",
        get_position="position",
        radius=1,
        disk_resolution=4,
        vertices=corners,
        **common,
    )


def column_height_m(bounds: Bounds) -> float:
    """Height of the highest column: a share of the city's diagonal."""
    west, south, east, north = bounds
    diagonal = hypot((east - west) * cos(radians(south)), north - south) * METRES_PER_DEGREE
    return COLUMN_HEIGHT_SHARE * diagonal


def describe(
    layers: Sequence[pdk.Layer], bounds: Bounds, view_ids: Sequence[str] = (), *, is_3d: bool
) -> pdk.Deck:
    """Layers and linked views as a deck that fetches nothing from elsewhere.

    Raises:
        InputError: more than four views.
    """
    if len(view_ids) > MAX_VIEWS:
        raise InputError(
            f"At most {MAX_VIEWS} views stand side by side.", f"{len(view_ids)} were given"
        )
    west, south, east, north = bounds
    cols, rows = (2, 2) if len(view_ids) == 4 else (max(1, len(view_ids)), 1)
    views = [
        pdk.View(
            "MapView",
            id=view,
            x=f"{i % cols * 100 / cols:.4f}%",
            y=f"{i // cols * 100 / rows:.4f}%",
            width=f"{100 / cols:.4f}%",
            height=f"{100 / rows:.4f}%",
            controller=True,
        )
        for i, view in enumerate(view_ids)
    ]
    camera = pdk.ViewState(
        longitude=(west + east) / 2,
        latitude=(south + north) / 2,
        zoom=log2(360 * _TYPICAL_WIDTH_PX / cols / 512 / (east - west)) - 0.2,
        pitch=PITCH_DEG if is_3d else 0,
        bearing=BEARING_DEG if is_3d else 0,
    )
    # map_style stays out: even None makes the browser fetch a remote style
    more = {"views": views} if views else {}
    return pdk.Deck(
        layers=list(layers), map_provider=None, initial_view_state=camera, tooltip=False, **more
    )


def heat_deck(
    cells: Cells, view: HeatView, basemap: Basemap | None = None, *, is_3d: bool = True
) -> pdk.Deck:
    """One map with its values in it, complete for ``st.pydeck_chart``; the first time step."""
    values = view.frames(cells)[0]
    colors = cell_colors(values, view.scale).tolist()
    span = (view.scale.high - view.scale.low) or 1.0
    heights = np.nan_to_num(np.clip((values - view.scale.low) / span, 0.004, 1)).tolist()
    places: Sequence[Any] = (
        cells.ids if isinstance(cells, HexCells) else np.round(centres(cells), 6).tolist()
    )
    name = "id" if isinstance(cells, HexCells) else "position"
    rows = [
        {name: place, "color": color, "height": height}
        for place, color, height in zip(places, colors, heights, strict=True)
    ]
    layers = [
        *(basemap.layers() if basemap else []),
        cell_layer("main", cells, is_3d=is_3d, data=rows),
    ]
    return describe(layers, bounds_of(cells), is_3d=is_3d)
