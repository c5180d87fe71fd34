"""What must not disturb a map: reruns, page switches, other tabs, maps and charts, no WebGL."""

import re

import numpy as np
import pytest

from tests.browser.citymap.driving import APP, MAP, READY, MapDriver

SWITCH = "tests/browser/citymap/apps/switch_app.py"
CONTEXTS = "() => [__citymap.liveContexts.size, __citymap.maps.size]"


@pytest.mark.thorough
def test_switches_reruns_and_tabs(serve, page):
    address = serve(SWITCH)
    driver = MapDriver.open(page, address)
    driver.drag(16 * 5 + 3, 16 * 5 + 9)
    driver.wait_out(r"revision=1\b")
    painted = driver.values()
    page.locator("[data-id=zoom-in]").click()
    camera = driver.ask("[map.scene.camera.zoom, map.scene.camera.longitude]")

    # to another page and back: painting, undo and camera are there, and one context only
    page.get_by_role("link", name="Other").click()
    page.wait_for_function("() => [...__citymap.maps].some(map => map.payload?.key === 'other')")
    page.wait_for_function(READY)
    assert page.evaluate(CONTEXTS) == [1, 1]
    page.get_by_role("link", name="Map").click()
    page.wait_for_function("() => [...__citymap.maps].some(map => map.payload?.key === 'map')")
    page.wait_for_function(READY)
    assert page.evaluate(CONTEXTS) == [1, 1]
    driver.wait_out(r"revision=1\b")
    assert np.array_equal(driver.values(), painted)
    assert driver.ask("[map.scene.camera.zoom, map.scene.camera.longitude]") == camera
    driver.focus()
    driver.press("Control+z")
    driver.wait_out(r"revision=2 changed=0\b")

    # a rerun in the middle of a stroke loses nothing
    runs = int(driver.python("runs"))
    page.mouse.move(*driver.point(16 * 8 + 3))
    page.mouse.down()
    page.mouse.move(*driver.point(16 * 8 + 6), steps=3)
    page.evaluate(
        "() => [...document.querySelectorAll('button')].find(b => b.innerText === 'Rerun').click()"
    )
    driver.wait_out(rf"runs={runs + 1}\b")
    page.mouse.move(*driver.point(16 * 8 + 10), steps=3)
    page.mouse.up()
    driver.wait_out(r"revision=3\b")
    middle = driver.values().reshape(16, 16)[8, 3:11]
    assert (middle != painted.reshape(16, 16)[8, 3:11]).all()
    assert int(driver.python("changed")) == int(driver.ask("map.mode.document.painting.numChanged"))

    # taken off the page and put back: the values come from Python and from memory alike
    page.get_by_text("Hide the map").click()
    page.wait_for_function("() => __citymap.maps.size === 0 && __citymap.liveContexts.size === 0")
    page.get_by_text("Hide the map").click()
    page.wait_for_function(READY)
    driver.wait_out(r"revision=3\b")
    driver.assert_alive()

    # the graphics driver drops the context: the map starts again with the same state
    before = driver.digest()
    driver.ask("map.scene.gl.getExtension('WEBGL_lose_context').loseContext()")
    page.wait_for_function(
        f"() => {{ const {{scene}} = {MAP};"
        " return scene?.gl && !scene.gl.isContextLost() && scene.renderCount > 0; }"
    )
    driver.assert_alive()
    assert driver.digest() == before

    # a second tab has its own map
    other = page.context.new_page()
    second = MapDriver.open(other, address, chart="")
    assert second.python("revision") == "0"
    second.drag(16 * 2 + 3, 16 * 2 + 4)
    second.wait_out(r"revision=1\b")
    other.close()
    page.get_by_role("button", name="Rerun").click()
    driver.wait_out(r"revision=3\b")


@pytest.mark.thorough
def test_two_maps_of_a_page_share_one_context(serve, page):
    page.goto(f"{serve(APP)}/?map=both&n=8&views=1&height=300")
    page.wait_for_function(
        "() => globalThis.__citymap?.maps.size === 2"
        " && [...__citymap.maps].every(m => m.scene?.renderCount)"
    )
    assert page.evaluate(CONTEXTS) == [1, 2]
    drawn = """async () => Promise.all([...__citymap.maps].map(async map => {
        const canvas = await map.scene.capture(1), {width, height} = canvas;
        const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
        return [width, new Set(new Uint32Array(pixels.buffer)).size, map.payload.key];
    }))"""
    sizes = page.evaluate(drawn)
    assert {size[2] for size in sizes} == {"mask", "views"}
    assert all(size[0] > 200 and size[1] > 8 for size in sizes), sizes

    # each keeps its own size and answers to its own pointer
    page.set_viewport_size({"width": 1000, "height": 800})
    page.wait_for_function(
        "before => [...__citymap.maps].every((m, i) => m.scene.canvas.width < before[i])",
        arg=[size[0] for size in sizes],
    )
    assert all(size[1] > 8 for size in page.evaluate(drawn))
    paint, look = page.locator(".map").all()
    box = paint.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_text("revision=1 ").wait_for()
    box = look.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6)
    page.get_by_text(re.compile(r"cell=\d+")).wait_for()

    # the graphics driver drops the context: both come back, again in one
    page.evaluate(
        "() => [...__citymap.liveContexts][0].getExtension('WEBGL_lose_context').loseContext()"
    )
    page.wait_for_function(
        "() => [...__citymap.maps].every(m => m.scene?.renderCount && !m.scene.gl.isContextLost())"
    )
    assert page.evaluate(CONTEXTS) == [1, 2]
    assert all(size[1] > 8 for size in page.evaluate(drawn))


@pytest.mark.thorough
@pytest.mark.parametrize("order", ["first", "last"])
def test_beside_streamlits_own_pydeck_chart(serve, page, order):
    driver = MapDriver.open(page, serve(SWITCH), chart=order)
    page.locator("[data-testid=stDeckGlJsonChart] canvas").first.wait_for()
    driver.assert_alive()
    driver.drag(16 * 5 + 3, 16 * 5 + 6)
    driver.wait_out(r"revision=1\b")


def test_without_webgl_there_is_a_message_and_the_table(serve, page):
    page.add_init_script(
        "for (const {prototype} of [HTMLCanvasElement, OffscreenCanvas]) {"
        "  const get = prototype.getContext;"
        "  prototype.getContext = function (kind, ...more) {"
        "    return String(kind).startsWith('webgl') ? null : get.call(this, kind, ...more); }; }"
    )
    page.goto(f"{serve(APP)}/?map=occupancy&n=8")
    assert "cannot draw the map" in page.get_by_role("alert").inner_text()
    field = page.get_by_role("spinbutton", name="Value of Row 1, column 2", exact=True)
    field.fill("42")
    field.press("Enter")
    page.get_by_text("revision=1 ").wait_for()
    page.locator(".map").focus()
    page.keyboard.press("Control+z")
    page.get_by_text("revision=2 ").wait_for()
    page.get_by_text("changed=0 ").wait_for()
