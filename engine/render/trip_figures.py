"""Lengths and durations of trips, before and after, as figures."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from engine.render.figures import BLUE, ORANGE

NUM_BINS = 30
TOP_PERCENTILE = 99
_COLORS = (BLUE, ORANGE)


def draw_histograms(
    values: Mapping[str, NDArray[np.floating]],
    title: str,
    weights: Mapping[str, NDArray[np.floating]] | None = None,
) -> go.Figure:
    """Shares of trips by a quantity, one line of steps for each version.

    Args:
        values: by version's name, one number a trip.
        title: of the horizontal axis, with its unit; the few longest values share the last step.
        weights: by version's name, what each trip stands for; all the same if none.
    """
    everything = np.concatenate(list(values.values()))
    top = max(float(np.percentile(everything, TOP_PERCENTILE)), 1e-9)
    edges = np.linspace(0, top, NUM_BINS + 1)
    figure = go.Figure()
    for (name, numbers), color in zip(values.items(), _COLORS, strict=False):
        stands_for = weights[name] if weights else np.ones(len(numbers))
        counts, _ = np.histogram(np.minimum(numbers, top), edges, weights=stands_for)
        figure.add_scatter(
            x=edges,
            y=np.append(counts, counts[-1:]) / max(float(stands_for.sum()), 1e-9),
            mode="lines",
            line={"shape": "hv", "color": color},
            name=name,
            hovertemplate="%{x:.4g}: %{y:.1%}",
        )
    figure.update_layout(
        height=320,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "y": 1.12},
        hovermode="x unified",
    )
    beyond = f", all beyond {top:,.3g} in the last step" if everything.max() > top else ""
    figure.update_xaxes(title=f"{title}{beyond}")
    figure.update_yaxes(title="Share of the trips", tickformat=".0%")
    return figure
