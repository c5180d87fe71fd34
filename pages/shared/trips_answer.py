"""The Changed-demand page's answer: maps, moving trips, the truth, plots, privacy and files."""

from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from engine import api
from engine.domain import CloseStreets, Question, Result
from engine.render.trip_figures import draw_histograms
from pages.shared import cache
from pages.shared.asking import REFRESH_S, ask, draw_problem, draw_progress, draw_staleness
from pages.shared.citymap import (
    ColorScale,
    HeatView,
    MapOptions,
    ScaleKind,
    TripGroup,
    TripMotion,
    view_maps,
    view_trips,
)
from pages.shared.state import get_state
from pages.shared.text import as_text
from pages.shared.trips_moving import draw_moving, find_truth
from pages.shared.trips_question import QUESTION, UNIT, describe

MAP_HEIGHT_PX = 560
COMPARISON_HEIGHT_PX = 400
SHIFTED = 0.1
"""A change of the mean length beyond this part is more than trips of the same people explain."""
TABS = ("Maps", "Moving trips", "Ask the simulator", "Lengths and times", "Download")
WAY_WORDS = {
    "model": "Trained model",
    "recorded": "Recorded trips, drawn anew",
    "paths": "Shortest paths between busy places",
    "walk": "Random walk on the map",
}
COLUMN_HELP = {
    "Map met": "Share of the trips' points that lie where the changed map wants them.",
    "Follows the map's change": "Correlation of the change that the trips show with that of the "
    "map, cell by cell. 1 is perfect.",
    "Agrees with the simulator": "Correlation of the change that the trips show with that of the "
    "simulator, cell by cell. 1 is perfect.",
}
FORMAT_WORDS = {
    api.TripsFormat.CSV: ("CSV", "text/csv"),
    api.TripsFormat.GEOPARQUET: ("GeoParquet", "application/vnd.apache.parquet"),
    api.TripsFormat.GPX: ("GPX", "application/gpx+xml"),
}


def draw_growing(city: api.City) -> None:
    """The trips that a running job has made so far, moving on the map."""
    if Question.TRAJECTORIES in get_state().asked:
        st.fragment(_draw_growing, run_every=2 * REFRESH_S)(city)


def _draw_growing(city: api.City) -> None:
    asked = get_state().asked.get(Question.TRAJECTORIES)
    if asked is None:
        return
    estimate = asked.handle.status.estimate
    if estimate is None or not estimate.size:
        return
    trips = api.growing_trips(estimate)
    view_trips(
        [TripGroup("Made so far", trips.paths, trips.times_s)],
        key=f"growing-{city.id}",
        options=_options(city, "Trips made so far"),
        motion=TripMotion(speed=300.0),
        version=(asked.scenario.digest, len(trips.paths)),
    )


def draw_answer(city: api.City) -> None:
    """Figures, then one tab for each way of looking at the answer."""
    answered = get_state().answered.get(Question.TRAJECTORIES)
    if answered is None or answered.result is None or answered.scenario.city_id != city.id:
        return
    result = answered.result
    draw_staleness(Question.TRAJECTORIES, QUESTION)
    st.caption(as_text(describe(answered.scenario, city)))
    _draw_figures(result)
    _draw_lengths_limit(result)
    _draw_range(result)
    maps, moving, truth, plots, files = st.tabs(TABS)
    with maps:
        _draw_maps(city, result)
    with moving:
        draw_moving(city, result)
    with truth:
        _draw_truth(city, result)
    with plots:
        _draw_plots(result)
    with files:
        _draw_files(result)


def _options(city: api.City, label: str, height: int = MAP_HEIGHT_PX) -> MapOptions:
    return MapOptions(label=f"{label}, {city.title}", height=height, basemap=cache.basemap(city))


def _draw_figures(result: Result) -> None:
    figures = result.metrics
    longer_m = figures["mean_length_after_m"] - figures["mean_length_before_m"]
    with st.container(horizontal=True, gap="small"):
        st.metric(
            "Traffic moved by your changes",
            f"{figures['moved']:.1%}",
            help="Share of the map that lies elsewhere after the changes.",
            width="content",
        )
        st.metric(
            "Map met by the trips",
            f"{1 - figures['mismatch_after']:.0%}",
            help="Share of the traffic that lies where your map wants it, cell by cell, with each "
            "trip standing for as many vehicles as fits the map best. "
            f"Today's map is met to {1 - figures['mismatch_before']:.0%}. The "
            f"{figures['trips']:,.0f} trips know as much as {figures['effective_trips']:,.0f} "
            "that all stand for as many.",
            width="content",
        )
        st.metric(
            "Mean trip",
            f"{figures['mean_length_after_m']:,.0f} m",
            f"{longer_m:+,.0f} m" if round(longer_m) else None,
            delta_color="off",
            width="content",
        )
        st.metric(
            "Cells changed beyond chance",
            f"{figures['marked_cells']:,.0f}",
            help="At most 5 % of them are expected to be marked by chance alone.",
            width="content",
        )
        st.metric(
            "Blocked places entered",
            f"{figures['blocked_entered']:,.0f}",
            help="Trips that enter a blocked cell or a closed street.",
            width="content",
        )


