"""Figures about missing sensors: a cell's day, the gain of further sensors, each sensor's worth.

Functions here build and return; they never show. Colours are those of :mod:`engine.render.figures`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from engine.render.figures import BAND, BLUE, GREEN, GREY, ORANGE, as_plain

Values = NDArray[np.floating]
HEIGHT_PX = 300
_MARGIN = {"l": 8, "r": 8, "t": 36, "b": 8}
_LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 11}}


@dataclass(frozen=True, eq=False)
class Line:
    """Another series on the same clock.

    Args:
        name: what it is.
        values: (T,).
    """

    name: str
    values: Values


def draw_day(
    times: Sequence[datetime],
    band: tuple[Values, Values, Values],
    *,
    unit: str,
    truth: Values | None = None,
    others: Sequence[Line] = (),
    now: datetime | None = None,
) -> go.Figure:
    """One cell through a day.

    Args:
        times: T moments, local time.
        band: best estimate, lower and upper end, (T,) each.
        unit: of the values.
        truth: (T,) what truly was; None where nobody knows.
        others: the same cell on other days.
        now: the moment that the map shows.
    """
    estimate, lower, upper = band
    x = [time.strftime("%Y-%m-%d %H:%M:%S") for time in times]
    figure = go.Figure()
    figure.add_scatter(
        x=x + x[::-1],
        y=np.concatenate([upper, lower[::-1]]),
        fill="toself",
        fillcolor=BAND,
        line={"width": 0},
        hoverinfo="skip",
        name="90 % band",
    )
    for number, line in enumerate(others):
        figure.add_scatter(
            x=x[: len(line.values)],
            y=line.values,
            line={"color": GREY, "width": 1, "dash": ("dot", "dash", "dashdot")[number % 3]},
            name=as_plain(line.name),
        )
    figure.add_scatter(x=x, y=estimate, line={"color": BLUE, "width": 2}, name="most likely")
    if truth is not None:
        style = {"color": ORANGE, "width": 2}
        figure.add_scatter(x=x, y=truth, line=style, name="truth")
    if now is not None:
        moment = now.strftime("%Y-%m-%d %H:%M:%S")
        figure.add_vline(x=moment, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_yaxes(rangemode="tozero", title={"text": as_plain(unit), "font": {"size": 11}})
    figure.update_xaxes(tickformat="%H:%M", tickangle=0)
    figure.update_layout(height=HEIGHT_PX, margin=_MARGIN, hovermode="x unified", legend=_LEGEND)
    return figure


def draw_gain(widths: Sequence[float], names: Sequence[str], *, unit: str) -> go.Figure:
    """How the sum of all bands shrinks with each further sensor.

    Args:
        widths: before, and after each choice, K + 1 of them.
        names: of the K chosen sensors.
        unit: of the values.
    """
    figure = go.Figure()
    labels = ["now", *names]
    figure.add_scatter(
        x=list(range(len(widths))),
        y=list(widths),
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        text=[as_plain(label) for label in labels],
        hovertemplate="%{text}: %{y:,.0f}<extra></extra>",
        name="all bands together",
    )
    figure.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(widths))),
        ticktext=[as_plain(label.split(" ")[0]) for label in labels],
        title={"text": "with one sensor more", "font": {"size": 11}},
        tickangle=0,
    )
    title = {"text": as_plain(f"all bands together, {unit}"), "font": {"size": 11}}
    figure.update_yaxes(rangemode="tozero", title=title)
    figure.update_layout(height=HEIGHT_PX, margin=_MARGIN, showlegend=False)
    return figure


def draw_worth(values: Sequence[float], names: Sequence[str], *, unit: str) -> go.Figure:
    """What would be lost with each sensor, the largest first.

    Args:
        values: of each sensor.
        names: of each sensor.
        unit: of the values.
    """
    figure = go.Figure()
    figure.add_bar(
        x=list(values),
        y=[as_plain(name) for name in names],
        orientation="h",
        marker={"color": GREEN, "line": {"width": 0}},
        hovertemplate="%{y}: %{x:,.0f}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed")
    title = {"text": as_plain(unit), "font": {"size": 11}}
    figure.update_xaxes(rangemode="tozero", title=title)
    figure.update_layout(height=HEIGHT_PX, margin=_MARGIN, showlegend=False, bargap=0.25)
    return figure
