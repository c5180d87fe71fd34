"""The simulator page's parts: the question, and the answer beside the day as it was."""

import math
from datetime import date
from typing import Literal

import streamlit as st

from engine import api
from engine.domain import CloseStreets, Question, Result, Scenario
from pages.shared import cache
from pages.shared.asking import ask, draw_problem, draw_progress, draw_staleness
from pages.shared.citymap import (
    ColorScale,
    Frames,
    HeatView,
    MapOptions,
    ScaleKind,
    StreetChoice,
    select_streets,
    view_maps,
)
from pages.shared.state import get_state, keep_posed
from pages.shared.text import as_text, clock, street_list
from pages.shared.when import WhenHelp, choose_when

MAP_HEIGHT_PX = 440
ANSWER_HEIGHT_PX = 600
DEFAULT_HOURS = (7.0, 9.0)
WHEN_HELP = WhenHelp(
    "Demand, weather and events are those of that day.", "Two hours take about a minute."
)
QUESTION, ANSWER = "Streets to close", "What would follow"
Sense = Literal["normal", "inverse", "off"]
FIGURES: tuple[tuple[str, str, str, Sense], ...] = (
    ("mean_speed_kmh", "Mean speed", "km/h", "normal"),
    ("mean_delay_s", "Mean delay", "s", "inverse"),
    ("mean_length_m", "Mean trip", "m", "off"),
    ("trips_done", "Trips done", "", "normal"),
)


