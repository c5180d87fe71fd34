"""The Changed-demand page's answer in motion: trips of all versions, and counts across a line."""

import streamlit as st

from engine import api
from engine.domain import Question, Result
from pages.shared import cache
from pages.shared.citymap import MapOptions, ScreenLine, TripGroup, TripMotion, view_trips
from pages.shared.state import get_state
from pages.shared.text import clock

MAP_HEIGHT_PX = 560
SHOWN_TRIPS = 400
SIDE_BY_SIDE, ONE_MAP = "Side by side", "In one map"


def draw_moving(city: api.City, result: Result) -> None:
    """Today's trips and those after the changes; the simulator's, once it was asked."""
    sources = [("Today", result, "before"), ("After your changes", result, "after")]
    truth = find_truth(result)
    if truth is not None:
        sources += [("Simulator, as it was", truth, "untouched")]
        sources += [("Simulator, streets closed", truth, "edited")]
    layout = st.segmented_control(
        "Layout",
        (SIDE_BY_SIDE, ONE_MAP),
        default=SIDE_BY_SIDE,
        required=True,
        label_visibility="collapsed",
        key=f"trips-layout-{city.id}",
        persist_state="session",
    )
    groups = []
    for title, source, version in sources:
        if source is result:
            trips = api.typical_trips(source, version, SHOWN_TRIPS)
        else:
            trips = api.made_trips(source, version, SHOWN_TRIPS)
        groups.append(TripGroup(title, trips.paths, trips.times_s))
    line = view_trips(
        groups,
        key=f"trips-moving-{city.id}",
        options=MapOptions(
            label=f"Moving trips, {city.title}", height=MAP_HEIGHT_PX, basemap=cache.basemap(city)
        ),
        motion=TripMotion(side_by_side=layout == SIDE_BY_SIDE, speed=120.0),
        version=(result.digest, truth.digest if truth else ""),
        countable=True,
    )
    _draw_crossings(result, line)
    shown = min(SHOWN_TRIPS, int(result.metrics["trips"]))
    words = (
        f"About {shown:,} of {result.metrics['trips']:,.0f} trips of either version are shown, "
        "drawn by how many vehicles each stands for. A trip is the same in both wherever your "
        "changes allow it."
    )
    if truth is not None:
        words += " The simulator's are some of the trips that it drove in both runs."
    st.caption(words)


def _draw_crossings(result: Result, line: ScreenLine | None) -> None:
    """Vehicles across the line that the user drew on the moving trips."""
    if line is None:
        st.caption(
            ":material/straighten: Count vehicles across a line: choose the ruler on the map (key "
            "L), then drag across one street or many."
        )
        return
    ways = api.count_crossings(result, line)
    begin, end = (float(result.scenario.parameters[name] or 0) for name in ("begin_h", "end_h"))
    with st.container(horizontal=True, gap="large"):
        for way in ways:
            st.metric(
                f"Across the line towards {way.towards}",
                f"{way.after:,.0f} vehicles",
                f"{way.change:+,.0f} ± {1.645 * way.spread:,.0f}",
                delta_color="off",
                delta_arrow="auto" if round(way.change) else "off",
                help=f"After your changes, {clock(begin)} to {clock(end)}; today "
                f"{way.before:,.0f}. The range holds the change of the trips in 9 of 10 draws; "
                f"{way.counted:,} made trips crossed.",
                width="content",
            )


def find_truth(result: Result) -> Result | None:
    """The simulator's answer to the same closed streets, if it was asked."""
    answered = get_state().answered.get(Question.SIMULATE)
    if answered is None or answered.scenario != api.truth_of_trips(result.scenario):
        return None
    return answered.result
