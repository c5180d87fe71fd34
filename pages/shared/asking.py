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
from pages.shared.state import Asked, end_asked, get_state, keep_asked
from pages.shared.text import as_text

REFRESH_S = 0.5
Submit = Callable[[Any, Scenario, str], Any]
Read = Callable[[Scenario, Mapping[str, Any]], Result]


def ask(scenario: Scenario, submit: Submit) -> None:
    """Give a scenario to the workers; what this tab asked of the same kind before is cancelled."""
    before = get_state().asked.get(scenario.question)
    if before is not None:
        before.handle.cancel()
    with engine_errors():
        handle = submit(cache.compute(), scenario, get_state().session_id)
        keep_asked(Asked(scenario, handle))


def draw_progress(question: Question, read: Read) -> None:
    """Progress, place in line, time left and a button to cancel, while a job runs."""
    if question in get_state().asked:
        st.fragment(_draw_progress, run_every=REFRESH_S)(question, read)


def _draw_progress(question: Question, read: Read) -> None:
    asked = get_state().asked.get(question)
    if asked is None:
        return
    status = asked.handle.status
    if status.state.is_final:
        _end(asked, read)
        st.rerun()
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
            key=f"cancel-{question}",
        ):
            asked.handle.cancel()


def _end(asked: Asked, read: Read) -> None:
    question = asked.scenario.question
    try:
        result = read(asked.scenario, asked.handle.result())
    except JobCancelledError:
        end_asked(question)
    except EngineError as error:
        end_asked(question, error=error)
    else:
        end_asked(question, result)


def draw_problem(question: Question) -> None:
    """Why the last question of this kind had no answer, if that was so."""
    state = get_state()
    if question in state.failed and question not in state.asked:
        show_error(state.failed[question])
