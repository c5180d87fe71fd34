"""The compute state as every page shows it: where answers are computed, and whether it is ready."""

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from engine import api
from pages.shared import cache
from pages.shared.state import keep_tab
from pages.shared.text import as_text

REFRESH_S = 3
GIB = 2**30


@dataclass(frozen=True)
class Badge:
    """A state in a word, with its colour and icon."""

    word: str
    colour: Literal["gray", "orange", "green", "blue", "red"]
    icon: str


BADGES = {
    "stopped": Badge("on standby", "gray", ":material/power_settings_new:"),
    "starting": Badge("starting", "orange", ":material/hourglass_top:"),
    "ready": Badge("ready", "green", ":material/check_circle:"),
    "busy": Badge("working", "blue", ":material/autorenew:"),
    "unreachable": Badge("unreachable", "red", ":material/error:"),
}


@st.fragment(run_every=REFRESH_S)
def draw_compute() -> None:
    """Device and workers, kept up to date on their own; so is what a reload will find."""
    keep_tab()
    status = cache.compute().status()
    badge = BADGES["busy" if status.num_running else status.state]
    st.caption(f"Compute on {as_text(status.place)}")
    st.badge(badge.word, color=badge.colour, icon=badge.icon)
    if status.error is not None:
        st.caption(as_text(str(status.error)))
    for worker in status.workers:
        st.caption(as_text(_describe(worker)))
    if status.num_queued:
        st.caption(f"{status.num_queued} in line")


def _describe(worker: api.WorkerStatus) -> str:
    device = worker.device_name or worker.device.value.upper()
    memory = f", {worker.memory_bytes / GIB:.0f} GiB" if worker.memory_bytes else ""
    doing = f"{worker.state.value}: {worker.job}" if worker.job else worker.state.value
    return f"{device}{memory} · {doing}"
