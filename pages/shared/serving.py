"""What the server does before a page is asked for, and the HTML that every page begins as.

Streamlit's own HTML loads Streamlit's scripts; the map's script would follow only when a page has
run, and the browser compiles what a map is drawn with when it first draws it. The HTML made here
also names the map's script and lets it compile its drawing while Streamlit still starts. A page
that begins without it works just the same, only later.
"""

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final

import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from streamlit.file_util import get_static_dir

from pages.shared.citymap.component import SCRIPT_ADDRESS, declare
from pages.shared.navigation import PAGES

NEEDED: Final = ("engine.api", "pages.shared.traffic")
"""What the first page would import; the rest is small."""
CHUNKS: Final = ("BidiComponent", "PageLink")
"""Streamlit's own scripts that every page of ours needs, and loads only when it has run."""
HEAD: Final = """\
<style>[data-testid="stSkeleton"] {{ animation: none !important }}</style>
<link rel="modulepreload" crossorigin href="{script}">
{chunks}
<script type="module" async>import("{script}").then(map => map.warmUp())</script>
"""
log = logging.getLogger(__name__)


def page_routes() -> list[Route]:
    """The addresses of the pages, answered with Streamlit's HTML and what the map adds to it."""
    html = _with_map(Path(get_static_dir()))

    async def answer(request: Request) -> HTMLResponse:  # noqa: ARG001, RUF029 - as Starlette calls
        return HTMLResponse(html, headers={"Cache-Control": "no-cache"})

    paths = [path for path, _, _ in PAGES]
    return [Route(_address(path), answer, methods=["GET", "HEAD"]) for path in paths]


def _address(path: str) -> str:
    page = PurePosixPath(path)
    return f"/{page.stem}" if page.parent.name == "pages" else "/"


def _with_map(static: Path) -> str:
    chunks = [path.name for name in CHUNKS for path in static.glob(f"static/js/{name}.*.js")]
    links = "\n".join(
        f'<link rel="modulepreload" crossorigin href="./static/js/{name}">' for name in chunks
    )
    html = (static / "index.html").read_text("utf-8")
    head = HEAD.format(script=SCRIPT_ADDRESS, chunks=links)
    return html.replace("<title>", f"{head}<title>", 1)


@asynccontextmanager
async def warm_server(app: st.App) -> AsyncIterator[dict[str, Any]]:  # noqa: ARG001 - as Streamlit calls
    """While the server runs: the first visitor does not wait for imports and for the city's files."""
    declare()
    loading = asyncio.create_task(asyncio.to_thread(_load))
    yield {}
    await loading


def _load() -> None:
    for name in NEEDED:
        importlib.import_module(name)
