"""From a question to its answer: give a scenario to the workers, show how far it is, cancel it.

Long work never runs in a page's script. The part that shows progress runs by itself twice a
second while there is a job, and the page once more when it ends.
"""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from engine.domain import Question, Result, Scenario
from engine.errors import EngineError, JobCancelledError
from pages.shared import cache
from pages.shared.frame import engine_errors, show_error
from pages.shared.state import Asked, end_asked, get_state, keep_asked, topic_key
from pages.shared.text import as_text

REFRESH_S = 0.5
Submit = Callable[[Any, Scenario, str], Any]
Read = Callable[[Scenario, Mapping[str, Any]], Result]


def ask(scenario: Scenario, submit: Submit, topic: str = "") -> None:
    """Give a scenario to the workers; what this tab asked of the same kind before is cancelled.

    Exactly the same again, as by a double click, goes on as it is.

    Args:
        scenario: the question.
        submit: gives it to the compute service.
        topic: tells jobs of one question apart.
    """
    before = get_state().asked.get(topic_key(scenario.question, topic))
    if before is not None:
        status = before.handle.status
        if before.scenario == scenario and not (status.cancelling or before.handle.is_done):
            return
        before.handle.cancel()
    with engine_errors():
        handle = submit(cache.compute(), scenario, get_state().session_id)
        keep_asked(Asked(scenario, handle, topic=topic))


def follow(scenario: Scenario, submit: Submit, topic: str = "") -> bool:
    """Ask unless exactly this was asked last; whether it is being asked now.

    What failed or was cancelled is not asked again by itself.
    """
    if get_state().tried.get(topic_key(scenario.question, topic)) == scenario:
        return False
    ask(scenario, submit, topic)
    return True


def wait_for_estimate(key: str, timeout_s: float) -> None:
    """Wait a moment for a job's first estimate, so that it is drawn at once.

    Args:
        key: of the job, as ``topic_key`` makes it.
        timeout_s: how long at most; the page stands still meanwhile.
    """
    asked = get_state().asked.get(key)
    if asked is None:
        return
    for status in asked.handle.watch(timeout_s):
        if status.estimate is not None:
            return


def take_answer(key: str, read: Read) -> bool:
    """Keep the answer of a job that has ended; whether one has."""
    asked = get_state().asked.get(key)
    if asked is None or not asked.handle.is_done:
        return False
    _end(asked, read)
    return True


def draw_progress(question: Question, read: Read, topic: str = "") -> None:
    """Progress, place in line, time left and a button to cancel, while a job runs."""
    key = topic_key(question, topic)
    if key in get_state().asked:
        st.fragment(_draw_progress, run_every=REFRESH_S)(key, read)


def _draw_progress(key: str, read: Read) -> None:
    if take_answer(key, read):
        st.rerun()
    draw_bar(key)


def draw_bar(key: str) -> None:
    """How far a job is, and a button to cancel it; nothing where none runs."""
    asked = get_state().asked.get(key)
    if asked is None:
        return
    status = asked.handle.status
    words = status.message or "Waiting for its turn"
    if status.place:
        words = f"Number {status.place} in line"
    if status.eta_s is not None and status.eta_s >= 1:
        words += f" · about {status.eta_s:.0f} s left"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(status.fraction, text=as_text(words))
        if st.button(
            "Stopping" if status.cancelling else "Cancel",
            icon=":material/close:",
            disabled=status.cancelling,
            key=f"cancel-{key}",
        ):
            asked.handle.cancel()


def _end(asked: Asked, read: Read) -> None:
    try:
        result = read(asked.scenario, asked.handle.result())
    except JobCancelledError:
        end_asked(asked.key)
    except EngineError as error:
        end_asked(asked.key, error=error)
    else:
        end_asked(asked.key, result)


def draw_problem(question: Question, topic: str = "") -> None:
    """Why the last question of this kind had no answer, if that was so."""
    state, key = get_state(), topic_key(question, topic)
    if key in state.failed and key not in state.asked:
        show_error(state.failed[key])


def draw_staleness(question: Question, asking: str) -> None:
    """Mark the last answer where the page's question has changed since.

    Args:
        question: which kind.
        asking: what the page's part with the question is called.
    """
    answered = get_state().answered.get(question)
    posed = get_state().posed.get(question)
    if answered is None or posed is None or posed == answered.scenario:
        return
    if posed.city_id == answered.scenario.city_id:
        st.warning(
            f"**{asking}** says something else by now. Ask again to bring the answer up to date.",
            title="This is the answer to an earlier question",
            icon=":material/history:",
        )


def choose_part(question: Question, city_id: str, parts: tuple[str, str]) -> str:
    """The question or its answer: one map at a time. A new answer is shown at once.

    Args:
        question: which kind.
        city_id: the page's city; an answer about another one is not offered.
        parts: what the question and its answer are called.
    """
    asking, answer = parts
    answered = get_state().answered.get(question)
    if answered is None or answered.result is None or answered.scenario.city_id != city_id:
        return asking
    return str(
        st.segmented_control(
            "Part",
            parts,
            default=answer,
            required=True,
            label_visibility="collapsed",
            # the answer's digest in the key: a new answer begins with its own default
            key=f"part-{question}-{answered.result.digest[:12]}",
            persist_state="session",
        )
    )
