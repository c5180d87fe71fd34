"""The page "Missing sensors", its jobs run at once in this process instead of by a worker."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from engine import api
from engine.cities import registry
from engine.cities.registry import open_city
from engine.errors import EngineError
from tests.pages.inline_jobs import run_jobs_inline
from tests.small_city import START, write_small_city
from tests.small_weights import write_small_weights

APP = str(Path(__file__).parents[2] / "app.py")
PAINTED = "sensors-map-small"


def maps(page):
    return [one for one in page.get("bidi_component") if one.proto.bytes]


@pytest.fixture
def jobs(small_data, data, monkeypatch):
    """The small city has weights, and jobs run at once."""
    if not (small_data / "weights").exists():
        write_small_weights(small_data / "weights", open_city("small"))
    return run_jobs_inline(monkeypatch)


def run(city="small"):
    page = AppTest.from_file(APP, default_timeout=300).switch_page("pages/sensors.py")
    page.query_params["city"] = city
    return page.run()


def paint(page, missing):
    """What the map tells when a stroke has ended."""
    document = page.session_state[f"citymap:{PAINTED}"]
    values = np.ones((4, 4), np.uint8)
    for cell in missing:
        values[cell] = 0
    edit = {
        "document": document.document_id,
        "revision": document.revision + 1,
        "values": base64.b64encode(values.tobytes()).decode(),
    }
    page.session_state[PAINTED] = {"edit": edit}
    return page.run()


def figure(page):
    return json.loads(page.get("plotly_chart")[0].proto.spec)


def heatmaps(page):
    maps = {}
    spec = figure(page)
    titles = [note["text"] for note in spec["layout"]["annotations"]]
    traces = [trace for trace in spec["data"] if trace["type"] == "heatmap"]
    for title, trace in zip(titles, traces, strict=True):
        z = trace["z"]
        values = np.frombuffer(base64.b64decode(z["bdata"]), z["dtype"])
        maps[title] = values.reshape([int(n) for n in z["shape"].split(",")])
    return maps


def words(page):
    parts = [*page.markdown, *page.caption, *page.subheader, *page.info, *page.warning]
    return " ".join(part.value for part in parts).replace("\\", "")


def test_it_opens_with_an_answer_and_its_errors(jobs):
    page = run()
    assert not page.exception
    assert not page.error
    assert len(jobs.scenarios) == 1
    assert len(maps(page)) == 1
    assert set(heatmaps(page)) == {
        "What the sensors count",
        "Most likely",
        "How unsure",
        "Truth",
        "Off by",
        "Simple method off by",
    }
    table = page.dataframe[0].value
    assert table["Method"].iloc[0] == "Citybrush"
    assert len(table) == 5
    assert "the simple baseline is better" in words(page)
    assert "sensor" in page.metric[-1].label


def test_a_stroke_is_answered_with_what_api_gives_for_the_same_question(jobs):
    page = paint(run(), [(0, 0), (2, 1)])
    assert len(jobs.scenarios) == 2
    mask = np.ones((4, 4), bool)
    mask[0, 0] = mask[2, 1] = False
    moment = START.replace(day=19, hour=8)
    scenario = api.reconstruct_scenario("small", moment, mask)
    assert jobs.scenarios[-1] == scenario.to_json()
    result = api.reconstruct(scenario)
    np.testing.assert_array_equal(heatmaps(page)["Most likely"], result.arrays["estimate"])
    assert len(jobs.scenarios) == 2


def test_moving_the_time_keeps_the_mask(jobs):
    page = paint(run(), [(1, 1)])
    page.select_slider[0].set_value(30).run()
    first, second = jobs.scenarios[-2:]
    assert first["edits"] == second["edits"]
    assert second["parameters"]["time"] == "2024-09-19T13:00:00+00:00"


def test_without_a_missing_sensor_it_says_what_to_do(jobs):
    page = paint(run(), [])
    assert not page.exception
    assert "No sensor is missing" in page.info[0].proto.title + page.info[0].value
    assert len(jobs.scenarios) == 1


def test_with_no_sensor_left_it_says_so(jobs):
    page = paint(run(), list(np.ndindex(4, 4)))
    assert "Leave at least one sensor" in words(page)
    assert len(jobs.scenarios) == 1


def test_a_job_that_fails_is_shown_once_and_not_asked_again(jobs):
    jobs.error = EngineError("The workers are gone.", "", "Try again.")
    page = run()
    assert len(page.error) == 1
    page.run()
    assert len(jobs.scenarios) == 1
    jobs.error = None
    next(b for b in page.button if b.label == "Reconstruct").click().run()
    assert not page.error
    assert len(jobs.scenarios) == 2
    page = paint(page, [(1, 1)])
    assert len(jobs.scenarios) == 3
    assert not [b for b in page.button if b.label == "Reconstruct"]


def test_3d_maps_show_truth_result_error_and_uncertainty(jobs):
    page = run()
    page.segmented_control(key="sensors-part").select("3D maps").run()
    assert not page.exception
    assert len(maps(page)) == 1
    assert not page.get("plotly_chart")
    page.segmented_control(key="sensors-kind").select("One possible map").run()
    assert not page.exception
    assert len(jobs.scenarios) == 1


def test_a_clicked_cell_shows_its_day(jobs):
    page = run()
    page.segmented_control(key="sensors-part").select("3D maps").run()
    key = "sensors-maps-small"
    selection = {"map": key, "cell": 17, "step": 0, "view": "view0"}
    page.session_state[key] = {"selection": selection}
    page.run()
    assert not page.exception
    assert jobs.scenarios[-1]["parameters"]["samples"] == 8
    lines = {trace.get("name"): trace for trace in figure(page)["data"]}
    assert {"90 % band", "most likely", "truth"} <= set(lines)
    assert len(lines) == 6
    assert "Row 2, column 2" in words(page)
    page.run()
    assert len(jobs.scenarios) == 2


def test_the_next_sensor_and_the_one_that_matters_most(jobs):
    page = run()
    page.button(key="sensors-ask-place").click().run()
    page.button(key="sensors-ask-rank").click().run()
    assert not page.exception
    assert len(page.get("plotly_chart")) == 3
    assert "narrower" in words(page)
    page = paint(page, [(1, 1)])
    assert len(page.get("plotly_chart")) == 1


def test_downloads(jobs):
    page = run()
    labels = [element.proto.label for element in page.get("download_button")]
    assert labels == ["Save JSON", "Save CSV", "CSV", "GeoParquet", "NetCDF"]


def test_only_on_request_when_it_is_not_live(jobs):
    page = run()
    page.toggle(key="sensors-live").set_value(False).run()
    page = paint(page, [(1, 1)])
    assert len(jobs.scenarios) == 1
    assert "earlier question" in words(page)
    next(b for b in page.button if b.label == "Reconstruct").click().run()
    assert len(jobs.scenarios) == 2


def test_a_city_without_weights_says_so(data, monkeypatch, tmp_path):
    write_small_city(tmp_path / "cities")
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path))
    page = run()
    assert not page.exception
    assert "no trained weights" in page.info[0].proto.title
