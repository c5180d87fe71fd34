"""Below the maps of "Missing sensors": the error card, further questions, and files."""

from functools import partial

import streamlit as st

from engine import api
from engine.domain import Question, Result, Scenario
from pages.shared import cache
from pages.shared.reconstruction_sensors import draw_sensor_questions
from pages.shared.state import get_state
from pages.shared.text import as_text

MOST_NAMED = 6
FILES = {
    api.ExportKind.CSV: "CSV",
    api.ExportKind.GEOPARQUET: "GeoParquet",
    api.ExportKind.NETCDF: "NetCDF",
}


def draw_more(city: api.City, scenario: Scenario | None) -> None:
    """How wrong the last answer is, what else can be asked of it, and its files."""
    answered = get_state().answered.get(Question.RECONSTRUCT)
    if answered is None or answered.result is None or answered.scenario.city_id != city.id:
        return
    case = api.open_case(answered.scenario)
    _draw_oddity(city, case, answered.result)
    _draw_card(case, answered.result, is_old=answered.scenario != scenario)
    draw_sensor_questions(city, case)
    with st.expander("What the model knows of earlier", icon=":material/history:"):
        _draw_history(case)
    _draw_downloads(case, answered.result)


def _draw_oddity(city: api.City, case: api.Case, result: Result) -> None:
    """A warning where the question is outside of what the model has seen, and where on the map."""
    oddity = api.oddity_of(result)
    if oddity is None:
        st.caption("It was not measured for these weights what is unusual: there is no warning.")
        return
    if not oddity.needs_warning:
        return
    names = cache.coarse_sensor_names(city, case.model)
    odd = [name for name, value in zip(names, oddity.cells.ravel(), strict=True) if value > 1]
    where = f" Most unusual, with a sign on the map: {', '.join(odd[:MOST_NAMED])}." if odd else ""
    st.warning(
        as_text(f"{' '.join(oddity.reasons)}{where}"),
        title="Outside of what the model has seen: do not rely on this answer",
        icon=":material/explore_off:",
    )


def _draw_card(case: api.Case, result: Result, is_old: bool) -> None:
    unit = api.unit_text(case.model.field)
    card = api.error_card(result, unit)
    st.subheader("How wrong it is", anchor=False)
    when = f"{case.model.field.time_of(case.index):%a %-d %B, %H:%M}"
    gone = int((~case.mask).sum())
    old = " It is being brought up to date." if is_old else ""
    st.caption(f"{when}, {gone} of {case.mask.size} sensors missing.{old}")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _draw_verdict(card)
        usual = api.errors_kept_aside(case.model, case.mask, unit)
        if usual is not None:
            st.caption(f":material/event_available: {as_text(usual.text)}")
        st.metric(
            "Working sensors' totals are kept to",
            f"{100 * result.metrics['conservation']:.5f} %",
            help="In the best map and in every possible map: the largest relative difference "
            "between a sensor's count and the sum of its fine cells.",
        )
    with right:
        if card is not None:
            _draw_table(card, unit)


def _draw_verdict(card: api.ErrorCard | None) -> None:
    if card is None:
        st.info(
            "It has the sensors' totals only, so nothing can be compared with the truth: there is "
            "no table of errors and no map of them.",
            title="This city does not know its fine map",
        )
    elif card.is_beaten:
        st.warning(as_text(card.verdict), icon=":material/balance:")
    else:
        st.success(as_text(card.verdict), icon=":material/balance:")


def _draw_table(card: api.ErrorCard, unit: str) -> None:
    number = st.column_config.NumberColumn
    st.dataframe(
        [
            {
                "Method": row.label,
                "Mean error": row.mae,
                "RMSE": row.rmse,
                "CRPS": row.crps,
                "In band": None if row.coverage90 is None else 100 * row.coverage90,
            }
            for row in card.rows
        ],
        hide_index=True,
        placeholder="–",
        column_config={
            "Method": st.column_config.TextColumn(width="medium"),
            "Mean error": number(format="%.2f", help="Mean absolute error."),
            "RMSE": number(format="%.2f", help="Root mean square error: large errors count more."),
            "CRPS": number(
                format="%.2f", help="Error of the whole range of possible maps; lower is better."
            ),
            "In band": number(
                format="%.0f %%", help="Cells whose truth lies in the 90 % band: 90 % is right."
            ),
        },
    )
    st.caption(f"Over the {card.num_cells} hidden cells, {as_text(unit)}.")


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
