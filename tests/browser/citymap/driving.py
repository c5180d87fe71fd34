"""Drives a map in the browser as a user does, and reads what it shows and what Python got."""

import hashlib
import re
from typing import Any

import numpy as np

APP = "tests/browser/citymap/apps/maps_app.py"
READY = """() => globalThis.__citymap && [...__citymap.maps].some(
    map => map.mode && map.scene.renderCount > 0)"""
MAP = "[...__citymap.maps][0]"


FIRST_MS = 150_000  # a server imports everything for its first page


class MapDriver:
    """One map on a page."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.wait_for_function(READY, timeout=FIRST_MS)

    @classmethod
    def open(cls, page: Any, address: str, **query: Any) -> "MapDriver":
        """Go to the test app; ``query`` becomes its address."""
        page.goto(f"{address}/?" + "&".join(f"{k}={v}" for k, v in query.items()))
        driver = cls(page)
        driver.wait_out(r"runs=\d")
        return driver

    def ask(self, expression: str) -> Any:
        """Evaluate JavaScript in which ``map`` is the map."""
        return self.page.evaluate(f"() => {{ const map = {MAP}; return {expression}; }}")

    # ---- Python's side

    @property
    def out(self) -> str:
        return str(self.page.locator("[data-testid=stText]").first.inner_text())

    def wait_out(self, pattern: str) -> str:
        """Wait until Python's line matches, and return it."""
        self.page.wait_for_function(
            """pattern => { const line = document.querySelector('[data-testid=stText]');
                return line && new RegExp(pattern).test(line.innerText); }""",
            arg=pattern,
        )
        return self.out

    def python(self, name: str) -> str:
        found = re.search(rf"\b{name}=(\S+)", self.out)
        assert found, self.out
        return found[1]

    def wait_revision(self) -> None:
        """Wait until Python has the browser's revision, then compare the values themselves."""
        self.wait_out(rf"revision={self.ask('map.mode.document.revision')}\b")
        if "digest=" in self.out:
            assert self.python("digest") == self.digest()

    # ---- the browser's side

    def values(self) -> np.ndarray:
        return np.array(self.ask("Array.from(map.mode.document.painting.values)"))

    def digest(self) -> str:
        kind = "u1" if self.ask("map.mode.document.painting.isMask") else "f4"
        return hashlib.sha1(self.values().astype(kind).tobytes()).hexdigest()[:12]

    def point(self, cell: int) -> tuple[float, float]:
        """Where the middle of a cell is on the page."""
        x, y = self.ask(f"map.scene.project(map.topology.centre({cell}))")
        box = self.page.locator(".map").bounding_box()
        return box["x"] + x, box["y"] + y

    def drag(self, first: int, last: int, steps: int = 2, **keys: Any) -> None:
        """Press on one cell, move to another, release."""
        self.drag_points([self.point(first), self.point(last)], steps, **keys)

    def drag_points(self, points: list[tuple[float, float]], steps: int = 2, key: str = "") -> None:
        mouse, keyboard = self.page.mouse, self.page.keyboard
        mouse.move(*points[0])
        if key:
            keyboard.down(key)
        mouse.down()
        for point in points[1:]:
            mouse.move(*point, steps=steps)
        mouse.up()
        if key:
            keyboard.up(key)

    def click(self, cell: int) -> None:
        self.page.mouse.click(*self.point(cell))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def focus(self) -> None:
        self.page.locator(".map").focus()

    def button(self, name: str) -> Any:
        return self.page.locator(f"[data-id={name}]")

    @property
    def readout(self) -> str:
        return str(self.page.locator(".readout").inner_text())

    @property
    def said(self) -> str:
        return str(self.page.locator(".live").text_content())

    def assert_alive(self) -> None:
        """The WebGL context lives, is the only one of ours, and the canvas shows something."""
        state = self.page.evaluate(
            f"""async () => {{
                const map = {MAP}, canvas = await map.scene.capture(1);
                const draw = canvas.getContext('2d'), colors = new Set();
                const pixels = new Uint32Array(
                    draw.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
                for (let i = 0; i < pixels.length; i += 97) colors.add(pixels[i]);
                return {{
                    lost: map.scene.gl.isContextLost(), colors: colors.size,
                    contexts: __citymap.liveContexts.size, maps: __citymap.maps.size,
                }};
            }}"""
        )
        assert state["lost"] is False
        assert state["contexts"] == state["maps"] == 1
        assert state["colors"] > 8, "the canvas is blank"
