"""Masks of coarse sensors for a page: patterns to begin with, files, and the sensors' names."""

import csv
import io
import json
from enum import StrEnum
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from engine.cities import City
from engine.domain import Grid
from engine.errors import MaskError
from engine.models.masks import MAX_RATIO, Mask, fixed_mask, quarter_mask, random_mask

MAX_FILE_BYTES = 1024**2
MAX_SIDE = 256
_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no"}
_LETTERS = 26


class Pattern(StrEnum):
    """Which sensors are missing to begin with."""

    ALL = "all"
    FIXED = "fixed"
    RANDOM = "random"
    QUARTER = "quarter"


def pattern_mask(
    shape: tuple[int, int], pattern: Pattern, ratio: float = 0.4, seed: int = 0
) -> Mask:
    """A pattern of missing sensors.

    Args:
        shape: coarse rows and columns.
        pattern: ALL leaves every sensor; FIXED takes those of the benchmarks away, RANDOM another
            draw, QUARTER the lower right quarter.
        ratio: share that is missing, 0 to 0.95, of FIXED and RANDOM.
        seed: of FIXED and RANDOM.

    Returns:
        (I, J) bool, True where a sensor works.

    Raises:
        MaskError: the ratio or the seed is out of range.
    """
    if not 0 <= ratio <= MAX_RATIO or not 0 <= seed < 2**31:
        raise MaskError(
            "The share of missing sensors or the seed is out of range.",
            f"{100 * ratio:.0f} %, seed {seed}",
            f"Use 0 to {100 * MAX_RATIO:.0f} % and a seed from 0 up.",
        )
    if pattern is Pattern.QUARTER:
        return quarter_mask(shape)
    if pattern is Pattern.FIXED:
        return fixed_mask(shape, ratio, seed)
    if pattern is Pattern.RANDOM:
        return random_mask(shape, ratio, np.random.default_rng((seed, 1)))
    return np.ones(shape, dtype=np.bool_)


def mask_to_json(mask: Mask) -> bytes:
    """A mask as a small file that :func:`read_mask` takes back."""
    rows = [[int(cell) for cell in row] for row in mask]
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    head = f'"kind": "sensor-mask", "rows": {mask.shape[0]}, "cols": {mask.shape[1]}'
    return f'{{{head}, "observed": [\n  {lines}\n]}}\n'.encode()


def mask_to_csv(mask: Mask) -> bytes:
    """The same as a table of 1 (works) and 0 (missing), north up."""
    return "".join(",".join(str(int(cell)) for cell in row) + "\r\n" for row in mask).encode()


def read_mask(content: bytes, name: str, shape: tuple[int, int]) -> Mask:
    """A mask from a JSON or CSV file.

    Args:
        content: of the file.
        name: of the file; tells JSON from CSV.
        shape: coarse rows and columns that it must have.

    Returns:
        (I, J) bool, True where a sensor works.

    Raises:
        MaskError: the file is no mask, or has another shape.
    """
    if len(content) > MAX_FILE_BYTES:
        raise MaskError("The mask file is too large.", f"{len(content):,} bytes")
    try:
        text = content.decode("utf-8-sig")
        rows = _json_rows(text) if name.lower().endswith(".json") else _csv_rows(text)
    except (ValueError, RecursionError, csv.Error) as error:
        raise MaskError(
            "The mask file cannot be read.",
            name[:80],
            "Give rows of 1 (sensor works) and 0 (missing), as CSV or as saved here.",
        ) from error
    sizes = {len(row) for row in rows}
    if len(rows) != shape[0] or sizes != {shape[1]}:
        raise MaskError(
            "The mask has another shape than the map of sensors.",
            f"{len(rows)} rows of {', '.join(map(str, sorted(sizes))) or 'nothing'}; "
            f"sensors {shape[0]} x {shape[1]}",
        )
    return np.array(rows, dtype=np.bool_)


def _json_rows(text: str) -> list[list[bool]]:
    data = json.loads(text)
    rows = data.get("observed") if isinstance(data, dict) else data
    if not isinstance(rows, list) or len(rows) > MAX_SIDE:
        raise ValueError("no rows")
    return [[_cell(cell) for cell in _list(row)] for row in rows]


def _csv_rows(text: str) -> list[list[bool]]:
    dialect = ";" if text.count(";") > text.count(",") else ","
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=dialect) if row]
    if len(rows) > MAX_SIDE:
        raise ValueError("too many rows")
    return [[_cell(cell) for cell in row] for row in rows]


def _list(row: object) -> list[object]:
    return row if isinstance(row, list) else []


def _cell(value: object) -> bool:
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(text)
    return text in _TRUE


def sensor_label(row: int, col: int) -> str:
    """A coarse sensor's short name, as on a chess board seen from the north: ``C4``."""
    letters = ""
    number = col + 1
    while number:
        number, rest = divmod(number - 1, _LETTERS)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row + 1}"


def coarse_sensor_names(city: City, grid: Grid) -> tuple[str, ...]:
    """Names of the coarse sensors, row by row: the short name and the cell's longest street."""
    streets = city.streets()
    streets = streets[streets["name"].astype(bool)]
    tree = shapely.STRtree(streets.geometry.to_numpy())
    names = streets["name"].to_numpy()
    west, south, east, north = grid.bounds
    width, height = (east - west) / grid.cols, (north - south) / grid.rows
    labels = []
    for row, col in np.ndindex(grid.shape):
        left, top = west + col * width, north - row * height
        cell = shapely.box(left, top - height, left + width, top)
        label = sensor_label(row, col)
        street = _longest(tree, names, cell)
        labels.append(f"{label} · {street}" if street else label)
    return tuple(labels)


def _longest(tree: shapely.STRtree, names: NDArray[Any], cell: shapely.Polygon) -> str:
    found = tree.query(cell, predicate="intersects")
    lengths: dict[str, float] = {}
    for index in found:
        inside = shapely.intersection(tree.geometries[index], cell).length
        lengths[str(names[index])] = lengths.get(str(names[index]), 0.0) + inside
    return max(lengths, key=lengths.__getitem__, default="")
