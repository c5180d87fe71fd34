"""The same code against a scheduler and two workers started from the shell, as the README says."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from engine.compute import ComputeService, ComputeSettings, Job, JobState, WorkerState
from engine.compute.measuring import sampling_job
from engine.errors import ComputeError, JobFailedError
from tests.engine.compute.drilling import WAIT_S, run, wait_running, wait_until

ROOT = Path(__file__).parents[3]


def _write_certificates(folder):
    from distributed import Security

    security = Security.temporary()
    texts = {
        "ca": security.tls_ca_file,
        "cert": security.tls_client_cert,
        "key": security.tls_client_key,
    }
    for name, text in texts.items():
        (folder / f"{name}.pem").write_text(text)
    return {name: str(folder / f"{name}.pem") for name in texts}


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ShellCluster:
    """Processes started as a person would, and ended."""

    def __init__(self, folder):
        self.files = _write_certificates(folder)
        self.address = f"tls://127.0.0.1:{_free_port()}"
        self.folder = folder
        self.processes = []

    def _start(self, *words, importable=True):
        environ = {**os.environ, "PYTHONPATH": str(ROOT) if importable else ""}
        tls = [
            f"--tls-{name}={path}"
            for name, path in zip(("ca-file", "cert", "key"), self.files.values(), strict=True)
        ]
        log = (self.folder / "log.txt").open("ab")
        command = [sys.executable, "-P", "-m", "dask", *words, *tls]
        process = subprocess.Popen(
            command, cwd=self.folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        self.processes.append(process)

    def start_scheduler(self):
        port = self.address.rpartition(":")[2]
        self._start(
            "scheduler", "--host=127.0.0.1", f"--port={port}", "--protocol=tls",
            "--no-dashboard", "--dashboard-address=127.0.0.1:0",
        )  # fmt: skip

    def start_workers(self, number, importable=True):
        self._start(
            "worker", self.address, "--host=127.0.0.1", "--protocol=tls", f"--nworkers={number}",
            "--nthreads=1", "--memory-limit=1GiB", "--no-dashboard",
            "--dashboard-address=127.0.0.1:0", importable=importable,
        )  # fmt: skip

    def settings(self, **options):
        environ = {"CITYBRUSH_SCHEDULER": self.address} | {
            f"CITYBRUSH_TLS_{name.upper()}": path for name, path in self.files.items()
        }
        return ComputeSettings.from_environment(environ | options)

    def close(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    cluster = ShellCluster(tmp_path_factory.mktemp("shell"))
    try:
        cluster.start_scheduler()
        cluster.start_workers(2)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def remote(shell):
    with ComputeService(shell.settings()) as service:
        _reach(service)
        yield service


def _reach(service):
    deadline_s = time.monotonic() + WAIT_S
    while len(service.devices()) < 2 or not all(one.address for one in service.devices()):
        assert time.monotonic() < deadline_s, "no two workers came"
        with contextlib.suppress(ComputeError):
            service.wait_ready(0.5)
        time.sleep(0.05)


@pytest.mark.thorough
def test_jobs_run_on_both_workers_with_the_answer_of_any_other_cluster(remote, service):
    here = service.submit(sampling_job("a", num_steps=60, seed=4)).result(WAIT_S)
    handles = [remote.submit(sampling_job(f"s{n}", num_steps=60, seed=4)) for n in range(4)]
    for handle in handles:
        assert np.array_equal(handle.result(WAIT_S).maps, here.maps)
    assert len({handle.status.worker for handle in handles}) == 2
    status = remote.status(measure=True)
    assert status.state == "ready"
    assert status.place.startswith("tls://127.0.0.1:")
    assert remote.embedded_pid == 0
    assert all(one.memory_used_bytes > 0 for one in status.workers)


@pytest.mark.thorough
def test_progress_and_cancellation_reach_over_there(remote):
    handle = remote.submit(sampling_job("a", num_steps=100_000))
    wait_until(lambda: handle.status.estimate is not None)
    handle.cancel()
    assert handle.wait(WAIT_S)
    assert handle.status.state is JobState.CANCELLED


@pytest.mark.slow
def test_errors_and_lost_workers_mean_the_same(remote, tmp_path):
    assert run(remote, "die", str(tmp_path / "died")).result(WAIT_S) == "alive"
    failing = run(remote, "die", "")
    with pytest.raises(JobFailedError, match="ended unexpectedly, twice"):
        failing.result(WAIT_S)
    _reach(remote)


@pytest.mark.slow
def test_a_job_that_hogs_is_stopped_with_its_worker(remote):
    handle = run(remote, "hog", 600.0)
    wait_until(lambda: handle.status.state is JobState.RUNNING)
    handle.cancel()
    assert handle.wait(WAIT_S)
    assert handle.status.state is JobState.CANCELLED
    _reach(remote)


@pytest.mark.slow
def test_a_server_that_leaves_stops_its_jobs(remote, shell):
    with ComputeService(shell.settings()) as other:
        _reach(other)
        handle = other.submit(Job("engine.compute.drills.count", 600.0))
        wait_running(handle)
        busy = handle.status.worker
    # its worker is free for the others: a job that needs both workers gets them
    handles = [run(remote, "echo", n, session=str(n)) for n in range(4)]
    assert all(handle.result(WAIT_S) for handle in handles)
    assert busy in {one.name for one in remote.devices()}
    assert all(one.state is WorkerState.IDLE for one in remote.devices())


@pytest.mark.thorough
@pytest.mark.usefixtures("remote")
def test_nothing_of_it_listens_beyond_loopback(shell):
    listening = {
        connection.laddr.ip
        for parent in shell.processes
        for process in (
            psutil.Process(parent.pid),
            *psutil.Process(parent.pid).children(recursive=True),
        )
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


@pytest.mark.slow
def test_workers_without_the_program_are_an_error_that_says_so(tmp_path):
    cluster = ShellCluster(tmp_path)
    try:
        cluster.start_scheduler()
        cluster.start_workers(1, importable=False)
        log = tmp_path / "log.txt"
        wait_until(lambda: "Registered to" in log.read_text())
        with ComputeService(cluster.settings()) as service:
            with pytest.raises(ComputeError, match="do not have this program") as caught:
                run(service, "echo").result(WAIT_S)
            assert "README" in caught.value.fix
    finally:
        cluster.close()
