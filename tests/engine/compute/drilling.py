"""How the tests of this folder ask for jobs and wait for things to come about."""

import time

from engine.compute import ComputeService, ComputeSettings, Job, JobHandle, JobState

SETTINGS = ComputeSettings(num_workers=2, worker_memory_bytes=2**30, cancel_grace_s=1.0)
READY_S = 120.0
WAIT_S = 120.0  # a bound on hanging, not a measurement


def run(service: ComputeService, name: str, request=None, **options) -> JobHandle:
    return service.submit(Job(f"engine.compute.drills.{name}", request, **options))


def wait_until(condition, timeout_s=WAIT_S) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come about"
        time.sleep(0.01)


def wait_running(handle: JobHandle) -> None:
    wait_until(lambda: handle.status.state is not JobState.QUEUED)
    assert handle.status.state is JobState.RUNNING, handle.status.message
