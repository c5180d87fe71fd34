"""SUMO as a child process that never outlives its parent and dies at once when cancelled."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue

import pyproj

from engine.errors import (
    JobCancelledError,
    SimulatorFailedError,
    SimulatorMissingError,
    StorageError,
)
from engine.simulation.network import first_error, sumo_program

POLL_S = 0.1
PR_SET_PDEATHSIG = 1
STEP = re.compile(r"Step #(\d+)\.\d+.*?(?:ACT (\d+))?(?: BUF| *\)|$)")


def run_sumo(
    folder: Path, options: list[str], should_cancel: Callable[[], bool]
) -> Iterator[float]:
    """Run SUMO in a folder and yield the simulated seconds as they pass.

    Args:
        folder: working directory; SUMO's files are named relative to it.
        options: command-line options without the program's name.
        should_cancel: asked every 0.1 s.

    Raises:
        SimulatorMissingError: SUMO is not installed or cannot be started.
        SimulatorFailedError: it ended with an error; the message holds its first error line.
        StorageError: the disk is full.
        JobCancelledError: should_cancel said so; SUMO is gone when this is raised.
    """
    command = [str(sumo_program("sumo")), *options]
    errors = folder / "errors.txt"
    with errors.open("wb") as sink:
        child = _start(command, folder, sink)
        try:
            yield from _watch(child, should_cancel)
        finally:
            stop(child)
    if child.returncode:
        _explain(errors.read_text("utf-8", "replace"), child.returncode)


def _start(command: list[str], folder: Path, sink: object) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sink,  # type: ignore[call-overload]
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PROJ_DATA": pyproj.datadir.get_data_dir()},
            start_new_session=True,
            preexec_fn=_die_with_parent() if sys.platform == "linux" else None,
        )
    except OSError as error:
        raise SimulatorMissingError(
            "The traffic simulator SUMO cannot be started.",
            str(error),
            "Install it again with: pip install --force-reinstall eclipse-sumo.",
        ) from error


def _die_with_parent() -> Callable[[], None]:
    """What the child runs before it becomes SUMO: ask the kernel to be killed with its parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _watch(child: "subprocess.Popen[str]", should_cancel: Callable[[], bool]) -> Iterator[float]:
    lines: Queue[str | None] = Queue()
    threading.Thread(target=_read, args=(child, lines), daemon=True).start()
    while True:
        if should_cancel():
            raise JobCancelledError("The simulation was cancelled.")
        try:
            line = lines.get(timeout=POLL_S)
        except Empty:
            continue
        if line is None:
            child.wait()
            return
        found = STEP.search(line)
        if found:
            yield float(found[1])


def _read(child: "subprocess.Popen[str]", lines: "Queue[str | None]") -> None:
    """Pass SUMO's output on; it ends its progress lines with a carriage return."""
    assert child.stdout is not None  # opened as a pipe above
    with contextlib.suppress(ValueError):
        for line in child.stdout:
            lines.put(line)
    lines.put(None)


def stop(child: "subprocess.Popen[str]") -> None:
    """Kill the child's whole process group, if it still runs, and reap it."""
    if child.poll() is None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _explain(text: str, code: int) -> None:
    """Raise what SUMO's error output means."""
    if "No space left" in text:
        raise StorageError(
            "The disk is full: the simulation could not write its results.",
            "",
            "Free some space and simulate again.",
        )
    reason = first_error(text) if text.strip() else f"it ended with code {code}"
    raise SimulatorFailedError("The traffic simulator SUMO ended with an error.", reason)
