"""Measures a cluster with real jobs: what a job costs, how fast it reports, stops and recovers.

Times are wall clock on whatever machine this runs, with whatever else it does; medians are given
beside the worst, and every job's answer is checked on the way.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from engine.compute import proving
from engine.compute.jobs import Device, Job, JobState
from engine.compute.proving import ProvingRequest, ProvingResult
from engine.compute.service import ComputeService
from engine.compute.settings import ComputeSettings
from engine.errors import ComputeError, JobFailedError

ECHO = "engine.compute.drills.echo"
COUNT = "engine.compute.drills.count"
READY_TIMEOUT_S = 60.0
JOB_TIMEOUT_S = 120.0
MIB = 2**20


@dataclass(frozen=True)
class Spread:
    """Several measurements of one time, in seconds."""

    num: int
    median_s: float
    p95_s: float
    worst_s: float

    @classmethod
    def of(cls, times_s: list[float]) -> "Spread":
        """Summarise; at least one time."""
        ordered = sorted(times_s)
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        return cls(len(ordered), statistics.median(ordered), p95, ordered[-1])


@dataclass(frozen=True)
class Startup:
    """How long a cluster takes to be there, and what it holds.

    Args:
        first_answer_s: from nothing to the first job's result.
        all_workers_s: from nothing to every worker being up.
        client_bytes: what this process gained by it, resident.
        cluster_bytes: scheduler and workers with torch loaded, resident; 0 on another machine.
        num_workers: workers.
    """

    first_answer_s: float
    all_workers_s: float
    client_bytes: int
    cluster_bytes: int
    num_workers: int


def open_service(settings: ComputeSettings, num_workers: int | None = None) -> ComputeService:
    """A service of these settings, with a number of CPU workers where they are started here."""
    return ComputeService(replace(settings, num_workers=num_workers or settings.num_workers))


def measure_startup(service: ComputeService) -> Startup:
    """Start a fresh service and run its first job, on the CPU: no device driver is waited for."""
    import psutil

    me = psutil.Process()
    before_bytes = me.memory_info().rss
    begin_s = time.perf_counter()
    service.submit(Job(ECHO, session="bench")).result(JOB_TIMEOUT_S)
    first_s = time.perf_counter() - begin_s
    wait_ready(service)
    all_s = time.perf_counter() - begin_s
    # afterwards, with the sampler and with it torch in every worker
    num_workers = len(service.devices())
    jobs = [sampling_job(f"warm {n}", num_steps=50) for n in range(num_workers)]
    for handle in [service.submit(job) for job in jobs]:
        handle.result(JOB_TIMEOUT_S)
    pid = service.embedded_pid
    below = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)] if pid else []
    cluster_bytes = sum(process.memory_info().rss for process in below)
    client_bytes = me.memory_info().rss - before_bytes
    return Startup(first_s, all_s, client_bytes, cluster_bytes, num_workers)


def wait_ready(service: ComputeService) -> None:
    """Wait for every worker.

    Raises:
        ComputeError: they do not come.
    """
    if not service.wait_ready(READY_TIMEOUT_S):
        raise ComputeError("The workers did not get ready within a minute.")


def sampling_job(
    session: str, num_steps: int = 300, seed: int = 1, device: Device = Device.AUTO
) -> Job:
    """The proving job: a real diffusion sampler in torch."""
    request = ProvingRequest(num_steps=num_steps)
    return Job(proving.FUNCTION, request, session, seed, device, label="proving")


def measure_overhead(service: ComputeService, num_jobs: int) -> Spread:
    """What an empty job takes from ``submit`` to its result, one after the other."""

    def run(number: int) -> float:
        begin_s = time.perf_counter()
        answer = service.submit(Job(ECHO, number, "bench")).result(JOB_TIMEOUT_S)
        took_s = time.perf_counter() - begin_s
        if answer["request"] != number:
            raise JobFailedError("A job came back with another job's answer.")
        return took_s

    run(-1)  # the first imports the function
    return Spread.of([run(number) for number in range(num_jobs)])


def measure_progress(service: ComputeService, num_seconds: float = 1.0) -> Spread:
    """From a step in the worker until whoever watches it has it, clocks compared by an echo."""
    offset_s = _clock_offset(service)
    handle = service.submit(Job(COUNT, num_seconds, "bench"))
    delays_s = [
        time.time() - status.reported_s + offset_s
        for status in handle.watch(JOB_TIMEOUT_S)
        if status.reported_s is not None and status.state is JobState.RUNNING
    ]
    handle.result(JOB_TIMEOUT_S)
    return Spread.of([max(0.0, delay_s) for delay_s in delays_s])


def _clock_offset(service: ComputeService) -> float:
    """Seconds by which a worker's clock is ahead; 0 on this computer, where it is the same."""
    if service.embedded_pid:
        return 0.0
    begin_s = time.time()
    answer = service.submit(Job(ECHO, session="bench")).result(JOB_TIMEOUT_S)
    return float(answer["time_s"]) - (begin_s + time.time()) / 2


