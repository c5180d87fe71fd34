import threading
import time

import numpy as np
import pytest

from engine.compute import Job, JobState, JobStatus, Progress
from engine.compute.context import WorkerContext
from engine.compute.handle import JobHandle
from engine.compute.runner import find_function
from engine.compute.worker_cache import WorkerCache
from engine.errors import ComputeError, InputError, JobCancelledError


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "engine",
        "engine.run",
        "engine.compute.drills.__builtins__",
        "engine.compute..drills.echo",
        "engine.compute.drills.os.system\n",
        "xengine.compute.drills.echo",
        "engine.compute.drills.Echo",
        "",
    ],
)
def test_only_functions_of_the_engine_are_jobs(path):
    with pytest.raises(ComputeError, match="Only functions of the engine"):
        Job(path)


@pytest.mark.parametrize(
    "path",
    ["engine.compute.drills.nothing", "engine.nowhere.run", "engine.compute.line.threading"],
)
def test_a_function_that_is_not_there_is_an_error_for_the_user(path):
    with pytest.raises(ComputeError, match="knows no such job"):
        find_function(path)


def test_a_plain_function_of_the_engine_is_no_job():
    with pytest.raises(ComputeError, match="knows no such job"):
        find_function("engine.compute.settings.parse_memory")


@pytest.mark.parametrize("options", [{"seed": -1}, {"seed": 2**63}, {"time_limit_s": 0.0}])
def test_impossible_jobs_are_refused(options):
    with pytest.raises(InputError):
        Job("engine.compute.drills.echo", **options)


def test_progress_is_a_share():
    assert Progress(-0.5).fraction == 0.0
    assert Progress(7).fraction == 1.0


def test_eta_follows_the_pace():
    now = time.monotonic()
    running = JobStatus(JobState.RUNNING, fraction=0.25, started_s=now - 10)
    assert running.eta_s == pytest.approx(30, abs=0.5)
    assert JobStatus(JobState.RUNNING, fraction=0.0, started_s=now).eta_s is None
    assert JobStatus(JobState.QUEUED).eta_s is None
    assert JobStatus(JobState.DONE, fraction=1.0, started_s=now).eta_s == 0


def _context(seed, stop=None):
    return WorkerContext("id", seed, "cpu", stop or threading.Event())


def test_generators_are_the_jobs_own_and_repeat():
    first, again, other = _context(7), _context(7), _context(8)
    draws = [context.numpy_generator().random(4) for context in (first, again, other)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    assert not np.array_equal(draws[0], first.numpy_generator("a").random(4))
    assert first.generator().initial_seed() == 7
    assert first.generator(stream="a").initial_seed() == again.generator(stream="a").initial_seed()
    assert first.generator(stream="a").initial_seed() != first.generator(stream="b").initial_seed()


def test_a_set_stop_sign_raises():
    stop = threading.Event()
    context = _context(1, stop)
    context.raise_if_cancelled()
    stop.set()
    assert context.cancelled()
    with pytest.raises(JobCancelledError):
        context.raise_if_cancelled()


def test_the_cache_keeps_the_latest_and_loads_once():
    cache, loaded = WorkerCache(2), []

    def load(key):
        return cache.get(key, lambda: loaded.append(key) or key.upper())

    assert [load(key) for key in "abacab"] == list("ABACAB")
    assert loaded == ["a", "b", "c", "b"]
    assert len(cache) == 2
    with pytest.raises(ZeroDivisionError):
        cache.get("bad", lambda: 1 / 0)
    assert cache.get("bad", lambda: 5) == 5
    cache.clear()
    assert len(cache) == 0


def test_news_after_the_end_is_ignored():
    handle = JobHandle("id", Job("engine.compute.drills.echo"), lambda _: 3, lambda _: None)
    assert handle.status.place == 3
    handle.change(state=JobState.CANCELLED, error=JobCancelledError("Cancelled."))
    handle.change(5, state=JobState.DONE)
    assert handle.status.state is JobState.CANCELLED
    with pytest.raises(JobCancelledError):
        handle.result()
    assert [status.state for status in handle.watch()] == [JobState.CANCELLED]


def test_a_result_that_is_not_there_in_time_is_no_end():
    handle = JobHandle("id", Job("engine.compute.drills.echo"), lambda _: 0, lambda _: None)
    with pytest.raises(ComputeError, match="not ended yet"):
        handle.result(0.01)
    assert len(list(handle.watch(0.05))) == 1
