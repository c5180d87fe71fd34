import json
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.small_city import flow_values

APP = str(Path(__file__).parents[2] / "app.py")
MAP = "city-map"


def run(city="small"):
    # without a run of app.py first: a deep link on a fresh server does just that
    page = AppTest.from_file(APP, default_timeout=120).switch_page("pages/city.py")
    page.query_params["city"] = city
    page.run()
    return page.run() if maps(page) else page  # the browser tells that it has drawn the map


def maps(page):
    return [one for one in page.get("bidi_component") if one.proto.bytes]


def figure(page):
    return json.loads(page.get("plotly_chart")[0].proto.spec)


def line(page, name):
    trace = next(t for t in figure(page)["data"] if t.get("name") == name)
    y = trace["y"]
    if isinstance(y, dict):
        import base64

        return np.frombuffer(base64.b64decode(y["bdata"]), y["dtype"])
    return np.array(y)


def click(page, cell):
    page.session_state[MAP] = {"selection": {"map": MAP, "cell": cell, "step": 0, "view": "view0"}}
    page.run()


def test_a_deep_link_opens_the_city_with_its_notice(data):
    page = run()
    assert not page.exception
    assert not page.error
    assert page.title[0].value == "Kleinstadt"
    captions = " ".join(caption.value for caption in page.caption).replace("\\", "")
    assert "simulated traffic on real streets, © OpenStreetMap contributors" in captions
    assert len(maps(page)) == 1


def test_the_series_waits_until_the_map_is_drawn(data):
    page = AppTest.from_file(APP, default_timeout=120).switch_page("pages/city.py")
    page.query_params["city"] = "small"
    page.run()
    assert len(maps(page)) == 1
    assert not page.get("plotly_chart")
    page.session_state[MAP] = {"drawn": {"map": MAP}}
    page.run()
    assert len(page.get("plotly_chart")) == 1


def test_at_first_the_whole_city_is_plotted(data):
    page = run()
    expected = flow_values()[:336].sum(axis=(1, 2))
    np.testing.assert_array_equal(line(page, "Whole city, all cells added up"), expected)


def test_a_clicked_cell_is_plotted_beside_what_is_usual(data):
    page = run()
    click(page, 8 * 16 + 7)
    values = flow_values()[:, 8, 7].astype(float)
    np.testing.assert_array_equal(line(page, "Cell in row 9, column 8"), values[:336])
    np.testing.assert_allclose(line(page, "usual"), (values[336:672] + values[672:]) / 2, rtol=1e-6)


def test_another_week_and_its_event(data):
    page = run()
    page.selectbox(key="week-small").select_index(1).run()
    expected = flow_values()[336:672].sum(axis=(1, 2))
    np.testing.assert_array_equal(line(page, "Whole city, all cells added up"), expected)
    captions = " ".join(caption.value for caption in page.caption).replace("\\", "")
    assert "Tue 10 Sep, 08:00 to 14:00: Autumn fair: 1,500 visitors" in captions


def test_a_street_sensor_is_plotted_until_the_next_click(data):
    page = run()
    page.selectbox(key="sensor").select_index(2).run()
    speed = line(page, "Mean speed, Canalstraße · d2")
    assert len(speed) == 7 * 288
    assert 10 <= speed.min() <= speed.max() <= 50
    click(page, 17)
    assert len(line(page, "Cell in row 2, column 2")) == 336
    assert page.selectbox(key="sensor").value is None


def test_a_cell_is_forgotten_when_hexagons_are_shown(data):
    page = run()
    click(page, 5)
    page.segmented_control(key="cells").select("hexagons").run()
    assert not page.exception
    assert not page.error


@pytest.mark.parametrize("city", ["nowhere", "../../etc", "", "<script>"])
def test_an_unknown_city_is_an_error_in_words(data, city):
    page = run(city)
    assert not page.exception
    assert len(page.error) == 1
    assert not maps(page)


def test_a_damaged_field_is_an_error_in_words(data, monkeypatch, tmp_path):
    import shutil

    from engine.cities import registry

    shutil.copytree(data, tmp_path / "data")
    field = tmp_path / "data" / "cities" / "small" / "fields" / "flow.npz"
    content = bytearray(field.read_bytes())
    content[len(content) // 2] ^= 0xFF
    field.write_bytes(bytes(content))
    monkeypatch.setenv(registry.DATA_VARIABLE, str(tmp_path / "data"))
    page = run()
    assert not page.exception
    assert len(page.error) == 1
    assert "flow" in page.error[0].value
