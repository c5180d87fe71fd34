"""The Streamlit side of the component: registered once, mounted by key."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from pages.shared.state import component_state

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

DIST: Final = Path(__file__).resolve().parents[3] / "assets" / "citymap" / "dist"
NAME: Final = "citymap"


@lru_cache(maxsize=1)
def _files() -> tuple[str, str]:
    """JavaScript and CSS of the built component; more than one line makes Streamlit see code."""
    return (DIST / "citymap.js").read_text("utf-8"), (DIST / "citymap.css").read_text("utf-8")


@lru_cache(maxsize=1)
def _renderer() -> "ComponentRenderer":
    script, style = _files()
    home = '<div class="citymap-root"></div>'
    return st.components.v2.component(NAME, html=home, css=style, js=script)


def mount(key: str, payload: bytes, *states: str) -> Mapping[str, Any]:
    """Draw the map and return its states by name, each a mapping or none.

    Args:
        key: of the map, unique on the page.
        payload: the message to the browser.
        states: names of what the browser may tell.
    """
    callbacks: dict[str, Any] = {f"on_{name}_change": _nothing for name in states}
    result = _renderer()(key=key, data=payload, height="content", **callbacks)
    return {name: _mapping(getattr(result, name, None)) for name in states}


def is_new_here(key: str) -> bool:
    """Whether the map is about to be drawn by a browser that does not show it now."""
    return key not in component_state()


def _nothing() -> None:
    """Registers a state; the value is read after mounting."""


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) else None
