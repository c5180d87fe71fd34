"""One finger paints, two fingers move the map."""

import pytest

from tests.browser.citymap.driving import APP, MapDriver


@pytest.mark.thorough
def test_one_finger_paints_two_move(serve, new_page):
    page = new_page(has_touch=True, viewport={"width": 820, "height": 1000})
    driver = MapDriver.open(page, serve(APP), map="mask", n=12)
    devtools = page.context.new_cdp_session(page)

    def touch(kind, *points):
        devtools.send(
            "Input.dispatchTouchEvent",
            {
                "type": kind,
                "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)],
            },
        )

    a, b = driver.point(12 * 6 + 3), driver.point(12 * 6 + 8)
    touch("touchStart", a)
    for k in range(1, 6):
        touch("touchMove", (a[0] + (b[0] - a[0]) * k / 5, a[1]))
    touch("touchEnd")
    driver.wait_revision()
    assert driver.python("missing") == "6"

    before = driver.ask("[map.scene.camera.longitude, map.scene.camera.zoom]")
    c, d = driver.point(12 * 4 + 3), driver.point(12 * 8 + 8)
    touch("touchStart", c)
    touch("touchStart", c, d)
    for k in range(1, 6):
        touch("touchMove", (c[0] + 8 * k, c[1]), (d[0] + 16 * k, d[1]))
    touch("touchEnd")
    longitude, zoom = driver.ask("[map.scene.camera.longitude, map.scene.camera.zoom]")
    assert longitude < before[0] and zoom > before[1] + 0.05
    assert driver.ask("map.mode.document.revision") == 1  # the first finger's dab was taken back
    touch("touchStart", driver.point(12 * 2 + 3))
    touch("touchEnd")
    driver.wait_revision()
    assert driver.python("missing") == "7"
    assert page.locator(".button").first.bounding_box()["height"] >= 40 or pytest.fail(
        "too small for a finger"
    )