def _draw_lengths_limit(result: Result) -> None:
    """What the lengths of recorded trips do not say."""
    if result.manifest["method"] != api.Method.RECORDED:
        return
    before_m, after_m = (result.metrics[f"mean_length_{name}_m"] for name in ("before", "after"))
    if abs(after_m - before_m) > SHIFTED * before_m:
        st.caption(
            ":material/straighten: Recorded trips meet your map by standing for more or fewer "
            f"vehicles: short ones count {'more' if after_m < before_m else 'less'} now. The map "
            "asks for that, nobody measured it: do not act on the lengths or the number of trips."
        )
    if any(isinstance(edit, CloseStreets) for edit in result.scenario.edits):
        st.caption(
            ":material/fork_right: Recorded trips through a closed street are left out, not sent "
            "round it: lengths and times say little about detours. The simulator knows those."
        )


def _draw_range(result: Result) -> None:
    gauge = api.judge_range(result)
    if gauge.is_inside:
        st.caption(
            f":material/check_circle: Within range: your changes move {gauge.moved:.1%} of the "
            f"traffic; edits that were seen before moved up to {gauge.most_moved:.0%}."
        )
    else:
        st.warning(
            f"Read it with care: {as_text('; '.join(gauge.reasons))}.",
            title="Your changes go beyond what was seen before",
        )


def _draw_maps(city: api.City, result: Result) -> None:
    maps = result.arrays
    base, target = (maps[f"maps/{name}"].astype(np.float64) for name in ("base", "target"))
    change = maps["maps/change"].astype(np.float64)
    sure = np.where(maps["maps/marked"], change, np.nan)
    top = max(float(base.max()), float(target.max()), 1.0)
    wished = target - base
    size = max(float(np.abs(wished).max()), float(np.abs(change).max()), 1.0)
    traffic = ColorScale(0.0, top, "Traffic", UNIT, group="traffic")
    scale = ColorScale(-size, size, "Change", UNIT, ScaleKind.DIVERGING, group="change")
    view_maps(
        city.grid,
        [
            HeatView("Today", base, traffic),
            HeatView("The map that trips follow", target, traffic),
            HeatView("Change made by the trips", change, scale),
            HeatView("Its part beyond chance", sure, scale),
        ],
        key=f"trips-maps-{city.id}",
        options=_options(city, "Today and after the changes"),
        version=result.digest,
    )
    st.markdown("**Against simple ways of making trips**")
    _draw_ways(result, None)
    with st.expander("How sure is this?"):
        st.markdown(_sure_text(result))


def _sure_text(result: Result) -> str:
    figures = result.metrics
    spread = result.arrays["maps/spread"].astype(np.float64)
    typical = float(np.median(spread[spread > 0])) if (spread > 0).any() else 0.0
    text = (
        f"{figures['trips']:,.0f} trips were made, half of them for either map. All count in both "
        "versions, each for as many vehicles as fits the map; those that enter a closed place do "
        f"not count in the changed one. Other trips would differ by typically {typical:,.0f} in a "
        f"cell ({UNIT}; found by leaving out some at a time). A cell is marked when its change is "
        "too large for that, with at most 5 % of the marks expected by chance. More trips make "
        "the range smaller."
    )
    return text


def _draw_ways(result: Result, truth: Result | None) -> None:
    """How well each way of making trips does on these maps, and which one is ahead."""
    figures = result.metrics
    own = str(result.manifest["method"])
    agreement = api.compare_with_truth(result, truth) if truth is not None else {}
    ways = (own, *api.simple_ways(result))
    heads = ("", *(f"{way}/" for way in ways[1:]))
    names = [WAY_WORDS[way] for way in ways]
    met = [1 - figures[f"{head}mismatch_after"] for head in heads]
    table = pd.DataFrame(
        {
            "Way of making trips": names,
            "Map met": [100 * share for share in met],
            "Follows the map's change": [figures.get(f"{head}followed") for head in heads],
            "Agrees with the simulator": [
                agreement.get(name) for name in ("ours", *api.simple_ways(result))
            ],
        }
    )
    # without an edit there is no change to follow
    table = table.dropna(axis=1, how="all")
    if agreement.get("map") is not None:
        st.caption(
            "The map itself, which all of them follow, agrees with the simulator to "
            f"**{agreement['map']:.2f}**: a way that meets the map well comes near to that."
        )
    columns = {
        name: st.column_config.NumberColumn(
            format="%.0f %%" if name == "Map met" else "%.2f", help=COLUMN_HELP[name]
        )
        for name in table.columns[1:]
    }
    st.dataframe(table, hide_index=True, column_config=columns, width="stretch")
    for column in table.columns[1:]:
        reached = table[column].fillna(-np.inf)
        best = int(reached.argmax())
        if reached[best] > reached[0]:
            st.caption(
                f":material/info: {column}: here a simple way is ahead, **{names[best].lower()}**."
            )


