import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.cities import registry
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job
from engine.domain import Question, Scenario
from pages.shared.cards import QUESTIONS
from pages.shared.navigation import PAGES
from pages.shared.state import AppState, Asked
from tests.small_city import write_small_city

APP = str(Path(__file__).parents[2] / "app.py")


def run(**query):
    app = AppTest.from_file(APP, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def texts(app):
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.subheader])


def test_a_city_shows_what_it_holds(data):
    app = run()
    assert "Kleinstadt" in texts(app)
    assert "simulated traffic on real streets" in texts(app).replace("\\", "")
    facts = {metric.label: metric.value for metric in app.metric}
    assert facts == {
        "Traffic": "3 weeks",
        "Grid": "16 × 16 cells",
        "Street sensors": "4",
        "Streets": "4",
    }


def test_no_city_is_said_and_not_an_error(data, monkeypatch, tmp_path):
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path))
    app = run()
    assert len(app.info) == 1
    assert not app.error


def test_a_damaged_city_is_named_and_the_other_opens(data, monkeypatch, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    write_small_city(tmp_path / "data" / "cities", "broken", "Bruchstadt")
    field = tmp_path / "data" / "cities" / "broken" / "fields" / "flow.npz"
    field.write_bytes(field.read_bytes()[:-100])
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path / "data"))
    app = run()
    assert "Bruchstadt" in texts(app)
    assert "Kleinstadt" in texts(app)
    assert len(app.warning) == 1
    assert "flow" in app.warning[0].value


def test_choosing_another_city_is_remembered(data, monkeypatch, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    write_small_city(tmp_path / "data" / "cities", "other", "Andernach")
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path / "data"))
    app = run(city="small")
    app.button(key="choose-other").click().run()
    assert not app.exception
    assert app.query_params["city"] == "other"
    assert [button.key for button in app.button] == ["choose-small"]


def test_the_address_names_the_city_after_going_back(data, monkeypatch, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    write_small_city(tmp_path / "data" / "cities", "other", "Andernach")
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path / "data"))
    app = run(city="small")
    app.button(key="choose-other").click().run()
    app.query_params["city"] = "small"
    app.run()
    assert [button.key for button in app.button] == ["choose-other"]
    assert app.session_state["citybrush"].city_id == "small"


def test_choosing_another_city_cancels_what_runs_for_the_last(data, monkeypatch, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    write_small_city(tmp_path / "data" / "cities", "other", "Andernach")
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path / "data"))
    cancelled = []
    job = Job("engine.api.trips_job.run", {}, "tab")
    handle = JobHandle("job1", job, lambda _: 0, cancelled.append)
    asked = Asked(Scenario("small", Question.TRAJECTORIES), handle)
    app = AppTest.from_file(APP, default_timeout=120)
    app.session_state["citybrush"] = AppState(city_id="small", asked={asked.key: asked})
    app.run()
    app.button(key="choose-other").click().run()
    assert not app.exception
    assert cancelled == [handle]
    assert app.session_state["citybrush"].asked == {}


@pytest.mark.parametrize(
    "title", ["<img src=x onerror=alert(1)>", "![x](http://evil.example/x.png)", ":red[x] $x$ `x`"]
)
def test_titles_stay_text(data, monkeypatch, tmp_path, title):
    write_small_city(tmp_path / "cities", "odd", title)
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path))
    app = run()
    shown = app.subheader[0].value
    assert shown.replace("\\", "").replace("\u2060", "") == title
    assert all(shown[i - 1] == "\\" for i, sign in enumerate(shown) if sign in "<>![](){}$`:")


def test_questions_are_called_and_ordered_as_in_the_navigation(data):
    pages = [name for path, name, _ in PAGES if path in {question.page for question in QUESTIONS}]
    assert [question.name for question in QUESTIONS] == pages
