"""The map's speed in Chromium: ``python tests/browser/citymap/bench_citymap.py [--strokes 25]``.

Prints the time from a stroke's end to Python's answer in the page, the CPU time of the pointer
handler and of a frame, what a time step sends, and how long a map takes to appear. Medians over
strokes on this machine, with software WebGL; another load on the machine shows in them.
"""

# ruff: noqa: T201

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from conftest import FLAGS, Servers  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from tests.browser.citymap.driving import APP, MapDriver  # noqa: E402

WATCH = """() => {
    const line = document.querySelector('[data-testid=stText]');
    globalThis.answers = [];
    let released = 0;
    addEventListener('pointerup', () => { released = performance.now(); }, true);
    const heard = () => {
        if (released) answers.push(performance.now() - released);
        released = 0;
    };
    new MutationObserver(heard).observe(
        line.parentElement.parentElement, {subtree: true, childList: true, characterData: true});
}"""
FRAMES = """() => {
    const {scene} = [...__citymap.maps][0], set = scene.deck.setProps.bind(scene.deck);
    const {layers} = scene, after = scene.deck.props.onAfterRender;
    let begin = 0, composing = 0;
    globalThis.uploads = [];
    globalThis.draws = [];
    scene.layers = () => {
        const start = performance.now(), made = layers();
        composing = performance.now() - start;
        return made;
    };
    set({
        onBeforeRender: () => { begin = performance.now(); },
        onAfterRender: info => { draws.push(performance.now() - begin); after(info); },
    });
    scene.deck.setProps = props => {
        const start = performance.now();
        set(props);
        if (props.layers) uploads.push(composing + performance.now() - start);
    };
}"""


DRAWN = """() => {
    const {gl} = [...__citymap.maps][0].scene;
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
}"""
"""Wait for the graphics card, or for what stands in for it."""


@contextlib.contextmanager
def browser_page() -> Iterator[tuple[Any, Servers]]:
    """A page in Chromium and the servers it may ask."""
    with TemporaryDirectory() as logs, sync_playwright() as playwright:
        servers = Servers(Path(logs))
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", headless=True, args=list(FLAGS)
        )
        try:
            context = browser.new_context(viewport={"width": 1200, "height": 900})
            yield context.new_page(), servers
        finally:
            browser.close()
            servers.stop()


def median(values: list[float]) -> str:
    """Median and 90th percentile, milliseconds."""
    if len(values) < 2:
        return f"{values}"
    return f"{statistics.median(values):6.1f} ms (p90 {statistics.quantiles(values, n=10)[-1]:.1f})"


def strokes(page: Any, address: str, kind: str, n: int, count: int) -> None:
    """Paint strokes across the map and time the answers."""
    page.goto("about:blank")
    driver = MapDriver.open(page, address, map=kind, n=n, plain=1)
    page.evaluate(WATCH)
    page.evaluate(FRAMES)
    driver.ask("map.gestures.durations.splice(0)")
    rows, cols = driver.ask("[map.topology.rows, map.topology.cols]")
    page.evaluate("() => { draws.length = uploads.length = 0; }")
    for k in range(count):
        row = 2 + (k * 5) % (rows - 4)
        runs = int(driver.python("runs"))
        driver.drag(row * cols + 2, row * cols + cols - 3, steps=12)
        driver.wait_out(rf"runs={runs + 1}\b")
        page.wait_for_timeout(60)
    answers, handler = page.evaluate("() => answers"), driver.ask("map.gestures.durations")
    uploads, draws = page.evaluate("() => uploads"), page.evaluate("() => draws")
    print(f"{kind}, {n * n:,} cells, {count} strokes")
    print(f"  stroke's end to Python's answer in the page  {median(answers[1:])}")
    print(f"  pointer handler                              {median(handler)}")
    print(f"  colours, layers and upload per frame         {median(uploads)}")
    print(f"  drawing calls per frame                      {median(draws)}")


def reference(page: Any, address: str, count: int) -> None:
    """Streamlit's own share: a button that changes one line of text."""
    page.goto(f"{address}/?map=nothing")
    page.get_by_role("button", name="Again").wait_for()
    page.evaluate(WATCH)
    for k in range(count):
        page.get_by_role("button", name="Again").click()
        page.get_by_text(f"runs={k + 2}", exact=False).wait_for()
        page.wait_for_timeout(60)
    print(f"for comparison, a page with one button       {median(page.evaluate('() => answers'))}")


def time_steps(page: Any, address: str, n: int) -> None:
    """Three linked views: what a time step costs, and what it sends."""
    sent: list[int] = []
    page.goto("about:blank")
    page.on("websocket", lambda ws: ws.on("framesent", lambda data: sent.append(len(data))))
    driver = MapDriver.open(page, address, map="views", n=n, t=24, views=3)
    page.evaluate(FRAMES)
    page.wait_for_timeout(500)
    sent.clear()
    page.locator("[data-id=time]").focus()
    page.evaluate("() => { draws.length = uploads.length = 0; }")
    shown = []
    for step in range(1, 21):
        begin = time.perf_counter()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("n => uploads.length >= n && draws.length >= n", arg=step)
        page.evaluate(DRAWN)
        shown.append((time.perf_counter() - begin) * 1000)
    uploads = page.evaluate("() => uploads")
    print(f"three linked 3D views, {n * n:,} cells each")
    print(f"  a time step sends                            {sum(sent)} bytes")
    print(f"  colours, heights and upload per step         {median(uploads)}")
    print(f"  from the key to the drawn picture            {median(shown)}")
    assert driver.ask("map.mode.step") == 20


def appearing(page: Any, address: str, **query: Any) -> None:
    """From asking for the page to the first drawn map."""
    page.goto("about:blank")
    begin = page.evaluate("() => performance.timeOrigin + performance.now()")
    MapDriver.open(page, address, **query)
    end = page.evaluate("() => performance.timeOrigin + performance.now()")
    print(f"page with a map {query} appears in {(end - begin) / 1000:.1f} s")


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strokes", type=int, default=25)
    options = parser.parse_args()
    with browser_page() as (page, servers):
        address = servers(APP)
        reference(page, address, options.strokes)
        appearing(page, address, map="mask", n=32)
        for kind, n in (("mask", 32), ("occupancy", 32), ("mask", 128), ("occupancy", 128)):
            strokes(page, address, kind, n, options.strokes)
        time_steps(page, address, 32)
        time_steps(page, address, 128)
        appearing(page, address, map="views", n=32, t=336, views=3)
        appearing(page, address, map="views", n=32, t=4368, views=1)


if __name__ == "__main__":
    main()
