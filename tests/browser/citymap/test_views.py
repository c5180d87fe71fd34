"""Linked views and moving trips."""

import struct

import pytest

from tests.browser.citymap.driving import APP, MAP, MapDriver

N = 12
CAMERAS = """map.scene.deck.getViewports().map(
    v => [v.longitude, v.latitude, v.zoom, v.pitch, v.bearing].join())"""


def test_linked_views(serve, page, tmp_path):
    sent = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda data: sent.append(data)))
    driver = MapDriver.open(page, serve(APP), map="views", n=N, t=12, views=4)
    driver.assert_alive()
    assert page.locator(".card .title").all_inner_texts() == [
        "Truth",
        "Result",
        "Absolute error",
        "Difference",
    ]
    assert "persons" in page.locator(".card").first.inner_text()

    # one camera: a drag in one view moves all
    before = driver.ask(CAMERAS)
    box = page.locator(".map").bounding_box()
    driver.drag_points(
        [(box["x"] + 100, box["y"] + 120), (box["x"] + 170, box["y"] + 150)], steps=4
    )
    cameras = driver.ask(CAMERAS)
    assert len(cameras) == 4 and len(set(cameras)) == 1 and cameras != before

    # a time step sends nothing
    page.wait_for_timeout(300)
    sent.clear()
    page.locator("[data-id=time]").focus()
    driver.press("ArrowRight", "ArrowRight")
    assert driver.ask("map.mode.step") == 2
    assert page.locator(".clock").inner_text() == "Mon 01:00"
    driver.button("play").click()
    page.wait_for_function("() => [...__citymap.maps][0].mode.step >= 4")
    driver.button("play").click()
    driver.button("back").click()
    assert sent == []

    # one tooltip with all values and the place; click chooses and tells Python
    driver.button("reset-camera").click()
    heights = "map.mode.views[0].sheet.heights"
    cell = driver.ask(f"{heights}.indexOf(Math.max(...{heights}))")  # nothing hides its top
    x, y = driver.ask(
        f"map.scene.project(map.topology.centre({cell}), "
        f"map.mode.views[0].sheet.heights[{cell}] * map.heightM)"
    )
    page.mouse.move(box["x"] + x, box["y"] + y)
    tip = page.locator(".tooltip")
    tip.locator("dt").nth(4).wait_for()
    assert tip.locator("dt").all_inner_texts() == [
        "Truth",
        "Result",
        "Absolute error",
        "Difference",
        "position",
    ]
    assert "° N" in tip.inner_text() and "° E" in tip.inner_text()
    heading = tip.locator("strong").inner_text()
    page.mouse.click(box["x"] + x, box["y"] + y)
    driver.wait_out(r"cell=\d+")
    row, col = int(driver.python("row")), int(driver.python("col"))
    assert heading == f"Row {row + 1}, column {col + 1}"
    assert row * N + col == cell  # the top of its column, not the ground behind it
    shown = driver.ask(f"map.mode.views.map(v => v.shown[{cell}])")
    assert shown[2] == pytest.approx(abs(shown[0] - shown[1]), abs=0.01)
    assert shown[3] == pytest.approx(shown[1] - shown[0], abs=0.01)

    # shared and separate scales
    highs = lambda: page.locator(".ends span:last-child").all_inner_texts()[:2]  # noqa: E731
    assert len(set(highs())) == 1
    driver.button("shared-scale").click()
    assert len(set(highs())) == 2

    # 2D and back
    driver.button("dimension").click()
    assert driver.ask("[map.scene.camera.pitch, map.is3d]") == [0, False]
    driver.assert_alive()

    # full screen
    driver.button("fullscreen").click()
    page.wait_for_function("() => document.fullscreenElement !== null")
    driver.button("fullscreen").click()
    page.wait_for_function("() => document.fullscreenElement === null")

    # a picture at double resolution
    with page.expect_download() as waiting:
        driver.button("picture").click()
    path = tmp_path / "map.png"
    waiting.value.save_as(path)
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    size = page.locator(".map").bounding_box()
    assert width == pytest.approx(2 * size["width"], abs=4) and height > 2 * size["height"]
    assert data.startswith(b"\x89PNG") and len(data) > 20_000


