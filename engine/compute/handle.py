"""What whoever submitted a job holds of it."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from engine.compute.jobs import Job, JobState, JobStatus, Plain
from engine.errors import ComputeError


class JobHandle:
    """A submitted job; safe to use from any thread, and for as long as one likes.

    Args:
        job_id: unique id.
        job: what was asked.
        place: finds its place in line.
        cancel: asks the service to stop it.
    """

    def __init__(
        self,
        job_id: str,
        job: Job,
        place: "Callable[[JobHandle], int]",
        cancel: "Callable[[JobHandle], None]",
    ) -> None:
        self.id = job_id
        self.job = job
        self._place = place
        self._cancel = cancel
        self._changed = threading.Condition()
        self._status = JobStatus(message="Waiting for its turn")
        self._result: Plain = None

    def __repr__(self) -> str:
        return f"JobHandle({self.id}, {self.job.function}, {self._status.state})"

    @property
    def status(self) -> JobStatus:
        """The job as it stands; never waits for a worker."""
        status = self._status
        if status.state is JobState.QUEUED:
            return replace(status, place=self._place(self))
        return status

    @property
    def is_done(self) -> bool:
        """Whether it has come to its end, in whatever way."""
        return self._status.state.is_final

    def cancel(self) -> None:
        """Ask it to stop; returns at once, and does nothing to a job that has ended."""
        self._cancel(self)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; whether it came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_done, timeout_s)

    def result(self, timeout_s: float | None = None) -> Plain:
        """Wait for the result.

        Raises:
            JobCancelledError: the job was cancelled.
            EngineError: what the job raised, with its class and texts.
            JobFailedError: it ended with a bug, or its worker was lost twice.
            ComputeError: it did not end in time; it goes on.
        """
        if not self.wait(timeout_s):
            raise ComputeError("The job has not ended yet.", self.job.label or self.id)
        if self._status.error is not None:
            raise self._status.error
        return self._result

    def watch(self, timeout_s: float | None = None) -> Iterator[JobStatus]:
        """Every change of the status from now on, the end last; for programs without a page.

        Args:
            timeout_s: give up after this long without an end.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        status = self.status
        yield status
        while not status.state.is_final:
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if not self._wait_news(status.version, left_s):
                return
            status = self.status
            yield status

    def _wait_news(self, version: int, timeout_s: float | None) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._status.version != version, timeout_s)

    def change(self, result: Plain = None, **fields: Plain) -> None:
        """Take in news; for the service alone. News after the end is ignored."""
        with self._changed:
            if self._status.state.is_final:
                return
            self._result = result
            self._status = replace(self._status, version=self._status.version + 1, **fields)
            self._changed.notify_all()
