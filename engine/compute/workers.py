"""The workers as the server sees them: which there are, what they compute on, what they do."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from engine.compute.embedded import PlannedWorker
from engine.compute.jobs import BEST_FIRST, Device

_FORGET_AFTER_S = 30.0


class WorkerState(StrEnum):
    """What a worker is doing."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    RESTARTING = "restarting"


@dataclass(frozen=True)
class WorkerStatus:
    """One worker process.

    Args:
        name: its name in the cluster.
        state: what it is doing.
        device: kind of device it computes on.
        device_name: the device's own name.
        memory_bytes: the device's memory; the worker's memory limit on a CPU.
        memory_used_bytes: what the worker process holds, as of its latest report.
        address: its address; empty while it has none.
        pid: its process id; 0 while it has none.
        job: label of the job that it runs for this server.
    """

    name: str
    state: WorkerState
    device: Device
    device_name: str = ""
    memory_bytes: int = 0
    memory_used_bytes: int = 0
    address: str = ""
    pid: int = 0
    job: str = ""


class WorkerRegistry:
    """Keeps the workers' states from their events; safe to use from any thread."""

    def __init__(self, planned: tuple[PlannedWorker, ...] = ()) -> None:
        self._lock = threading.Lock()
        self._planned = {
            plan.name: WorkerStatus(
                plan.name,
                WorkerState.STARTING,
                Device(plan.device),
                memory_bytes=plan.memory_bytes,
            )
            for plan in planned
        }
        self._known: dict[str, WorkerStatus] = {}
        self._lost_s: dict[str, float] = {}

    def greet(self, hello: Mapping[str, Any]) -> None:
        """A worker has started, or started again."""
        status = WorkerStatus(
            name=hello["name"],
            state=WorkerState.IDLE,
            device=Device(hello["device"]),
            device_name=hello["device_name"],
            memory_bytes=hello["device_memory_bytes"],
            address=hello["address"],
            pid=hello["pid"],
        )
        with self._lock:
            self._planned.pop(status.name, None)
            self._known[hello["home"]] = status
            self._lost_s.pop(hello["home"], None)

    def lose(self, address: str) -> None:
        """The worker at an address is gone; its nanny starts it again."""
        with self._lock:
            for home, status in self._known.items():
                if status.address == address:
                    self._known[home] = replace(
                        status, state=WorkerState.RESTARTING, address="", pid=0
                    )
                    self._lost_s[home] = time.monotonic()

    def list_all(self) -> list[WorkerStatus]:
        """Every worker, by name; one that has not come back in half a minute is left out."""
        deadline_s = time.monotonic() - _FORGET_AFTER_S
        with self._lock:
            for home in [home for home, lost_s in self._lost_s.items() if lost_s < deadline_s]:
                del self._lost_s[home], self._known[home]
            return sorted(
                (*self._planned.values(), *self._known.values()), key=lambda one: one.name
            )

    def find(self, address: str) -> WorkerStatus | None:
        """The worker at an address."""
        return next((one for one in self.list_all() if address and one.address == address), None)

    def list_ready(self, device: Device) -> list[str]:
        """Addresses of the workers of a kind that are up."""
        return [one.address for one in self.list_all() if one.device is device and one.address]

    def resolve(self, wanted: Device) -> Device | None:
        """The kind that a job runs on; None while there is no worker, or none of that kind."""
        kinds = {one.device for one in self.list_all()}
        if wanted is not Device.AUTO:
            return wanted if wanted in kinds else None
        return next((kind for kind in BEST_FIRST if kind in kinds), None)

    def is_missing(self, wanted: Device) -> bool:
        """Whether there are workers, but none of the wanted kind."""
        return bool(self.list_all()) and self.resolve(wanted) is None
