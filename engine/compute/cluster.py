"""A live connection to a cluster, embedded or existing: the same code from here on.

Holds ``distributed.Client`` inside: it is awaitable, which makes caches that hold it fail.
"""

import contextlib
import logging
import uuid
from collections.abc import Callable
from typing import Any

import distributed
from distributed import Client, Future, Security
from distributed.scheduler import KilledWorker

from engine.compute.embedded import EmbeddedCluster
from engine.compute.jobs import Plain
from engine.compute.runner import Call, run_job
from engine.compute.settings import ComputeSettings
from engine.compute.worker_side import (
    KEY_PREFIX,
    JobPlugin,
    describe_worker,
    device_facts,
)
from engine.compute.workers import WorkerRegistry
from engine.errors import ComputeError

logger = logging.getLogger(__name__)

Event = dict[str, Any]
_CLOSE_TIMEOUT_S = 2.0


class Cluster:
    """Scheduler, workers and the way to them.

    Args:
        settings: where it is, or how to start it.
        post: called with every event, from threads of the connection; must not block.

    Raises:
        ComputeError: it cannot be started or reached.
        DeviceError: the chosen device is not there.
    """

    def __init__(self, settings: ComputeSettings, post: Callable[[Event], None]) -> None:
        self._post = post
        self._topic = f"citybrush-{uuid.uuid4().hex}"
        self._embedded: EmbeddedCluster | None = None
        self._closed = False
        if not settings.scheduler:
            self._embedded = EmbeddedCluster(settings, self._lose)
        self.address = self._embedded.address if self._embedded else settings.scheduler
        self.registry = WorkerRegistry(self._embedded.planned if self._embedded else ())
        try:
            self._client = self._connect(settings)
            self._listen()
        except BaseException:
            self._end_embedded()
            raise

    @property
    def embedded_pid(self) -> int:
        """Process id of the cluster on this computer; 0 for an existing one."""
        return self._embedded.pid if self._embedded else 0

    def is_alive(self) -> bool:
        """Whether the scheduler still answers, as far as known."""
        return not self._closed and self._client.status == "running"

    @property
    def is_shared(self) -> bool:
        """Whether others may use it too: an existing cluster."""
        return self._embedded is None

    def submit(self, call: Call, candidates: tuple[str, ...]) -> "Future[Event]":
        """Hand a job to the scheduler; its end is posted as an ``outcome`` event.

        Args:
            call: the job.
            candidates: addresses of the workers that may take it.
        """
        workers = list(candidates)
        future = self._client.submit(run_job, call, key=call.key, workers=workers, pure=False)
        future.add_done_callback(lambda done: self._post(_read_outcome(call, done)))
        return future

    def make_call(self, job_id: str, function: str, request: Plain, seed: int) -> Call:
        """A call that reports to this connection, under a key that was never used before."""
        key = f"{KEY_PREFIX}{uuid.uuid4().hex}"
        return Call(key, job_id, function, request, seed, self._topic)

    def end_worker(self, address: str) -> bool:
        """Kill a worker's process through its nanny, which starts it again; False if it cannot."""
        try:
            return bool(self._client.run(end_process, workers=[address], nanny=True))
        except Exception as reason:  # noqa: BLE001  # whatever it is, the worker could not be ended
            logger.warning("worker %s could not be ended: %r", address, reason)
            return False

    def measure_memory(self) -> dict[str, int]:
        """Memory that each worker's process holds, in bytes, by address."""
        workers = self._client.scheduler_info(n_workers=-1).get("workers", {})
        return {
            address: int(facts.get("metrics", {}).get("memory", 0))
            for address, facts in workers.items()
        }

    def close(self) -> None:
        """Leave the cluster; one on this computer ends."""
        self._closed = True
        with contextlib.suppress(Exception):
            if self._client.status == "running":
                # else the scheduler would tell this client of its own departure, and fail to
                self._client.unsubscribe_topic("all")
                if self.is_shared:
                    self._client.unregister_worker_plugin(JobPlugin(self._topic).name)
        with contextlib.suppress(Exception):
            self._client.close(timeout=_CLOSE_TIMEOUT_S)
        self._end_embedded()

    def _connect(self, settings: ComputeSettings) -> Client:
        try:
            return Client(
                self.address,
                security=self._security(settings),
                set_as_default=False,
                # results come straight from a worker where it can surely be reached
                direct_to_workers=self._embedded is not None,
                timeout=settings.start_timeout_s if self._embedded else settings.connect_timeout_s,
            )
        except (OSError, TimeoutError, ValueError) as reason:
            logger.warning("no connection to %s: %r", self.address, reason)
            raise ComputeError(
                "The compute cluster cannot be reached.",
                self.address,
                "Check that its scheduler runs, the address and the certificates.",
            ) from reason

    def _security(self, settings: ComputeSettings) -> Security | None:
        if self._embedded:
            tls = self._embedded.tls
        elif settings.tls:
            tls = {name: str(getattr(settings.tls, name)) for name in ("ca", "cert", "key")}
        else:
            return None
        return Security(
            tls_ca_file=tls["ca"],
            tls_client_cert=tls["cert"],
            tls_client_key=tls["key"],
            require_encryption=True,
        )

    def _listen(self) -> None:
        self._client.subscribe_topic(self._topic, lambda event: self._hear(event[1]))
        self._client.subscribe_topic("all", lambda event: self._hear_scheduler(event[1]))
        self._client.subscribe_topic(
            "worker-restart-memory", lambda event: self._hear_memory(event[1])
        )
        try:
            self._client.register_plugin(JobPlugin(self._topic))
            for hello in self._client.run(introduce).values():
                self._hear(hello)
        # dask passes a worker's ImportError on as a bare Exception
        except Exception as reason:
            self._client.close(timeout=_CLOSE_TIMEOUT_S)
            logger.warning("the workers at %s refused: %r", self.address, reason)
            if "ModuleNotFoundError" not in repr(reason):
                raise
            raise ComputeError(
                "The workers of the compute cluster do not have this program.",
                self.address,
                "Start them where `import engine` works, as the README says.",
            ) from reason

    def _hear(self, message: Event) -> None:
        if message.get("kind") == "worker":
            self.registry.greet(message)
        self._post(message)

    def _hear_scheduler(self, message: object) -> None:
        if isinstance(message, dict) and message.get("action") == "remove-worker":
            self.registry.lose(message["worker"])
            keys = tuple(message.get("processing-tasks", ()))
            self._post({"kind": "lost", "worker": message["worker"], "keys": keys})

    def _hear_memory(self, message: Event) -> None:
        self._post({"kind": "memory", "worker": message["worker"]})

    def _lose(self) -> None:
        self._closed = True
        self._post({"kind": "closed", "address": self.address})

    def _end_embedded(self) -> None:
        if self._embedded:
            self._embedded.close()


def introduce(dask_worker: distributed.Worker) -> Event:
    """A worker's hello on request; runs there."""
    return describe_worker(dask_worker, device_facts())


def end_process(dask_worker: distributed.Nanny) -> bool:
    """Kill the process of a worker; runs in its nanny."""
    import psutil

    if dask_worker.process is None or not dask_worker.process.pid:
        return False
    psutil.Process(dask_worker.process.pid).kill()
    return True


def _read_outcome(call: Call, future: "Future[Event]") -> Event:
    event: Event = {"kind": "outcome", "job": call.job_id, "key": call.key}
    if future.cancelled():
        return event | {"outcome": {"kind": "lost"}}
    try:
        return event | {"outcome": future.result()}
    except KilledWorker:
        return event | {"outcome": {"kind": "lost"}}
    except BaseException as reason:  # noqa: BLE001  # a callback of dask has nowhere to raise to
        logger.warning("job %s did not come back: %r", call.job_id, reason)
        return event | {"outcome": {"kind": "lost"}}
