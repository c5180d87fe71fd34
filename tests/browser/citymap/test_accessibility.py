"""axe-core finds nothing serious, in light and in dark, in every kind of map."""

import pytest

from tests.browser.citymap.driving import APP, MapDriver

axe = pytest.importorskip("axe_playwright_python.sync_playwright")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe(serve, new_page, scheme):
    page = new_page(color_scheme=scheme)
    address = serve(APP)
    problems = []
    for query in (
        {"map": "occupancy", "streets": 1},
        {"map": "views", "views": 4},
        {"map": "trips", "side": 1},
    ):
        driver = MapDriver.open(page, address, n=8, **query)
        assert page.locator(".citymap").get_attribute("data-theme") == scheme
        background = page.locator(".viewport").evaluate("e => getComputedStyle(e).backgroundColor")
        assert (sum(map(int, background[4:-1].split(","))) < 300) == (scheme == "dark")
        driver.button("table").click()
        driver.button("help").click()
        result = axe.Axe().run(page)
        problems += [
            (query["map"], found["id"], found["impact"], found["nodes"][0]["html"][:160])
            for found in result.response["violations"]
            if found["impact"] in ("serious", "critical")
        ]
        inside = [
            node
            for found in result.response["passes"]
            for node in found["nodes"]
            if isinstance(node["target"][0], list)  # a path through a shadow root
        ]
        assert len(inside) > 30, "axe did not look into the map"
    assert problems == []
