"""Moves jobs on: from the line to a worker, through what happens there, to their end.

One thread of its own does all of it, fed by an inbox of messages: wishes of callers and events of
the cluster. Its owner's lock guards what callers look at meanwhile.

A job whose worker is lost goes back to the head of the line once, and fails the second time. That
is decided here and not by dask, so that it is the same on every cluster, however it is set.
"""

import logging
import queue
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.compute.handle import JobHandle
from engine.compute.jobs import Device, Job, JobState, Plain
from engine.compute.line import Line
from engine.compute.payload import decode_error, decode_estimate
from engine.compute.settings import ComputeSettings
from engine.compute.verdicts import cancelled, lost_twice, no_such_device, too_long, unusable
from engine.errors import EngineError, JobCancelledError

if TYPE_CHECKING:
    from distributed import Future

    from engine.compute.cluster import Cluster

logger = logging.getLogger(__name__)

Message = dict[str, Any]
MAX_LOSSES = 2
MAX_DEATHS = 3
_TICK_S = 0.25


@dataclass(eq=False)
class Run:
    """A job that was handed to the cluster.

    Args:
        handle: the job.
        device: kind of device it was handed to.
        key: dask's key of this attempt.
        candidates: addresses of the workers that may take it.
        future: dask's future of this attempt.
        worker: address of the worker that executes it; empty before and after.
        started_s: clock time of its start.
        verdict: with which it ends, once it was told to stop.
        kill_at_s: clock time at which its worker is ended if it has not stopped.
        has_ended: its worker is free again; its outcome is on its way.
    """

    handle: JobHandle
    device: Device
    key: str
    candidates: tuple[str, ...]
    future: "Future[dict[str, Any]]"
    worker: str = ""
    started_s: float | None = None
    verdict: EngineError | None = None
    kill_at_s: float = float("inf")
    has_ended: bool = False


@dataclass(eq=False)
class Fate:
    """What has already happened to a job: how often its worker was lost, which last, and why."""

    num_losses: int = 0
    last_worker: str = ""
    out_of_memory: bool = False


