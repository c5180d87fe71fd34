"""Series -> ``plotly.Figure``. Functions here build and return; they never show.

Colours come from the Okabe-Ito palette, which colour-blind people can tell apart; backgrounds and
text are left to the page's theme.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#7F8A96"
BAND = "rgba(127, 138, 150, 0.22)"
WEATHER_TITLE = "rain in mm/h (bars) · temperature in °C (line)"
_ROW_HEIGHT_PX = 150


@dataclass(frozen=True)
class Span:
    """A stretch of time with a name, for example an event.

    Args:
        begin: first moment, with a time zone.
        end: last moment.
        label: what happens; shown as text.
    """

    begin: datetime
    end: datetime
    label: str


@dataclass(frozen=True)
class Weather:
    """Weather along a time axis.

    Args:
        times: T moments, local.
        rain_mm_h: (T,) rain, mm per hour.
        temperature_c: (T,) air temperature, degrees Celsius.
    """

    times: Sequence[datetime]
    rain_mm_h: NDArray[np.floating]
    temperature_c: NDArray[np.floating]


@dataclass(frozen=True)
class Usual:
    """What is usual at each step: a strong simple baseline beside every series.

    Args:
        mean: (T,) mean of the other weeks at the same weekday and hour.
        low: (T,) their 10th percentile.
        high: (T,) their 90th percentile.
    """

    mean: NDArray[np.floating]
    low: NDArray[np.floating]
    high: NDArray[np.floating]


def _wall_clock(times: Sequence[datetime]) -> list[str]:
    """Local times as text: plotly would otherwise show them in UTC."""
    return [time.strftime("%Y-%m-%d %H:%M:%S") for time in times]


def _add_usual(figure: go.Figure, x: list[str], usual: Usual) -> None:
    figure.add_scatter(
        x=x + x[::-1],
        y=np.concatenate([usual.high, usual.low[::-1]]),
        fill="toself",
        fillcolor=BAND,
        line={"width": 0},
        hoverinfo="skip",
        name="8 of 10 weeks",
        row=1,
        col=1,
    )
    figure.add_scatter(
        x=x,
        y=usual.mean,
        line={"color": GREY, "dash": "dot", "width": 1.5},
        name="usual",
        row=1,
        col=1,
    )


def _add_spans(figure: go.Figure, spans: Sequence[Span]) -> None:
    for span in spans:
        begin, end = _wall_clock([span.begin, span.end])
        figure.add_vrect(
            x0=begin, x1=end, fillcolor=ORANGE, opacity=0.18, line_width=0, row=1, col=1
        )
        # an invisible marker carries the name: a rectangle has no hover text of its own
        figure.add_scatter(
            x=_wall_clock([span.begin + (span.end - span.begin) / 2]),
            y=[0],
            mode="markers",
            marker={"symbol": "triangle-up", "size": 11, "color": ORANGE},
            hovertemplate="%{text}<extra>event</extra>",
            text=[as_plain(span.label)],
            showlegend=False,
            row=1,
            col=1,
        )


def _add_weather(figure: go.Figure, weather: Weather) -> None:
    x = _wall_clock(weather.times)
    figure.add_bar(
        x=x,
        y=weather.rain_mm_h,
        marker={"color": BLUE, "line": {"width": 0}},
        showlegend=False,
        hovertemplate="%{y:.1f} mm/h<extra>rain</extra>",
        row=2,
        col=1,
    )
    figure.add_scatter(
        x=x,
        y=weather.temperature_c,
        line={"color": GREEN, "width": 1.5},
        showlegend=False,
        hovertemplate="%{y:.1f} °C<extra>temperature</extra>",
        row=2,
        col=1,
        secondary_y=True,
    )
    # a dry week still has an axis: two millimetres an hour is moderate rain
    top = max(2.0, float(np.nanmax(weather.rain_mm_h, initial=0.0)))
    weather_row = {"row": 2, "col": 1}
    figure.update_yaxes(
        range=[0, top], nticks=3, tickfont={"color": BLUE}, secondary_y=False, **weather_row
    )
    figure.update_yaxes(
        showgrid=False,
        tickmode="auto",
        nticks=4,
        tickfont={"color": GREEN},
        secondary_y=True,
        **weather_row,
    )


def as_plain(value: str) -> str:
    """Plotly reads a small HTML; text from data must stay text."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def draw_series(
    times: Sequence[datetime],
    values: NDArray[np.floating],
    *,
    name: str,
    unit: str,
    usual: Usual | None = None,
    spans: Sequence[Span] = (),
    weather: Weather | None = None,
) -> go.Figure:
    """One place's series with what is usual there, events, and the weather below.

    Args:
        times: T moments, local time.
        values: (T,) in ``unit``; NaN leaves a gap.
        name: what the line shows.
        unit: label of the vertical axis.
        usual: the baseline and its band.
        spans: shaded stretches of time.
        weather: a second row on the same time axis.
    """
    rows = 1 if weather is None else 2
    figure = make_subplots(
        rows=rows,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.13,
        row_heights=[0.7, 0.3][:rows],
        subplot_titles=[as_plain(unit), WEATHER_TITLE][:rows],
        specs=[[{}], [{"secondary_y": True}]][:rows],
    )
    x = _wall_clock(times)
    if usual is not None:
        _add_usual(figure, x, usual)
    figure.add_scatter(
        x=x, y=values, line={"color": BLUE, "width": 2}, name=as_plain(name), row=1, col=1
    )
    _add_spans(figure, spans)
    figure.update_yaxes(rangemode="tozero", row=1, col=1)
    if weather is not None:
        _add_weather(figure, weather)
    figure.update_layout(
        height=_ROW_HEIGHT_PX * (rows + 1),
        margin={"l": 8, "r": 8, "t": 64, "b": 8},
        hovermode="x unified",
        bargap=0,
        legend={"orientation": "h", "y": 1.1, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
    )
    figure.update_annotations(x=0, xanchor="left", font={"size": 12})
    figure.update_xaxes(tickformat="%a %-d", showgrid=True, tickangle=0)
    return figure
