"""Maps side by side as a flat ``plotly.Figure``: quick to draw, with values under the pointer.

What moves with every stroke of a brush is shown here; the city map shows the same in 3D.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import cos, radians
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

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
    between = (_TITLE_PX + _LEGEND_PX) / (rows * row_px - _TITLE_PX - _LEGEND_PX)
    drawing = _Drawing(theme, ratio)
    lines = _street_lines(grid, streets)
    for number, panel in enumerate(panels):
        row, col = divmod(number, columns)
        place = _Place(
            number + 1,
            _span(col, columns, _GAP),
            _span(rows - 1 - row, rows, between if rows > 1 else 0),
        )
        drawing.add_panel(panel, place)
        drawing.add_lines(lines, place)
        drawing.add_hidden(missing, place, is_hatched=panel.is_hatched)
        if panel.warned is not None and panel.warned.any():
            drawing.add_warnings(panel.warned, place)
    drawing.layout |= {
        "height": round(rows * row_px),
        "margin": {"l": 4, "r": 4, "t": _TITLE_PX, "b": _LEGEND_PX},
        "showlegend": False,
        "dragmode": "pan",
    }
    return go.Figure(drawing.data, drawing.layout)


def _span(number: int, count: int, gap: float) -> tuple[float, float]:
    """From where to where in [0, 1] the part of that number lies."""
    width = (1 - gap * (count - 1)) / count
    begin = number * (width + gap)
    return begin, begin + width


@dataclass(frozen=True)
class _Place:
    """Where a panel lies in the figure: its number from 1 on, and what it takes of both axes."""

    number: int
    x: tuple[float, float]
    y: tuple[float, float]

    def named(self, name: str) -> str:
        """The panel's own axis: x, x2, x3."""
        return name if self.number == 1 else f"{name}{self.number}"

    @property
    def axes(self) -> dict[str, str]:
        """Of a trace."""
        return {"xaxis": self.named("x"), "yaxis": self.named("y")}


