"""What every page begins with: title, theme, navigation, the chosen city, the compute state.

Each page calls :func:`start_page` first. Streamlit may run a page without ``app.py`` (a deep link
on a fresh server does), so nothing that matters lives only there.
"""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from engine.errors import EngineError
from pages.shared.citymap import preload
from pages.shared.compute import draw_compute
from pages.shared.navigation import PAGES
from pages.shared.state import AppState, follow_address, link_to
from pages.shared.text import as_text

BRAND = Path(__file__).resolve().parents[2] / "assets" / "brand"
SIDEBAR_PX = 240
log = logging.getLogger(__name__)


def start_page(title: str) -> AppState:
    """Set up the page and return the tab's state.

    Args:
        title: name of the page, as the browser's tab shows it.
    """
    st.set_page_config(
        page_title=f"{title} · Citybrush",
        page_icon=str(BRAND / "mark.svg"),
        layout="wide",
        initial_sidebar_state=SIDEBAR_PX,
        menu_items={"About": "Citybrush: paint a what-if onto a city, and see what follows."},
    )
    st.logo(str(BRAND / "logo.svg"), icon_image=str(BRAND / "mark.svg"), size="large")
    state = follow_address()
    with st.sidebar:
        for path, label, icon in PAGES:
            st.page_link(path, label=label, icon=icon, query_params=link_to(state.city_id))
        st.divider()
        preload()
        draw_compute()
    return state


@contextmanager
def engine_errors(stop: bool = True) -> Iterator[None]:
    """Show what the engine says is wrong; the page and the app stay up.

    A bug is shown as a number only; what it was is in the log.

    Args:
        stop: end this run of the page after the error; otherwise go on below it.
    """
    try:
        yield
    except EngineError as error:
        log.warning("shown to the user: %s", error)
        show_error(error)
    except Exception:
        number = secrets.token_hex(4)
        log.exception("error %s", number)
        body = f"It was written to the log as error {number}. What you had is still there."
        st.error(body, title="Something went wrong on our side", icon=":material/error:")
    else:
        return
    if stop:
        st.stop()


def show_error(error: EngineError) -> None:
    """What was wrong, where, and what to do."""
    place = f" ({as_text(error.where)})" if error.where else ""
    body = f"{as_text(error.fix)}{place}".strip() or "Nothing was changed."
    st.error(body, title=as_text(error.what), icon=":material/error:")
