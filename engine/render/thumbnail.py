"""A city as a small picture: where traffic is, with its streets on top. Returns SVG text."""

from collections.abc import Iterable, Sequence
from math import cos, radians

import numpy as np
from numpy.typing import NDArray

from engine.domain import Grid

WIDTH_PX = 360
MAX_STREETS = 4_000
# viridis-like steps from quiet to busy; perceptually uniform and safe for the colour-blind
_STEPS = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")


def draw_thumbnail(
    grid: Grid,
    cells: NDArray[np.floating] | None,
    lines: Iterable[Sequence[tuple[float, float]]] = (),
) -> str:
    """A city seen from above.

    Args:
        grid: the area, and the cells' rows and columns.
        cells: (R, C) how busy each cell is, any scale; None draws the streets alone.
        lines: streets as (lon, lat) points.

    Returns:
        One SVG document without scripts, links or text from data.
    """
    _, lat = grid.center
    height_px = round(
        WIDTH_PX * (grid.north - grid.south) / ((grid.east - grid.west) * cos(radians(lat)))
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {height_px}" '
        f'width="{WIDTH_PX}" height="{height_px}">',
        f'<rect width="{WIDTH_PX}" height="{height_px}" rx="8" fill="{_STEPS[0]}"/>',
    ]
    if cells is not None and np.nanmax(cells, initial=0) > 0:
        parts += _draw_cells(np.nan_to_num(cells), height_px)
    scale_x = WIDTH_PX / (grid.east - grid.west)
    scale_y = height_px / (grid.north - grid.south)
    paths = []
    for _, line in zip(range(MAX_STREETS), lines, strict=False):
        points = (
            f"{(x - grid.west) * scale_x:.1f} {(grid.north - y) * scale_y:.1f}" for x, y in line
        )
        paths.append("M" + "L".join(points))
    if paths:
        parts.append(
            f'<path d="{"".join(paths)}" fill="none" stroke="#fff" stroke-opacity=".75" '
            'stroke-width="1.1" stroke-linejoin="round"/>'
        )
    return "".join([*parts, "</svg>"])


def _draw_cells(cells: NDArray[np.floating], height_px: int) -> list[str]:
    rows, cols = cells.shape
    width, height = WIDTH_PX / cols, height_px / rows
    # square root: a linear scale would show nothing but the busiest street
    shares = np.sqrt(np.clip(cells / np.percentile(cells, 99.5), 0, 1))
    steps = np.minimum((shares * len(_STEPS)).astype(int), len(_STEPS) - 1)
    parts = []
    for step in range(1, len(_STEPS)):
        squares = (
            f"M{col * width:.1f} {row * height:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z"
            for row, col in np.argwhere(steps == step)
        )
        if path := "".join(squares):
            parts.append(f'<path d="{path}" fill="{_STEPS[step]}"/>')
    return parts
