"""A tab that is loaded again goes on where it was, with real workers and a real connection."""

import re

import pytest

from tests.browser.citymap.driving import MapDriver
from tests.browser.test_pages import set_slider
from tests.browser.test_trips import FIRST_MS, close_street, keep_picture

MAP_READY = """() => { const maps = [...(globalThis.__citymap?.maps ?? [])];
    return maps.length === 1 && maps[0].payload.key.endsWith('3.0-3.5')
    && maps[0].scene.renderCount > 0; }"""


@pytest.fixture(scope="module")
def address(serve, tmp_path_factory):
    return serve("app.py", CITYBRUSH_DATA=str(tmp_path_factory.mktemp("data")))


def reload_question(page):
    page.reload()
    page.get_by_text("Closed:").wait_for()
    page.wait_for_function(MAP_READY)
    return MapDriver(page)


def edits(driver):
    document = "map.mode.document"
    closed = driver.ask(f"[...{document}.streets.closed]")
    return driver.values().tolist(), closed, driver.ask(f"{document}.numChanged")


def paint_and_close(page, address):
    """A changed map of other hours than at first: its edits, and the tab's address."""
    page.goto(f"{address}/trips?city=adlershof")
    set_slider(page, "Hours — start", "03:00")
    set_slider(page, "Hours — end", "03:30")
    page.wait_for_function(MAP_READY)
    driver = MapDriver(page)
    busiest = int(driver.values().argmax())
    close_street(page, driver, "rudower-chaussee-2")
    driver.button("lower").click()
    driver.drag(busiest, busiest + 1)
    page.wait_for_function("() => [...__citymap.maps][0].mode.document.painting.numChanged > 0")
    page.get_by_role("button", name="Make the trips").wait_for()
    # the server has the whole stroke when its total is that of the browser
    total = page.get_by_test_id("stMetric").filter(has_text="As painted")
    total.filter(has_text=f"{driver.values().sum():,.0f}").wait_for()
    page.wait_for_url(re.compile(r"city=adlershof.*tab=[\w-]{32}"))
    return edits(driver), page.url


def test_reload_keeps_edits_and_choices_and_back_leaves_the_page(address, page):
    page.goto("about:blank")
    painted, link = paint_and_close(page, address)
    assert edits(reload_question(page)) == painted
    assert page.url == link
    slider = page.get_by_role("slider", name="Hours — start")
    assert slider.get_attribute("aria-valuetext") == "03:00"
    page.get_by_role("link", name="Missing sensors").click()
    page.wait_for_url(re.compile(rf"/sensors\?.*{link[-32:]}"))
    page.go_back()
    page.get_by_role("button", name="Make the trips").wait_for()
    page.go_back()
    page.go_back()
    page.wait_for_url("about:blank")


@pytest.mark.thorough
def test_reload_keeps_the_running_job_and_the_answer(address, new_page):
    page = new_page()
    painted, link = paint_and_close(page, address)
    # the model takes long enough to be found running
    page.get_by_role("combobox", name="Made by").click()
    page.get_by_role("option", name="Trained model").click()
    page.get_by_role("button", name="Make the trips").click()
    page.get_by_role("button", name="Cancel").wait_for()
    reload_question(page)
    page.get_by_role("button", name="Cancel").wait_for()
    keep_picture(page, "reload-running")
    copy = new_page()
    copy.goto(link)
    assert edits(reload_question(copy)) == painted
    assert copy.get_by_role("button", name="Cancel").count() == 0
    assert copy.url != link
    copy.close()

    page.get_by_role("tab", name="Maps").wait_for(timeout=FIRST_MS)
    moved = page.get_by_test_id("stMetric").filter(has_text="Mean trip").inner_text()
    page.reload()
    page.get_by_role("tab", name="Maps").wait_for()
    assert page.get_by_test_id("stMetric").filter(has_text="Mean trip").inner_text() == moved
    assert page.get_by_text("This is the answer to an earlier question").count() == 0
    keep_picture(page, "reload-answer")


def test_a_token_of_nobody_begins_anew(address, page):
    page.goto(f"{address}/trips?city=adlershof&tab=%22%3E%3Cscript%3E")
    page.get_by_role("button", name="Make today's trips").wait_for()
    page.wait_for_url(re.compile(r"tab=[\w-]{32}"))
    assert page.get_by_test_id("stAlert").count() == 0
