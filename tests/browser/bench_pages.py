"""How quickly the product opens: ``python tests/browser/bench_pages.py`` prints its figures.

Starts the real server afresh for each round and drives a real Chromium, six pages a round: on two
idle cores a round takes half a minute. Each figure is told as soon as it is there; at the end come
the medians over the rounds. Figures are seconds; machines differ, so compare within one run.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.browser.conftest import FLAGS, Servers, find_chromium
from tests.browser.citymap.driving import READY

MIB = 2**20
WAIT_MS = 180_000
STAMP = """(() => {
    // reading a pixel waits until the picture is finished; seconds since the page was asked for
    const look = () => {
        const map = [...(globalThis.__citymap?.maps ?? [])].find(map => map.scene?.renderCount > 0);
        if (!map) return setTimeout(look, 5);
        const {gl} = map.scene;
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
        globalThis.shownAt = performance.now() / 1000;
    };
    look();
})()"""


class Figures(dict):
    """Figures by name, told on the way."""

    def __setitem__(self, name, value):
        print(f"  {name:44s} {value:8.2f}", file=sys.stderr, flush=True)
        super().__setitem__(name, value)


def open_page(browser):
    """A page in a context of its own."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(WAIT_MS)
    return page


def measure_round(browser, city):
    """One fresh server: seconds to answer, to the start page, to the map; memory."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as logs:
        servers = Servers(Path(logs))
        try:
            began = time.perf_counter()
            address = servers("app.py")
            figures["server answers"] = time.perf_counter() - began
            page = open_page(browser)
            began = time.perf_counter()
            page.goto(f"{address}/?city={city}")
            page.get_by_role("link", name="Explore the city").first.wait_for()
            figures["start page, first visit"] = time.perf_counter() - began
            page.context.close()
            for visit in ("first", "second"):
                page = open_page(browser)
                page.add_init_script(STAMP)
                page.goto(f"{address}/city?city={city}")
                page.wait_for_function("() => globalThis.shownAt")
                figures[f"map on the City page, {visit} visit"] = page.evaluate("() => shownAt")
                page.context.close()
            for _ in range(3):
                page = open_page(browser)
                page.goto(f"{address}/city?city={city}")
                page.wait_for_function(READY)
            server = psutil.Process(servers.process(address).pid)
            figures["server memory with three sessions, MiB"] = server.memory_info().rss / MIB
        finally:
            # pages left open would draw and look for their server through all later rounds
            for context in browser.contexts:
                context.close()
            servers.stop()
    return figures


def main():
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--city", default="adlershof")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), headless=True, args=list(FLAGS)
        )
        rounds = []
        for number in range(1, args.rounds + 1):
            print(f"round {number} of {args.rounds}", file=sys.stderr, flush=True)
            rounds.append(measure_round(browser, args.city))
        browser.close()
    medians = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    if args.json:
        print(json.dumps(medians, indent=1))
        return
    for name, value in medians.items():
        print(f"{name:44s} {value:8.2f}")


if __name__ == "__main__":
    main()
