"""Maps side by side as a flat ``plotly.Figure``: quick to draw, with values under the pointer.

What moves with every stroke of a brush is shown here; the city map shows the same in 3D.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from engine.domain import Grid
from engine.errors import InputError
from engine.render.figures import as_plain
from engine.render.palettes import ColorScale

STREET = {"light": "rgba(24, 33, 43, 0.20)", "dark": "rgba(231, 236, 241, 0.22)"}
OUTLINE = {"light": "rgba(24, 33, 43, 0.75)", "dark": "rgba(231, 236, 241, 0.8)"}
WARNING = "#e69f00"
_TITLE_PX, _LEGEND_PX, _GAP = 26, 46, 0.04
_TYPICAL_WIDTH_PX = 500


@dataclass(frozen=True, eq=False)
class Panel:
    """One flat map.

    Args:
        title: above it, a few words.
        values: (r, c) on the fine or the coarse grid; NaN where nothing is known.
        scale: colours and unit.
        names: of the cells, row by row, for the pointer; row and column where there are none.
        is_hatched: hatch the hidden cells instead of outlining them.
        warned: (I, J) bool, cells to mark with a warning sign; none of them if not given.
    """

    title: str
    values: NDArray[np.floating]
    scale: ColorScale
    names: tuple[str, ...] = ()
    is_hatched: bool = False
    warned: NDArray[np.bool_] | None = None


def draw_panels(
    grid: Grid,
    panels: Sequence[Panel],
    missing: NDArray[np.bool_],
    streets: NDArray[np.float64] | None = None,
    *,
    theme: str = "light",
    columns: int = 2,
) -> go.Figure:
    """Flat maps with linked axes; hidden areas are outlined on all of them.

    Args:
        grid: the area.
        panels: the maps, at least one.
        missing: (I, J) bool, True where a sensor is missing.
        streets: (K, 2) lon, lat; a row of NaN ends a line.
        theme: "light" or "dark".
        columns: panels in a row.

    Raises:
        InputError: a panel's shape does not divide the area evenly.
    """
    for panel in panels:
        if grid.rows % panel.values.shape[0] or grid.cols % panel.values.shape[1]:
            raise InputError(
                "A panel does not fit the area.", f"{panel.title} {panel.values.shape}"
            )
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    _, lat = grid.center
    ratio = (grid.north - grid.south) / ((grid.east - grid.west) * cos(radians(lat)))
    row_px = _TYPICAL_WIDTH_PX / columns * ratio + _TITLE_PX + _LEGEND_PX
    between_px = _TITLE_PX + _LEGEND_PX
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[as_plain(panel.title) for panel in panels],
        horizontal_spacing=_GAP,
        vertical_spacing=between_px / (rows * row_px - between_px) if rows > 1 else 0,
    )
    for number, panel in enumerate(panels):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        _add_panel(figure, panel, number + 1, theme, place)
        _add_lines(figure, _street_lines(grid, streets), STREET[theme], place)
        _add_hidden(figure, missing, panel.is_hatched, theme, place)
        if panel.warned is not None and panel.warned.any():
            _add_warnings(figure, panel.warned, theme, place)
    _shape_axes(figure, ratio, len(panels))
    figure.update_annotations(font={"size": 13}, yshift=2)
    figure.update_layout(
        height=round(rows * row_px),
        margin={"l": 4, "r": 4, "t": _TITLE_PX, "b": _LEGEND_PX},
        showlegend=False,
        dragmode="pan",
    )
    return figure


def _add_panel(
    figure: go.Figure, panel: Panel, number: int, theme: str, place: dict[str, int]
) -> None:
    rows, cols = panel.values.shape
    labels = panel.names or tuple(
        f"row {row + 1}, column {col + 1}" for row, col in np.ndindex(rows, cols)
    )
    axis = "coloraxis" if number == 1 else f"coloraxis{number}"
    figure.add_heatmap(
        z=panel.values.astype(np.float32),
        x=(np.arange(cols) + 0.5) / cols,
        y=(np.arange(rows) + 0.5) / rows,
        text=np.array([as_plain(label) for label in labels]).reshape(rows, cols),
        hovertemplate=f"%{{text}}<br>%{{z:.1f}} {as_plain(panel.scale.unit)}<extra></extra>",
        coloraxis=axis,
        **place,
    )
    subplot = figure.get_subplot(**place)
    left, right = subplot.xaxis.domain
    bottom, _ = subplot.yaxis.domain
    figure.update_layout(
        {
            axis: {
                "colorscale": _colorscale(panel.scale, theme),
                "cmin": panel.scale.low,
                "cmax": panel.scale.high,
                "colorbar": {
                    "orientation": "h",
                    "x": left,
                    "xanchor": "left",
                    "len": right - left,
                    "y": bottom,
                    "yanchor": "top",
                    "thickness": 8,
                    "nticks": 4,
                    "ypad": 4,
                    "xpad": 0,
                    "tickfont": {"size": 10},
                    "title": {"text": as_plain(panel.scale.unit), "side": "bottom"}
                    | {"font": {"size": 10}},
                    "outlinewidth": 0,
                },
            }
        }
    )


def _colorscale(scale: ColorScale, theme: str) -> list[tuple[float, str]]:
    stops = scale.to_json()["stops"][theme]
    return [
        (i / (len(stops) - 1), f"rgba({r},{g},{b},{a / 255:.2f})")
        for i, (r, g, b, a) in enumerate(stops)
    ]


def _street_lines(grid: Grid, streets: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """Longitude and latitude as shares of the area, from its north-western corner."""
    if streets is None:
        return np.zeros((0, 2), dtype=np.float32)
    west, south, east, north = grid.bounds
    shares = (streets - (west, north)) / (east - west, south - north)
    return np.asarray(shares, dtype=np.float32)


def _add_lines(
    figure: go.Figure, lines: NDArray[np.float32], color: str, place: dict[str, int]
) -> None:
    figure.add_scatter(
        x=lines[:, 0],
        y=lines[:, 1],
        mode="lines",
        line={"color": color, "width": 0.8},
        hoverinfo="skip",
        **place,
    )


def _add_hidden(
    figure: go.Figure,
    missing: NDArray[np.bool_],
    is_hatched: bool,
    theme: str,
    place: dict[str, int],
) -> None:
    rows, cols = missing.shape
    x: list[float | None] = []
    y: list[float | None] = []
    for row, col in np.argwhere(missing):
        left, top = col / cols, row / rows
        right, bottom = (col + 1) / cols, (row + 1) / rows
        if is_hatched:
            x += [left, right, right, left, left, None]
            y += [top, top, bottom, bottom, top, None]
            continue
        for edge_x, edge_y, neighbour in (
            ((left, right), (top, top), (row - 1, col)),
            ((left, right), (bottom, bottom), (row + 1, col)),
            ((left, left), (top, bottom), (row, col - 1)),
            ((right, right), (top, bottom), (row, col + 1)),
        ):
            if not _is_missing(missing, *neighbour):
                x += [*edge_x, None]
                y += [*edge_y, None]
    hatch = {
        "fill": "toself",
        "fillcolor": "rgba(0,0,0,0)",
        "fillpattern": {"shape": "/", "fgcolor": OUTLINE[theme], "size": 6, "solidity": 0.25},
    }
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": OUTLINE[theme], "width": 0 if is_hatched else 1},
        hoverinfo="skip",
        **(hatch if is_hatched else {}),
        **place,
    )


def _add_warnings(
    figure: go.Figure, warned: NDArray[np.bool_], theme: str, place: dict[str, int]
) -> None:
    """A sign in the middle of each of these cells; its shape says it, not its colour alone."""
    rows, cols = warned.shape
    row, col = np.nonzero(warned)
    figure.add_scatter(
        x=(col + 0.5) / cols,
        y=(row + 0.5) / rows,
        mode="markers",
        marker={
            "symbol": "diamond-tall",
            "size": 15,
            "color": WARNING,
            "line": {"color": OUTLINE[theme], "width": 1.5},
        },
        hovertemplate="Outside of what the model has seen<extra></extra>",
        **place,
    )


def _is_missing(missing: NDArray[np.bool_], row: int, col: int) -> bool:
    rows, cols = missing.shape
    return 0 <= row < rows and 0 <= col < cols and bool(missing[row, col])


def _shape_axes(figure: go.Figure, ratio: float, count: int) -> None:
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    figure.update_xaxes(range=[0, 1], matches="x", constrain="domain", **hidden)
    figure.update_yaxes(range=[1, 0], matches="y", constrain="domain", **hidden)
    for number in range(1, count + 1):
        name = "" if number == 1 else str(number)
        figure.layout[f"yaxis{name}"].update(scaleanchor=f"x{name}", scaleratio=ratio)
