"""The answer in 3D: truth, result, error and uncertainty as linked maps; one cell's day."""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine import api
from engine.domain import Result, Scenario
from pages.shared import cache
from pages.shared.citymap import ColorScale, HeatView, MapOptions, view_maps

HEIGHT_PX = 620
Maps = NDArray[np.floating]
BEST, LOWER, UPPER, SAMPLE = "Best estimate", "Lower end", "Upper end", "One possible map"


@dataclass(frozen=True, eq=False)
class Shown:
    """The answer as it stands.

    Args:
        scenario: what it answers.
        estimate: (R, C) most likely map.
        lower: (R, C) lower end of the band.
        upper: (R, C) upper end.
        result: the whole answer, once there is one.
    """

    scenario: Scenario
    estimate: Maps
    lower: Maps
    upper: Maps
    result: Result | None = None


def draw_maps(city: api.City, case: api.Case, shown: Shown) -> int | None:
    """Four linked maps, two where the city knows no truth; the cell that was clicked last."""
    kind, values = _choose_values(shown)
    unit = api.unit_text(case.model.field)
    top, _ = cache.usual_top(city, case.model)
    traffic = ColorScale(0.0, top, "Traffic", unit, group="traffic")
    views = [HeatView(kind, values, traffic)]
    truth = case.truth
    if truth is not None:
        error = ColorScale(0.0, top / 4, "Absolute error", unit, palette="blue", group="error")
        views = [HeatView("Truth", truth, traffic), *views]
        views.append(HeatView("Off by", abs(values - truth), error))
    width = ColorScale(0.0, top / 2, "Width of the 90 % band", unit, palette="violet", group="band")
    views.append(HeatView("How unsure", shown.upper - shown.lower, width))
    chosen = view_maps(
        case.model.fine,
        views,
        key=f"sensors-maps-{city.id}",
        options=MapOptions(
            label=f"Missing sensors in {city.title}",
            height=HEIGHT_PX,
            basemap=cache.basemap(city),
        ),
    )
    return chosen.cell


def _choose_values(shown: Shown) -> tuple[str, np.ndarray]:
    samples = [] if shown.result is None else list(shown.result.arrays["samples"])
    kinds = [BEST, LOWER, UPPER, *([SAMPLE] if samples else [])]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Show", kinds, default=BEST, required=True, key="sensors-kind", persist_state="session"
        )
        if kind == SAMPLE:
            number = st.number_input(
                "Number", 1, len(samples), 1, key="sensors-number", persist_state="session"
            )
            return f"Possible map {number}", np.asarray(samples[int(number) - 1], np.float32)
    chosen = {LOWER: shown.lower, UPPER: shown.upper}.get(str(kind), shown.estimate)
    return str(kind), chosen
