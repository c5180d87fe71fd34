"""The Streamlit side of the component: registered once a server, mounted by key.

The script is served as a file; the style is small and goes inline: the map must not be measured
before it is styled.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from pages.shared.component_files import FOLDER, NAME, SCRIPT, declare
from pages.shared.state import component_state

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

PRELOAD_KEY: Final = "citymap-preload"


@lru_cache(maxsize=1)
def _renderer() -> "ComponentRenderer":
    home = '<div class="citymap-root"></div>'
    style = (FOLDER / "dist" / "citymap.css").read_text("utf-8")
    return st.components.v2.component(NAME, html=home, css=style, js=SCRIPT)


def mount(key: str, payload: bytes, *states: str) -> Mapping[str, Any]:
    """Draw the map and return its states by name, each a mapping or none.

    Args:
        key: of the map, unique on the page.
        payload: the message to the browser.
        states: names of what the browser may tell.
    """
    declare()
    callbacks: dict[str, Any] = {f"on_{name}_change": _nothing for name in states}
    result = _renderer()(key=key, data=payload, height="content", **callbacks)
    return {name: _mapping(getattr(result, name, None)) for name in states}


def preload() -> None:
    """Let the browser load the map's script now, while Python still works on what it will show."""
    declare()
    _renderer()(key=PRELOAD_KEY, height="content")


def is_new_here(key: str) -> bool:
    """Whether the map is about to be drawn by a browser that does not show it now."""
    return key not in component_state()


def _nothing() -> None:
    """Registers a state; the value is read after mounting."""


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) else None
