"""Painting with the mouse: each tool changes the cells it should, and Python gets exactly them."""

import numpy as np
import pytest

from tests.browser.citymap.driving import APP, MapDriver

N = 16


def cell(row: int, col: int) -> int:
    return row * N + col


def test_mask_is_painted_erased_and_taken_back(serve, page):
    driver = MapDriver.open(page, serve(APP), map="mask", n=N, holes=1)
    driver.assert_alive()
    assert "main/cells" in driver.ask("map.scene.deck.props.layers.map(layer => layer.id)")
    assert page.locator(".shape.brush").count() == 0
    page.mouse.move(*driver.point(cell(8, 8)))
    page.locator(".shape.brush").wait_for()  # the brush is outlined before it paints

    driver.drag(cell(8, 3), cell(8, 9))
    driver.wait_revision()
    assert np.flatnonzero(driver.values() == 0).tolist() == [cell(8, c) for c in range(3, 10)]
    assert driver.readout == "245 of 252 sensors · 7 cells changed"
    driver.drag(cell(8, 3), cell(8, 4), key="Alt")  # Alt erases
    driver.wait_revision()
    assert np.flatnonzero(driver.values() == 0).tolist() == [cell(8, c) for c in range(5, 10)]
    driver.drag(cell(0, 0), cell(1, 4))  # cells that never had a sensor stay out
    driver.wait_revision()
    assert driver.ask("map.mode.document.painting.values[0]") == 1

    driver.press("Control+z", "Control+z")
    driver.wait_revision()
    assert int((driver.values() == 0).sum()) == 7
    driver.press("Control+y")
    driver.wait_revision()
    assert int((driver.values() == 0).sum()) == 5
    driver.button("clear").click()
    driver.wait_revision()
    assert int((driver.values() == 0).sum()) == 0

    driver.button("rectangle").click()
    driver.drag(cell(4, 4), cell(6, 7))
    driver.wait_revision()
    assert int((driver.values() == 0).sum()) == 12
    driver.drag(cell(10, 4), cell(11, 9), key="Shift")  # a square
    driver.wait_revision()
    painted = driver.values().reshape(N, N)[9:] == 0
    rows, cols = np.flatnonzero(painted.any(axis=1)), np.flatnonzero(painted.any(axis=0))
    size = page.evaluate(
        f"() => {[*driver.point(0)]}.map((v, i) => Math.abs({[*driver.point(cell(1, 1))]}[i] - v))"
    )
    assert np.ptp(rows) * size[1] == pytest.approx(np.ptp(cols) * size[0], abs=max(size))
    driver.button("fill").click()
    driver.click(cell(2, 10))
    driver.wait_revision()
    assert int((driver.values() == 1).sum()) == 4  # all but the four unavailable cells
    driver.button("reset").click()
    driver.wait_revision()
    assert int(driver.python("missing")) == 0


