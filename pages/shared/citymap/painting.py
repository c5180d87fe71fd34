"""Maps that are painted: sensor masks and occupancy."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.domain import Grid
from engine.errors import InputError, MaskError, OccupancyError
from engine.render.deck import Cells, bounds_of, cell_layer, cells_to_json, count_cells, describe
from engine.render.palettes import Color, ColorScale
from pages.shared.citymap.component import mount
from pages.shared.citymap.documents import open_document, take_edit
from pages.shared.citymap.options import MapOptions
from pages.shared.citymap.payload import (
    deck_to_json,
    decode_array,
    digest_of,
    encode_payload,
)
from pages.shared.citymap.streets import StreetChoice

BLOCKED: Final = -1.0
"""In the browser's values: a hard zero. Python sees zero, and True in ``blocked``."""

SENSOR_COLOR: Final[Color] = (0, 114, 178, 105)
MISSING_COLOR: Final[Color] = (213, 94, 0, 225)
ADDED_COLOR: Final[Color] = (0, 158, 115, 225)
UNCHANGED_COLOR: Final[Color] = (128, 138, 148, 40)


@dataclass(frozen=True, eq=False)
class PaintedMask:
    """A painted sensor mask.

    Args:
        observed: (R, C) bool on a grid, (cells,) on hexagons; read-only; True where a sensor works.
        num_changed: cells that differ from the baseline.
        revision: 0 until the user paints, then growing.
    """

    observed: NDArray[np.bool_]
    num_changed: int
    revision: int


@dataclass(frozen=True, eq=False)
class PaintedOccupancy:
    """A painted occupancy map.

    Args:
        values: (R, C) float64 on a grid, (cells,) on hexagons; read-only; zero where blocked.
        blocked: same shape, bool; cells that nobody may enter.
        painted: same shape, bool; cells that the user painted.
        total_kept: whether unpainted cells were rescaled so that the total stays.
        closed_streets: ids, in the order of the streets table.
        revision: 0 until the user paints, then growing.
    """

    values: NDArray[np.float64]
    blocked: NDArray[np.bool_]
    painted: NDArray[np.bool_]
    total_kept: bool
    closed_streets: tuple[str, ...]
    revision: int


@dataclass(frozen=True, eq=False)
class _Content:
    values: NDArray[Any]
    painted: NDArray[np.uint8]
    keep_total: bool
    closed: tuple[int, ...]


def paint_mask(
    cells: Cells,
    baseline: NDArray[np.bool_],
    *,
    key: str,
    options: MapOptions | None = None,
    initial: NDArray[np.bool_] | None = None,
    available: NDArray[np.bool_] | None = None,
    version: Hashable = None,
) -> PaintedMask:
    """Draw a map on which the user takes sensors away and puts them back.

    Args:
        cells: the grid or hexagons.
        baseline: one bool per cell, True where a sensor works; what "reset" returns to.
        key: of the map, unique on the page.
        options: label, height, the city below.
        initial: what to begin with, if not the baseline.
        available: False where there never was a sensor; such cells cannot be painted.
        version: change it to begin anew.

    Raises:
        MaskError: an array has another length than the map, or holds no bools.
    """
    options = options or MapOptions(label="Sensors")
    base = _mask(cells, baseline, "baseline")
    start = base if initial is None else _mask(cells, initial, "initial mask")
    there = None if available is None else _mask(cells, available, "available cells")
    token = digest_of("mask", _identity(cells), base, start, there, version)
    scale = ColorScale.of_categories(
        ("no sensor", "sensor"), "sensors", (MISSING_COLOR, SENSOR_COLOR)
    )
    difference = ColorScale.of_categories(
        ("taken away", "unchanged", "added"),
        "change",
        (MISSING_COLOR, UNCHANGED_COLOR, ADDED_COLOR),
    )

    def encode(document_id: str, revision: int, content: _Content) -> bytes:
        painting = {
            "kind": "mask",
            "values": content.values,
            "baseline": base,
            "available": there,
            "limit": 1,
            "brushValue": 0,
            "eraseValue": 1,
        }
        words = {"noun": "sensors", "unavailable": "no sensor planned"}
        document = {"id": document_id, "revision": revision, "painting": painting}
        return _encode(key, cells, options, document, (scale, difference), words)

    def decode(edit: Mapping[str, Any]) -> _Content | None:
        values = decode_array(edit.get("values"), np.uint8, base.size)
        if values is None or int(values.max()) > 1:
            return None
        return _Content(values, np.zeros(0, np.uint8), False, ())

    begin = _Content(start, np.zeros(0, np.uint8), False, ())
    content, revision = _run(key, token, begin, encode, decode)
    observed = (content.values > 0).reshape(_shape(cells))
    changed = int(np.count_nonzero(content.values != base))
    return PaintedMask(_locked(observed), changed, revision)


