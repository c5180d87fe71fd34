"""The cluster's own process: what it hands over, to whom it listens, and how it ends."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from engine.compute import Device
from engine.compute.hardware import list_cuda_ids
from engine.compute.serving import plan_workers
from engine.errors import DeviceError
from tests.engine.compute.drilling import WAIT_S, run

ROOT = Path(__file__).parents[3]
SERVE = [sys.executable, "-m", "engine", "compute", "serve", "--workers", "1", "--memory", "1GiB"]
SERVER = """
import sys, time
from engine.compute import ComputeService, ComputeSettings, Job
from engine.compute.jobs import JobState

if __name__ == "__main__":
    service = ComputeService(ComputeSettings(num_workers=2, worker_memory_bytes=2**30))
    handles = [
        service.submit(Job("engine.compute.drills." + name, 600.0)) for name in ("hog", "count")
    ]
    while any(handle.status.state is not JobState.RUNNING for handle in handles):
        time.sleep(0.02)
    print(service.embedded_pid, flush=True)
    time.sleep(600)
"""


def _family(pid):
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def test_everything_listens_on_loopback_alone(service):
    run(service, "echo").result(WAIT_S)
    listening = [
        connection.laddr.ip
        for process in _family(service.embedded_pid)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    # scheduler, two nannies and two workers at least
    assert len(listening) >= 5
    assert set(listening) == {"127.0.0.1"}


def test_the_key_is_in_no_command_line_or_environment(service):
    for process in _family(service.embedded_pid):
        assert "PRIVATE" not in " ".join(process.cmdline())
        assert "PRIVATE" not in str(process.environ())


def test_a_stranger_without_the_key_is_turned_away(service):
    from distributed import Client, Security

    address = service._dispatcher.cluster.address
    with pytest.raises(OSError, match=r"(?i)timed out|certificate|closed|ssl"):
        Client(address, security=Security.temporary(), timeout=2, set_as_default=False)
    with pytest.raises(OSError, match=r"(?i)timed out|closed"):
        Client(address.replace("tls:", "tcp:"), timeout=2, set_as_default=False)


def test_it_greets_once_and_ends_with_its_input():
    with subprocess.Popen(
        SERVE, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        greeting = json.loads(child.stdout.readline())
        assert greeting["address"].startswith("tls://127.0.0.1:")
        assert "PRIVATE KEY" in greeting["tls"]["key"]
        assert [plan["name"] for plan in greeting["workers"]] == ["cpu-0"]
        family = _family(child.pid)
        child.stdin.close()
        assert child.wait(WAIT_S) == 0
        assert child.stdout.read() == ""
    _, alive = psutil.wait_procs(family, timeout=WAIT_S)
    assert not alive


def test_it_shows_no_key_to_a_terminal():
    ours, theirs = pty.openpty()
    done = subprocess.run(
        SERVE, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE, text=True
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert "serves a program" in done.stderr


@pytest.mark.thorough
def test_kill_9_of_the_server_leaves_nothing():
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], env=environ, stdout=subprocess.PIPE, text=True
    ) as server:
        family = _family(int(server.stdout.readline()))
        assert len(family) >= 3  # the cluster and two workers
        os.kill(server.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=WAIT_S)
        assert not alive


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 0\necho 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("two_gpus")
def test_one_worker_per_device_and_one_for_the_cpu():
    plans = plan_workers(Device.AUTO, None, None)
    assert [(plan.name, plan.device) for plan in plans] == [
        ("cuda-0", Device.CUDA),
        ("cuda-1", Device.CUDA),
        ("cpu-0", Device.CPU),
    ]
    assert [plan.environment.get("CUDA_VISIBLE_DEVICES") for plan in plans] == ["0", "1", None]
    assert [plan.device for plan in plan_workers(Device.CPU, 3, None)] == [Device.CPU] * 3
    assert list_cuda_ids({"CUDA_VISIBLE_DEVICES": "1"}) == ["1"]
    assert list_cuda_ids({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    with pytest.raises(DeviceError, match="no mps device"):
        plan_workers(Device.MPS, None, None)


def test_workers_share_cores_and_memory():
    two = plan_workers(Device.CPU, 2, None)
    one = plan_workers(Device.CPU, 1, None)
    assert sum(plan.num_threads for plan in two) <= max(2, one[0].num_threads)
    assert sum(plan.memory_bytes for plan in two) <= psutil.virtual_memory().total
    assert plan_workers(Device.CPU, 1, 2**30)[0].memory_bytes == 2**30
