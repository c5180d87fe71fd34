"""Fixtures for tests in a real browser against a real server.

* ``serve(script="app.py", **environment)`` starts ``streamlit run`` on a free loopback port and
  returns its address, once per script and environment and test session.
* ``chromium`` is one headless Chromium for the whole session, with software WebGL.
* ``new_page(**context_options)`` opens a page in a context of its own (its own Streamlit session),
  for example ``new_page(color_scheme="dark")``.
* ``page`` is ``new_page()``: 1200 x 900, light, reduced motion.
* ``product`` is the address of the product's own pages, with the small city and weights for all
  its questions, which lie in ``product_data``. One server and its workers serve all tests.

Each page carries two lists, ``page.problems`` (errors that no script caught, or that the map wrote
to the console) and ``page.outside`` (addresses asked for that are not this machine). **Both must be
empty when the test ends**; a test that provokes an error on purpose clears the list itself.

Without Chromium these tests skip, unless ``CI`` is set: there they fail. ``CHROMIUM`` names
another executable. Wait on what the page shows (``page.wait_for_function``), never sleep.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
)
CHEAP = "--disable-gpu-compositing"
"""Halves what a page costs where WebGL is software; benchmarks go without it."""
LOCAL = ("http://127.0.0.1", "ws://127.0.0.1", "blob:", "data:", "about:")
START_TIMEOUT_S = 120
WAIT_MS = 60_000


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        assert process.poll() is None, f"the server ended:\n{log.read_text('utf-8')}"
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not answer:\n{log.read_text('utf-8')}")


class Servers:
    """The Streamlit servers of this test session."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: dict[Any, tuple[str, subprocess.Popen[bytes]]] = {}

    def __call__(self, script: str | Path = "app.py", **environment: str) -> str:
        """Address of a server that runs ``script`` (a path, relative to the repository)."""
        key = (str(script), tuple(sorted(environment.items())))
        if key not in self.running or self.running[key][1].poll() is not None:
            self.running[key] = self._start(ROOT / script, environment)
        return self.running[key][0]

    def process(self, address: str) -> subprocess.Popen[bytes]:
        """The process that serves an address."""
        return next(process for at, process in self.running.values() if at == address)

    def _start(
        self, script: Path, environment: dict[str, str]
    ) -> tuple[str, subprocess.Popen[bytes]]:
        port = _free_port()
        log = self.logs / f"{script.stem}-{port}.log"
        options = {
            "server.port": port,
            "server.address": "127.0.0.1",
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
        }
        command = [sys.executable, "-m", "streamlit", "run", str(script)]
        command += [f"--{name}={value}" for name, value in options.items()]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        address = f"http://127.0.0.1:{port}"
        _wait_until_healthy(process, address, log)
        return address, process

    def stop(self) -> None:
        """End all of them."""
        for _, process in self.running.values():
            process.terminate()
        for _, process in self.running.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()


SERVERS = pytest.StashKey[Servers]()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Servers:
    """Call it with a script to get the address of a server that runs it."""
    servers = Servers(tmp_path_factory.mktemp("streamlit"))
    request.session.stash[SERVERS] = servers
    request.addfinalizer(servers.stop)
    return servers


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End the servers and their workers after the last page: idle, they still take time."""
    yield
    if SERVERS in item.session.stash and (nextitem is None or HERE not in nextitem.path.parents):
        item.session.stash[SERVERS].stop()


@pytest.fixture(scope="session")
def product_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user data folder with the small city and weights for all its questions."""
    from tests.small_city import write_small_city
    from tests.small_forecasts import write_small_forecasts
    from tests.small_weights import write_small_weights

    root = tmp_path_factory.mktemp("data")
    city = write_small_city(root / "cities")
    write_small_weights(root / "weights", city)
    write_small_forecasts(root / "weights", city)
    return root


@pytest.fixture(scope="session")
def product(serve: Servers, product_data: Path) -> str:
    """Address of the product's own pages."""
    return serve("app.py", CITYBRUSH_DATA=str(product_data))


def _no_browser(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, but this run must test in a browser")
    pytest.skip(reason)


def find_chromium() -> str | None:
    """The browser to drive: what ``CHROMIUM`` names, or the first one installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = (path for name in names if (path := shutil.which(name)))
    return os.environ.get("CHROMIUM") or next(found, None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One headless Chromium with software WebGL."""
    executable = find_chromium()
    if executable is None:
        _no_browser("no Chromium is installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _no_browser("playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, headless=True, args=[*FLAGS, CHEAP]
        )
        yield browser
        browser.close()


def _watch(page: Any) -> Any:
    page.problems, page.outside = [], []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda message: page.problems.extend(_own_error(message)))
    page.on(
        "request",
        lambda request: None if request.url.startswith(LOCAL) else page.outside.append(request.url),
    )
    page.set_default_timeout(WAIT_MS)
    return page


def _own_error(message: Any) -> list[str]:
    """What the map reports of itself: deck.gl catches the errors of its layers, and draws on."""
    return [message.text] if message.type == "error" and "citymap" in message.text else []


@pytest.fixture
def new_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens watched pages, each in a browser context of its own."""
    opened: list[Any] = []

    def open_page(**options: Any) -> Any:
        defaults = {"viewport": {"width": 1200, "height": 900}, "reduced_motion": "reduce"}
        context = chromium.new_context(**{**defaults, **options})
        opened.append(_watch(context.new_page()))
        return opened[-1]

    yield open_page
    problems = [problem for page in opened for problem in page.problems]
    outside = [address for page in opened for address in page.outside]
    for page in opened:
        page.context.close()
    assert problems == [], "a script in the page failed"
    assert outside == [], "a request left the machine"


@pytest.fixture
def page(new_page: Callable[..., Any]) -> Any:
    """A watched page, 1200 x 900, light theme, reduced motion."""
    return new_page()
