"""The Changed-demand page's answer in motion: trips of all versions, and counts across a line."""

import streamlit as st

from engine import api
from engine.domain import Question, Result
from pages.shared import cache
from pages.shared.citymap import MapOptions, ScreenLine, TripGroup, TripMotion, view_trips
from pages.shared.state import get_state
from pages.shared.text import clock

MAP_HEIGHT_PX = 560
SHOWN_VEHICLES = 2_000
LOOP_S = 90.0
"""The asked hours pass in so many seconds of the user."""

TRAILS = 35
"""So many vehicles and their trails are to be seen at once, on average."""

TRAIL_STEP_S, MOST_TRAIL_S = 60, 900
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
            trips = api.typical_trips(source, version, SHOWN_VEHICLES)
        else:
            trips = api.made_trips(source, version)
        groups.append(TripGroup(title, trips.paths, trips.times_s))
    line = view_trips(
        groups,
        key=f"trips-moving-{city.id}",
        options=MapOptions(
            label=f"Moving trips, {city.title}",
            height=MAP_HEIGHT_PX,
            basemap=cache.basemap(city),
            is_3d=False,
        ),
        motion=_motion(result, len(groups[0].paths), layout == SIDE_BY_SIDE),
        version=(result.digest, truth.digest if truth else ""),
        countable=True,
    )
    _draw_crossings(result, line)
    st.caption(_shown_text(result, truth))


def _hours(result: Result) -> tuple[float, float]:
    begin, end = (float(result.scenario.parameters[name] or 0) for name in ("begin_h", "end_h"))
    return begin, end


def _motion(result: Result, vehicles: int, side_by_side: bool) -> TripMotion:
    """Speed and trails with which movement is seen all over the city, however long the hours."""
    begin, end = _hours(result)
    span_s = 3_600 * (end - begin)
    steps = round(TRAILS * span_s / vehicles / TRAIL_STEP_S)
    trail_s = min(max(2, steps) * TRAIL_STEP_S, MOST_TRAIL_S)
    return TripMotion(trail_s, span_s / LOOP_S, side_by_side)


def _shown_text(result: Result, truth: Result | None) -> str:
    share = api.shown_share(result, SHOWN_VEHICLES)
    each = f"one of {1 / share:,.1f} vehicles" if share < 1 else "one vehicle"
    words = (
        f"A dot is {each} on the way at the time that the clock shows; its trail is where it was "
        f"before. {result.metrics['trips']:,.0f} trips were made of either version: each is seen "
        "as often as it stands for vehicles, leaving up to 10 minutes around its own time. A "
        "vehicle is the same in both wherever your changes allow it."
    )
    if truth is not None:
        shown, driven = (
            len(truth.arrays["untouched/start_s"]),
            truth.metrics["untouched/trips_done"],
        )
        words += f" Of the simulator's {driven:,.0f} trips, {shown:,} are shown."
    return words


def _draw_crossings(result: Result, line: ScreenLine | None) -> None:
    """Vehicles across the line that the user drew on the moving trips."""
    if line is None:
        st.caption(
            ":material/straighten: Count vehicles across a line: choose the ruler on the map (key "
            "L), then drag across one street or many."
        )
        return
    ways = api.count_crossings(result, line)
    begin, end = _hours(result)
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