@pytest.mark.thorough
def test_new_values_leave_the_user_where_he_is(serve, page):
    driver = MapDriver.open(page, serve(APP), map="views", n=8, views=2, tick=1)
    driver.button("table").click()
    page.locator("[data-id=time]").focus()
    driver.press("ArrowRight", "ArrowRight", "ArrowRight")
    first = "map.mode.views.map(view => Math.max(...view.shown))"
    before = driver.ask(first)
    page.evaluate("() => { globalThis.bar = [...__citymap.maps][0].mode.time.node; }")
    page.get_by_role("button", name="Tick").click()
    driver.wait_out(r"runs=2\b")
    page.wait_for_function(
        f"before => {{ const map = {MAP}; return ({first})[1] !== before; }}", arg=before[1]
    )
    after = driver.ask(first)
    assert after[0] == pytest.approx(before[0])
    assert after[1] == pytest.approx(1.1 * before[1], rel=1e-3)
    assert driver.ask("map.mode.step") == 3
    assert driver.ask("map.mode.time.node === bar && map.table !== null") is True


@pytest.mark.thorough
def test_moving_trips(serve, page):
    driver = MapDriver.open(page, serve(APP), map="trips", speed=1)
    driver.assert_alive()
    assert driver.ask("map.mode.groups.length") == 2
    assert driver.ask(
        "map.mode.groups.every(g => g.trips.some(({times}) => times[0] <= map.mode.now"
        " && map.mode.now <= times.at(-1)))"
    )
    assert driver.ask(
        "map.mode.groups.flatMap(g => g.chunks).map(chunk => chunk.trips.length)"
    ) == [
        *(100, 50),
        *(100, 50),
    ]
    start = driver.ask("map.mode.now")
    driver.button("play").click()
    page.wait_for_function("start => [...__citymap.maps][0].mode.now > start + 20", arg=start)
    driver.button("play").click()
    paused = driver.ask("map.mode.now")
    page.locator("[data-id=speed]").select_option("4")
    assert driver.ask("map.mode.time.speed") == 4
    page.locator("[data-id=time]").focus()
    driver.press("ArrowRight")
    assert driver.ask("map.mode.now") == pytest.approx(paused + 1, abs=1)
    page.locator("[data-id=trail]").fill("100")
    assert driver.ask("map.mode.trail") == 100
    assert "mean speed" in page.locator(".card").inner_text()
    driver.button("by-attribute").click()
    assert page.locator(".card li").all_inner_texts() == ["Baseline", "Scenario"]
    driver.button("side-by-side").click()
    assert driver.ask("map.scene.viewports.length") == 2
    assert page.locator(".card .title").all_inner_texts() == ["Baseline", "Scenario"]
    driver.assert_alive()
    assert driver.readout.startswith("On the way at ")
    driver.button("table").click()
    assert page.locator(".table-twin tbody tr").count() == 25
    assert "1–25 of 300" in page.locator(".table-twin footer").inner_text()


def test_each_view_shows_the_whole_city_until_the_user_moves_the_map(serve, page):
    driver = MapDriver.open(page, serve(APP), map="trips", side=1)
    narrow = driver.ask("map.scene.camera.zoom")
    driver.button("side-by-side").click()
    wide = driver.ask("map.scene.camera.zoom")
    assert wide > narrow + 0.3
    driver.button("side-by-side").click()
    assert driver.ask("map.scene.camera.zoom") == pytest.approx(narrow, abs=0.01)
    driver.focus()
    driver.press("+")
    page.wait_for_function(f"() => [...__citymap.maps][0].scene.camera.zoom > {narrow + 0.2}")
    moved = driver.ask("map.scene.camera.zoom")
    driver.button("side-by-side").click()
    assert driver.ask("map.scene.camera.zoom") == pytest.approx(moved)


