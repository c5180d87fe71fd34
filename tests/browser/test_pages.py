"""The product's own pages, opened and used as a person does, against a real server."""

import re

import psutil
import pytest

from engine.cities.registry import open_city
from tests.browser.citymap.driving import MapDriver
from tests.small_city import flow_values

MAIN = "[data-testid=stMain]"


@pytest.fixture(scope="module")
def own_server(serve, tmp_path_factory):
    """Address of a server that no other tests have used."""
    return serve("app.py", CITYBRUSH_DATA=str(tmp_path_factory.mktemp("data")))


def open_map(page, url):
    page.goto(url)
    return MapDriver(page)


def pick(driver, cell):
    """Click the top of a column."""
    x, y = driver.ask(
        f"map.scene.project(map.topology.centre({cell}), "
        f"map.mode.views[0].sheet.heights[{cell}] * map.heightM)"
    )
    box = driver.page.locator(".map").bounding_box()
    driver.page.mouse.click(box["x"] + x, box["y"] + y)


def set_slider(page, name, wanted):
    """Press the left arrow until a slider says what is wanted."""
    slider = page.get_by_role("slider", name=name)
    slider.focus()
    for _ in range(60):
        if slider.get_attribute("aria-valuetext") == wanted:
            return
        slider.press("ArrowLeft")
    raise AssertionError(f"{name} did not reach {wanted}")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_from_the_start_page_to_a_cell_of_the_city(product, new_page, scheme):
    page = new_page(color_scheme=scheme)
    page.goto(f"{product}/?city=small")
    page.get_by_role("heading", name="Kleinstadt").wait_for()
    page.get_by_text("simulated traffic on real streets").first.wait_for()
    card = page.locator(".st-key-city-small")
    card.get_by_role("link", name="Explore the city").click()
    page.wait_for_url(re.compile(r"/city\?city=small"))
    driver = MapDriver(page)
    driver.assert_alive()
    assert "vehicles per 30 min" in page.locator(".card").first.inner_text()
    page.get_by_text("Whole city, all cells added up").first.wait_for()

    cell = 8 * 16 + 8
    pick(driver, cell)
    page.get_by_role("heading", name="Cell in row 9, column 9").wait_for()
    assert flow_values()[:, 8, 8].max() > 0
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()

    page.get_by_role("button", name="Hexagons").or_(
        page.get_by_role("radio", name="Hexagons")
    ).first.click()
    page.wait_for_function("() => [...__citymap.maps][0].topology.count > 16")
    MapDriver(page).assert_alive()


@pytest.mark.thorough
def test_a_deep_link_to_a_city_that_is_not_there(product, page):
    page.goto(f"{product}/city?city=atlantis")
    page.get_by_text("There is no city of this name").wait_for()
    page.get_by_role("link", name="Start").click()
    page.get_by_role("heading", name="Kleinstadt").wait_for()


@pytest.mark.thorough
def test_a_city_without_a_network_says_why_it_has_no_simulator(product, page):
    page.goto(f"{product}/simulator?city=small")
    page.get_by_text("This city comes without a simulator").wait_for()


@pytest.mark.thorough
def test_close_a_street_and_ask_the_simulator(own_server, page):
    """Open, close a street by click, cancel once, run, read the answer: with the real SUMO."""
    driver = open_map(page, f"{own_server}/simulator?city=adlershof")
    streets = open_city("adlershof").streets().query("car")
    longest = streets.loc[streets["length_m"].idxmax()]
    line = longest.geometry
    middle = line.interpolate(0.5, normalized=True) if line.geom_type == "LineString" else None
    if middle is None:
        part = max(line.geoms, key=lambda one: one.length)
        middle = part.interpolate(0.5, normalized=True)
    x, y = driver.ask(f"map.scene.project([{middle.x}, {middle.y}])")
    box = page.locator(".map").bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.get_by_text("Closed:").wait_for()

    set_slider(page, "Hours — start", "03:00")
    set_slider(page, "Hours — end", "03:30")
    ask = page.get_by_role("button", name="Ask the simulator")
    ask.click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel").wait_for(state="detached")
    assert page.get_by_text("What would follow").count() == 0

    ask.click()
    page.get_by_role("heading", name="What would follow").wait_for(timeout=300_000)
    page.get_by_text("Mean delay").wait_for()
    page.wait_for_function("() => [...__citymap.maps].some(map => map.mode.views?.length === 4)")
    assert page.evaluate("__citymap.liveContexts.size") == 1
    assert page.locator(".card .title").all_inner_texts() == [
        "As it was",
        "With the streets closed",
        "Change",
        "Chance alone",
    ]


@pytest.mark.thorough
def test_the_server_stays_light_and_never_loads_torch(own_server, serve, new_page):
    for _ in range(3):
        open_map(new_page(), f"{own_server}/city?city=adlershof")
    server = psutil.Process(serve.process(own_server).pid)
    assert server.memory_info().rss < 700 * 2**20
    assert not [m.path for m in server.memory_maps() if "/torch/" in m.path]
