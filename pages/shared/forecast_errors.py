"""The error card of the page "The next hour", as it lies beside the weights."""

import numpy as np
import pandas as pd
import streamlit as st

from engine import api
from engine.render.forecast_figures import draw_errors
from pages.shared.text import as_text

SHOWN_MIN = (15, 30, 60)


def draw_error_card(forecaster: api.Forecaster) -> None:
    """Errors by horizon and by hour, with the simple methods; closures beside the simulator."""
    card = api.forecast_card(forecaster)
    with st.expander("How wrong is it on new days?", icon=":material/rule:"):
        if not card.methods:
            st.info("These weights were not tried on days kept aside.", title="No error card")
            return
        unit, step_min = forecaster.unit, forecaster.step.total_seconds() / 60
        st.markdown(as_text(_verdict(card, unit)))
        st.dataframe(_rows(card, step_min, unit), hide_index=True, key="forecast-card")
        left, right = st.columns(2, gap="medium")
        minutes = [(i + 1) * step_min for i in range(forecaster.horizon)]
        with left:
            st.caption("By how far ahead")
            lines = {row.label: row.mae for row in card.methods}
            figure = draw_errors(minutes, lines, "minutes ahead", f"mean error, {unit}")
            st.plotly_chart(figure, key="errors-by-step", alt="Mean error by minutes ahead")
        with right:
            st.caption("By hour of the day")
            lines = {row.label: row.by_hour for row in card.methods}
            figure = draw_errors(list(range(24)), lines, "hour of the day", f"mean error, {unit}")
            st.plotly_chart(figure, key="errors-by-hour", alt="Mean error by hour of the day")
        _draw_closures(card, is_offered=forecaster.knows_closures)
        described, terms = (str(card.data.get(name, "")) for name in ("description", "terms"))
        st.caption(as_text(f"Trained on: {described}. Terms: {terms}."))


def _verdict(card: api.ForecastCard, unit: str) -> str:
    best = card.methods[0]
    simple = {row.label: row.mean for row in card.methods if row.label.startswith("Simple")}
    name, error = min(simple.items(), key=lambda item: item[1])
    gain = 1 - best.mean / error
    verdict = (
        f"{gain:.0%} better than the best simple method"
        if gain > 0.01
        else "no better than the best simple method"
    )
    inside = float(np.nanmean(best.coverage90))
    return (
        f"On {card.windows:,} hours from {card.period}, which no training has seen, {best.label} "
        f"was off by {best.mean:.2f} {unit} on average: {verdict} ({name}: {error:.2f}). "
        f"{inside:.0%} of what was measured lay inside its 90 % band."
    )


def _rows(card: api.ForecastCard, step_min: float, unit: str) -> list[dict[str, object]]:
    rows = []
    for method in card.methods:
        row: dict[str, object] = {"Method": method.label}
        for minutes in SHOWN_MIN:
            step = round(minutes / step_min) - 1
            row[f"{minutes} min ({unit})"] = round(method.mae[step], 2)
        row[f"Mean ({unit})"] = round(method.mean, 2)
        row["In 90 % band"] = f"{float(np.nanmean(method.coverage90)):.0%}"
        rows.append(row)
    return rows


def _percent(share: float | None) -> str:
    # a share that rounds to zero has no sign
    return "–" if share is None else f"{round(share, 2) + 0.0:.0%}"


def _draw_closures(card: api.ForecastCard, *, is_offered: bool) -> None:
    if not card.closures:
        return
    if not is_offered:
        st.info(
            "What this network says of closed streets is not what the simulator says, so closing "
            "streets is no part of the what-if here. The page Ask the simulator answers that.",
            icon=":material/block:",
        )
    st.caption(
        "Closed streets: what it says of the simulator's test closures, at sensors whose speed "
        "truly changes by more than 2 km/h over the day; in the right **direction** at so many of "
        "them, and by so much of the true **size**. *Told* which streets are closed, or having "
        "*heard* nothing but the readings of the hour before."
    )
    rows = [
        {
            "Closure": str(row["title"]),
            "Sensors": row["sensors"],
            "Told: direction": _percent(row.get("same_sign")),
            "Told: size": _percent(row.get("slope")),
            "Heard: direction": _percent(row.get("heard_same_sign")),
            "Heard: size": _percent(row.get("heard_slope")),
        }
        for row in card.closures
    ]
    # long titles are wrapped in a plain table
    st.table(pd.DataFrame(rows).set_index("Closure"))
