"""The page "The next hour", its jobs run at once in this process instead of by a worker."""

import json
from datetime import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.cities.registry import open_city
from engine.errors import EngineError
from tests.pages.inline_jobs import run_jobs_inline
from tests.small_forecasts import write_small_forecasts

APP = str(Path(__file__).parents[2] / "app.py")


@pytest.fixture
def jobs(small_data, data, monkeypatch):
    """The small city has forecasts, and jobs run at once."""
    if not (small_data / "weights" / "small-forecast.safetensors").exists():
        write_small_forecasts(small_data / "weights", open_city("small"))
    return run_jobs_inline(monkeypatch)


def run(city="small"):
    page = AppTest.from_file(APP, default_timeout=120).switch_page("pages/forecast.py")
    page.query_params["city"] = city
    page.run()
    assert not page.exception, page.exception
    return page


def texts(page):
    shown = [*page.markdown, *page.caption, *page.info, *page.error]
    return " ".join(element.value for element in shown).replace("\\", "")


def curve(page):
    """Names of the lines of the sensor's curve."""
    figures = [json.loads(found.proto.spec) for found in page.get("plotly_chart")]
    return {line.get("name") for line in figures[0]["data"]}


def test_the_page_answers_by_itself(jobs):
    page = run()
    assert len(jobs.scenarios) == 1
    assert jobs.scenarios[0]["edits"] == []
    assert {"measured", "forecast", "90 % band", "usual", "measured later"} <= curve(page)
    assert "Off by on average, this hour" in texts(page)
    assert [metric.label for metric in page.metric] == ["in 15 min", "in 30 min", "in 60 min"]


def test_on_the_map_one_chooses_a_sensor_and_no_cell(jobs):
    messages = [one.proto.bytes for one in run().get("bidi_component")]
    (header,) = [
        json.loads(found[8 : 8 + int.from_bytes(found[4:8], "little")])
        for found in messages
        if found
    ]
    assert header["noun"] == "sensor"


def test_a_map_of_the_change_says_that_nothing_was_changed(jobs):
    page = run()
    (views,) = [choice for choice in page.button_group if "Change" in choice.options]
    views.set_value(["Forecast", "Change"]).run()
    assert "Nothing was changed yet" in texts(page)
    page.button(key="forecast-incident-here").click().run()
    assert "Nothing was changed yet" not in texts(page)


def test_an_incident_beside_the_curve_is_a_lever(jobs):
    page = run()
    page.button(key="forecast-incident-here").click().run()
    assert not page.exception
    edits = jobs.scenarios[-1]["edits"]
    assert [edit["kind"] for edit in edits] == ["scale-readings"]
    assert edits[0]["factor"] == pytest.approx(0.4)
    assert {"in your what-if", "without it"} <= curve(page)
    page.button[[b.label for b in page.button].index("Undo all")].click().run()
    assert jobs.scenarios[-1]["edits"] == []


def test_levers_make_the_scenario(jobs):
    page = run()
    page.multiselect(key="forecast-silent-small").select("d1").run()
    page.multiselect(key="forecast-closed-small").select("s2").run()
    page.slider(key="forecast-shift-small").set_value(2).run()
    page.selectbox(key="forecast-weekday-small").select(6).run()
    asked = jobs.scenarios[-1]
    assert [edit["kind"] for edit in asked["edits"]] == ["silence-sensors", "close-streets"]
    assert asked["parameters"]["shift_min"] == 120
    assert asked["parameters"]["weekday"] == 6
    assert not page.exception


def test_streets_are_closed_only_where_that_was_right(small_data, jobs):
    card = small_data / "weights" / "small-forecast.json"
    before = card.read_text()
    card.write_text(before.replace('"same_sign": 0.9', '"same_sign": 0.4'))
    try:
        keys = {choice.key for choice in run().multiselect}
    finally:
        card.write_text(before)
    assert keys == {"forecast-incident-small", "forecast-silent-small"}


def test_another_moment_is_asked_anew_and_the_same_is_not(jobs):
    page = run()
    page.run()
    assert len(jobs.scenarios) == 1
    page.slider(key="forecast-now-small").set_value(time(17, 0)).run()
    assert jobs.scenarios[-1]["parameters"]["moment"].endswith("T17:00")


def test_a_failure_is_said_and_the_levers_stay(jobs):
    jobs.error = EngineError("The worker ran away.", "", "Ask again.")
    page = run()
    assert "The worker ran away" in " ".join(e.proto.title or e.value for e in page.error)
    assert page.multiselect(key="forecast-incident-small").value == []


def test_what_was_learned_is_made_when_asked_for(jobs):
    page = run()
    before = len(page.get("plotly_chart"))
    page.toggle(key="forecast-learned").set_value(True).run()
    assert not page.exception
    assert jobs.scenarios[-1]["parameters"] == {"pictures": "ours"}
    assert len(page.get("plotly_chart")) == before + 3


def test_a_city_without_forecasts_says_so(data, monkeypatch):
    import shutil

    shutil.rmtree(data / "weights", ignore_errors=True)
    page = run()
    assert "no trained weights" in " ".join(found.proto.title for found in page.info)
