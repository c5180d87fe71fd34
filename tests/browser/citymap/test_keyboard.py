"""Every paint task without a mouse."""

import numpy as np
import pytest

from tests.browser.citymap.driving import APP, MapDriver

N = 12


@pytest.mark.thorough
def test_paint_tools_by_keyboard(serve, page):
    driver = MapDriver.open(page, serve(APP), map="occupancy", n=N, streets=1)
    base = driver.values()
    driver.focus()
    start = driver.ask("map.mode.painter.cursor")
    painting = "map.mode.document.painting"

    def value(cell: int = start) -> float:
        return float(driver.values()[cell])

    driver.press("[", "[", "s", " ")  # radius 0, set, use
    driver.wait_revision()
    assert value() == pytest.approx(60) and driver.python("changed") == "1"
    assert "1 cell changed" in driver.said
    driver.press("r", " ")
    assert value() == pytest.approx(90)
    driver.press(">", "l", " ")  # stronger, lower
    assert value() == pytest.approx(90 - 0.3 * 120)
    driver.press("m", " ")
    assert value() < 54
    driver.press("x", " ")
    assert value() == -1
    driver.press("e", " ")
    assert value() == pytest.approx(base[start])
    driver.press("}", "b", "Enter")  # a higher value, blended in
    assert value() == pytest.approx(0.7 * base[start] + 0.3 * 66, rel=1e-5)
    driver.press("i", " ")
    assert driver.ask(f"{painting}.level") == pytest.approx(value())
    driver.press("s", "Shift+ArrowRight", "Shift+ArrowRight")  # paint along
    assert value(start + 2) == pytest.approx(value())
    driver.press("ArrowDown")
    assert driver.ask("map.mode.painter.cursor") == start + 2 + N
    driver.press("]", "s", " ")
    assert int((driver.values() != base).sum()) > 5
    driver.press("Control+z", "Control+z", "Control+y")
    driver.wait_revision()

    driver.press("Shift+Delete")  # back to the baseline
    driver.wait_revision()
    assert driver.python("changed") == "0"
    driver.press("t", " ", "ArrowRight", "ArrowRight", "ArrowDown", " ")  # rectangle 2 x 3
    driver.wait_revision()
    assert driver.python("changed") == "6"
    driver.press("Shift+Delete", "o", " ")  # lasso: three corners, closed on the first
    driver.press(
        *["ArrowLeft"] * 4, " ", *["ArrowUp"] * 4, " ", *["ArrowRight"] * 4, *["ArrowDown"] * 4, " "
    )
    driver.wait_revision()
    assert int(driver.python("changed")) >= 5
    driver.press("o", " ", "ArrowUp", "Escape")
    assert "given up" in driver.said
    driver.press("Shift+Delete", "g", " ")
    driver.wait_revision()
    assert int(driver.python("changed")) >= 1

    driver.press("d")
    assert driver.button("difference").get_attribute("aria-pressed") == "true"
    driver.press("d", "k")
    driver.wait_revision()
    assert driver.python("kept") == "True"
    driver.press("k", "Delete")
    driver.wait_revision()
    assert float(driver.python("total")) == 0
    driver.press("Control+z")
    driver.wait_revision()
    assert float(driver.python("total")) > 0


@pytest.mark.thorough
def test_streets_camera_and_table_by_keyboard(serve, page):
    driver = MapDriver.open(page, serve(APP), map="occupancy", n=N, streets=1)
    base = driver.values()
    driver.focus()

    # streets: the cursor moves by pixels until it meets one
    driver.press("c")
    for _ in range(12):
        driver.press("ArrowRight", " ")
        if driver.ask("map.mode.streets.closed.size"):
            break
    driver.wait_revision()
    assert driver.python("closed") == "1"
    driver.press("w", "]", "]", "]", " ")
    driver.wait_revision()
    assert int(driver.python("closed")) > 1

    # camera, views, help, table: all by key
    before = driver.ask("map.scene.camera.zoom")
    driver.press("+")
    assert driver.ask("map.scene.camera.zoom") == pytest.approx(before + 1)
    driver.press("0", "3")
    assert driver.ask("map.is3d") is True and driver.ask("map.mode.painter.tool.id") == "pan"
    driver.press("b")
    assert driver.ask("map.is3d") is False  # paint tools work on the flat map
    driver.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    driver.press("Escape")
    assert page.get_by_role("dialog").count() == 0

    # the table twin: edit a value, see it on the map and in Python
    driver.focus()
    driver.press("n")
    field = page.get_by_role("spinbutton", name="Value of Row 1, column 3", exact=True)
    field.fill("33")
    field.press("Enter")
    driver.wait_revision()
    assert driver.values()[2] == pytest.approx(33)
    page.get_by_role("checkbox", name="Block Row 1, column 4", exact=True).press(" ")
    driver.wait_revision()
    assert driver.values()[3] == -1
    page.get_by_label("What the table lists").select_option("Streets")
    closed = page.get_by_role("checkbox", name="Close ").first
    was = closed.is_checked()
    closed.press(" ")
    driver.wait_revision()
    assert closed.is_checked() is not was
    page.get_by_label("What the table lists").select_option("Cells")

    # and the other way: painting shows in the open table
    driver.focus()
    driver.press("Shift+Delete", "s", *["ArrowUp"] * N, *["ArrowLeft"] * N, "[", "[", "[", "[", " ")
    driver.wait_revision()
    shown = page.get_by_role("spinbutton", name="Value of Row 1, column 1", exact=True)
    assert float(shown.input_value()) == pytest.approx(driver.values()[0], rel=1e-3)
    page.get_by_label("Changed only").check()
    assert page.locator(".table-twin tbody tr").count() == int(
        np.sum(driver.values() != base.astype("f4"))
    )
