"""The page "Changed demand", used as a planner does, with the real simulator for the truth."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine import api
from engine.cities.registry import open_city
from tests.browser.citymap.driving import MapDriver
from tests.browser.test_pages import set_slider

FIRST_MS = 240_000


@pytest.fixture(scope="module")
def address(serve, tmp_path_factory):
    return serve("app.py", CITYBRUSH_DATA=str(tmp_path_factory.mktemp("data")))


def keep_picture(page, name):
    """A screenshot for people to look at, where ``CITYBRUSH_PICTURES`` names a folder."""
    folder = os.environ.get("CITYBRUSH_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def close_street(page, driver, street_id):
    """Click the middle of a street with the tool that closes streets."""
    streets = open_city("adlershof").streets().set_index("street_id")
    line = streets.geometry[street_id]
    longest = max(getattr(line, "geoms", [line]), key=lambda part: part.length)
    middle = longest.interpolate(0.5, normalized=True)
    driver.button("street").click()
    x, y = driver.ask(f"map.scene.project([{middle.x}, {middle.y}])")
    box = page.locator(".map").bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.get_by_text("Closed:").wait_for()


def draw_line_by_keyboard(page):
    """A line from the middle of the moving trips to the south, and Python's counts across it."""
    page.locator(".map:visible").focus()
    for key in ("l", " ", *4 * ["Shift+ArrowDown"], "Enter"):
        page.keyboard.press(key)
    across = page.get_by_test_id("stMetric").filter(has_text="Across the line towards")
    across.nth(1).wait_for()
    assert "vehicles" in across.first.get_by_test_id("stMetricValue").inner_text()
    assert "±" in across.first.get_by_test_id("stMetricDelta").inner_text()


@pytest.mark.thorough
def test_close_lower_run_ask_the_simulator_and_download(address, page):
    page.goto(f"{address}/trips?city=adlershof")
    driver = MapDriver(page)
    set_slider(page, "Hours — start", "03:00")
    set_slider(page, "Hours — end", "03:30")
    # other hours begin a new map; the old one leaves a moment later
    page.wait_for_function(
        "() => { const maps = [...__citymap.maps];"
        " return maps.length === 1 && maps[0].payload.key.endsWith('3.0-3.5')"
        " && maps[0].scene.renderCount > 0; }"
    )
    before = driver.values()
    close_street(page, driver, "rudower-chaussee-2")
    driver.button("lower").click()
    busiest = int(before.argmax())
    driver.drag(busiest, busiest + 1)
    page.wait_for_function("() => [...__citymap.maps][0].mode.document.painting.numChanged > 0")
    keep_picture(page, "trips-question")

    page.get_by_role("button", name="Make the trips").click()
    page.get_by_role("tab", name="Maps").wait_for(timeout=FIRST_MS)
    page.wait_for_function("() => [...__citymap.maps].some(map => map.mode.views?.length === 4)")
    entered = page.get_by_test_id("stMetric").filter(has_text="Blocked places entered")
    assert entered.get_by_test_id("stMetricValue").inner_text() == "0"
    page.get_by_text("Against simple ways of making trips").wait_for()
    assert page.evaluate("__citymap.liveContexts.size") == 1
    keep_picture(page, "trips-maps")

    page.get_by_role("tab", name="Ask the simulator").click()
    page.get_by_role("button", name="Ask the simulator").click()
    page.get_by_text("agrees with the simulator to").wait_for(timeout=FIRST_MS)
    keep_picture(page, "trips-truth")

    page.get_by_role("tab", name="Moving trips").click()
    page.wait_for_function(
        "() => [...__citymap.maps].some(map => map.payload.trips?.groups.length === 4)"
    )
    keep_picture(page, "trips-moving")
    draw_line_by_keyboard(page)
    keep_picture(page, "trips-line")

    page.get_by_role("tab", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    table = pd.read_csv(download.value.path(), comment="#")
    assert table["trip"].nunique() == 512
    grid = api.open_city("adlershof").grid
    inside = table["lon"].between(grid.west, grid.east) & table["lat"].between(
        grid.south, grid.north
    )
    assert np.mean(inside) > 0.95
