"""What is asked of the workers, and what comes back while they work.

A job function lives in the engine and is a generator::

    def run(request: MyRequest, context: JobContext) -> Generator[Progress, None, MyResult]:
        for step in range(request.num_steps):
            ...
            yield Progress((step + 1) / request.num_steps, "Sampling", estimate)
        return result

Each ``yield`` is a step: progress goes out there, and a cancelled job ends there (its ``finally``
blocks run). Requests and results are plain: numbers, strings, NumPy arrays, dates, enumerations,
data classes, and lists, tuples, sets and dicts of them. Tensors never leave a worker.
"""

import re
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.errors import ComputeError, EngineError, InputError

if TYPE_CHECKING:
    import torch

Array = NDArray[np.generic]
Plain: TypeAlias = Any
"""Plain data, as the module's docstring says; its type is between a job and who asked for it."""

_FUNCTION = re.compile(r"engine(\.[a-z][a-z0-9_]*)+\.[a-z][a-z0-9_]*", re.ASCII)
MAX_SEED = 2**63 - 1


class Device(StrEnum):
    """Where a job may run. AUTO is the best that the cluster has."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


BEST_FIRST = (Device.CUDA, Device.MPS, Device.CPU)


class JobState(StrEnum):
    """The life of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True)
class Progress:
    """One step of a job.

    Args:
        fraction: share of the work done, clipped to 0..1.
        message: what is being done, a few words for the user.
        estimate: the answer as it stands, any shape, or None.
    """

    fraction: float
    message: str = ""
    estimate: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fraction", min(max(float(self.fraction), 0.0), 1.0))


@dataclass(frozen=True, eq=False)
class Job:
    """A request to the workers.

    Args:
        function: dotted path of a job function inside the engine.
        request: what the function is given, plain data (see the module's docstring).
        session: who asks; quotas and turns are counted per session.
        seed: of the job's own generators, 0 <= seed < 2**63.
        device: where it may run.
        label: what the user calls it.
        time_limit_s: after this long it is stopped and fails; None leaves it to the settings.

    Raises:
        ComputeError: the function does not lie inside the engine.
        InputError: the seed or the time limit is out of range.
    """

    function: str
    request: Plain = None
    session: str = "local"
    seed: int = 0
    device: Device = Device.AUTO
    label: str = ""
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        if not _FUNCTION.fullmatch(self.function):
            raise ComputeError(
                "Only functions of the engine itself can be run as jobs.", repr(self.function[:80])
            )
        if not 0 <= self.seed <= MAX_SEED:
            raise InputError("A seed is a whole number from 0 to 2**63 - 1.", str(self.seed))
        if self.time_limit_s is not None and not self.time_limit_s > 0:
            raise InputError("A job's time limit must be positive.", f"{self.time_limit_s} s")


@dataclass(frozen=True, eq=False)
class JobStatus:
    """A job as it stands: one consistent picture that later events do not change.

    Args:
        state: where in its life it is.
        place: place in line from 1, while queued and not yet handed to a worker; else 0.
        fraction: share done, 0..1.
        message: what is being done, a sentence or a few words.
        estimate: the latest intermediate answer, read-only, or None.
        cancelling: asked to stop, and not stopped yet.
        attempt: 1, or 2 after its worker was lost.
        worker: name of the worker it runs on.
        device: device it runs on, such as ``cpu`` or ``cuda:0``.
        submitted_s: clock time (``time.monotonic``) of submission.
        started_s: of its latest start, or None.
        ended_s: of its end, or None.
        reported_s: the worker's clock (``time.time``) at its latest report, or None.
        error: why it failed or was cancelled.
        version: grows with every change; a page redraws when it differs.
    """

    state: JobState = JobState.QUEUED
    place: int = 0
    fraction: float = 0.0
    message: str = ""
    estimate: Array | None = None
    cancelling: bool = False
    attempt: int = 0
    worker: str = ""
    device: str = ""
    submitted_s: float = field(default_factory=time.monotonic)
    started_s: float | None = None
    ended_s: float | None = None
    reported_s: float | None = None
    error: EngineError | None = None
    version: int = 0

    @property
    def elapsed_s(self) -> float:
        """Seconds since its latest start; 0 before."""
        if self.started_s is None:
            return 0.0
        return (self.ended_s or time.monotonic()) - self.started_s

    @property
    def eta_s(self) -> float | None:
        """Seconds that are left at the pace so far; None while there is no telling."""
        if self.state.is_final:
            return 0.0
        if self.state is not JobState.RUNNING or self.fraction < 0.02:
            return None
        return self.elapsed_s * (1.0 - self.fraction) / self.fraction


class JobContext(Protocol):
    """What a job function is given beside its request (see :mod:`engine.compute.context`)."""

    job_id: str
    seed: int
    device: str

    def cancelled(self) -> bool:
        """Whether the job should stop; for work between two yields."""

    def raise_if_cancelled(self) -> None:
        """Stop here if the job was cancelled."""

    def generator(self, device: str = "cpu", stream: str = "") -> "torch.Generator":
        """A new ``torch.Generator`` of this job's seed, the same on every call."""

    def numpy_generator(self, stream: str = "") -> np.random.Generator:
        """A new NumPy generator of this job's seed, the same on every call."""


JobSteps = Generator[Progress, None, Plain]
