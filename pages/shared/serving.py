"""What the server does before a page is asked for, and the HTML that every page begins as.

Streamlit's own HTML loads Streamlit's scripts; the map's script would follow only when a page has
run. The HTML made here also names the map's script, so that the browser loads and parses it while
Streamlit still starts. A page that begins without this HTML works just the same, only later.
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

from pages.shared.component_files import SCRIPT_ADDRESS, declare
from pages.shared.navigation import PAGES

CHUNKS: Final = (
    "BidiComponent",
    "ButtonGroup",
    "PageLink",
    "Selectbox",
    "recordbatch",
    "serialization",
)
"""Streamlit's own scripts that pages of ours need, and that it loads only when they have run."""
HEAD: Final = """\
<style>[data-testid="stSkeleton"] {{ animation: none !important }}</style>
<link rel="modulepreload" crossorigin href="{script}">
{chunks}
"""
log = logging.getLogger(__name__)


def page_routes() -> list[Route]:
    """The addresses of the pages, answered with Streamlit's HTML and what the map adds to it."""
    html = _with_map(Path(get_static_dir()))

    async def answer(request: Request) -> HTMLResponse:  # noqa: ARG001 - Starlette's
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
async def warm_server(app: st.App) -> AsyncIterator[dict[str, Any]]:  # noqa: ARG001 - Streamlit's
    """Load what the first visitor would otherwise wait for, beside the server's start."""
    declare()
    loading = asyncio.create_task(asyncio.to_thread(_load))
    yield {}
    await loading


def _load() -> None:
    traffic = importlib.import_module("pages.shared.traffic")
    try:
        traffic.prepare()
    except Exception:
        log.exception("nothing was loaded beforehand; pages will say what is wrong")
