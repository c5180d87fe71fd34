"""The server never imports torch, and pages may start the cluster."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.engine.compute.drilling import WAIT_S

ROOT = Path(__file__).parents[3]
CLIENT = """
import sys
from engine.compute import ComputeService, ComputeSettings
from engine.compute.measuring import sampling_job

if __name__ == "__main__":
    with ComputeService(ComputeSettings(num_workers=1, worker_memory_bytes=2**30)) as service:
        handle = service.submit(sampling_job("a", num_steps=50))
        estimates = [status.estimate for status in handle.watch(60) if status.estimate is not None]
        assert estimates, "no estimate came"
        assert handle.result().maps.shape == (4, 32, 32)
        assert service.devices(measure=True)
    print("torch" in sys.modules)
"""
APP = """
import json, os, sys
from pathlib import Path
import streamlit as st
from engine.compute import ComputeService, ComputeSettings, Job

@st.cache_resource
def compute():
    return ComputeService(ComputeSettings(num_workers=1, worker_memory_bytes=2**30))

answer = compute().submit(Job("engine.compute.drills.echo", 7)).result(60)
st.write(answer["request"])
facts = {
    "request": answer["request"],
    "cluster": compute().embedded_pid,
    "torch": "torch" in sys.modules,
    "worker_has_streamlit": "streamlit" in answer["modules"],
}
target = Path(os.environ["ANSWER"])
target.with_suffix(".new").write_text(json.dumps(facts))
target.with_suffix(".new").rename(target)
"""


def _environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


@pytest.mark.thorough
def test_a_client_never_imports_torch():
    done = subprocess.run(
        [sys.executable, "-c", CLIENT], env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False"]


def test_importing_the_package_brings_neither_torch_nor_distributed():
    heavy = "{'torch', 'distributed', 'dask', 'streamlit', 'pandas'}"
    code = f"import sys, engine.compute; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def _visit(port):
    """Do what a browser does: connect, and ask for the page to be run."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from tornado.websocket import websocket_connect

    message = BackMsg()
    message.rerun_script.query_string = ""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            page = await websocket_connect(
                f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"]
            )
            break
        except OSError:
            assert time.monotonic() < deadline_s, "the server did not start"
            await asyncio.sleep(0.1)
    await page.write_message(message.SerializeToString(), binary=True)
    return page


@pytest.mark.thorough
def test_a_page_under_streamlit_run_starts_it_and_kill_9_ends_it(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    answer, port = tmp_path / "answer.json", _free_port()
    options = ["--server.headless=true", "--server.address=127.0.0.1", f"--server.port={port}"]
    options += ["--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", *options]
    with subprocess.Popen(
        command, cwd=tmp_path, env=_environment(ANSWER=str(answer)), stdout=subprocess.DEVNULL
    ) as server:
        try:
            # in a thread: a browser test in the same process keeps an event loop running here
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, _wait_for_page(port, answer)).result()
            facts = json.loads(answer.read_text())
            family = psutil.Process(facts["cluster"]).children(recursive=True)
        finally:
            server.kill()
    assert facts["request"] == 7
    assert not facts["torch"]
    assert not facts["worker_has_streamlit"]
    assert family
    _, alive = psutil.wait_procs(family, timeout=WAIT_S)
    assert not alive


async def _wait_for_page(port, answer):
    page = await _visit(port)
    deadline_s = time.monotonic() + WAIT_S
    while not answer.exists():
        assert time.monotonic() < deadline_s, "the page did not answer"
        await asyncio.sleep(0.05)
    page.close()
