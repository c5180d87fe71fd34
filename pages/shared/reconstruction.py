"""The answer of the page "Missing sensors": the live preview, and what is known of its errors."""

import numpy as np
import streamlit as st

from engine import api
from engine.domain import Question, Scenario
from engine.render.panels import Panel, draw_panels
from pages.shared import cache
from pages.shared.asking import ask, draw_bar, draw_problem, follow, take_answer, wait_for_estimate
from pages.shared.citymap import ColorScale
from pages.shared.frame import engine_errors
from pages.shared.reconstruction_cell import draw_cell
from pages.shared.reconstruction_maps import Shown, draw_maps
from pages.shared.state import get_state

KEY = Question.RECONSTRUCT.value
REFRESH_S = 0.5
PREVIEW_WAIT_S = 0.8
PICTURE = {"displaylogo": False, "modeBarButtons": [["toImage"]], "scrollZoom": True}


def draw_answer(city: api.City, scenario: Scenario | None, *, in_3d: bool, is_live: bool) -> None:
    """Ask, and show what is known so far; it sharpens by itself while a worker samples.

    Args:
        city: an open city.
        scenario: the question as it stands; None where there is none to ask.
        in_3d: linked 3D maps instead of flat ones.
        is_live: ask as soon as the question changes.
    """
    if scenario is not None:
        asked = is_live and follow(scenario, api.ask_reconstruct)
        if not _is_dealt_with(scenario) and st.button(
            "Reconstruct", type="primary", icon=":material/play_arrow:"
        ):
            ask(scenario, api.ask_reconstruct)
            asked = True
        if asked:
            wait_for_estimate(KEY, PREVIEW_WAIT_S)
    draw_problem(Question.RECONSTRUCT)
    refresh = REFRESH_S if KEY in get_state().asked else None
    st.fragment(_draw_shown, run_every=refresh)(city, scenario, in_3d)


def _is_dealt_with(scenario: Scenario) -> bool:
    """Whether this very question is being answered, or has been."""
    known = (get_state().asked.get(KEY), get_state().answered.get(KEY))
    return any(one is not None and one.scenario == scenario for one in known)


def _draw_shown(city: api.City, scenario: Scenario | None, in_3d: bool) -> None:
    if take_answer(KEY, api.read_reconstruction):
        st.rerun()
    shown = _find_shown(city)
    if shown is None:
        draw_bar(KEY)
        return
    with engine_errors(stop=False):
        case = api.open_case(shown.scenario)
        _draw_state(shown, scenario)
        if in_3d:
            draw_cell(city, case, draw_maps(city, case, shown))
        else:
            _draw_flat(city, case, shown)


def _find_shown(city: api.City) -> Shown | None:
    """What runs, as far as it is known; else the last answer."""
    state = get_state()
    asked, answered = state.asked.get(KEY), state.answered.get(KEY)
    if asked is not None and asked.handle.status.estimate is not None:
        estimate, lower, upper = np.asarray(asked.handle.status.estimate, dtype=np.float32)
        return Shown(asked.scenario, estimate, lower, upper)
    if answered is None or answered.result is None or answered.scenario.city_id != city.id:
        return None
    estimate, lower, upper = (
        np.asarray(answered.result.arrays[name], dtype=np.float32)
        for name in ("estimate", "lower", "upper")
    )
    return Shown(answered.scenario, estimate, lower, upper, answered.result)


def _draw_state(shown: Shown, scenario: Scenario | None) -> None:
    """One line of constant height, so that the maps below stay where they are."""
    with st.container(height=48, border=False):
        if KEY in get_state().asked:
            draw_bar(KEY)
        elif shown.scenario != scenario:
            st.caption(":material/history: This is the answer to an earlier question.")
        else:
            count = len(shown.result.arrays["samples"]) if shown.result is not None else 0
            st.caption(f":material/check: Best map, with a range from {count} possible maps.")


def _draw_flat(city: api.City, case: api.Case, shown: Shown) -> None:
    unit = api.unit_text(case.model.field)
    top, coarse_top = cache.usual_top(city, case.model)
    totals = np.where(case.mask, case.totals, np.nan)
    traffic = ColorScale(0.0, top, "Traffic", unit)
    width = ColorScale(0.0, top / 2, "Width of the 90 % band", unit, palette="violet")
    counts = Panel(
        "What the sensors count",
        totals,
        ColorScale(0.0, coarse_top, "Count", unit),
        cache.coarse_sensor_names(city, case.model),
        is_hatched=True,
    )
    oddity = None if shown.result is None else api.oddity_of(shown.result)
    warned = None if oddity is None else oddity.cells > 1
    likely = Panel("Most likely", shown.estimate, traffic, warned=warned)
    unsure = Panel("How unsure", shown.upper - shown.lower, width)
    truth = case.truth
    if truth is None:
        panels = [likely, unsure, counts]
    else:
        error = ColorScale(0.0, top / 4, "Absolute error", unit, palette="blue")
        off = Panel("Off by", abs(shown.estimate - truth), error)
        panels = [likely, Panel("Truth", truth, traffic), unsure, off, counts]
        if shown.result is not None:
            simple = np.asarray(shown.result.arrays["method/historical-share"], dtype=np.float32)
            panels.append(Panel("Simple method off by", abs(simple - truth), error))
    figure = draw_panels(
        case.model.fine,
        panels,
        ~case.mask,
        cache.street_path(city),
        theme=str(st.context.theme.type or "light"),
    )
    st.plotly_chart(
        figure,
        key="sensors-flat",
        config=PICTURE,
        alt="Flat maps: counts, most likely traffic, uncertainty, truth and error",
    )
