"""The page "Missing sensors", used as a planner does; its answers are those of the API."""

import csv
import io
import re
from datetime import timedelta

import numpy as np
import pytest

from engine import api
from engine.cities import registry
from tests.browser.citymap.driving import MapDriver
from tests.small_city import START

FIRST_MS = 240_000  # the workers load torch for their first answer
DAY = START + timedelta(days=17)


@pytest.fixture
def answer(product_data, monkeypatch):
    """What Python gets for the same mask and time."""
    monkeypatch.setenv(registry.DATA_VARIABLE, str(product_data))

    def ask(mask, hours):
        scenario = api.reconstruct_scenario("small", DAY + timedelta(hours=hours), mask)
        return api.reconstruct(scenario)

    return ask


def painted(driver):
    return driver.values().reshape(4, 4) > 0


def wait_answered(page, text):
    """The card below belongs to this question, and nothing is being brought up to date."""
    page.get_by_text(re.compile(rf"{text} sensors missing\.$")).wait_for(timeout=FIRST_MS)


@pytest.mark.thorough
def test_paint_wait_read_move_the_time_and_download(product, page, answer):
    page.goto(f"{product}/sensors?city=small")
    driver = MapDriver(page)
    wait_answered(page, "Thu 19 September, 08:00, 6 of 16")
    before = painted(driver)

    works = np.flatnonzero(before.ravel())
    driver.drag(int(works[0]), int(works[0]))
    wait_answered(page, "08:00, 7 of 16")
    mask = painted(driver)
    assert (before != mask).sum() == 1
    driver.assert_alive()
    page.locator(".js-plotly-plot .heatmaplayer").nth(5).wait_for(state="attached")

    unit = api.unit_text(api.open_city("small").field("flow"))
    verdict = api.error_card(answer(mask, 8.0), unit).verdict
    page.get_by_text(verdict).wait_for()

    page.get_by_role("slider", name="Time").press("ArrowRight")
    wait_answered(page, "08:30, 7 of 16")
    assert (painted(driver) == mask).all()
    result = answer(mask, 8.5)
    page.get_by_text(api.error_card(result, unit).verdict).wait_for()

    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    text = download.value.path().read_text("utf-8-sig")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    column = next(name for name in rows[0] if name.startswith("estimate"))
    estimate = np.array([row[column] for row in rows], dtype=np.float32).reshape(16, 16)
    np.testing.assert_array_equal(estimate, result.arrays["estimate"])


@pytest.mark.thorough
def test_3d_maps_and_one_cell_of_them(product, page):
    page.goto(f"{product}/sensors?city=small")
    MapDriver(page)
    wait_answered(page, "08:00, 6 of 16")
    page.get_by_role("radio", name=re.compile("3D maps")).or_(
        page.get_by_role("button", name=re.compile("3D maps"))
    ).first.click()
    page.wait_for_function("() => [...__citymap.maps].some(map => map.mode.views?.length === 4)")
    driver = MapDriver(page)
    driver.assert_alive()
    titles = page.locator(".card .title").all_inner_texts()
    assert titles == ["Truth", "Best estimate", "Off by", "How unsure"]
    driver.focus()
    driver.press("Enter")
    page.get_by_text(re.compile("below the (working|missing) sensor")).wait_for(timeout=FIRST_MS)
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