def draw_question(city: api.City) -> None:
    """Streets on the map; day, hours, the button that asks and its progress beside it."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        closed = select_streets(
            _choice(city),
            key=f"close-{city.id}",
            options=MapOptions(
                label=f"Streets of {city.title}",
                height=MAP_HEIGHT_PX,
                basemap=cache.basemap(city),
            ),
        ).closed
    with right:
        day, hours, seed = _draw_when(city)
        edits = (CloseStreets(closed),) if closed else ()
        scenario = api.truth_scenario(city.id, day, hours, edits, seed)
        keep_posed(scenario)
        _draw_closed(city, closed)
        if st.button(
            "Ask the simulator",
            type="primary",
            icon=":material/play_arrow:",
            disabled=not closed,
            help=None if closed else "Choose at least one street on the map first.",
        ):
            ask(scenario, api.ask_simulator)
        draw_progress(Question.SIMULATE, api.read_truth)
        draw_problem(Question.SIMULATE)


def _choice(city: api.City) -> StreetChoice:
    return StreetChoice(cache.street_lines(city))


def _draw_when(city: api.City) -> tuple[date, tuple[float, float], int]:
    day, hours = choose_when(city, "", DEFAULT_HOURS, WHEN_HELP)
    with st.popover("Advanced", icon=":material/tune:"):
        seed = st.number_input(
            "Draw of the day (seed)",
            0,
            10_000,
            0,
            key=f"seed-{city.id}",
            persist_state="session",
            help="0 is the day as the city's series have it; another number draws other trips "
            "of the same day. The same number gives the same answer.",
        )
    return day, hours, int(seed)


def _draw_closed(city: api.City, closed: tuple[str, ...]) -> None:
    if not closed:
        st.caption("No street is closed yet.")
        return
    names = street_list(closed, cache.street_names(city))
    st.markdown(f":material/block: **Closed:** {as_text(names)}")


def draw_answer(city: api.City) -> None:
    """Figures and linked maps of the last answer, with what chance alone does."""
    answered = get_state().answered.get(Question.SIMULATE)
    if answered is None or answered.result is None or answered.scenario.city_id != city.id:
        return
    result = answered.result
    st.header(ANSWER, anchor=False)
    draw_staleness(Question.SIMULATE, QUESTION)
    st.caption(as_text(_describe(answered.scenario, cache.street_names(city))))
    _draw_figures(result)
    _draw_maps(city, result)
    with st.expander("How sure is this?"):
        st.markdown(_chance_text(result))


def _describe(scenario: Scenario, names: dict[str, str]) -> str:
    edit = scenario.edits[0]
    closed = edit.street_ids if isinstance(edit, CloseStreets) else ()
    begin, end = (clock(float(scenario.parameters[name] or 0)) for name in ("begin_h", "end_h"))
    return (
        f"{street_list(closed, names)} closed on {scenario.parameters['date']}, {begin} to {end}, "
        "simulated by SUMO"
    )


def _draw_figures(result: Result) -> None:
    with st.container(horizontal=True, gap="large"):
        for figure, label, unit, sense in FIGURES:
            before, after, again = (
                result.metrics[f"{run}/{figure}"] for run in ("untouched", "edited", "again")
            )
            st.metric(
                label,
                f"{after:,.4g} {unit}".strip() if after < 1000 else f"{after:,.0f} {unit}".strip(),
                f"{after - before:+,.3g} {unit}".strip(),
                delta_color=sense if after != before else "off",
                delta_arrow="auto" if after != before else "off",
                help=f"Before: {before:,.4g} {unit}. Chance alone: {again - before:+,.3g} {unit}.",
                width="content",
            )
        rerouted = sum(
            result.metrics[f"edited/trips_{kind}"] for kind in ("moved", "diverted", "avoided")
        )
        st.metric(
            "Trips that begin, end or pass elsewhere",
            f"{rerouted:,.0f}",
            help="Trips whose ends lie in a closed street park around the corner; trips to the "
            "region that cannot get through take another gate, or pass the city by.",
            width="content",
        )
        impossible = result.metrics["edited/trips_impossible"]
        if impossible:
            st.metric("Trips that cannot be made", f"{impossible:,.0f}", width="content")


def _draw_maps(city: api.City, result: Result) -> None:
    before, after = (
        result.arrays[f"{run}/flow"].astype("float64") for run in ("untouched", "edited")
    )
    chance = result.arrays["again/flow"].astype("float64") - before
    top = float(max(before.max(), after.max(), 1.0))
    size = float(max(abs(after - before).max(), 1.0))
    traffic = ColorScale(0.0, top, "Vehicles entering", "vehicles per 30 min", group="traffic")
    change = ColorScale(
        -size, size, "Change", "vehicles per 30 min", ScaleKind.DIVERGING, group="change"
    )
    view_maps(
        city.grid,
        [
            HeatView("As it was", before, traffic),
            HeatView("With the streets closed", after, traffic),
            HeatView("Change", after - before, change),
            HeatView("Chance alone", chance, change),
        ],
        key=f"answer-{city.id}",
        frames=Frames(tuple(f"{time:%a %-d %b, %H:%M}" for time in api.step_times(result))),
        options=MapOptions(
            label=f"What follows in {city.title}",
            height=ANSWER_HEIGHT_PX,
            basemap=cache.basemap(city),
        ),
        version=result.digest,
    )


def _chance_text(result: Result) -> str:
    before, after, again = (
        result.arrays[f"{run}/flow"].sum(axis=0).astype("float64")
        for run in ("untouched", "edited", "again")
    )
    changed = math.sqrt(float(((after - before) ** 2).mean()))
    by_chance = math.sqrt(float(((again - before) ** 2).mean()))
    times = changed / by_chance if by_chance else math.inf
    verdict = (
        "far beyond what chance does"
        if times > 3
        else "beyond what chance does"
        if times > 1.5
        else "**hardly more than chance does**: do not read single cells"
    )
    return (
        f"Over these hours a cell changes by {changed:,.1f} vehicles (root mean square over all "
        f"cells); the untouched hours with another draw of trips differ by "
        f"{by_chance:,.1f}. The change is {times:,.1f} times that: {verdict}. The fourth map shows "
        "what chance alone does, on the same scale. All of it is a simulation on real streets, "
        "not a measurement."
    )
