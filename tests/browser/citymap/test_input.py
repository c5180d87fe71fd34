"""Hostile text, data that does not fit, and tiles from elsewhere only where they are wanted."""

import http.server
import io
import threading

import pytest
from PIL import Image

from tests.browser.citymap.driving import APP, MAP, MapDriver

SHOWS_MAGENTA = f"""async () => {{
    const canvas = await {MAP}.scene.capture(1), draw = canvas.getContext('2d');
    const {{data}} = draw.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {{
        count += data[i] > 250 && data[i + 1] < 5 && data[i + 2] > 250;
    }}
    return count > data.length / 4 / 100;
}}"""
HOSTILE = "tests/browser/citymap/apps/hostile_app.py"


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["streets", "views", "trips"])
def test_text_from_data_stays_text(serve, page, kind):
    page.goto(f"{serve(HOSTILE)}/?map={kind}")
    MapDriver(page)
    page.locator(".table-twin").wait_for()
    box = page.locator(".map").bounding_box()
    for part in (0.3, 0.5, 0.7):
        page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] / 2)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("[data-id=help]").click()
    page.keyboard.press("Escape")
    while page.locator(".table-twin footer .text-button").last.is_enabled():
        page.locator(".table-twin footer .text-button").last.click()
    with page.expect_download():
        page.locator("[data-id=picture]").click()
    page.wait_for_timeout(200)
    assert page.evaluate("() => window.__attacked") is None
    shown = page.locator(".attribution").inner_text()
    assert "<script>" in shown and "onerror" in shown
    made = page.locator(".citymap").locator("script, img, iframe, object, embed, video, link")
    assert made.count() == 0


@pytest.mark.thorough
def test_bad_input_is_said_in_words(serve, page):
    page.goto(f"{serve(HOSTILE)}/?map=wrong")
    MapDriver(page)
    page.locator("[data-testid=stAlert]").nth(4).wait_for()
    texts = " ".join(page.locator("[data-testid=stAlert]").all_inner_texts())
    for part in (
        "mask: The map's values do not fit",
        "nan: The occupancy map holds",
        "length: ",
        "streets: This city has no streets",
        "frames: ",
    ):
        assert part in texts
    assert "Traceback" not in page.inner_text("body")
    assert page.evaluate(f"() => Number.isNaN({MAP}.mode.views[0].shown[28])")
    page.locator("[data-id=table]").click()
    page.locator(".table-twin footer .text-button").last.click()
    assert "no data" in page.locator(".table-twin table").inner_text()


class _Tiles(http.server.BaseHTTPRequestHandler):
    """Every tile is magenta."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self):
        self.asked.append(self.path)
        tile = io.BytesIO()
        Image.new("RGB", (256, 256), (255, 0, 255)).save(tile, "PNG")
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(tile.getvalue())

    def log_message(self, *_):
        pass


@pytest.mark.thorough
def test_remote_tiles_only_where_the_administrator_says_so(serve, page):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Tiles)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tiles = f"http://127.0.0.1:{server.server_port}/{{z}}/{{x}}/{{y}}.png"
    address = serve(APP, CITYBRUSH_MAP_TILES=tiles, CITYBRUSH_MAP_TILES_ATTRIBUTION="© Tiles")
    with page.expect_request("**/*.png"):
        MapDriver.open(page, address, map="mask", n=8)
    page.wait_for_function(SHOWS_MAGENTA)
    assert "© Tiles" in page.locator(".attribution").inner_text()
    assert all(len(path.split("/")) == 4 for path in _Tiles.asked)
    server.shutdown()
