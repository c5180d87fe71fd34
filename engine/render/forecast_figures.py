"""Figures of forecasts -> ``plotly.Figure``. Functions here build and return; they never show.

Shapes: T history, H horizon.
"""

# ruff: noqa: N815 - fields carry shape suffixes like the arrays elsewhere

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from engine.render.figures import BLUE, GREEN, GREY, ORANGE, as_plain
from engine.render.palettes import SEQUENTIAL, categorical_colors

PURPLE = "#CC79A7"
HEIGHT_PX = 300
_BAND = "rgba(0, 114, 178, 0.18)"
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_LINES = (BLUE, ORANGE, GREEN, PURPLE, GREY)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
Line = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class SensorForecast:
    """One sensor's last hour and next hour, in one unit.

    Args:
        past_T: as measured, NaN where nothing was.
        edited_T: as the what-if has it.
        middle_H: the forecast.
        lower_H: lower edge of its 90 % band.
        upper_H: upper edge.
        untouched_H: the forecast without the what-if.
        truth_H: what was measured then, NaN where nothing was.
        baselines: simple forecasts by name, (H,) each.
    """

    past_T: Line
    edited_T: Line
    middle_H: Line
    lower_H: Line
    upper_H: Line
    untouched_H: Line
    truth_H: Line
    baselines: Mapping[str, Line] = field(default_factory=dict)