def measure_cancellation(
    service: ComputeService, num_tries: int, generator: np.random.Generator, longest_s: float = 1.0
) -> Iterator[float]:
    """Start a sampler, cancel it at a random moment, and time until its worker has let go of it."""
    for number in range(num_tries):
        handle = service.submit(sampling_job("bench", num_steps=100_000, seed=number))
        time.sleep(generator.uniform(0.0, longest_s))
        begin_s = time.perf_counter()
        handle.cancel()
        if not handle.wait(JOB_TIMEOUT_S) or handle.status.state is not JobState.CANCELLED:
            raise JobFailedError(f"A cancelled job ended as {handle.status.state}.")
        yield time.perf_counter() - begin_s


def measure_restart(service: ComputeService) -> float:
    """Kill a worker of this computer; seconds until it is up again.

    Raises:
        ComputeError: the workers are on another computer, or it does not come back.
    """
    import psutil

    victim = next((one for one in service.devices() if one.pid), None)
    if victim is None or not service.embedded_pid:
        raise ComputeError("Only workers of this computer can be killed to try it.")
    begin_s = time.perf_counter()
    psutil.Process(victim.pid).kill()
    while time.perf_counter() - begin_s < READY_TIMEOUT_S:
        again = next((one for one in service.devices() if one.name == victim.name), None)
        if again is not None and again.pid not in (0, victim.pid):
            return time.perf_counter() - begin_s
        time.sleep(0.01)
    raise ComputeError("A killed worker did not come back.", victim.name)


def measure_throughput(service: ComputeService, num_jobs: int, num_steps: int) -> float:
    """Samplers per second when the workers are kept busy by several sessions."""
    jobs = [
        sampling_job(f"bench {number}", num_steps, seed=number, device=Device.CPU)
        for number in range(num_jobs)
    ]
    begin_s = time.perf_counter()
    for handle in [service.submit(job) for job in jobs]:
        handle.result(JOB_TIMEOUT_S)
    return num_jobs / (time.perf_counter() - begin_s)


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    name: str
    passed: bool
    text: str


def check_cluster(service: ComputeService, report: Callable[[str], None]) -> Iterator[Finding]:
    """Whether a cluster does what the app needs of it, one finding after the other.

    Args:
        service: a service on it.
        report: told what is being tried.

    Raises:
        ComputeError: it cannot be reached at all.
    """
    report("Reaching the workers")
    wait_ready(service)
    workers = service.devices(measure=True)
    names = "; ".join(f"{one.name}: {one.device.value} ({one.device_name})" for one in workers)
    yield Finding("workers", bool(workers), names)
    report("Timing empty jobs")
    spread = measure_overhead(service, 20)
    yield Finding(
        "overhead", spread.median_s <= 0.5, f"{spread.median_s * 1000:.0f} ms a job (median of 20)"
    )
    report("Timing progress")
    spread = measure_progress(service)
    yield Finding(
        "progress", spread.median_s <= 0.25, f"seen after {spread.median_s * 1000:.0f} ms (median)"
    )
    report("Sampling twice from one seed")
    yield _check_sampling(service)
    report("Cancelling")
    worst_s = max(measure_cancellation(service, 5, np.random.default_rng(1)))
    yield Finding("cancelling", worst_s <= 2.0, f"{worst_s * 1000:.0f} ms at worst, of 5 tries")


def _check_sampling(service: ComputeService) -> Finding:
    handles = [service.submit(sampling_job(f"check {n}")) for n in range(2)]
    first, second = (handle.result(JOB_TIMEOUT_S) for handle in handles)
    assert isinstance(first, ProvingResult)
    spread = ProvingRequest().spread
    near = bool(np.all(np.abs(first.distances / spread - 1) < 0.25))
    same = bool(np.array_equal(first.maps, second.maps))
    took_s = handles[0].status.elapsed_s
    text = f"{handles[0].status.device}, {took_s:.1f} s, " + (
        "right and repeatable" if near and same else f"right: {near}, repeatable: {same}"
    )
    return Finding("sampling", near and same, text)
