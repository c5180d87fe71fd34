"""SUMO as a child: cancelled, failing, missing, orphaned."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import psutil
import pytest

from engine.errors import (
    JobCancelledError,
    SimulatorFailedError,
    SimulatorMissingError,
    StorageError,
)
from engine.simulation import simulate_day, simulate_what_if
from engine.simulation.process import run_sumo

ROOT = Path(__file__).parents[3]
DAY, BUSY = date(2025, 5, 15), (7, 9)
POSIX = pytest.mark.skipif(os.name != "posix", reason="the fake simulator is a shell script")


def simulators(parent):
    """SUMO processes below a process."""
    return [p for p in psutil.Process(parent).children(recursive=True) if "sumo" in p.name()]


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail("it did not happen in time")


@pytest.fixture
def scratch(monkeypatch, tmp_path):
    """Temporary folders of simulations go here, so that leftovers are seen."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def fake_sumo(monkeypatch, tmp_path):
    """Replace SUMO by a shell script."""

    def make(script):
        path = tmp_path / "fake" / "bin" / "sumo"
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("SUMO_HOME", str(tmp_path / "fake"))

    return make


def test_cancelling_stops_sumo_and_leaves_nothing(model, scratch):
    seen = []

    def should_cancel():
        seen.extend(simulators(os.getpid()))
        return bool(seen)

    with pytest.raises(JobCancelledError):
        list(simulate_day(model, DAY, hours=BUSY, should_cancel=should_cancel))
    assert seen
    assert not [p for p in seen if p.is_running()]
    assert list(scratch.iterdir()) == []


def test_a_caller_who_stops_listening_stops_sumo(model, scratch):
    steps = simulate_day(model, DAY, hours=(2, 12))
    for step in steps:
        if step.message == "Simulating the traffic":
            break
    running = simulators(os.getpid())
    assert running
    steps.close()
    assert not [p for p in running if p.is_running()]
    assert list(scratch.iterdir()) == []


@pytest.mark.thorough
def test_cancelling_a_comparison_stops_both(model, scratch):
    asked = []

    def should_cancel():
        asked.append(len(simulators(os.getpid())))
        return asked[-1] == 2

    with pytest.raises(JobCancelledError):
        list(simulate_what_if(model, DAY, (), BUSY, should_cancel=should_cancel))
    assert max(asked) == 2
    assert simulators(os.getpid()) == []
    assert list(scratch.iterdir()) == []


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_sumo_dies_with_its_parent(built):
    code = (
        "import sys; from pathlib import Path; from datetime import date\n"
        "from engine.simulation import load_model, simulate_day\n"
        "model = load_model(Path(sys.argv[1]))\n"
        "for step in simulate_day(model, date(2025, 5, 15)): pass\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(built.net.parents[1])], cwd=ROOT)
    try:
        running = wait_for(lambda: simulators(parent.pid))
        parent.send_signal(signal.SIGKILL)
        parent.wait(timeout=60)
        wait_for(lambda: not any(p.is_running() and p.status() != "zombie" for p in running))
    finally:
        parent.kill()


@POSIX
def test_the_first_error_line_of_sumo_is_shown(model, fake_sumo):
    fake_sumo('echo "Warning: odd" >&2; echo "Error: no such lane" >&2; exit 1')
    with pytest.raises(SimulatorFailedError, match="no such lane"):
        list(simulate_day(model, DAY, hours=(10, 10.5)))


@POSIX
def test_a_simulator_that_crashes_is_reported_with_its_code(tmp_path, fake_sumo):
    fake_sumo("kill -SEGV $$")
    with pytest.raises(SimulatorFailedError, match="-11"):
        list(run_sumo(tmp_path, [], lambda: False))


@POSIX
def test_a_full_disk_is_named(model, fake_sumo):
    fake_sumo('echo "Error: Could not write: No space left on device" >&2; exit 1')
    with pytest.raises(StorageError, match="disk is full"):
        list(simulate_day(model, DAY, hours=(10, 10.5)))


def test_real_sumo_with_a_bad_option_fails_clearly(tmp_path):
    with pytest.raises(SimulatorFailedError, match="no-such-option"):
        list(run_sumo(tmp_path, ["--no-such-option"], lambda: False))


def test_a_scratch_folder_that_cannot_be_made_is_a_storage_error(model, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent-folder")
    with pytest.raises(StorageError):
        list(simulate_day(model, DAY, hours=(10, 10.5)))


def test_missing_sumo_is_said(model, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("SUMO_HOME", str(tmp_path))
    with pytest.raises(SimulatorMissingError):
        list(simulate_day(model, DAY, hours=(10, 10.5)))


@pytest.mark.thorough
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_line_ends_cleanly_on_a_signal(built, number, tmp_path):
    words = ["simulate", "day", "--city", str(built.net.parents[1]), "--hours", "0-24"]
    command = subprocess.Popen(
        [sys.executable, "-m", "engine", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        running = wait_for(lambda: simulators(command.pid))
        command.send_signal(number)
        _, errors = command.communicate(timeout=60)
    finally:
        command.kill()
    assert command.returncode == 130
    assert "Cancelled" in errors
    assert not [p for p in running if p.is_running() and p.status() != "zombie"]
    assert list(tmp_path.iterdir()) == []