def paint_occupancy(
    cells: Cells,
    baseline: NDArray[Any],
    *,
    key: str,
    options: MapOptions | None = None,
    scale: ColorScale | None = None,
    initial: PaintedOccupancy | None = None,
    streets: StreetChoice | None = None,
) -> PaintedOccupancy:
    """Draw a map on which the user changes how busy each place is.

    Args:
        cells: the grid or hexagons.
        baseline: one number per cell, from zero up; what "reset" returns to.
        key: of the map, unique on the page; another key is another map.
        options: label, height, the city below.
        scale: colours and unit; its upper limit (or the baseline's highest value, if that is
            higher) is the highest value that can be painted. By default from zero to twice the
            baseline's highest value.
        initial: what to begin with, if not the baseline: what an earlier call returned.
        streets: streets that can be closed on the same map.

    Raises:
        OccupancyError: an array has another length than the map, or holds a value that is
            negative or no number.
        CityError: streets were asked for and the city has none.
    """
    options = options or MapOptions(label="Occupancy")
    base = _occupancy(cells, baseline, "baseline")
    scale = scale or ColorScale(0, 2 * float(base.max()) or 1.0, "occupancy")
    begin = _beginning(cells, base, initial, streets)
    token = digest_of(
        "occupancy",
        _identity(cells),
        base,
        begin.values,
        begin.closed,
        scale,
        streets and streets.key,
    )
    # a scale of one unit is shared with the difference's
    difference = ColorScale.around_zero(np.array([scale.high]), "change", scale.unit)

    def encode(document_id: str, revision: int, content: _Content) -> bytes:
        painting = {
            "kind": "occupancy",
            "values": content.values,
            "baseline": base,
            "painted": content.painted,
            "keepTotal": content.keep_total,
            "limit": max(float(scale.high), float(base.max())),
        }
        document: dict[str, Any] = {"id": document_id, "revision": revision, "painting": painting}
        if streets:
            document["streets"] = streets.to_json(content.closed)
        return _encode(key, cells, options, document, (scale, difference), {})

    def decode(edit: Mapping[str, Any]) -> _Content | None:
        values = decode_array(edit.get("values"), np.float32, base.size)
        painted = decode_array(edit.get("painted"), np.uint8, base.size)
        closed = streets.decode(edit.get("closed")) if streets else ()
        if values is None or painted is None or closed is None or not _is_painted(values):
            return None
        return _Content(values, painted, edit.get("keepTotal") is True, closed)

    content, revision = _run(key, token, begin, encode, decode)
    shape, blocked = _shape(cells), content.values < 0
    values = np.where(blocked, 0.0, content.values.astype(np.float64))
    return PaintedOccupancy(
        values=_locked(values.reshape(shape)),
        blocked=_locked(blocked.reshape(shape)),
        painted=_locked((content.painted > 0).reshape(shape)),
        total_kept=content.keep_total,
        closed_streets=streets.ids_of(content.closed) if streets else (),
        revision=revision,
    )


def _run(
    key: str,
    token: str,
    begin: _Content,
    encode: Callable[[str, int, _Content], bytes],
    decode: Callable[[Mapping[str, Any]], _Content | None],
) -> tuple[_Content, int]:
    document = open_document(key, token, begin, encode)
    told = mount(key, document.sent, "edit")
    document = take_edit(key, document, told["edit"], decode)
    return document.content, document.revision


def _encode(
    key: str,
    cells: Cells,
    options: MapOptions,
    document: dict[str, Any],
    scales: tuple[ColorScale, ColorScale],
    words: dict[str, str],
) -> bytes:
    layers = [*options.basemap.layers(), cell_layer("main", cells, is_3d=False)]
    deck = describe(layers, bounds_of(cells), is_3d=False)
    paint = {
        "title": options.label,
        "noun": "cells",
        "unavailable": "not available",
        **words,
        "scale": scales[0].to_json(),
        "differenceScale": scales[1].to_json(),
        "document": document,
    }
    return encode_payload(
        {
            "kind": "paint",
            **options.header(key, bounds_of(cells), is_3d=False),
            "deck": deck_to_json(deck),
            "cells": cells_to_json(cells),
            "paint": paint,
        }
    )


def _beginning(
    cells: Cells,
    base: NDArray[np.float32],
    initial: PaintedOccupancy | None,
    streets: StreetChoice | None,
) -> _Content:
    closed = streets.closed_indices if streets else ()
    if initial is None:
        return _Content(base, np.zeros(base.size, np.uint8), False, closed)
    values = _occupancy(cells, initial.values, "initial map").copy()
    values[np.asarray(initial.blocked, dtype=bool).ravel()] = BLOCKED
    painted = np.asarray(initial.painted, dtype=np.uint8).ravel()
    return _Content(values, painted, initial.total_kept, closed)


def _is_painted(values: NDArray[np.float32]) -> bool:
    """Whether the browser's values are finite and either blocked or not negative."""
    return bool(np.isfinite(values).all() and ((values >= 0) | (values == BLOCKED)).all())


def _mask(cells: Cells, values: NDArray[Any], name: str) -> NDArray[np.uint8]:
    array = np.asarray(values)
    _check_shape(cells, array, name, MaskError)
    if array.dtype != np.bool_:
        raise MaskError("A sensor mask holds true or false in each cell.", f"{name}: {array.dtype}")
    return array.ravel().astype(np.uint8)


def _occupancy(cells: Cells, values: NDArray[Any], name: str) -> NDArray[np.float32]:
    array = np.asarray(values)
    _check_shape(cells, array, name, OccupancyError)
    if array.dtype.kind not in "fiu":
        raise OccupancyError("An occupancy map holds numbers.", f"{name}: {array.dtype}")
    flat = array.ravel().astype(np.float32)
    bad = ~np.isfinite(flat) | (flat < 0)
    if bad.any():
        raise OccupancyError(
            "The occupancy map holds a value that is negative or no number.",
            f"{name}: cell {int(np.argmax(bad))} and {int(bad.sum()) - 1} more",
            "Use zero where nobody is.",
        )
    return flat


def _check_shape(cells: Cells, array: NDArray[Any], name: str, error: type[InputError]) -> None:
    if array.shape not in (_shape(cells), (count_cells(cells),)):
        raise error(
            "The map's values do not fit its cells.",
            f"{name}: shape {array.shape}, map {_shape(cells)}",
            "Give one value per cell.",
        )


def _shape(cells: Cells) -> tuple[int, ...]:
    return cells.shape if isinstance(cells, Grid) else (len(cells),)


def _identity(cells: Cells) -> object:
    return cells if isinstance(cells, Grid) else cells.ids


def _locked(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
