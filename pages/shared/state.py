"""The only owner of ``st.session_state``: one frozen, typed :class:`AppState`, replaced as a whole.

Widgets keep their own values under their own keys; what the pages need to know of each other is
here. The city travels in the address as ``?city=…``, so that a link opens what its sender saw, and
beside it a token, under which the server keeps what the tab was doing: a reload loses nothing (see
:mod:`pages.shared.tabs`).
"""

import secrets
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from typing import Any, Final, cast

import numpy as np
import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from engine.api import JobHandle, Place
from engine.domain import Question, Result, Scenario
from engine.errors import EngineError
from pages.shared.tabs import Memory, Tabs

_KEY = "citybrush"
_TOKEN_KEY = "citybrush-tab"
_MAPS = "citymap:"
DEFAULT_CITY = "adlershof"
TAB: Final = "tab"
"""Name of the token in the address."""

SWITCHES: Final = ("sensors-live", "forecast-learned")
"""Keys of the switches: other widgets that are true or false are buttons, and never restored."""

_PLAIN = (int, float, str, date, time, np.ndarray)


@dataclass(frozen=True, eq=False)
class Asked:
    """A scenario that was given to the workers, and their answer once it is there.

    Args:
        scenario: what was asked.
        handle: the job.
        result: the answer; none before.
        topic: tells jobs of one question apart, such as a day of it; empty for the question itself.
    """

    scenario: Scenario
    handle: JobHandle
    result: Result | None = None
    topic: str = ""

    @property
    def key(self) -> str:
        """Under which it is remembered: the question, or its topic."""
        return topic_key(self.scenario.question, self.topic)


def topic_key(question: Question, topic: str = "") -> str:
    """Under which a job of a question is remembered."""
    return f"{question.value}/{topic}" if topic else question.value


@dataclass(frozen=True)
class AppState:
    """What one browser tab is looking at.

    Args:
        session_id: names the tab towards the compute queue; random, not secret.
        city_id: the city that the user chose.
        place: the place whose series is shown, or none for the whole city.
        clicked: the cell or hexagon that was clicked last, to know a new click from an old one.
        asked: what runs for this tab, by question.
        answered: what was last answered, by question; it stays while something new runs.
        failed: why the last question of a kind had no answer.
        tried: what was last asked of a kind, whatever became of it.
        posed: the question of a kind as its page has it now, asked or not.
    """

    session_id: str = field(default_factory=lambda: secrets.token_hex(8))
    city_id: str = DEFAULT_CITY
    place: Place | None = None
    clicked: Place | None = None
    asked: Mapping[str, Asked] = field(default_factory=dict)
    answered: Mapping[str, Asked] = field(default_factory=dict)
    failed: Mapping[str, EngineError] = field(default_factory=dict)
    tried: Mapping[str, Scenario] = field(default_factory=dict)
    posed: Mapping[str, Scenario] = field(default_factory=dict)


def get_state() -> AppState:
    """The state of this tab; on its first run what the address names is taken up."""
    state = st.session_state.get(_KEY)
    return state if isinstance(state, AppState) else _begin()


def _begin() -> AppState:
    """Go on from what the address names, or begin with its city."""
    token = st.query_params.get(TAB, "")
    taken = _tabs().take(token, _session())
    if taken is None:
        return _keep(AppState(city_id=st.query_params.get("city", DEFAULT_CITY)))
    for key, value in taken.memory.items():
        st.session_state[key] = value
    if taken.is_copy:
        return _part()
    st.session_state[_TOKEN_KEY] = token
    return get_state()


def _part() -> AppState:
    """Go on beside a session that has the same work; what runs stays with that one."""
    own = secrets.token_hex(8)
    st.session_state[_KEY] = replace(get_state(), session_id=own, asked={})
    st.session_state[_TOKEN_KEY] = _tabs().begin(_session(), _memory())
    return get_state()


def follow_address() -> AppState:
    """The state of this tab, of the city in the address: the browser's Back may name another.

    The address gets the tab's token, if it lacks it.
    """
    state = get_state()
    named = st.query_params.get("city", state.city_id)
    if named != state.city_id:
        choose_city(named)
    if _TOKEN_KEY not in st.session_state:
        st.session_state[_TOKEN_KEY] = _tabs().begin(_session(), _memory())
    elif not keep_tab():
        _part()
    token = st.session_state[_TOKEN_KEY]
    if st.query_params.get(TAB) != token:
        st.query_params[TAB] = token
    return get_state()