@dataclass
class _Drawing:
    """A figure as plain values: with plotly's own methods each stroke would wait for them."""

    theme: str
    ratio: float
    data: list[dict[str, Any]] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=lambda: {"annotations": []})

    def add_panel(self, panel: Panel, place: _Place) -> None:
        """The map itself, with its axes, title and colours."""
        rows, cols = panel.values.shape
        labels = panel.names or tuple(
            f"row {row + 1}, column {col + 1}" for row, col in np.ndindex(rows, cols)
        )
        unit = as_plain(panel.scale.unit)
        self.data.append(
            {
                "type": "heatmap",
                "z": panel.values.astype(np.float32),
                "x": (np.arange(cols) + 0.5) / cols,
                "y": (np.arange(rows) + 0.5) / rows,
                "text": np.array([as_plain(label) for label in labels]).reshape(rows, cols),
                "hovertemplate": f"%{{text}}<br>%{{z:.1f}} {unit}<extra></extra>",
                "coloraxis": place.named("coloraxis"),
                **place.axes,
            }
        )
        self.layout["annotations"].append(
            {
                "text": as_plain(panel.title),
                "x": (place.x[0] + place.x[1]) / 2,
                "y": place.y[1],
                "xref": "paper",
                "yref": "paper",
                "xanchor": "center",
                "yanchor": "bottom",
                "yshift": 2,
                "showarrow": False,
                "font": {"size": 13},
            }
        )
        self._add_axes(place)
        self.layout[place.named("coloraxis")] = {
            "colorscale": _colorscale(panel.scale, self.theme),
            "cmin": panel.scale.low,
            "cmax": panel.scale.high,
            "colorbar": {
                "orientation": "h",
                "x": place.x[0],
                "xanchor": "left",
                "len": place.x[1] - place.x[0],
                "y": place.y[0],
                "yanchor": "top",
                "thickness": 8,
                "nticks": 4,
                "ypad": 4,
                "xpad": 0,
                "tickfont": {"size": 10},
                "title": {"text": unit, "side": "bottom", "font": {"size": 10}},
                "outlinewidth": 0,
            },
        }

    def _add_axes(self, place: _Place) -> None:
        """Hidden axes, linked with those of the first panel."""
        plain = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
        plain["constrain"] = "domain"
        is_first = place.number == 1
        self.layout[place.named("xaxis")] = {
            "range": [0, 1],
            "domain": place.x,
            "anchor": place.named("y"),
            **({} if is_first else {"matches": "x"}),
            **plain,
        }
        self.layout[place.named("yaxis")] = {
            "range": [1, 0],
            "domain": place.y,
            "anchor": place.named("x"),
            "scaleanchor": place.named("x"),
            "scaleratio": self.ratio,
            **({} if is_first else {"matches": "y"}),
            **plain,
        }

    def add_lines(self, lines: NDArray[np.float32], place: _Place) -> None:
        """Streets."""
        self.data.append(
            {
                "type": "scatter",
                "x": lines[:, 0],
                "y": lines[:, 1],
                "mode": "lines",
                "line": {"color": STREET[self.theme], "width": 0.8},
                "hoverinfo": "skip",
                **place.axes,
            }
        )

    def add_hidden(self, missing: NDArray[np.bool_], place: _Place, *, is_hatched: bool) -> None:
        """Hidden cells: hatched, or what lies around them outlined."""
        x, y = _cell_rings(missing) if is_hatched else _outline(missing)
        hatch = {
            "fill": "toself",
            "fillcolor": "rgba(0,0,0,0)",
            "fillpattern": {
                "shape": "/",
                "fgcolor": OUTLINE[self.theme],
                "size": 6,
                "solidity": 0.25,
            },
        }
        self.data.append(
            {
                "type": "scatter",
                "x": x,
                "y": y,
                "mode": "lines",
                "line": {"color": OUTLINE[self.theme], "width": 0 if is_hatched else 1},
                "hoverinfo": "skip",
                **(hatch if is_hatched else {}),
                **place.axes,
            }
        )

    def add_warnings(self, warned: NDArray[np.bool_], place: _Place) -> None:
        """A sign in the middle of each of these cells; its shape says it, not its colour alone."""
        rows, cols = warned.shape
        row, col = np.nonzero(warned)
        self.data.append(
            {
                "type": "scatter",
                "x": (col + 0.5) / cols,
                "y": (row + 0.5) / rows,
                "mode": "markers",
                "marker": {
                    "symbol": "diamond-tall",
                    "size": 15,
                    "color": WARNING,
                    "line": {"color": OUTLINE[self.theme], "width": 1.5},
                },
                "hovertemplate": "Outside of what the model has seen<extra></extra>",
                **place.axes,
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


def _cell_rings(missing: NDArray[np.bool_]) -> tuple[list[float | None], list[float | None]]:
    """The outline of each hidden cell."""
    x: list[float | None] = []
    y: list[float | None] = []
    for _, _, (left, right), (top, bottom) in _hidden_cells(missing):
        x += [left, right, right, left, left, None]
        y += [top, top, bottom, bottom, top, None]
    return x, y


def _outline(missing: NDArray[np.bool_]) -> tuple[list[float | None], list[float | None]]:
    """Edges between a hidden cell and one that is not."""
    x: list[float | None] = []
    y: list[float | None] = []
    for row, col, (left, right), (top, bottom) in _hidden_cells(missing):
        for edge_x, edge_y, neighbour in (
            ((left, right), (top, top), (row - 1, col)),
            ((left, right), (bottom, bottom), (row + 1, col)),
            ((left, left), (top, bottom), (row, col - 1)),
            ((right, right), (top, bottom), (row, col + 1)),
        ):
            if not _is_missing(missing, *neighbour):
                x += [*edge_x, None]
                y += [*edge_y, None]
    return x, y


def _hidden_cells(
    missing: NDArray[np.bool_],
) -> Iterator[tuple[int, int, tuple[float, float], tuple[float, float]]]:
    """Row and column of each hidden cell, and from where to where it lies, as shares."""
    rows, cols = missing.shape
    for row, col in np.argwhere(missing):
        yield row, col, (col / cols, (col + 1) / cols), (row / rows, (row + 1) / rows)


def _is_missing(missing: NDArray[np.bool_], row: int, col: int) -> bool:
    rows, cols = missing.shape
    return 0 <= row < rows and 0 <= col < cols and bool(missing[row, col])