@pytest.mark.thorough
def test_occupancy_tools(serve, page):
    driver = MapDriver.open(page, serve(APP), map="occupancy", n=N, streets=1)
    base = driver.values()
    painting = "map.mode.document.painting"
    a, b = cell(10, 3), cell(10, 6)
    row = [cell(10, c) for c in range(3, 7)]
    driver.focus()
    driver.press("[", "[")  # radius 0

    def use(tool: str) -> np.ndarray:
        driver.button(tool).click()
        driver.drag(a, b)
        driver.wait_revision()
        return driver.values()[row]

    assert use("set") == pytest.approx(60)
    assert use("raise") == pytest.approx(60 + 0.25 * 120)
    assert use("lower") == pytest.approx(60)
    assert use("brush") == pytest.approx(60)  # already at the value
    smooth = use("smooth")
    assert (smooth < 60).all() and (smooth > base[row]).all()
    assert use("block") == pytest.approx(-1)
    assert int(driver.python("blocked")) == 4
    raised = use("raise")
    assert raised == pytest.approx(-1)  # raising does not reopen a hard zero
    assert use("erase") == pytest.approx(base[row])
    assert int(driver.python("changed")) == 0

    driver.button("pick").click()
    busy = int(np.argmax(base))
    driver.click(busy)
    assert driver.ask(f"{painting}.level") == pytest.approx(base[busy])
    driver.button("set").click()
    driver.button("lasso").click()
    corners = [driver.point(cell(r, c)) for r, c in ((12, 2), (12, 8), (14, 8), (14, 2), (12, 2))]
    driver.drag_points(corners)
    driver.wait_revision()
    assert driver.values()[cell(13, 5)] == pytest.approx(base[busy])

    # Shift keeps a stroke on a line
    driver.button("set").click()
    before = driver.values()
    driver.drag_points([driver.point(cell(3, 2)), driver.point(cell(4, 9))], key="Shift")
    driver.wait_revision()
    changed = np.flatnonzero(driver.values() != before)
    assert set(changed // N) == {3}

    # the total stays when the switch is on
    driver.button("keep-total").click()
    driver.wait_revision()
    assert float(driver.python("total")) == pytest.approx(float(driver.python("base")), rel=1e-5)
    driver.button("raise").click()
    driver.drag(cell(7, 7), cell(7, 9))
    driver.wait_revision()
    assert float(driver.python("total")) == pytest.approx(float(driver.python("base")), rel=1e-5)
    assert driver.python("kept") == "True"
    assert "painted, the rest rescaled" in driver.readout
    driver.button("keep-total").click()
    driver.wait_revision()
    assert float(driver.python("total")) > float(driver.python("base"))

    # total and number of changed cells follow while the button is still down
    before = driver.readout
    page.mouse.move(*driver.point(cell(1, 1)))
    page.mouse.down()
    page.mouse.move(*driver.point(cell(1, 12)), steps=4)
    page.locator(".readout").filter(has_not_text=before).wait_for()
    driver.press("Escape")  # gives up the stroke
    page.mouse.up()
    page.locator(".readout").filter(has_text=before).wait_for()

    driver.button("difference").click()
    assert page.locator(".card .title").first.inner_text() == "Occupancy: difference"
    assert page.locator(".ends span").nth(1).inner_text() == "0"
    driver.button("difference").click()

    # streets on the same map
    driver.button("street").click()
    middle = driver.ask("map.mode.streets.lines[5][0]")
    place = [(middle[0][0] + middle[1][0]) / 2, (middle[0][1] + middle[1][1]) / 2]
    x, y = driver.ask(f"map.scene.project({place})")
    box = page.locator(".map").bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + y)
    driver.wait_revision()
    assert driver.python("closed") == "1"
    page.mouse.click(box["x"] + x, box["y"] + y)
    driver.wait_revision()
    assert driver.python("closed") == "0"
    driver.button("street-brush").click()
    driver.drag(cell(4, 4), cell(11, 11))
    driver.wait_revision()
    assert int(driver.python("closed")) > 3
    driver.drag(cell(4, 4), cell(11, 11), key="Alt")  # Alt reopens
    driver.wait_revision()
    assert driver.python("closed") == "0"


@pytest.mark.thorough
def test_hexagons(serve, page):
    driver = MapDriver.open(page, serve(APP), map="hexagons", n=7)
    driver.assert_alive()
    assert driver.ask("map.topology.count") == 169
    neighbours = driver.ask(
        "Array.from({length: map.topology.count}, (_, i) => map.topology.neighbours(i).length)"
    )
    assert max(neighbours) == 6 and neighbours.count(6) == 127  # all but the outer ring
    middle = driver.ask("map.topology.at(...map.topology.centre(80))")
    assert middle == 80
    driver.focus()
    driver.press("s", "[", "[", "[")
    driver.click(80)
    driver.wait_revision()
    assert int(driver.python("changed")) == 1
    driver.press("]")
    driver.click(80)
    driver.wait_revision()
    assert int(driver.python("changed")) == 7