def draw_forecast(times: Sequence[datetime], sensor: SensorForecast, unit: str) -> go.Figure:
    """Past, forecast with band, truth and baselines of one sensor.

    Args:
        times: beginnings of the T + H steps, local time.
        sensor: its numbers.
        unit: of the values.
    """
    clock = [time.strftime("%Y-%m-%d %H:%M:%S") for time in times]
    history = len(sensor.past_T)
    before, after = clock[:history], clock[history:]
    figure = go.Figure()
    figure.add_scatter(
        x=after + after[::-1],
        y=np.concatenate([sensor.upper_H, sensor.lower_H[::-1]]),
        fill="toself",
        fillcolor=_BAND,
        line={"width": 0},
        hoverinfo="skip",
        name="90 % band",
    )
    for (name, values), dash in zip(sensor.baselines.items(), ("dot", "dashdot"), strict=False):
        figure.add_scatter(
            x=after, y=values, name=as_plain(name), line={"color": GREY, "dash": dash, "width": 1.5}
        )
    dots = {"mode": "lines+markers", "marker": {"size": 5}, "connectgaps": False}
    figure.add_scatter(x=before, y=sensor.past_T, name="measured", line={"color": GREEN}, **dots)
    if not np.array_equal(sensor.past_T, sensor.edited_T, equal_nan=True):
        figure.add_scatter(
            x=before, y=sensor.edited_T, name="in your what-if", line={"color": ORANGE}, **dots
        )
    figure.add_scatter(
        x=after,
        y=sensor.truth_H,
        name="measured later",
        mode="markers",
        marker={"color": GREEN, "symbol": "circle-open", "size": 8, "line": {"width": 2}},
    )
    if not np.array_equal(sensor.untouched_H, sensor.middle_H):
        figure.add_scatter(
            x=after,
            y=sensor.untouched_H,
            name="without it",
            line={"color": BLUE, "dash": "dash", "width": 1.5},
        )
    figure.add_scatter(
        x=after, y=sensor.middle_H, name="forecast", line={"color": BLUE, "width": 2.5}
    )
    figure.add_vline(x=clock[history], line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_yaxes(rangemode="tozero", title=as_plain(unit))
    figure.update_xaxes(tickformat="%H:%M", tickangle=0)
    return _laid_out(figure, HEIGHT_PX)


def draw_errors(
    x: Sequence[float], rows: Mapping[str, Sequence[float]], x_title: str, y_title: str
) -> go.Figure:
    """Errors of several methods along the horizon or the hours of the day."""
    figure = go.Figure()
    for number, (name, values) in enumerate(rows.items()):
        figure.add_scatter(
            x=list(x),
            y=list(values),
            name=as_plain(name),
            line={
                "color": _LINES[number % len(_LINES)],
                "dash": _DASHES[number % len(_DASHES)],
                "width": 2,
            },
        )
    figure.update_xaxes(title=x_title, tickangle=0)
    figure.update_yaxes(title=y_title)
    return _laid_out(figure, HEIGHT_PX)


def group_colors(count: int) -> tuple[str, ...]:
    """A colour for each group of places or times, from the slowest (dark) to the fastest."""
    stops = SEQUENTIAL["viridis"].split()
    places = np.linspace(0, len(stops) - 1, max(2, count)).round().astype(int)
    return tuple(f"#{stops[place]}" for place in places[:count])


def draw_clock(clock_7S: NDArray[np.integer], names: Sequence[str]) -> go.Figure:
    """The week as seven rings, Monday innermost, midnight at the top, coloured by group.

    Args:
        clock_7S: group of each part of each day.
        names: of the groups, for the legend.
    """
    days, slots = clock_7S.shape
    colors = group_colors(len(names))
    theta = (np.arange(slots) + 0.5) * 360 / slots
    minutes = np.arange(slots) * 1440 // slots
    figure = go.Figure()
    for day in range(days):
        figure.add_barpolar(
            r=np.ones(slots),
            base=day + 2,
            theta=theta,
            width=np.full(slots, 360 / slots),
            marker={"color": [colors[int(group)] for group in clock_7S[day]], "line": {"width": 0}},
            text=[
                f"{_WEEKDAYS[day]} {m // 60:02d}:{m % 60:02d}<br>{as_plain(names[int(g)])}"
                for m, g in zip(minutes, clock_7S[day], strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    for name, color in zip(names, colors, strict=True):
        figure.add_barpolar(
            r=[0], theta=[0], marker={"color": color}, name=as_plain(name), hoverinfo="skip"
        )
    hours = list(range(0, 24, 3))
    figure.update_polars(
        angularaxis={
            "direction": "clockwise",
            "rotation": 90,
            "tickvals": [hour * 15 for hour in hours],
            "ticktext": [f"{hour}:00" for hour in hours],
            "showgrid": False,
        },
        radialaxis={
            "tickvals": [day + 2.5 for day in range(days)],
            "ticktext": list(_WEEKDAYS),
            "range": [0, days + 2],
            "showgrid": False,
            "tickfont": {"size": 9},
        },
    )
    return _laid_out(figure, 420)


def draw_places(
    positions_N2: Line,
    group_N: NDArray[np.integer],
    group_names: Sequence[str],
    names: Sequence[str],
    streets: Line | None,
) -> go.Figure:
    """Sensors as dots on the streets, coloured by group.

    Args:
        positions_N2: lon, lat.
        group_N: group of each sensor.
        group_names: of the groups, for the legend.
        names: of the sensors, for the pointer.
        streets: (K, 2) lon, lat, a row of NaN ends a line; None where there are none.
    """
    figure = go.Figure()
    if streets is not None:
        figure.add_scatter(
            x=streets[:, 0],
            y=streets[:, 1],
            mode="lines",
            line={"color": "rgba(127, 138, 150, 0.45)", "width": 1},
            hoverinfo="skip",
            showlegend=False,
        )
    for group, (label, color) in enumerate(
        zip(group_names, group_colors(len(group_names)), strict=True)
    ):
        inside = np.flatnonzero(group_N == group)
        figure.add_scatter(
            x=positions_N2[inside, 0],
            y=positions_N2[inside, 1],
            mode="markers",
            marker={"color": color, "size": 9, "line": {"width": 1, "color": GREY}},
            name=as_plain(label),
            text=[as_plain(names[int(sensor)]) for sensor in inside],
            hovertemplate="%{text}<extra></extra>",
        )
    ratio = 1 / float(np.cos(np.radians(positions_N2[:, 1].mean())))
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x", scaleratio=ratio)
    figure = _laid_out(figure, 420)
    return figure.update_layout(hovermode="closest")


def draw_mixture(mixture_HD: Line, title: str) -> go.Figure:
    """How much of each candidate the weights are mixed from, along the hours of a day.

    Args:
        mixture_HD: shares of D candidates in each hour; rows add up to one.
        title: of the horizontal axis.
    """
    hours, candidates = mixture_HD.shape
    colors = categorical_colors(min(8, candidates))
    figure = go.Figure()
    for number in range(candidates):
        red, green, blue, _ = colors[number % len(colors)]
        figure.add_scatter(
            x=list(range(hours)),
            y=mixture_HD[:, number],
            stackgroup="all",
            name=f"candidate {number + 1}",
            line={"width": 0.5, "color": f"rgb({red}, {green}, {blue})"},
            hovertemplate="%{y:.0%}",
        )
    figure.update_yaxes(tickformat=".0%", range=[0, 1], title="share of the mix")
    figure.update_xaxes(title=title, tickangle=0)
    return _laid_out(figure, HEIGHT_PX)


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        hovermode="x unified",
        legend={"orientation": "h", "y": 1.04, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
    )
    return figure