def link_to(city_id: str) -> dict[str, str]:
    """What the address of a page says after the question mark.

    Args:
        city_id: the city that the page shall show.
    """
    token = st.session_state.get(_TOKEN_KEY)
    return {"city": city_id, **({TAB: token} if token else {})}


@st.cache_resource(show_spinner=False)
def _tabs() -> Tabs:
    return Tabs(_is_open, _cancel)


def _session() -> str:
    context = get_script_run_ctx()
    return context.session_id if context is not None else ""


def _is_open(session: str) -> bool:
    # "is True": a test's runtime answers with something else
    return runtime.exists() and runtime.get_instance().is_active_session(session) is True


def _cancel(memory: Memory) -> None:
    """Cancel what runs for a tab."""
    state = memory.get(_KEY)
    if isinstance(state, AppState):
        for asked in state.asked.values():
            asked.handle.cancel()


def keep_tab() -> bool:
    """Keep what this tab is doing for a reload; false if another session goes on with it."""
    token = st.session_state.get(_TOKEN_KEY)
    return token is None or _tabs().keep(token, _session(), _memory())


def _memory() -> Memory:
    return {str(key): value for key, value in st.session_state.items() if _is_kept(key, value)}


def _is_kept(key: object, value: object) -> bool:
    """Whether a value outlives a reload: choices and edits do, messages to the browser do not."""
    if key == _KEY:
        return True
    if str(key).startswith(_MAPS):
        return not isinstance(value, tuple)
    if key == _TOKEN_KEY or (isinstance(value, bool) and key not in SWITCHES):
        return False
    return _is_plain(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(part) for part in value)
    return isinstance(value, _PLAIN)


def _keep(state: AppState) -> AppState:
    st.session_state[_KEY] = state
    keep_tab()
    return state


def choose_city(city_id: str) -> AppState:
    """Make a city the current one, and put it in the address.

    What belonged to the last one is forgotten, and what still runs for it is cancelled.
    """
    st.query_params["city"] = city_id
    state = get_state()
    if city_id == state.city_id:
        return state
    for asked in state.asked.values():
        asked.handle.cancel()
    return _keep(AppState(state.session_id, city_id))


def choose_place(place: Place | None) -> AppState:
    """Show the series of a place, or of the whole city."""
    return _keep(replace(get_state(), place=place))


def take_click(place: Place) -> bool:
    """Show the series of a clicked place; whether the click is a new one."""
    state = get_state()
    is_new = place != state.clicked
    if is_new:
        _keep(replace(state, place=place, clicked=place))
    return is_new


def keep_posed(scenario: Scenario) -> AppState:
    """Remember the question as its page has it now."""
    state = get_state()
    return _keep(replace(state, posed={**state.posed, scenario.question.value: scenario}))


def keep_asked(asked: Asked) -> AppState:
    """Remember a job that runs for this tab."""
    state = get_state()
    failed = {key: error for key, error in state.failed.items() if key != asked.key}
    tried = {**state.tried, asked.key: asked.scenario}
    return _keep(
        replace(state, asked={**state.asked, asked.key: asked}, failed=failed, tried=tried)
    )


def end_asked(key: str, result: Result | None = None, error: EngineError | None = None) -> AppState:
    """Forget a job that has ended, and remember its answer, or why there is none.

    Args:
        key: of the job, as :func:`topic_key` makes it.
        result: the answer.
        error: why there is none.
    """
    state = get_state()
    asked, answered, failed = dict(state.asked), dict(state.answered), dict(state.failed)
    ended = asked.pop(key, None)
    if ended is not None and result is not None:
        answered[key] = replace(ended, result=result)
    if error is not None:
        failed[key] = error
    return _keep(replace(state, asked=asked, answered=answered, failed=failed))


def component_state() -> MutableMapping[str, Any]:
    """This tab's own mapping: the map component's documents, and widgets' values by key."""
    return cast(MutableMapping[str, Any], st.session_state)
