"""Jobs that misbehave on purpose: for the tests, the benchmark and ``compute check``.

They are the fire drills of the cluster: what a job can do to a worker, one function each.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

import engine.errors
from engine.compute.jobs import JobContext, JobSteps, Plain, Progress
from engine.compute.worker_cache import worker_cache
from engine.errors import EngineError

_MIB = 2**20


def echo(request: Plain, context: JobContext) -> JobSteps:
    """Return the request, and the worker's clock, process, priority and modules."""
    yield Progress(1.0)
    return {
        "request": request,
        "time_s": time.time(),
        "pid": os.getpid(),
        "nice": os.nice(0) if hasattr(os, "nice") else 0,  # of the thread that the job runs in
        "device": context.device,
        "modules": sorted({name.partition(".")[0] for name in sys.modules}),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }


def draw(request: int, context: JobContext) -> JobSteps:
    """``request`` random numbers of each kind of generator that a job has."""
    import torch

    yield Progress(0.5)
    return {
        "torch": torch.rand(request, generator=context.generator()).numpy(),
        "numpy": context.numpy_generator().random(request),
        "stream": context.numpy_generator("other").random(request),
    }


def count(request: float, _: JobContext) -> JobSteps:
    """Work for ``request`` seconds in steps of 10 ms, with an estimate at each."""
    num_steps = max(1, round(request * 100))
    for step in range(num_steps):
        time.sleep(0.01)
        yield Progress((step + 1) / num_steps, f"Step {step + 1}", np.full((32, 32), step, "f4"))
    return num_steps


def wander(request: int, context: JobContext) -> JobSteps:
    """A random walk of ``request`` steps of 10 ms each: slow, cheap, and the seed's alone."""
    generator, place = context.numpy_generator(), np.zeros(2)
    for step in range(request):
        time.sleep(0.01)
        place = place + generator.normal(size=2)
        yield Progress((step + 1) / request, "Wandering", place)
    return place


def hog(request: float, _: JobContext) -> JobSteps:
    """Compute in Python for ``request`` seconds without a single step."""
    yield Progress(0.0, "Hogging")
    end_s = time.monotonic() + request
    while time.monotonic() < end_s:
        sum(range(1000))
    return "done"


def allocate(request: int, _: JobContext) -> JobSteps:
    """Take ``request`` MiB of memory in pieces of 32, and give it back."""
    pieces = []
    for taken in range(0, request, 32):
        pieces.append(np.ones(32 * _MIB, np.uint8))
        time.sleep(0.01)
        yield Progress(taken / request, f"{taken} MiB")
    return len(pieces)


def die(request: str, _: JobContext) -> JobSteps:
    """End the worker's process: always, or only while the file ``request`` does not exist yet."""
    yield Progress(0.0)
    if not request or not Path(request).exists():
        if request:
            Path(request).touch()
        os.kill(os.getpid(), 9)
    return "alive"


def refuse(request: tuple[str, str, str, str], _: JobContext) -> JobSteps:
    """Raise the engine's error named first, with the three texts after it."""
    yield Progress(0.0)
    kind: type[EngineError] = getattr(engine.errors, request[0])
    raise kind(*request[1:])


def stumble(request: str, _: JobContext) -> JobSteps:
    """Raise what only a bug raises; or return what must not travel."""
    yield Progress(0.0)
    if request == "tensor":
        import torch

        return {"maps": [torch.zeros(2)]}
    if request == "exit":
        sys.exit(3)
    if request == "memory":
        raise MemoryError
    raise RuntimeError(request)


def swell(request: int, _: JobContext) -> JobSteps:
    """Return ``request`` MiB."""
    yield Progress(0.0)
    return np.zeros(request * _MIB, np.uint8)


def remember(request: str, _: JobContext) -> JobSteps:
    """Load something under the key ``request`` unless the worker has it; when it was loaded."""
    yield Progress(0.0)
    return {"pid": os.getpid(), "loaded_s": worker_cache.get(request, time.monotonic)}
