"""What lives in every worker process: which device it has, and which jobs must stop.

The server hands :class:`JobPlugin` to every worker that joins, on this computer or on a cluster.
dask tells the plugin of each task's state; a task that is released while it executes was
cancelled, or its server is gone, and the job's stop sign is set. Nothing is polled.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from typing import Any

from distributed import Worker, WorkerPlugin

from engine.compute.hardware import DeviceFacts, find_device
from engine.compute.jobs import Device

logger = logging.getLogger(__name__)

PLUGIN_NAME = "citybrush-jobs"
KEY_PREFIX = "citybrush-"
_WARM_UP_AFTER_S = 3.0
DEVICE_VARIABLE = "CITYBRUSH_WORKER_DEVICE"
NICE_VARIABLE = "CITYBRUSH_WORKER_NICE"
"""How much this worker stands back behind other programs, as in ``nice``."""

_stops: dict[str, threading.Event] = {}
_facts: DeviceFacts | None = None
_warming = threading.Lock()


def stop_sign(key: str) -> threading.Event:
    """The stop sign of the task that runs under ``key`` here."""
    return _stops.setdefault(key, threading.Event())


def device_facts() -> DeviceFacts:
    """This worker's device, found out once."""
    global _facts
    with _warming:
        if _facts is None:
            _facts = find_device(os.environ.get(DEVICE_VARIABLE, ""))
        return _facts


def _import_torch() -> None:
    # in advance, so that the first job does not wait for it, but after what else is starting now
    time.sleep(_WARM_UP_AFTER_S)
    with contextlib.suppress(ImportError):
        import torch

        threads = os.environ.get("OMP_NUM_THREADS", "")
        if threads.isdecimal():
            torch.set_num_threads(int(threads))


def _stand_back() -> None:
    """Let pages and the browser go first on this computer; threads of jobs begin from this one."""
    nice = os.environ.pop(NICE_VARIABLE, "")
    if nice.isdecimal() and hasattr(os, "nice"):
        os.nice(int(nice))


class JobPlugin(WorkerPlugin):
    """Announces the worker's device and passes cancellations on.

    Args:
        topic: where this server listens for events.
    """

    def __init__(self, topic: str) -> None:
        self.name = PLUGIN_NAME + topic
        self.topic = topic

    async def setup(self, worker: Worker) -> None:
        """Find the device and say hello."""
        _stand_back()
        facts = await asyncio.to_thread(device_facts)
        threading.Thread(target=_import_torch, name="citybrush-warm-up", daemon=True).start()
        worker.log_event(self.topic, describe_worker(worker, facts))

    def transition(self, key: object, start: str, finish: str, **_: object) -> None:
        """Set the stop sign of a task that is released while it executes; forget finished ones."""
        if not (isinstance(key, str) and key.startswith(KEY_PREFIX)):
            return
        if start in ("executing", "long-running") and finish == "released":
            stop_sign(key).set()
        elif finish in ("memory", "error", "forgotten") or start == "cancelled":
            _stops.pop(key, None)


def describe_worker(worker: Worker, facts: DeviceFacts) -> dict[str, Any]:
    """The hello of a worker, as a message."""
    limit = int(worker.memory_manager.memory_limit or 0)
    return {
        "kind": "worker",
        "address": worker.address,
        "home": worker.nanny or worker.address,
        "name": str(worker.name),
        "pid": os.getpid(),
        "device": Device(facts.kind).value,
        "device_name": facts.name,
        "torch_device": facts.torch_name,
        "memory_limit_bytes": limit,
        "device_memory_bytes": facts.memory_bytes or limit,
        "time_s": time.time(),
    }