def _draw_truth(city: api.City, result: Result) -> None:
    question = api.truth_of_trips(result.scenario)
    if question is None or not api.can_simulate(city):
        st.info(
            "The traffic simulator knows streets and demand, not a painted map. Close a street to "
            "compare with it.",
            title="No street was closed",
        )
        return
    truth = find_truth(result)
    if truth is None:
        st.markdown(
            "SUMO drives the same hours with these streets open and closed. It takes a minute or "
            "more; what you see here stays."
        )
        if st.button("Ask the simulator", icon=":material/traffic:", key="trips-truth"):
            ask(question, api.ask_simulator)
        draw_progress(Question.SIMULATE, api.read_truth)
        draw_problem(Question.SIMULATE)
        return
    _draw_comparison(city, result, truth)


def _draw_comparison(city: api.City, result: Result, truth: Result) -> None:
    if result.scenario.edits != truth.scenario.edits:
        st.warning(
            "The simulator closed your streets only. What you painted is in the map and in the "
            "trips, so they cannot agree with it: ask with the closed streets alone to compare.",
            title="Your painting is not in the simulator's answer",
            icon=":material/brush:",
        )
    _draw_ways(result, truth)
    true = api.true_change(truth)
    change = result.arrays["maps/change"].astype(np.float64)
    size = max(float(np.abs(true).max()), float(np.abs(change).max()), 1.0)
    scale = ColorScale(-size, size, "Change", UNIT, ScaleKind.DIVERGING, group="change")
    wished = api.wished_change(result)
    view_maps(
        city.grid,
        [
            HeatView("The simulator's change", true, scale),
            HeatView("The trips' change", change, scale),
            HeatView("The map's change", wished, scale),
        ],
        key=f"trips-truth-{city.id}",
        options=_options(city, "Against the simulator", COMPARISON_HEIGHT_PX),
        version=(result.digest, truth.digest),
    )


def _draw_plots(result: Result) -> None:
    values: dict[str, dict[str, np.ndarray]] = {"length": {}, "duration": {}}
    stand_for = {}
    for title, version in (("Today", "before"), ("After your changes", "after")):
        lengths, durations = api.lengths_and_durations(result, version)
        values["length"][title] = lengths
        values["duration"][title] = durations
        stand_for[title] = api.expansion_of(result, version)
    left, right = st.columns(2)
    with left:
        st.plotly_chart(draw_histograms(values["length"], "Length of a trip (m)", stand_for))
    with right:
        st.plotly_chart(draw_histograms(values["duration"], "Duration of a trip (min)", stand_for))


def _draw_files(result: Result) -> None:
    figures = result.metrics
    with st.container(border=True):
        st.markdown("**:material/shield: Does a made trip give a real one away?**")
        with st.container(horizontal=True, gap="large"):
            st.metric(
                "Closest recorded trip",
                f"{figures['privacy/made_p5_m']:,.0f} m",
                help="5th percentile of the distance from a made trip to the closest trip that was "
                "learned from.",
                width="content",
            )
            st.metric(
                "The same for real trips",
                f"{figures['privacy/held_out_p5_m']:,.0f} m",
                help="How close real trips of other days come to those that were learned from.",
                width="content",
            )
            st.metric(
                "Trips with one look-alike",
                f"{figures['privacy/unique_share']:.1%}",
                help="Made trips that come within 25 m of exactly one recorded trip; for real "
                f"trips of other days it is {figures['privacy/held_out_unique_share']:.1%}.",
                width="content",
            )
        if result.manifest["method"] == api.Method.RECORDED:
            st.caption(
                "These are recorded trips themselves: give them away only where the recordings "
                "may be given away. This city's recordings are simulated."
            )
        elif figures["privacy/made_p5_m"] >= figures["privacy/held_out_p5_m"]:
            st.caption("Made trips are no closer to recorded ones than other real trips are.")
        else:
            st.caption("Made trips come closer to recorded ones than other real trips do.")
    version = st.segmented_control(
        "Version",
        ("after", "before"),
        default="after",
        required=True,
        key="trips-version",
        format_func={"after": "After your changes", "before": "Today"}.__getitem__,
    )
    with st.container(horizontal=True):
        for kind, (words, mime) in FORMAT_WORDS.items():
            st.download_button(
                words,
                data=partial(api.export_trips, result, str(version), kind),
                file_name=api.trips_file_name(result, str(version), kind),
                mime=mime,
                icon=":material/download:",
                on_click="ignore",
                key=f"trips-file-{kind}",
            )
