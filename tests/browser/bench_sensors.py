"""How quickly a stroke is answered: ``python tests/browser/bench_sensors.py [--strokes 12]``.

Starts the real server with its workers, opens "Missing sensors" on the embedded city in Chromium,
takes away or gives back one sensor at a time, and prints how long it takes from the stroke's end
until the first map of the answer is drawn, and until all of it is there. Medians over the strokes
on this machine; another load on it shows in them.
"""

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.browser.citymap.driving import MapDriver
from tests.browser.conftest import FLAGS, Servers, find_chromium

FIRST_MS = 240_000
WATCH = """() => {
    const mostLikely = () => document.querySelector('.heatmaplayer image')?.href.baseVal;
    globalThis.firstMaps = [];
    let released = 0, before = mostLikely();
    addEventListener('pointerup', () => { released = performance.now(); }, true);
    new MutationObserver(() => {
        const now = mostLikely();
        if (!now || now === before) return;
        before = now;
        if (released) firstMaps.push(performance.now() - released);
        released = 0;
    }).observe(document.body, {childList: true, subtree: true, attributes: true});
}"""
"""The first flat map is the most likely one; its picture is another when it is drawn anew."""


def missing(num, total):
    """The line that says which question the figures belong to."""
    return re.compile(rf", {num} of {total} sensors missing\.$")


def measure(page, address, num_strokes):
    """Seconds from each stroke's end to the first map, and to the whole answer."""
    page.goto(f"{address}/sensors?city=adlershof")
    driver = MapDriver(page)
    page.get_by_text(re.compile(r"sensors missing\.$")).wait_for(timeout=FIRST_MS)
    page.wait_for_timeout(3000)
    page.evaluate(WATCH)
    whole = []
    painting = "map.mode.document.painting"
    places = np.flatnonzero(
        driver.ask(f"Array.from({painting}.values, (_, i) => {painting}.isAvailable(i))")
    )
    for cell in np.random.default_rng(0).permutation(places)[:num_strokes]:
        driver.button("brush" if driver.values()[cell] > 0 else "erase").click()
        begin = page.evaluate("() => performance.now()")
        driver.drag(int(cell), int(cell))
        works = driver.values() > 0
        page.get_by_text(missing(int((~works).sum()), works.size)).wait_for(timeout=FIRST_MS)
        whole.append((page.evaluate("() => performance.now()") - begin) / 1000)
        page.wait_for_timeout(500)
    return [ms / 1000 for ms in page.evaluate("() => firstMaps")], whole


def main():
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strokes", type=int, default=12)
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as logs, sync_playwright() as playwright:
        servers = Servers(Path(logs))
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), headless=True, args=list(FLAGS)
        )
        try:
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            first, whole = measure(page, servers("app.py"), args.strokes)
        finally:
            browser.close()
            servers.stop()
    for name, times in (("first map", first), ("whole answer", whole)):
        slowest = np.percentile(times, 90)
        print(f"{name:14s} {statistics.median(times):6.2f} s (p90 {slowest:.2f}, n {len(times)})")


if __name__ == "__main__":
    main()
