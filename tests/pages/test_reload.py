"""A page that the browser loads again goes on where it was, in Streamlit's own AppTest."""

import ast
import base64
import logging
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine import api
from engine.cities.registry import open_city
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job, JobState
from engine.compute.service import ComputeService
from engine.domain import Question
from pages.shared import state as state_module
from pages.shared.state import SWITCHES, TAB, AppState, Asked
from pages.shared.tabs import Tabs
from tests.pages.inline_jobs import run_jobs_inline
from tests.small_weights import write_small_weights

ROOT = Path(__file__).parents[2]
APP = str(ROOT / "app.py")


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(ComputeService, "start", lambda self: None)
    st.cache_data.clear()
    st.cache_resource.clear()


def load(page, query):
    """What the browser does with an address: a new session."""
    app = AppTest.from_file(APP, default_timeout=300).switch_page(f"pages/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def address(app):
    values = {name: app.query_params[name] for name in ("city", TAB)}
    return {name: one if isinstance(one, str) else one[0] for name, one in values.items()}


def edit(app, key, **parts):
    """What the map tells when the user has edited it."""
    document = app.session_state[f"citymap:{key}"]
    told = {"document": document.document_id, "revision": document.revision + 1, **parts}
    app.session_state[key] = {"edit": told}
    app.run()
    assert not app.exception
    return app


def text(array):
    return base64.b64encode(array.tobytes()).decode()


def paint_and_close(app):
    """Trips: the busiest cell made busier, one street closed; the map's key and values."""
    (begin, end) = next(slider.value for slider in app.select_slider if slider.label == "Hours")
    key = f"demand-adlershof-{app.date_input[0].value}-{begin}-{end}"
    values = app.session_state[f"citymap:{key}"].content.values.copy()
    values[values.argmax()] *= 1.5
    painted = np.zeros(values.size, np.uint8)
    painted[values.argmax()] = 1
    edit(app, key, values=text(values), painted=text(painted), closed=[7])
    return key, values


def test_edits_and_choices_of_every_page_survive(offline):
    app = load("trips", {"city": "adlershof"})
    (day,) = app.date_input
    chosen = day.value + timedelta(days=1)
    day.set_value(chosen).run()
    (hours,) = [slider for slider in app.select_slider if slider.label == "Hours"]
    hours.set_range(6.0, 8.5).run()
    app.number_input[0].set_value(42).run()
    key, values = paint_and_close(app)
    posed = app.session_state["citybrush"].posed[Question.TRAJECTORIES]
    assert len(posed.edits) == 2

    elsewhere = load("simulator", address(app))
    edit(elsewhere, "close-adlershof", closed=[3])
    again = load("trips", address(elsewhere))
    assert address(again) == address(app)
    assert again.date_input[0].value == chosen
    assert again.number_input[0].value == 42
    assert again.session_state["citybrush"].posed[Question.TRAJECTORIES] == posed
    document = again.session_state[f"citymap:{key}"]
    np.testing.assert_array_equal(document.content.values, values)
    # the browser gets the edits, not what it began with
    assert values.tobytes() in document.sent
    closed = load("simulator", address(again)).session_state["citymap:close-adlershof"]
    assert closed.content == (3,)


def test_an_answer_survives_with_the_mask_and_its_switches(small_data, data, monkeypatch):
    if not (small_data / "weights").exists():
        write_small_weights(small_data / "weights", open_city("small"))
    jobs = run_jobs_inline(monkeypatch)
    app = load("sensors", {"city": "small"})
    mask = np.ones((4, 4), np.uint8)
    mask[0, :3] = 0
    edit(app, "sensors-map-small", values=text(mask))
    app.toggle[0].set_value(False).run()
    asked = len(jobs.scenarios)
    before = app.session_state["citybrush"].answered[Question.RECONSTRUCT]

    again = load("sensors", address(app))
    assert again.toggle[0].value is False
    np.testing.assert_array_equal(again.session_state["sensors-mask-small"], mask > 0)
    assert again.session_state["citybrush"].answered[Question.RECONSTRUCT] is before
    assert len(jobs.scenarios) == asked


def running(cancelled):
    """A job of the trips page that has come half way."""
    city = api.open_city("adlershof")
    day, _ = api.simulated_days(city)
    scenario = api.trips_scenario(city.id, day, (7, 9), (), num_trips=128)
    handle = JobHandle("job", Job("engine.api.trips_job.run"), lambda _: 0, cancelled.append)
    handle.change(state=JobState.RUNNING, fraction=0.5, message="Making trips")
    return Asked(scenario, handle)


def with_job(cancelled):
    app = AppTest.from_file(APP, default_timeout=300).switch_page("pages/trips.py")
    asked = running(cancelled)
    app.session_state["citybrush"] = AppState(asked={asked.key: asked})
    app.query_params["city"] = "adlershof"
    app.run()
    assert not app.exception
    return app


def test_a_running_job_is_there_again_with_progress_and_cancel(offline):
    cancelled = []
    app = with_job(cancelled)
    again = load("trips", address(app))
    before, after = (one.session_state["citybrush"] for one in (app, again))
    assert after.session_id == before.session_id
    assert after.asked == before.asked
    (bar,) = again.get("progress")
    assert (bar.proto.value, bar.proto.text) == (50, "Making trips")
    assert cancelled == []
    (button,) = [one for one in again.button if one.label == "Cancel"]
    button.click().run()
    assert len(cancelled) == 1


def test_a_copied_address_goes_its_own_way(offline, monkeypatch):
    cancelled = []
    connected = {"test session id"}
    store = Tabs(connected.__contains__, state_module._cancel)
    monkeypatch.setattr(state_module, "_tabs", lambda: store)
    app = with_job(cancelled)
    paint_and_close(app)
    monkeypatch.setattr(state_module, "_session", lambda: "colleague")
    copy = load("trips", address(app))
    before, after = (one.session_state["citybrush"] for one in (app, copy))
    assert address(copy)[TAB] != address(app)[TAB]
    assert after.session_id != before.session_id
    assert after.posed == before.posed
    assert not after.asked
    assert before.asked
    assert cancelled == []


@pytest.mark.parametrize("token", ["nonsense", "", "'\"><script>", "x" * 5_000])
def test_an_unknown_token_begins_anew_under_another(data, caplog, token):
    app = load("city", {"city": "small", TAB: token})
    assert not app.error
    assert address(app)[TAB] != token
    assert len(address(app)[TAB]) >= 32


def test_the_log_names_no_token(offline, caplog):
    with caplog.at_level(logging.DEBUG):
        app = load("trips", {"city": "adlershof"})
        load("trips", address(app))
    assert address(app)[TAB] not in caplog.text


def test_every_switch_is_known():
    keys = set()
    for path in (ROOT / "pages").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "st.toggle",
                "st.checkbox",
            ):
                (key,) = [word.value for word in node.keywords if word.arg == "key"]
                keys.add(ast.literal_eval(key))
    assert keys == set(SWITCHES)
