"""axe-core finds nothing serious in any kind of map, in light, and in dark after a live change."""

import pytest

from tests.browser.citymap.driving import APP, MapDriver

axe = pytest.importorskip("axe_playwright_python.sync_playwright")
MAPS = {
    "occupancy": {"streets": 1},
    "views": {"views": 4},
    "trips": {"side": 1},
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", MAPS)
def test_axe(serve, page, kind):
    driver = MapDriver.open(page, serve(APP), n=8, map=kind, **MAPS[kind])
    driver.button("table").click()
    driver.button("help").click()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # the map follows while it is open
        page.locator(f".citymap[data-theme={scheme}]").wait_for()
        background = page.locator(".viewport").evaluate("e => getComputedStyle(e).backgroundColor")
        assert (sum(map(int, background[4:-1].split(","))) < 300) == (scheme == "dark")
        result = axe.Axe().run(page)
        assert serious(result) == [], scheme
        assert nodes_inside(result) > 30, "axe did not look into the map"
    driver.assert_alive()


def serious(result):
    return [
        (found["id"], found["impact"], found["nodes"][0]["html"][:160])
        for found in result.response["violations"]
        if found["impact"] in ("serious", "critical")
    ]


def nodes_inside(result):
    """How many of the nodes that passed are reached through a shadow root."""
    nodes = [node for found in result.response["passes"] for node in found["nodes"]]
    return sum(isinstance(node["target"][0], list) for node in nodes)
