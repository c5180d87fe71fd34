"""Runs one job in a worker: drives its generator, reports each step, stops when told to.

Everything that can happen to a job comes back as a plain outcome, so that dask's own error
handling is left with one case: the worker is gone.
"""

import importlib
import inspect
import logging
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from distributed import Worker, get_worker

from engine.compute.context import WorkerContext
from engine.compute.jobs import JobSteps, Plain, Progress
from engine.compute.payload import (
    MAX_RESULT_BYTES,
    encode_error,
    encode_estimate,
    measure_payload,
)
from engine.compute.worker_side import device_facts, stop_sign
from engine.errors import ComputeError, EngineError, JobCancelledError, JobFailedError

logger = logging.getLogger(__name__)

MIN_REPORT_INTERVAL_S = 0.04


@dataclass(frozen=True, eq=False)
class Call:
    """A job on its way to a worker.

    Args:
        key: the task's key in dask.
        job_id: the job's id.
        function: dotted path of the job function.
        request: what it is given.
        seed: of the job's generators.
        topic: where the server listens for events.
    """

    key: str
    job_id: str
    function: str
    request: Plain
    seed: int
    topic: str


class Reporter:
    """Sends a job's events to its server, not more often than a page can show them."""

    def __init__(self, worker: Worker, call: Call) -> None:
        self._worker = worker
        self._call = call
        self._last_s = float("-inf")

    def send(self, kind: str, **facts: object) -> None:
        """One event."""
        message = {"kind": kind, "job": self._call.job_id, "key": self._call.key, **facts}
        self._worker.log_event(self._call.topic, message | {"time_s": time.time()})

    def started(self) -> None:
        """The worker has the job."""
        self.send("started", worker=self._worker.address, device=device_facts().torch_name)

    def progress(self, step: Progress) -> None:
        """One step; steps in quick succession are left out."""
        now_s = time.monotonic()
        if now_s - self._last_s < MIN_REPORT_INTERVAL_S:
            return
        self._last_s = now_s
        self.send(
            "progress",
            fraction=step.fraction,
            message=step.message,
            estimate=encode_estimate(step.estimate),
        )


def run_job(call: Call) -> dict[str, Any]:
    """Run one job; this is the function that dask calls.

    Returns:
        ``{"kind": "done", "result": ...}``, ``{"kind": "cancelled"}`` or
        ``{"kind": "error", "error": ..., "detail": text for the log}``.
    """
    reporter = Reporter(get_worker(), call)
    stop = stop_sign(call.key)
    reporter.started()
    try:
        return _guard(call, stop, reporter)
    finally:
        # a cancelled task's result reaches nobody; this tells that its worker is free again
        reporter.send("ended")


def _guard(call: Call, stop: threading.Event, reporter: Reporter) -> dict[str, Any]:
    try:
        return {"kind": "done", "result": _drive(call, stop, reporter)}
    except JobCancelledError:
        return {"kind": "cancelled"}
    except EngineError as error:
        return {"kind": "error", "error": encode_error(error), "detail": ""}
    # a bug in a job, SystemExit included, must not end the worker or reach the user as such
    except BaseException as bug:  # noqa: BLE001
        return _report_bug(call, bug)


def _drive(call: Call, stop: threading.Event, reporter: Reporter) -> Plain:
    context = WorkerContext(call.job_id, call.seed, device_facts().torch_name, stop)
    context.raise_if_cancelled()
    steps = find_function(call.function)(call.request, context)
    try:
        while True:
            step = next(steps)
            context.raise_if_cancelled()
            reporter.progress(step)
    except StopIteration as end:
        context.raise_if_cancelled()
        return _checked_result(end.value)
    finally:
        steps.close()


def find_function(path: str) -> Callable[[Plain, WorkerContext], JobSteps]:
    """The job function of a dotted path.

    Raises:
        ComputeError: there is none; the worker's version may differ from the server's.
    """
    module_name, _, name = path.rpartition(".")
    try:
        function = getattr(importlib.import_module(module_name), name, None)
    except ModuleNotFoundError as missing:
        if not module_name.startswith(missing.name or "?"):
            raise
        function = None
    if not inspect.isgeneratorfunction(function) or not path.startswith("engine."):
        raise ComputeError(
            "The worker knows no such job.",
            path,
            "Make sure that the workers run the same version as the server.",
        )
    return cast(Callable[[Plain, WorkerContext], JobSteps], function)


def _checked_result(result: Plain) -> Plain:
    size_bytes = measure_payload(result, "result")
    if size_bytes > MAX_RESULT_BYTES:
        raise JobFailedError(
            f"The job's result is larger than {MAX_RESULT_BYTES // 2**20} MiB.",
            f"{size_bytes / 2**20:.0f} MiB",
            "Ask for fewer samples, fewer steps or a smaller area.",
        )
    return result


def _report_bug(call: Call, bug: BaseException) -> dict[str, Any]:
    error_id = uuid.uuid4().hex[:8]
    detail = "".join(traceback.format_exception(bug))
    logger.error("job %s (%s), error %s:\n%s", call.job_id, call.function, error_id, detail)
    if isinstance(bug, MemoryError) or type(bug).__name__ == "OutOfMemoryError":
        error = JobFailedError(
            "The device ran out of memory.",
            f"error {error_id}",
            "Ask for fewer samples at once or a smaller area.",
        )
    else:
        error = JobFailedError(
            "The job ended with an internal error.",
            f"error {error_id}",
            "The server's log says more under this number.",
        )
    return {"kind": "error", "error": encode_error(error), "detail": f"error {error_id}: {detail}"}
