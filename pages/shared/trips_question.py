"""The Changed-demand page's question: the map to paint on, and how trips are made for it."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine import api
from engine.domain import BlockCells, CloseStreets, Edit, Question, Scenario, SetOccupancy
from pages.shared import cache
from pages.shared.asking import ask, draw_problem, draw_progress
from pages.shared.citymap import (
    ColorScale,
    MapOptions,
    PaintedOccupancy,
    StreetChoice,
    paint_occupancy,
)
from pages.shared.state import keep_posed
from pages.shared.text import as_text, clock, street_list
from pages.shared.when import WhenHelp, choose_when

QUESTION, ANSWER = "Your changes", "What would follow"
MAP_HEIGHT_PX = 470
DEFAULT_HOURS = (7.0, 10.0)
WHEN_HELP = WhenHelp(
    "The map to paint on is the traffic of that day.", "Another day or other hours begin a new map."
)
NUMBERS = (128, 256, 512, 1_024, 2_048, 4_096)
UNIT = "vehicle sightings, every 5 s"
FOLLOW_WORDS = {
    api.Follow.REASSIGNED: "Finds other ways",
    api.Follow.PAINTED: "Is as painted",
}
METHOD_WORDS = {
    api.Method.MODEL: "Trained model",
    api.Method.RECORDED: "Recorded trips",
}

WAY_TEXT = {api.Method.MODEL: "trips of the trained model", api.Method.RECORDED: "recorded trips"}


@dataclass(frozen=True)
class Choices:
    """What the user chose beside the map."""

    day: date
    hours: tuple[float, float]
    follow: api.Follow
    method: api.Method
    num_trips: int
    purpose: str
    seed: int

    def scenario(self, city: api.City, edits: tuple[Edit, ...]) -> Scenario:
        """The question, with what was painted and closed."""
        return api.trips_scenario(
            city.id,
            self.day,
            self.hours,
            edits,
            follow=self.follow,
            method=self.method,
            num_trips=self.num_trips,
            purpose=self.purpose,
            seed=self.seed,
        )


def draw_question(city: api.City) -> None:
    """The map to paint on; beside it choices, the button that asks, progress and totals."""
    left, right = st.columns([3, 2], gap="medium")
    with right:
        choices = _draw_choices(city)
    base = api.usual_occupancy(city, choices.day, choices.hours)
    with left:
        painted = _draw_map(city, choices, base)
    edits = _edits(base, painted)
    with right:
        words = "Make the trips" if edits else "Make today's trips"
        scenario = choices.scenario(city, edits)
        keep_posed(scenario)
        if st.button(words, type="primary", icon=":material/play_arrow:"):
            ask(scenario, api.ask_trips)
        draw_progress(Question.TRAJECTORIES, api.read_trips)
        draw_problem(Question.TRAJECTORIES)
        _draw_totals(city, base, painted)
        st.caption(f":material/info: {_methods_text(city)}")
        st.caption(
            "Paint with the brush, block places, or choose **streets** in the map's tools and "
            "click those to close."
        )


def _draw_map(city: api.City, choices: Choices, base: NDArray[np.float64]) -> PaintedOccupancy:
    begin, end = choices.hours
    top = float(np.percentile(base[base > 0], 99.5)) if (base > 0).any() else 1.0
    return paint_occupancy(
        city.grid,
        base,
        key=f"demand-{city.id}-{choices.day}-{begin}-{end}",
        options=MapOptions(
            label=f"How busy each place of {city.title} is",
            height=MAP_HEIGHT_PX,
            basemap=cache.basemap(city),
        ),
        scale=ColorScale(0.0, 2 * top, "Traffic", UNIT),
        streets=StreetChoice(cache.street_lines(city)),
    )


def _edits(base: NDArray[np.float64], painted: PaintedOccupancy) -> tuple[Edit, ...]:
    closed = painted.closed_streets
    closures = (CloseStreets(closed),) if closed else ()
    return (*closures, *api.painted_edits(base, painted.values, painted.blocked))


def _draw_choices(city: api.City) -> Choices:
    day, hours = choose_when(city, "trips-", DEFAULT_HOURS, WHEN_HELP)
    with st.container(horizontal=True):
        num_trips = st.selectbox(
            "Trips to make",
            NUMBERS,
            index=2,
            format_func=lambda number: f"{number:,}",
            key=f"trips-number-{city.id}",
            persist_state="session",
            help="More trips show smaller changes, and take longer.",
        )
        purpose = _draw_purpose(city)
    follow = _draw_follow(city)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = _draw_method(city)
        with st.popover("Advanced", icon=":material/tune:"):
            seed = st.number_input(
                "Draw (seed)",
                0,
                10_000,
                0,
                key=f"trips-seed-{city.id}",
                persist_state="session",
                help="The same number gives the same trips; another shows what chance does.",
            )
    return Choices(day, hours, follow, method, int(num_trips), purpose, int(seed))


def _draw_purpose(city: api.City) -> str:
    purposes = cache.trip_purposes(city)
    if not purposes:
        return ""
    chosen = st.selectbox(
        "Purpose",
        ("", *purposes),
        format_func=purpose_words,
        key=f"trips-purpose-{city.id}",
        persist_state="session",
        help="Trips of one purpose follow that part of the map which its recorded trips make up.",
    )
    return str(chosen)


def describe(scenario: Scenario, city: api.City) -> str:
    """What a scenario asks, in one line: edits, day and hours, and how trips are made."""
    parameters = scenario.parameters
    begin, end = (clock(float(parameters[name] or 0)) for name in ("begin_h", "end_h"))
    edits = [_edit_words(edit, city) for edit in scenario.edits] or ["nothing changed"]
    if any(isinstance(edit, CloseStreets) for edit in scenario.edits):
        edits.append(f"traffic {FOLLOW_WORDS[api.Follow(str(parameters['mode']))].lower()}")
    purpose = str(parameters["purpose"] or "")
    return (
        f"{'; '.join(edits)} · {parameters['date']}, {begin} to {end} ({city.metadata.timezone}) · "
        f"{parameters['trips']:,} trips of either version, {purpose or 'all purposes'}, "
        f"{METHOD_WORDS[api.Method(str(parameters['method']))].lower()}, draw {scenario.seed}"
    )


def _edit_words(edit: Edit, city: api.City) -> str:
    match edit:
        case CloseStreets(street_ids=closed):
            return f"{street_list(closed, cache.street_names(city))} closed"
        case SetOccupancy(cells=cells):
            return f"{len(cells):,} {'cell' if len(cells) == 1 else 'cells'} painted"
        case BlockCells(cells=cells):
            return f"{len(cells):,} {'cell' if len(cells) == 1 else 'cells'} blocked"
    return "changed"


def purpose_words(purpose: str) -> str:
    """A purpose as the user reads it; all of them where it is empty."""
    return as_text(purpose.capitalize()) if purpose else "All purposes"


def _draw_method(city: api.City) -> api.Method:
    methods = api.trip_methods(city)
    chosen = st.selectbox(
        "Made by",
        methods,
        format_func=METHOD_WORDS.__getitem__,
        key=f"trips-method-{city.id}",
        persist_state="session",
        help="The trained model makes new trips for the map, where the city has one. Recorded "
        "trips are drawn again until they fit it: nothing new, but each one real.",
    )
    return api.Method(chosen)


def _methods_text(city: api.City) -> str:
    """Which way of making trips is better here, and how that is known."""
    best, *others = api.trip_methods(city)
    if not others:
        return (
            "No model was trained for this city yet. Recorded trips that avoid what you close are "
            "drawn until they fit your map; a way that nobody took before cannot appear."
        )
    if api.is_foreign(city):
        return (
            "No model was trained for this city yet. The trained model comes from many simulated "
            "cities and follows any map; how well it answers what-ifs here was not measured. "
            "Recorded trips cannot take a way that nobody took before."
        )
    skill = api.trip_skill(city)
    if skill is None:
        return "How well the trained model answers what-ifs was not measured for this city."
    first, second = (
        f"**{skill.true[way]:.2f}** where the new map is known and **{skill.reassigned[way]:.2f}** "
        "where traffic is reassigned"
        for way in (best, others[0])
    )
    return (
        f"Tried on closures that were kept aside, the change that {WAY_TEXT[best]} show agrees "
        f"with the simulator's to {first}; {WAY_TEXT[others[0]]} reach {second} (1 is perfect). "
        "The better way is chosen at first."
    )


def _draw_follow(city: api.City) -> api.Follow:
    if not api.can_reassign(city):
        return api.Follow.PAINTED
    chosen = st.segmented_control(
        "When streets close, traffic",
        tuple(FOLLOW_WORDS),
        default=api.Follow.REASSIGNED,
        required=True,
        format_func=FOLLOW_WORDS.__getitem__,
        key=f"trips-follow-{city.id}",
        persist_state="session",
        help="A traffic assignment moves the same demand to other streets within seconds, and "
        "your painting is laid over it; or only what you paint changes the map.",
    )
    return api.Follow(str(chosen))


def _draw_totals(city: api.City, base: NDArray[np.float64], painted: PaintedOccupancy) -> None:
    before, after = float(base.sum()), float(painted.values.sum())
    with st.container(horizontal=True, gap="large"):
        st.metric(
            "Today",
            f"{before:,.0f}",
            help=f"Total of the map in {UNIT}: a vehicle that stays for a minute counts 12 times.",
            width="content",
        )
        share = (after - before) / before if before else 0.0
        st.metric(
            "As painted",
            f"{after:,.0f}",
            f"{share:+.1%}" if after != before else None,
            delta_color="off",
            help="What closed streets move elsewhere is added when the trips are made.",
            width="content",
        )
        blocked = int((painted.blocked & (base > 0)).sum())
        if blocked:
            st.metric("Blocked cells", f"{blocked:,}", width="content")
    if painted.closed_streets:
        names = street_list(painted.closed_streets, cache.street_names(city))
        st.markdown(f":material/block: **Closed:** {as_text(names)}")
