"""Takes jobs and tells how they stand: the compute package's door.

One object per server, shared by its sessions and threads. Nothing is started before the first job
(or :meth:`ComputeService.start`); a cluster that died is started or reached again with the next.
No call waits for a worker, except those that say so.
"""

import atexit
import threading
import time
import uuid
import weakref
from dataclasses import dataclass, replace

from engine.compute.dispatcher import Dispatcher
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job
from engine.compute.payload import MAX_REQUEST_BYTES, measure_payload
from engine.compute.settings import ComputeSettings
from engine.compute.verdicts import cancelled, no_such_device
from engine.compute.workers import WorkerState, WorkerStatus
from engine.errors import ComputeError, EngineError, InputError

_CLOSE_TIMEOUT_S = 10.0
_POLL_S = 0.02


@dataclass(frozen=True)
class ServiceStatus:
    """The service at a glance.

    Args:
        state: ``stopped`` (nothing was asked yet), ``starting``, ``ready`` or ``unreachable``.
        place: where jobs run, for the user.
        num_queued: jobs in line.
        num_running: jobs with a worker.
        workers: every worker.
        error: why it is unreachable.
    """

    state: str
    place: str
    num_queued: int
    num_running: int
    workers: tuple[WorkerStatus, ...]
    error: EngineError | None = None


class ComputeService:
    """Jobs on the workers of this computer or of a cluster.

    Args:
        settings: where and how; None reads the environment.

    Raises:
        InputError: the environment's settings are wrong.
    """

    def __init__(self, settings: ComputeSettings | None = None) -> None:
        self.settings = settings or ComputeSettings.from_environment()
        self._lock = threading.RLock()
        self._dispatcher = Dispatcher(self.settings, self._lock)
        self._handles: weakref.WeakValueDictionary[str, JobHandle] = weakref.WeakValueDictionary()
        self._thread: threading.Thread | None = None
        self._closed = False

    def __enter__(self) -> "ComputeService":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def embedded_pid(self) -> int:
        """Process id of the cluster on this computer; 0 before it starts, and for another one."""
        with self._lock:
            cluster = self._dispatcher.cluster
            return cluster.embedded_pid if cluster is not None else 0

    def submit(self, job: Job) -> JobHandle:
        """Put a job in line; returns at once.

        Raises:
            QueueFullError: the line or the session's quota is full.
            DeviceError: the cluster runs and has no such device.
            InputError: the request is too large.
            ComputeError: the service was closed.
            TypeError: the request is not plain data.
        """
        if measure_payload(job.request, "request") > MAX_REQUEST_BYTES:
            raise InputError(f"A request may hold {MAX_REQUEST_BYTES // 2**20} MiB at most.")
        handle = JobHandle(uuid.uuid4().hex[:12], job, self._place, self._cancel)
        dispatcher = self._dispatcher
        with self._lock:
            if self._closed:
                raise ComputeError("The compute service was closed.")
            wanted = dispatcher.wanted(job)
            if dispatcher.cluster is not None and dispatcher.cluster.registry.is_missing(wanted):
                raise no_such_device(wanted)
            runs = dispatcher.runs.values()
            num_running = sum(1 for run in runs if run.handle.job.session == job.session)
            dispatcher.line.add(job.session, handle, num_running)
            self._handles[handle.id] = handle
        self.start()
        return handle

    def start(self) -> None:
        """Start or reach the cluster in the background, if that has not happened yet."""
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._dispatcher.work, name="compute", daemon=True
                )
                self._thread.start()
                atexit.register(self.close)
        self._dispatcher.inbox.put({"kind": "wake"})

    def wait_ready(self, timeout_s: float) -> bool:
        """Start, and wait until every worker that was planned is there.

        Raises:
            ComputeError: the cluster cannot be started or reached.
        """
        self._dispatcher.error = None
        self.start()
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if self._dispatcher.error is not None:
                raise self._dispatcher.error
            workers = self._list_workers()
            if workers and all(one.address for one in workers):
                return True
            time.sleep(_POLL_S)
        return False

    def find(self, job_id: str) -> JobHandle | None:
        """The handle of an id, while somebody holds it or its job has not ended."""
        return self._handles.get(job_id)

    def cancel_session(self, session: str) -> None:
        """Cancel every job of a session that has ended."""
        for handle in list(self._handles.values()):
            if handle.job.session == session:
                handle.cancel()

    def status(self, measure: bool = False) -> ServiceStatus:
        """The service at a glance; starts nothing.

        Args:
            measure: also ask how much memory the workers hold, which takes a round trip.
        """
        workers = self.devices(measure)
        dispatcher = self._dispatcher
        with self._lock:
            ready = any(one.address for one in workers)
            state = "stopped" if self._thread is None else "ready" if ready else "starting"
            if dispatcher.error is not None:
                state = "unreachable"
            place = self.settings.scheduler or "this computer"
            counts = (len(dispatcher.line), len(dispatcher.runs))
            return ServiceStatus(state, place, *counts, workers, dispatcher.error)

    def devices(self, measure: bool = False) -> tuple[WorkerStatus, ...]:
        """Every worker with its device and state; none while nothing was started."""
        with self._lock:
            cluster = self._dispatcher.cluster
            runs = self._dispatcher.runs.values()
            labels = {run.worker: run.handle.job.label for run in runs if run.worker}
        memory = cluster.measure_memory() if cluster is not None and measure else {}
        return tuple(
            replace(
                one,
                state=WorkerState.BUSY if one.address in labels else one.state,
                job=labels.get(one.address, ""),
                memory_used_bytes=memory.get(one.address, 0),
            )
            for one in self._list_workers()
        )

    def close(self) -> None:
        """Cancel what runs, end the workers on this computer, leave an existing cluster."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for handle in list(self._dispatcher.line):
                self._dispatcher.line.remove(handle)
                self._dispatcher.finish(handle, cancelled())
        atexit.unregister(self.close)
        self._dispatcher.inbox.put(None)
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _place(self, handle: JobHandle) -> int:
        with self._lock:
            return self._dispatcher.line.place(handle)

    def _list_workers(self) -> list[WorkerStatus]:
        with self._lock:
            cluster = self._dispatcher.cluster
            return cluster.registry.list_all() if cluster is not None else []

    def _cancel(self, handle: JobHandle) -> None:
        dispatcher = self._dispatcher
        with self._lock:
            if dispatcher.line.remove(handle):
                dispatcher.finish(handle, cancelled())
            else:
                handle.change(cancelling=True, message="Stopping")
                dispatcher.inbox.put({"kind": "cancel", "job": handle.id})
