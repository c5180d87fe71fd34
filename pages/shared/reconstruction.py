"""The answer of the page "Missing sensors": the live preview, and what is known of its errors."""

from functools import partial

import numpy as np
import streamlit as st

from engine import api
from engine.domain import Question, Result, Scenario
from engine.render.panels import Panel, draw_panels
from pages.shared import cache
from pages.shared.asking import ask, draw_bar, draw_problem, follow, take_answer, wait_for_estimate
from pages.shared.citymap import ColorScale
from pages.shared.frame import engine_errors
from pages.shared.reconstruction_cell import draw_cell
from pages.shared.reconstruction_maps import Shown, draw_maps
from pages.shared.reconstruction_sensors import draw_sensor_questions
from pages.shared.state import get_state
from pages.shared.text import as_text

KEY = Question.RECONSTRUCT.value
REFRESH_S = 0.5
FILES = {
    api.ExportKind.CSV: "CSV",
    api.ExportKind.GEOPARQUET: "GeoParquet",
    api.ExportKind.NETCDF: "NetCDF",
}
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
        if is_live:
            asked = follow(scenario, api.ask_reconstruct)
        else:
            asked = st.button("Reconstruct", type="primary", icon=":material/play_arrow:")
            if asked:
                ask(scenario, api.ask_reconstruct)
        if asked:
            wait_for_estimate(KEY, PREVIEW_WAIT_S)
    draw_problem(Question.RECONSTRUCT)
    refresh = REFRESH_S if KEY in get_state().asked else None
    st.fragment(_draw_shown, run_every=refresh)(city, scenario, in_3d)


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
        if not in_3d:
            _draw_flat(city, case, shown)
            _draw_card(case, shown.result)
            return
        cell = draw_maps(city, case, shown)
        left, right = st.columns(2, gap="medium")
        with left:
            draw_cell(city, case, cell)
        with right:
            _draw_card(case, shown.result)


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
    panels = [
        Panel(
            "What the sensors count",
            totals,
            ColorScale(0.0, coarse_top, "Count", unit),
            cache.coarse_sensor_names(city, case.model),
            is_hatched=True,
        ),
        Panel("Most likely", shown.estimate, traffic),
        Panel("How unsure", shown.upper - shown.lower, width),
    ]
    truth = case.truth
    if truth is not None:
        error = ColorScale(0.0, top / 4, "Absolute error", unit, palette="blue")
        panels += [
            Panel("Truth", truth, traffic),
            Panel("Off by", abs(shown.estimate - truth), error),
        ]
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


def _draw_card(case: api.Case, result: Result | None) -> None:
    if result is None:
        return
    unit = api.unit_text(case.model.field)
    card = api.error_card(result, unit)
    gap = result.metrics["conservation"]
    if card is None:
        st.info(
            "It has the sensors' totals only, so nothing can be compared with the truth: there is "
            "no error card and no map of errors.",
            title="This city does not know its fine map",
        )
    else:
        st.subheader("How wrong it is here", anchor=False)
        body = as_text(card.verdict)
        if card.is_beaten:
            st.warning(body, icon=":material/balance:")
        else:
            st.markdown(body)
        st.dataframe(
            [
                {
                    "Method": row.label,
                    "Mean error": row.mae,
                    "Root mean square": row.rmse,
                    "Score of the range": row.crps,
                    "In 90 % band": None if row.coverage90 is None else 100 * row.coverage90,
                }
                for row in card.rows
            ],
            hide_index=True,
            column_config={
                name: st.column_config.NumberColumn(format=form)
                for name, form in (
                    ("Mean error", "%.2f"),
                    ("Root mean square", "%.2f"),
                    ("Score of the range", "%.2f"),
                    ("In 90 % band", "%.0f %%"),
                )
            },
        )
        st.caption(
            f"{card.num_cells} hidden cells, {as_text(unit)}. Score of the range (CRPS): lower is "
            "better; it counts how far and how sure."
        )
    st.metric(
        "Totals of the working sensors kept to",
        f"{100 * gap:.5f} %",
        help="In the best map and in every possible map: largest relative difference between a "
        "sensor's count and the sum of its fine cells.",
    )


def draw_more(city: api.City, scenario: Scenario | None) -> None:
    """What can be asked and taken away once there is an answer to the question as it stands."""
    answered = get_state().answered.get(KEY)
    if answered is None or answered.result is None or answered.scenario != scenario:
        return
    case = api.open_case(answered.scenario)
    draw_sensor_questions(city, case)
    with st.expander("What the model knows of earlier", icon=":material/history:"):
        _draw_history(case)
    _draw_downloads(case, answered.result)


def _draw_history(case: api.Case) -> None:
    unit = api.unit_text(case.model.field)
    st.dataframe(
        [
            {
                "Begins": f"{one.when:%a %-d %b, %H:%M}",
                "Sensors": one.num_sensors,
                f"All together, {unit}": one.total,
            }
            for one in api.earlier_readings(case)
        ],
        hide_index=True,
    )


def _draw_downloads(case: api.Case, result: Result) -> None:
    st.caption("Take the maps away: best estimate, band, and the truth where it is known.")
    moment = case.model.field.time_of(case.index)
    with st.container(horizontal=True):
        for kind, label in FILES.items():
            st.download_button(
                label,
                partial(api.export_reconstruction, result, kind),
                f"sensors-{case.city.id}-{moment:%Y%m%d-%H%M}{kind.suffix}",
                kind.media_type,
                key=f"sensors-download-{kind.value}",
                icon=":material/download:",
                on_click="ignore",
            )
    st.caption("The map in 3D and the flat maps have a button for a picture (PNG) of their own.")
