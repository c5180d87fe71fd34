"""The next hour, asked and answered as a person does, against a real server and real workers."""

import pytest

from tests.browser.citymap.driving import MapDriver


def open_answer(page, address):
    """The page with its first answer, which it asks for by itself."""
    page.goto(f"{address}/forecast?city=small")
    page.get_by_role("heading", name="The next hour").wait_for()
    driver = MapDriver(page)
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    page.get_by_text("Off by on average, this hour").wait_for()
    return driver


@pytest.mark.thorough
def test_the_next_hour_is_forecast_as_the_page_opens(product, page):
    driver = open_answer(page, product)
    driver.assert_alive()
    names = driver.ask("[0, 1, 2, 3].map(i => map.topology.place(i).id)")
    assert sorted(names)[0] == "Ahornallee · d0"


@pytest.mark.thorough
def test_ask_what_an_incident_does(product, page):
    """From the start page: look, choose a sensor, cause an incident, compare, undo, download."""
    page.goto(f"{product}/?city=small")
    page.get_by_text("what comes next, sensor by sensor").wait_for()
    open_answer(page, product)

    page.get_by_role("button", name="Incident here").click()
    page.get_by_role("button", name="Incident (1)").wait_for()
    page.get_by_text("in your what-if").first.wait_for()
    page.get_by_text("Change", exact=True).first.wait_for()
    page.wait_for_function("() => [...__citymap.maps][0].mode.views.length === 2")

    page.get_by_text("Show what the network has learned").click()
    page.locator(".polarlayer .barlayer").first.wait_for()

    with page.expect_download() as saved:
        page.get_by_role("button", name="Download as CSV").click()
    assert "forecast (km/h)" in saved.value.path().read_text("utf-8")
    page.get_by_role("button", name="Undo all").click()
    page.get_by_role("button", name="Incident", exact=True).wait_for()
