"""One to four linked views of the same cells; time passes in the browser."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.domain import Grid
from engine.errors import InputError
from engine.render.deck import (
    MAX_VIEWS,
    Cells,
    HeatView,
    bounds_of,
    cell_layer,
    cells_to_json,
    count_cells,
    describe,
)
from pages.shared.citymap.component import is_new_here, mount
from pages.shared.citymap.documents import cached_payload
from pages.shared.citymap.options import MapOptions
from pages.shared.citymap.payload import deck_to_json, digest_of, encode_payload
from pages.shared.state import component_state

NO_DATA: Final = 65_535
STEPS: Final = NO_DATA - 1
MAX_VALUES: Final = 24_000_000
"""Values of all views together: 48 MB, as much as a browser takes without a pause."""


@dataclass(frozen=True)
class Frames:
    """How the time steps are shown.

    Args:
        labels: one per time step, for example "Mon 08:30"; empty for "Step 1 of 24".
        per_second: how many pass in one second of playing.
        begin: index of the step to begin with.
    """

    labels: tuple[str, ...] = ()
    per_second: float = 8.0
    begin: int = 0


@dataclass(frozen=True)
class MapSelection:
    """What the user chose on the map.

    Args:
        cell: index of the chosen cell, row by row; none until one was clicked.
        row: its row, from the north; none on hexagons.
        col: its column, from the west; none on hexagons.
        hexagon: its H3 name; none on grids.
        step: the time step shown at that moment.
        view: index of the view that was clicked.
        is_drawn: whether the browser has drawn the map; true where that was not asked for.
    """

    cell: int | None = None
    row: int | None = None
    col: int | None = None
    hexagon: str | None = None
    step: int = 0
    view: int = 0
    is_drawn: bool = True


def view_maps(  # noqa: PLR0913
    cells: Cells,
    views: Sequence[HeatView],
    *,
    key: str,
    frames: Frames | None = None,
    options: MapOptions | None = None,
    shared_scale: bool = True,
    version: Hashable = None,
    tell_when_drawn: bool = False,
) -> MapSelection:
    """Draw linked maps side by side and return the cell that the user chose.

    Args:
        cells: the grid or hexagons that all views share.
        views: one to four; all with the same number of time steps, or with one.
        key: of the map, unique on the page.
        frames: labels and speed of the time steps.
        options: label, height, the city below.
        shared_scale: begin with one colour scale for all views of a group.
        version: names the data. While it stays the same the arrays are not even looked at; without
            it they are compared by content on every run.
        tell_when_drawn: run the page again as soon as the map is drawn, so that what takes the
            browser long comes after it: see ``is_drawn`` of what is returned.

    Raises:
        InputError: the values do not fit the cells or each other, or there are too many.
    """
    options, frames = options or MapOptions(), frames or Frames()
    if not 1 <= len(views) <= MAX_VIEWS:
        raise InputError(f"A map has one to {MAX_VIEWS} views.", f"{len(views)} were given")
    content = [np.asarray(view.values) for view in views] if version is None else [version]
    scales = [(view.title, view.scale) for view in views]
    identity = cells if isinstance(cells, Grid) else cells.ids
    look = (options.label, options.height, options.is_3d, options.basemap.digest, options.noun)
    token = digest_of("view", identity, scales, frames, look, shared_scale, *content)

    def encode() -> bytes:
        return _encode(key, cells, views, frames, options, shared_scale, tell_when_drawn)

    payload = cached_payload(key, token, encode)
    if not tell_when_drawn:
        told = mount(key, payload, "selection")
        return _selection(key, cells, len(views), told["selection"])
    is_drawn = not is_new_here(key)
    told = mount(key, payload, "selection", "drawn")
    return replace(_selection(key, cells, len(views), told["selection"]), is_drawn=is_drawn)


def _encode(
    key: str,
    cells: Cells,
    views: Sequence[HeatView],
    frames: Frames,
    options: MapOptions,
    shared_scale: bool,
    tell_when_drawn: bool,
) -> bytes:
    arrays = [view.frames(cells) for view in views]
    count = max(len(array) for array in arrays)
    if any(len(array) not in (1, count) for array in arrays):
        raise InputError(
            "The views have different numbers of time steps.",
            ", ".join(f"{v.title}: {len(a):,}" for v, a in zip(views, arrays, strict=True)),
        )
    if frames.labels and len(frames.labels) != count:
        raise InputError(
            "The time steps need one label each.", f"{count:,} steps, {len(frames.labels):,} labels"
        )
    if sum(array.size for array in arrays) > MAX_VALUES:
        raise InputError(
            "There are too many values for one map.",
            f"{sum(array.size for array in arrays):,}; at most {MAX_VALUES:,}",
            "Show fewer time steps at once.",
        )
    ids = [f"view{i}" for i in range(len(views))]
    layers = [
        *options.basemap.layers(),
        *(cell_layer(view, cells, is_3d=options.is_3d) for view in ids),
    ]
    deck = describe(layers, bounds_of(cells), ids, is_3d=options.is_3d)
    view = {
        "id": key,
        "views": [
            {"id": name, "title": v.title, "scale": v.scale.to_json(), **_quantised(array)}
            for name, v, array in zip(ids, views, arrays, strict=True)
        ],
        "count": count,
        "times": list(frames.labels) or None,
        "framesPerSecond": float(frames.per_second),
        "step": int(np.clip(frames.begin, 0, count - 1)),
        "shared": bool(shared_scale),
        "tellWhenDrawn": tell_when_drawn,
    }
    return encode_payload(
        {
            "kind": "view",
            **options.header(key, bounds_of(cells), is_3d=options.is_3d),
            "deck": deck_to_json(deck),
            "cells": cells_to_json(cells),
            "view": view,
        }
    )


def _quantised(frames: NDArray[np.float64]) -> dict[str, Any]:
    """u16 over the whole range of the values: value = offset + q * quantum; 65535 is no data."""
    known = np.isfinite(frames)
    low = float(frames.min(where=known, initial=np.inf)) if known.any() else 0.0
    high = float(frames.max(where=known, initial=-np.inf)) if known.any() else 0.0
    quantum = (high - low) / STEPS or 1.0
    numbers = np.full(frames.shape, NO_DATA, dtype=np.uint16)
    np.copyto(
        numbers, np.rint((np.where(known, frames, low) - low) / quantum), "unsafe", where=known
    )
    return {"values": numbers, "steps": len(frames), "offset": low, "quantum": quantum}


def _selection(
    key: str, cells: Cells, num_views: int, told: Mapping[str, Any] | None
) -> MapSelection:
    """What the browser told, or what it told before the user left this page."""
    store, slot = component_state(), f"citymap:{key}:selection"
    if told is not None and told.get("map") == key:
        store[slot] = dict(told)
    kept = store.get(slot)
    if not isinstance(kept, dict):
        return MapSelection()
    cell, step, view = kept.get("cell"), kept.get("step"), str(kept.get("view"))
    if type(cell) is not int or type(step) is not int or not 0 <= cell < count_cells(cells):
        return MapSelection()
    index = int(view[4:]) if view[4:].isdigit() and int(view[4:]) < num_views else 0
    if isinstance(cells, Grid):
        return MapSelection(cell, cell // cells.cols, cell % cells.cols, None, step, index)
    return MapSelection(cell, None, None, cells.ids[cell], step, index)
