"""The clicked cell's day, with its band, the truth, and other days like it."""

import numpy as np
import streamlit as st

from engine import api
from engine.domain import Question
from engine.render.sensor_figures import Line, draw_day
from pages.shared import cache
from pages.shared.asking import draw_bar, follow, take_answer
from pages.shared.state import get_state, topic_key
from pages.shared.text import as_text

TOPIC = "day"
KEY = topic_key(Question.RECONSTRUCT, TOPIC)
REFRESH_S = 0.5


def draw_cell(city: api.City, case: api.Case, cell: int | None) -> None:
    """The series of a cell; sharpened while a worker fills in the day.

    Args:
        city: an open city.
        case: the question that the map answers.
        cell: number of the fine cell; none before a click.
    """
    st.subheader("One cell through the day", anchor=False)
    if cell is None:
        st.caption("Click a cell on the map to see its day, with the band and the truth.")
        return
    follow(api.day_scenario(case.scenario), api.ask_day, TOPIC)
    refresh = REFRESH_S if KEY in get_state().asked else None
    st.fragment(_draw_series, run_every=refresh)(city, case, cell)


def _draw_series(city: api.City, case: api.Case, cell: int) -> None:
    if take_answer(KEY, api.read_day):
        st.rerun()
    draw_bar(KEY)
    maps = _find_maps(case)
    if maps is None:
        return
    series = api.day_series(case, maps, cell)
    unit = api.unit_text(case.model.field)
    row, col = divmod(cell, case.model.fine.cols)
    n = case.model.config.magnification
    sensor = cache.coarse_sensor_names(city, case.model)[
        row // n * case.model.coarse.cols + col // n
    ]
    works = "working" if case.mask[row // n, col // n] else "missing"
    others = [Line(f"{one.date:%a %-d %b}", one.values) for one in api.days_like(case, cell)]
    st.caption(
        f"Row {row + 1}, column {col + 1}, below the {works} sensor {as_text(sensor)}. Grey: the "
        "days on which the working sensors showed most the same at this hour."
    )
    st.plotly_chart(
        draw_day(
            series.times,
            (series.estimate, series.lower, series.upper),
            unit=unit,
            truth=series.truth,
            others=others,
            now=case.model.field.time_of(case.index),
        ),
        key="sensors-day-series",
        config={"displayModeBar": False},
        alt=f"Row {row + 1}, column {col + 1} through the day, {unit}",
    )


def _find_maps(case: api.Case) -> np.ndarray | None:
    state, wanted = get_state(), api.day_scenario(case.scenario)
    asked, answered = state.asked.get(KEY), state.answered.get(KEY)
    if asked is not None and asked.scenario == wanted:
        estimate = asked.handle.status.estimate
        return None if estimate is None else np.asarray(estimate, dtype=np.float32)
    if answered is None or answered.result is None or answered.scenario != wanted:
        return None
    arrays = answered.result.arrays
    return np.stack([np.asarray(arrays[name]) for name in ("estimate", "lower", "upper")])