class Dispatcher:
    """The working thread's state and steps.

    Args:
        settings: where and how jobs run.
        lock: of the owner, re-entrant; held while ``line``, ``runs`` or ``cluster`` change.
    """

    def __init__(self, settings: ComputeSettings, lock: threading.RLock) -> None:
        self.settings = settings
        self.lock = lock
        self.line: Line[JobHandle] = Line(settings.max_queued, settings.max_per_session)
        self.runs: dict[str, Run] = {}
        self.cluster: Cluster | None = None
        self.error: EngineError | None = None
        self._num_deaths = 0  # of clusters, since a job last started on one
        self.inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._fates: weakref.WeakKeyDictionary[JobHandle, Fate] = weakref.WeakKeyDictionary()

    def work(self) -> None:
        """Handle messages until None comes; then end every job and leave the cluster."""
        while True:
            try:
                message = self.inbox.get(timeout=_TICK_S if self.runs else None)
            except queue.Empty:
                message = {"kind": "tick"}
            if message is None:
                break
            try:
                self._step(message)
            except Exception:
                # one bad message must not stop every later job
                logger.exception("the compute service could not handle %s", message.get("kind"))
        self._leave()

    def wanted(self, job: Job) -> Device:
        """The device of a job's wish, or of the settings."""
        return job.device if job.device is not Device.AUTO else self.settings.device

    def finish(self, handle: JobHandle, error: EngineError | None, result: Plain = None) -> None:
        """Give a job its end."""
        state = JobState.DONE
        if error is not None:
            is_cancelled = isinstance(error, JobCancelledError)
            state = JobState.CANCELLED if is_cancelled else JobState.FAILED
        final = {"fraction": 1.0, "message": ""} if error is None else {"message": str(error)}
        handle.change(
            result, state=state, error=error, cancelling=False, ended_s=time.monotonic(), **final
        )

    def _step(self, message: Message) -> None:
        handlers = {
            "started": self._on_started,
            "progress": self._on_progress,
            "ended": self._on_ended,
            "outcome": self._on_outcome,
            "cancel": self._on_cancel,
        }
        kind = message["kind"]
        if kind in handlers:
            run = self.runs.get(message["job"])
            if run is not None and message.get("key", run.key) == run.key:
                handlers[kind](run, message)
        elif kind == "lost":
            self._on_lost(message)
        elif kind == "memory":
            self._on_memory(message["worker"])
        elif kind == "closed":
            self._on_closed(message["address"])
        self._check_clocks()
        self._dispatch(is_asked=kind == "wake")

    # ---- what happens to a job at its worker ----

    def _on_started(self, run: Run, message: Message) -> None:
        fate = self._fates[run.handle]
        with self.lock:
            run.worker, run.started_s = message["worker"], time.monotonic()
        fate.last_worker = run.worker
        self._num_deaths = 0
        if run.verdict is not None:
            return
        worker = self.cluster.registry.find(run.worker) if self.cluster is not None else None
        run.handle.change(
            state=JobState.RUNNING,
            attempt=fate.num_losses + 1,
            worker=worker.name if worker else run.worker,
            device=message["device"],
            started_s=run.started_s,
            fraction=0.0,
            message="Running once more: its worker had ended" if fate.num_losses else "",
        )

    def _on_progress(self, run: Run, message: Message) -> None:
        if run.verdict is not None:
            return
        news: dict[str, Any] = {
            "fraction": message["fraction"],
            "message": message["message"],
            "reported_s": message["time_s"],
        }
        if message["estimate"] is not None:
            news["estimate"] = decode_estimate(message["estimate"])
        run.handle.change(**news)

    def _on_ended(self, run: Run, _: Message) -> None:
        run.has_ended = True
        if run.verdict is not None:
            self._end(run, run.verdict)

    def _on_outcome(self, run: Run, message: Message) -> None:
        outcome = message["outcome"]
        if run.verdict is not None:
            # told to stop; without an outcome, its worker is still to say that it has
            if outcome["kind"] != "lost":
                self._end(run, run.verdict)
        elif outcome["kind"] == "done":
            self._end(run, None, outcome["result"])
        elif outcome["kind"] == "error":
            if outcome["detail"]:
                logger.error("job %s: %s", run.handle.id, outcome["detail"])
            self._end(run, decode_error(outcome["error"]))
        elif outcome["kind"] == "cancelled":
            self._end(run, cancelled())
        else:
            self._lose(run, is_blamed=True)

    def _on_cancel(self, run: Run, _: Message) -> None:
        if run.verdict is None:
            self._stop(run, cancelled())

    # ---- what happens to the cluster ----

    def _on_memory(self, worker: str) -> None:
        for fate in self._fates.values():
            if fate.last_worker == worker:
                fate.out_of_memory = True

    def _on_lost(self, message: Message) -> None:
        worker = message["worker"]
        for run in list(self.runs.values()):
            run.candidates = tuple(one for one in run.candidates if one != worker)
            is_blamed = run.worker == worker or run.key in message["keys"]
            if is_blamed or not (run.candidates or run.worker):
                self._lose(run, is_blamed)

    def _on_closed(self, address: str) -> None:
        with self.lock:
            cluster = self.cluster
            if cluster is None or address != cluster.address:
                return
            self.cluster = None
        logger.warning("the compute cluster at %s is gone", address)
        self._num_deaths += 1
        for run in list(self.runs.values()):
            self._lose(run, is_blamed=bool(run.worker))
        cluster.close()
        if self._num_deaths >= MAX_DEATHS:
            self._num_deaths = 0
            self._give_up(unusable(self.settings.scheduler))

    # ---- decisions ----

    def _lose(self, run: Run, is_blamed: bool) -> None:
        """The job's worker is gone without an answer: once more, or fail."""
        fate = self._fates[run.handle]
        fate.num_losses += is_blamed
        if run.verdict is not None:
            self._end(run, run.verdict)
        elif fate.num_losses >= MAX_LOSSES:
            self._end(run, lost_twice(fate.out_of_memory))
        else:
            run.future.cancel()
            run.handle.change(
                state=JobState.QUEUED,
                fraction=0.0,
                started_s=None,
                message="Its worker ended; the job runs once more",
            )
            with self.lock:
                del self.runs[run.handle.id]
                self.line.add_first(run.handle.job.session, run.handle)

    def _stop(self, run: Run, verdict: EngineError) -> None:
        run.verdict = verdict
        run.future.cancel()
        if run.worker and not run.has_ended:
            run.kill_at_s = time.monotonic() + self.settings.cancel_grace_s
        else:
            self._end(run, verdict)

    def _end(self, run: Run, error: EngineError | None, result: Plain = None) -> None:
        with self.lock:
            self.runs.pop(run.handle.id, None)
        self.finish(run.handle, error, result)

    def _check_clocks(self) -> None:
        now_s = time.monotonic()
        for run in list(self.runs.values()):
            limit_s = run.handle.job.time_limit_s or self.settings.time_limit_s
            if run.verdict is None and run.started_s and now_s - run.started_s > limit_s:
                self._stop(run, too_long(limit_s))
            elif run.verdict is not None and now_s > run.kill_at_s:
                run.kill_at_s = float("inf")
                logger.warning("job %s did not stop; its worker is restarted", run.handle.id)
                if self.cluster is None or not self.cluster.end_worker(run.worker):
                    self._end(run, run.verdict)

    # ---- from the line to a worker ----

    def _dispatch(self, is_asked: bool) -> None:
        if self.cluster is not None and not self.cluster.is_alive():
            self._on_closed(self.cluster.address)
        if self.cluster is None and not ((is_asked or len(self.line)) and self._open()):
            return
        assert self.cluster is not None
        while (handle := self._take()) is not None:
            wanted = self.wanted(handle.job)
            device = self.cluster.registry.resolve(wanted)
            if device is None:
                self.finish(handle, no_such_device(wanted))
            else:
                self._hand_over(self.cluster, handle, device)

    def _take(self) -> JobHandle | None:
        with self.lock:
            return self.line.take(self._can_go)

    def _can_go(self, handle: JobHandle) -> bool:
        assert self.cluster is not None
        registry = self.cluster.registry
        wanted = self.wanted(handle.job)
        device = registry.resolve(wanted)
        if device is None:
            return registry.is_missing(wanted)
        return len(registry.list_ready(device)) > self._count_runs(device)

    def _count_runs(self, device: Device) -> int:
        return sum(1 for run in self.runs.values() if run.device is device)

    def _hand_over(self, cluster: "Cluster", handle: JobHandle, device: Device) -> None:
        taken = {run.worker or run.candidates[0] for run in self.runs.values()}
        free = [one for one in cluster.registry.list_ready(device) if one not in taken]
        # a cluster that others use too knows best which of its workers is free
        candidates = tuple(free if cluster.is_shared else free[:1])
        job = handle.job
        call = cluster.make_call(handle.id, job.function, job.request, job.seed)
        self._fates.setdefault(handle, Fate())
        handle.change(message="Handed to a worker")
        with self.lock:
            future = cluster.submit(call, candidates)
            self.runs[handle.id] = Run(handle, device, call.key, candidates, future)

    def _open(self) -> bool:
        # imported here because it brings all of distributed along
        from engine.compute.cluster import Cluster

        try:
            cluster = Cluster(self.settings, self.inbox.put)
        except EngineError as error:
            self._give_up(error)
            return False
        except Exception:
            logger.exception("the compute cluster could not be set up")
            self._give_up(unusable(self.settings.scheduler))
            return False
        with self.lock:
            self.cluster, self.error = cluster, None
        return True

    def _give_up(self, error: EngineError) -> None:
        with self.lock:
            self.error = error
            for handle in list(self.line):
                self.line.remove(handle)
                self.finish(handle, error)

    def _leave(self) -> None:
        for run in list(self.runs.values()):
            run.future.cancel()
            self._end(run, cancelled())
        with self.lock:
            cluster, self.cluster = self.cluster, None
        if cluster is not None:
            cluster.close()
