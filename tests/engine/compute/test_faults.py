"""Jobs and machines that fail: one worker with little memory, and clusters of the tests' own."""

import os
import signal
from dataclasses import replace

import numpy as np
import psutil
import pytest

from engine.compute import ComputeService, Job, JobState, WorkerState
from engine.errors import ComputeError, JobFailedError
from tests.engine.compute.drilling import (
    READY_S,
    SETTINGS,
    WAIT_S,
    run,
    wait_running,
    wait_until,
)

pytestmark = pytest.mark.thorough


def is_ready(service):
    return all(one.state is WorkerState.IDLE for one in service.devices())


def test_a_job_whose_worker_dies_once_runs_again(victim, tmp_path):
    handle = run(victim, "die", str(tmp_path / "died"))
    assert handle.result(WAIT_S) == "alive"
    assert handle.status.attempt == 2


def test_a_job_whose_worker_dies_twice_fails_and_the_next_one_runs(victim):
    handle = run(victim, "die", "")
    with pytest.raises(JobFailedError, match="ended unexpectedly, twice"):
        handle.result(WAIT_S)
    assert handle.status.state is JobState.FAILED
    assert run(victim, "echo", 5).result(WAIT_S)["request"] == 5


def test_a_worker_killed_from_outside_comes_back_and_the_answer_is_the_same(victim):
    handle = run(victim, "wander", 200, seed=9)
    wait_until(lambda: handle.status.fraction > 0)
    (worker,) = victim.devices()
    assert worker.state is WorkerState.BUSY
    psutil.Process(worker.pid).kill()
    wait_until(lambda: handle.status.state is JobState.QUEUED)
    assert victim.devices()[0].state is WorkerState.RESTARTING
    undisturbed = run(victim, "wander", 200, seed=9).result(WAIT_S)
    assert np.array_equal(handle.result(WAIT_S), undisturbed)
    assert handle.status.attempt == 2
    assert victim.devices()[0].pid != worker.pid


def test_a_job_that_takes_too_much_memory_fails_and_says_so(victim):
    handle = run(victim, "allocate", 4000)
    with pytest.raises(JobFailedError, match="more memory than a worker may use"):
        handle.result(WAIT_S)
    assert handle.status.attempt == 2
    assert run(victim, "allocate", 64).result(WAIT_S) == 2


def test_a_job_that_never_looks_up_is_stopped_with_its_worker(victim):
    wait_until(lambda: is_ready(victim))
    (before,) = victim.devices()
    handle = run(victim, "hog", 600.0)
    wait_until(lambda: handle.status.state is JobState.RUNNING)
    queued = run(victim, "echo", 1, session="other")
    handle.cancel()
    assert handle.status.cancelling
    assert handle.wait(WAIT_S)
    assert handle.status.state is JobState.CANCELLED
    assert queued.result(WAIT_S)["request"] == 1
    assert victim.devices()[0].pid != before.pid


def test_a_job_beyond_its_time_is_stopped(victim):
    job = Job("engine.compute.drills.count", 600.0, time_limit_s=0.3)
    with pytest.raises(JobFailedError, match="took longer than"):
        victim.submit(job).result(WAIT_S)


def test_a_cluster_that_dies_is_started_again_and_its_job_runs_again(victim):
    handle = run(victim, "count", 1.0)
    wait_running(handle)
    pid = victim.embedded_pid
    old = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    os.kill(pid, signal.SIGKILL)
    assert handle.result(WAIT_S) == 100
    assert handle.status.attempt == 2
    assert victim.embedded_pid not in (0, pid)
    _, alive = psutil.wait_procs(old, timeout=WAIT_S)
    assert not alive


def test_a_cluster_that_dies_again_and_again_is_given_up(tmp_path, monkeypatch):
    # a worker command that ends at once: no worker ever comes, and then the cluster is killed
    service = ComputeService(replace(SETTINGS, num_workers=1))
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__PRELOAD", str(tmp_path / "nowhere.py"))
    with service:
        handle, killed = run(service, "echo"), set()
        while not handle.is_done:
            pid = service.embedded_pid
            if pid and pid not in killed:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
            handle.wait(0.05)
        assert len(killed) == 3
        with pytest.raises(ComputeError, match="cannot be used"):
            handle.result()
        assert service.status().state == "unreachable"


def test_closing_cancels_what_runs_and_leaves_no_process():
    with ComputeService(replace(SETTINGS, num_workers=1)) as service:
        assert service.wait_ready(READY_S)
        running, waiting = run(service, "hog", 600.0), run(service, "echo")
        wait_running(running)
        pid = service.embedded_pid
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        assert len(family) >= 2
    assert running.status.state is JobState.CANCELLED
    assert waiting.status.state is JobState.CANCELLED
    _, alive = psutil.wait_procs(family, timeout=WAIT_S)
    assert not alive
