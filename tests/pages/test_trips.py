import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine import api
from engine.api.trips_bench import answer_here
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job
from engine.compute.service import ComputeService
from engine.domain import Question
from engine.errors import ScenarioError
from pages.shared import trips_answer
from pages.shared.state import AppState, Asked

APP = str(Path(__file__).parents[2] / "app.py")


@pytest.fixture(scope="module")
def answered():
    """An answer for the embedded city, made once."""
    city = api.open_city("adlershof")
    edits = next(i.spec.edits for i in city.interventions() if i.spec.id == "close-rudower-mitte")
    day, _ = api.simulated_days(city)
    asked = api.trips_scenario(
        "adlershof", day, (7, 9), edits, method=api.Method.RECORDED, num_trips=60
    )
    return Asked(asked, None, answer_here(asked))


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(ComputeService, "start", lambda self: None)
    st.cache_data.clear()
    st.cache_resource.clear()


def run(city, state=None):
    app = AppTest.from_file(APP, default_timeout=120).switch_page("pages/trips.py")
    app.query_params["city"] = city
    if state is not None:
        app.session_state["citybrush"] = state
    app.run()
    assert not app.exception
    return app


def words(app):
    parts = (*app.markdown, *app.caption, *app.info, *app.warning, *app.error)
    return " ".join(part.value for part in parts)


def test_a_city_without_trips_says_so(data):
    app = run("small")
    assert "needs recorded trips" in words(app)
    assert not app.button


def test_the_question_is_asked_with_what_was_chosen(offline, monkeypatch):
    asked = []

    def submit(service, scenario, session):
        asked.append(scenario)
        raise ScenarioError("The line is full.", "", "Try again.")

    monkeypatch.setattr(api, "ask_trips", submit)
    app = run("adlershof")
    assert app.title[0].value == "Changed demand"
    assert {metric.label for metric in app.metric} >= {"Today", "As painted"}
    # recorded trips are made unless the model's card says that it is better
    best = api.trip_methods(api.open_city("adlershof"))[0]
    assert "The better way is chosen at first" in words(app)
    (way,) = [box for box in app.selectbox if box.label == "Made by"]
    assert way.value == best
    (button,) = [b for b in app.button if b.label == "Make today's trips"]
    app.selectbox[0].select(256)
    button.click().run()
    (scenario,) = asked
    assert scenario.question is Question.TRAJECTORIES
    assert scenario.parameters["trips"] == 256
    assert scenario.edits == ()
    assert "Try again" in " ".join(error.value for error in app.error)


def test_the_same_question_twice_is_asked_once(offline, monkeypatch):
    asked, cancelled = [], []

    def submit(service, scenario, session):
        asked.append(scenario)
        job = Job("engine.api.trips_job.run", scenario.to_json(), session)
        return JobHandle(f"job{len(asked)}", job, lambda _: 0, cancelled.append)

    def press():
        (button,) = [b for b in app.button if b.label == "Make today's trips"]
        button.click().run()
        assert not app.exception

    monkeypatch.setattr(api, "ask_trips", submit)
    app = run("adlershof")
    press()
    press()
    assert len(asked) == 1
    assert not cancelled
    assert [button for button in app.button if button.label == "Cancel"]
    app.number_input[0].set_value(7)
    press()
    assert [scenario.seed for scenario in asked] == [0, 7]
    assert len(cancelled) == 1


def test_the_answer_shows_figures_range_privacy_and_files(offline, answered):
    state = AppState(city_id="adlershof", answered={Question.TRAJECTORIES: answered})
    app = run("adlershof", state)
    labels = {metric.label: metric.value for metric in app.metric}
    assert labels["Blocked places entered"] == "0"
    assert labels["Traffic moved by your changes"] == f"{answered.result.metrics['moved']:.1%}"
    assert "Closest recorded trip" in labels
    assert [tab.label for tab in app.tabs] == [
        "Maps",
        "Moving trips",
        "Ask the simulator",
        "Lengths and times",
        "Download",
    ]
    assert "Within range" in words(app)
    assert "left out, not sent round it" in words(app).replace("\\", "")
    assert "here a simple way is ahead" in words(app)


def moving(app):
    """The message to the browser of the moving trips."""
    for one in app.get("bidi_component"):
        size = int.from_bytes(one.proto.bytes[4:8], "little")
        header = json.loads(one.proto.bytes[8 : 8 + size] or "{}")
        if header.get("kind") == "trips":
            return header
    raise AssertionError("no trips move")


def test_as_many_vehicles_move_as_fit_and_the_hours_pass_in_a_minute_or_two(offline, answered):
    app = run("adlershof", AppState(answered={Question.TRAJECTORIES: answered}))
    header = moving(app)
    trips = header["trips"]
    shown = [group["starts"]["count"] for group in trips["groups"]]
    # sixty trips were made, which stand for thousands of vehicles
    share = api.shown_share(answered.result, 2_000)
    assert max(shown) == pytest.approx(2_000, rel=0.1)
    assert f"one of {1 / share:,.1f} vehicles" in words(app)
    assert 60 <= (trips["end"] - trips["begin"]) / trips["speed"] <= 120
    assert 120 <= trips["trail"] <= 900
    assert not header["is3d"]


def test_the_answer_says_what_was_asked_and_is_marked_once_the_question_changes(offline, answered):
    state = AppState(city_id="adlershof", answered={Question.TRAJECTORIES: answered})
    app = run("adlershof", state)
    said = words(app).replace("\\", "")
    assert "closed; traffic finds other ways · 2025-03-31, 07:00 to 09:00" in said
    assert "60 trips of either version, all purposes, recorded trips, draw 0" in said
    earlier = "earlier question"
    assert not [warning for warning in app.warning if earlier in warning.proto.title]
    # the page's own question, once it was looked at, is another one: nothing is closed there
    (part,) = [choice for choice in app.button_group if choice.label == "Part"]
    part.set_value("Your changes").run()
    (part,) = [choice for choice in app.button_group if choice.label == "Part"]
    part.set_value("What would follow").run()
    assert [warning for warning in app.warning if earlier in warning.proto.title]


@pytest.mark.parametrize(("after_m", "told"), [(1_180.0, 0), (761.0, 1), (1_600.0, 1)])
def test_shifted_lengths_of_recorded_trips_are_explained(monkeypatch, after_m, told):
    said = []
    monkeypatch.setattr(trips_answer.st, "caption", said.append)
    result = SimpleNamespace(
        manifest={"method": api.Method.RECORDED},
        metrics={"mean_length_before_m": 1_200.0, "mean_length_after_m": after_m},
        scenario=SimpleNamespace(edits=()),
    )
    trips_answer._draw_lengths_limit(result)
    assert len(said) == told
    assert all("do not act on the lengths" in text for text in said)
