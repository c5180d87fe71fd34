"""500 strokes and 50 page switches leave the browser's heap and the server's memory flat."""

import psutil
import pytest

from tests.browser.citymap.driving import APP, READY, MapDriver

SWITCH = "tests/browser/citymap/apps/switch_app.py"
MB = 1e6
N_STROKES = 560
N_SWITCHES = 58


class Memory:
    """Heap of a page after a collection, and memory of the server, in bytes."""

    def __init__(self, page, process):
        self.devtools = page.context.new_cdp_session(page)
        self.process = psutil.Process(process.pid)

    def __call__(self):
        for _ in range(2):
            self.devtools.send("HeapProfiler.collectGarbage")
        heap = self.devtools.send("Runtime.getHeapUsage")
        used = heap["usedSize"] + heap.get("backingStorageSize", 0)
        return used, self.process.memory_info().rss


@pytest.mark.slow
def test_500_strokes(serve, page):
    address = serve(APP)
    driver = MapDriver.open(page, address, map="occupancy", n=32)
    memory = Memory(page, serve.process(address))
    before = (0, 0)
    for stroke in range(N_STROKES):
        if stroke == 60:  # caches are full, code is compiled
            before = memory()
        row = stroke * 7 % 32
        driver.drag(row * 32 + 3, row * 32 + 28, steps=3)
        driver.wait_out(rf"revision={stroke + 1}\b")
    heap, server = memory()
    assert driver.python("digest") == driver.digest()
    assert heap - before[0] < 4 * MB, f"browser: {before[0] / MB:.1f} -> {heap / MB:.1f} MB"
    assert server - before[1] < 25 * MB, f"server: {before[1] / MB:.1f} -> {server / MB:.1f} MB"
    driver.assert_alive()


@pytest.mark.slow
def test_50_page_switches(serve, page):
    address = serve(SWITCH)
    driver = MapDriver.open(page, address)
    driver.drag(16 * 5 + 3, 16 * 5 + 9)
    driver.wait_out(r"revision=1\b")
    painted = driver.values().tolist()
    memory = Memory(page, serve.process(address))
    before = (0, 0)
    for switch in range(N_SWITCHES):
        if switch == 8:
            before = memory()
        link, key = ("Other", "other") if switch % 2 == 0 else ("Map", "map")
        page.get_by_role("link", name=link).click()
        page.wait_for_function(
            "key => [...__citymap.maps].some(map => map.payload?.key === key)", arg=key
        )
        page.wait_for_function(READY)
        alive = page.evaluate(
            "() => [__citymap.maps.size, "
            "[...__citymap.liveContexts].filter(gl => !gl.isContextLost()).length]"
        )
        assert alive == [1, 1]
    heap, server = memory()
    assert driver.values().tolist() == painted
    assert heap - before[0] < 6 * MB, f"browser: {before[0] / MB:.1f} -> {heap / MB:.1f} MB"
    assert server - before[1] < 25 * MB, f"server: {before[1] / MB:.1f} -> {server / MB:.1f} MB"