def test_a_screen_line_stays_in_the_view_in_which_it_begins(serve, page):
    driver = MapDriver.open(page, serve(APP), map="trips", line=1, side=1)
    page.wait_for_function("() => [...__citymap.maps][0].scene.viewports.length === 2")
    driver.button("screen-line").click()
    driver.focus()
    driver.press(" ", "Shift+ArrowDown", "Shift+ArrowDown", "Enter")
    ends = "map.scene.viewports[0].project(map.mode.pen.line[{}]).map(Math.round)"
    width, height = driver.ask("[map.host.clientWidth, map.host.clientHeight]")
    assert driver.ask(ends.format(0)) == pytest.approx([width / 4, height / 2], abs=2)
    assert driver.ask(ends.format(1)) == pytest.approx([width / 4, height / 2 + 96], abs=2)

    box = page.locator(".map").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle[0] - 40, middle[1])
    page.mouse.down()
    page.mouse.move(middle[0] + 40, middle[1], steps=4)
    page.mouse.up()
    begin, end = driver.ask(f"[{ends.format(0)}, {ends.format(1)}]")
    assert [end[0] - begin[0], end[1] - begin[1]] == pytest.approx([80, 0], abs=2)

    # so far down that the map follows the cursor: the line is as long as it was drawn
    driver.focus()
    driver.press("Delete", " ", *(5 * ["Shift+ArrowDown"]), "Enter")
    assert driver.ask("map.mode.pen.line !== null")


@pytest.mark.thorough
def test_a_screen_line_is_drawn_by_mouse_and_by_keyboard(serve, page):
    driver = MapDriver.open(page, serve(APP), map="trips", line=1)
    box = page.locator(".map").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def ends(dx, dy):
        """Where the line from the middle to so many pixels beside it lies, as Python gets it."""
        x, y = box["width"] / 2, box["height"] / 2
        places = driver.ask(
            f"[map.scene.unproject({x}, {y}), map.scene.unproject({x + dx}, {y + dy})].flat()"
        )
        return ",".join(f"{number:.6f}" for number in places)

    driver.button("screen-line").click()
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 30)
    page.mouse.up()
    driver.wait_out(f"line={ends(60, 30)} ")
    driver.focus()
    driver.press("Delete")
    driver.wait_out("line= ")

    driver.press(" ", "ArrowRight", "Shift+ArrowRight", "ArrowDown")
    assert driver.ask("map.mode.busy") is True
    driver.press("Escape", "ArrowLeft", "Shift+ArrowLeft", "ArrowUp")  # back in the middle
    assert "line= " in driver.out
    driver.press(" ", "Shift+ArrowDown", "Shift+ArrowDown", "Enter")
    driver.wait_out(f"line={ends(0, 96)} ")
    assert "counted below the map" in driver.said
    driver.press("?")
    assert "set it there" in page.get_by_role("dialog", name="Keys").inner_text()
    driver.assert_alive()


def test_nothing_covers_the_city(serve, page):
    page.set_viewport_size({"width": 520, "height": 700})
    driver = MapDriver.open(page, serve(APP), map="mask", n=N)
    west, south, east, north = driver.ask("map.payload.bounds")
    left, top = driver.ask(f"map.scene.project([{west}, {north}])")
    right, bottom = driver.ask(f"map.scene.project([{east}, {south}])")
    box = page.locator(".map").bounding_box()
    controls = page.locator(".controls").bounding_box()
    legend = page.locator(".card").first.bounding_box()
    assert box["x"] + right < controls["x"]
    assert box["y"] + top > legend["y"] + legend["height"]
    assert left > 0 and bottom < box["height"]
    assert right - left > 0.6 * box["width"]
