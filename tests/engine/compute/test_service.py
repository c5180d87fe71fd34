"""Jobs that behave, on two real workers."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psutil
import pytest

from engine.compute import ComputeService, ComputeSettings, Device, JobState, WorkerState
from engine.compute.measuring import sampling_job
from engine.compute.payload import MAX_REQUEST_BYTES
from engine.compute.proving import ProvingResult
from engine.compute.serving import WORKER_NICE
from engine.errors import (
    ComputeError,
    DeviceError,
    InputError,
    JobCancelledError,
    JobFailedError,
    QueueFullError,
    UnknownStreetError,
)
from tests.engine.compute.drilling import WAIT_S, run, wait_running, wait_until


def is_free(service):
    status = service.status()
    return status.num_running == 0 and status.num_queued == 0


def test_a_request_comes_back_as_it_was(service):
    request = {"map": np.eye(3), "words": ("ä", None), "n": 5}
    answer = run(service, "echo", request).result(WAIT_S)
    assert answer["request"].keys() == request.keys()
    np.testing.assert_array_equal(answer["request"]["map"], np.eye(3))
    assert answer["device"] == "cpu"
    assert answer["pid"] in {one.pid for one in service.devices()}


def test_workers_have_no_streamlit_and_their_share_of_the_cores(service):
    answer = run(service, "echo").result(WAIT_S)
    assert "streamlit" not in answer["modules"]
    assert int(answer["threads"]) == max(1, (psutil.cpu_count() or 2) // 2)


def test_jobs_stand_back_behind_the_pages(service):
    here = psutil.Process().nice()
    assert run(service, "echo").result(WAIT_S)["nice"] == min(19, here + WORKER_NICE)


def test_the_sampler_reports_estimates_on_the_way(service):
    handle = service.submit(sampling_job("a", num_steps=2_000, seed=5))
    seen = list(handle.watch(WAIT_S))
    result = handle.result()
    assert isinstance(result, ProvingResult)
    assert result.maps.shape == (4, 32, 32)
    running = [status for status in seen if status.state is JobState.RUNNING]
    fractions = [status.fraction for status in running]
    assert fractions == sorted(fractions)
    estimates = [status.estimate for status in running if status.estimate is not None]
    assert len(estimates) >= 2
    assert estimates[0].shape == (32, 32)
    assert not np.array_equal(estimates[0], estimates[-1])
    assert running[-1].eta_s is not None
    assert [status.version for status in seen] == sorted({status.version for status in seen})
    assert seen[-1].state is JobState.DONE
    assert seen[-1].fraction == 1.0


def test_one_seed_one_result_wherever_and_beside_whatever_it_runs(service):
    alone = service.submit(sampling_job("a", num_steps=60, seed=11)).result(WAIT_S)
    crowd = [service.submit(sampling_job(f"s{n}", num_steps=60, seed=11 + n % 2)) for n in range(6)]
    results = [handle.result(WAIT_S) for handle in crowd]
    assert {handle.status.worker for handle in crowd} == {"cpu-0", "cpu-1"}
    for number, result in enumerate(results):
        assert np.array_equal(result.maps, alone.maps) == (number % 2 == 0)


def test_draws_repeat_and_streams_differ(service):
    first, again, other = (
        run(service, "draw", 8, seed=seed, session=str(n)).result(WAIT_S)
        for n, seed in enumerate((3, 3, 4))
    )
    for kind in ("torch", "numpy", "stream"):
        np.testing.assert_array_equal(first[kind], again[kind])
        assert not np.array_equal(first[kind], other[kind])
    assert not np.array_equal(first["numpy"], first["stream"])


def test_a_worker_remembers_what_it_loaded(service):
    answers = [run(service, "remember", "sha256:abc").result(WAIT_S) for _ in range(4)]
    assert len({(answer["pid"], answer["loaded_s"]) for answer in answers}) == len(
        {answer["pid"] for answer in answers}
    )


def test_an_error_of_the_engine_arrives_as_itself(service):
    handle = run(service, "refuse", ("UnknownStreetError", "No such street.", "e7", "Look."))
    with pytest.raises(UnknownStreetError) as caught:
        handle.result(WAIT_S)
    assert (caught.value.what, caught.value.where, caught.value.fix) == (
        "No such street.",
        "e7",
        "Look.",
    )
    assert handle.status.state is JobState.FAILED
    assert "No such street" in handle.status.message


@pytest.mark.parametrize("bug", ["secret detail", "exit", "tensor"])
def test_a_bug_arrives_as_a_number_and_is_in_the_log(service, caplog, bug):
    handle = run(service, "stumble", bug)
    with pytest.raises(JobFailedError) as caught:
        handle.result(WAIT_S)
    error = caught.value
    assert "internal error" in error.what
    assert "secret" not in str(error)
    assert "Traceback" not in str(error)
    number = error.where.removeprefix("error ")
    assert len(number) == 8
    assert number in caplog.text
    assert "Traceback" in caplog.text


def test_memory_errors_say_so(service):
    with pytest.raises(JobFailedError, match="ran out of memory"):
        run(service, "stumble", "memory").result(WAIT_S)


def test_a_result_beyond_the_limit_is_refused(service):
    with pytest.raises(JobFailedError, match="larger than 256 MiB"):
        run(service, "swell", 257).result(WAIT_S)


def test_an_unknown_function_is_an_error(service):
    with pytest.raises(ComputeError, match="knows no such job"):
        run(service, "nothing").result(WAIT_S)


def test_a_request_that_cannot_travel_is_refused_at_once(service):
    with pytest.raises(TypeError, match="cannot travel"):
        run(service, "echo", object())
    with pytest.raises(InputError, match="at most"):
        run(service, "echo", np.zeros(MAX_REQUEST_BYTES, np.uint8))


def test_a_device_that_is_not_there_is_an_error(service):
    with pytest.raises(DeviceError, match="mps"):
        run(service, "echo", device=Device.MPS)
    assert run(service, "echo", device=Device.CPU).result(WAIT_S)["device"] == "cpu"


def test_cancelling_at_random_moments_frees_the_worker(service):
    generator = np.random.default_rng(1)
    for number in range(20):
        handle = service.submit(sampling_job("a", num_steps=100_000, seed=number))
        time.sleep(generator.uniform(0, 0.15))
        handle.cancel()
        assert handle.wait(WAIT_S)
        assert handle.status.state is JobState.CANCELLED
        with pytest.raises(JobCancelledError):
            handle.result()
    assert is_free(service)
    # no worker had to be ended for it
    pids = {one.pid for one in service.devices()}
    assert run(service, "echo").result(WAIT_S)["pid"] in pids
    assert all(one.state is WorkerState.IDLE for one in service.devices())


def test_cancelling_around_the_end_never_hangs_or_harms(service):
    before = {one.pid for one in service.devices()}
    generator = np.random.default_rng(2)
    ends = set()
    for _ in range(40):
        handle = run(service, "echo")
        time.sleep(generator.uniform(0, 0.06))
        handle.cancel()
        assert handle.wait(WAIT_S)
        ends.add(handle.status.state)
    assert ends <= {JobState.CANCELLED, JobState.DONE}
    assert {one.pid for one in service.devices()} == before


def test_a_cancelled_job_is_cancelled_once_and_an_ended_one_not_at_all(service):
    handle = run(service, "count", 5.0)
    for _ in range(3):
        handle.cancel()
    assert handle.wait(WAIT_S)
    done = run(service, "echo", 1)
    done.result(WAIT_S)
    done.cancel()
    assert done.status.state is JobState.DONE


def test_a_flood_meets_the_quota_and_the_line_moves_on(service):
    flood = []
    with pytest.raises(QueueFullError, match="already have 4 jobs"):
        for _ in range(50):
            flood.append(run(service, "count", 30.0, session="flood", label="flooding"))
    assert len(flood) == 4
    wait_until(lambda: service.status().num_running == 2)
    # handles and workers hear of it a moment later
    wait_until(lambda: [handle.status.place for handle in flood] == [0, 0, 1, 2])
    wait_until(lambda: all(one.state is WorkerState.BUSY for one in service.devices()))
    wait_until(lambda: {one.job for one in service.devices()} == {"flooding"})
    polite = run(service, "echo", session="polite")
    # turns: the session that came first has been served more than the new one
    wait_until(lambda: polite.status.place <= 2)
    assert polite.status.state is JobState.QUEUED
    flood[0].cancel()
    flood[1].cancel()
    polite.result(WAIT_S)
    service.cancel_session("flood")
    assert all(handle.wait(WAIT_S) for handle in flood)
    assert {handle.status.state for handle in flood} == {JobState.CANCELLED}
    wait_until(lambda: is_free(service))


def test_the_line_is_bounded_over_all_sessions(service):
    crowd = []
    with pytest.raises(QueueFullError, match="All 32 places"):
        for number in range(100):
            crowd.append(run(service, "count", 30.0, session=f"crowd {number}"))
    assert 32 <= len(crowd) <= 34
    for handle in crowd:
        handle.cancel()
    assert all(handle.wait(WAIT_S) for handle in crowd)


def test_a_hogging_session_leaves_the_other_worker_to_the_others(service):
    hog = run(service, "count", 30.0, session="hog")
    wait_running(hog)
    answers = [run(service, "echo", n, session="other").result(WAIT_S) for n in range(3)]
    assert [answer["request"] for answer in answers] == [0, 1, 2]
    assert hog.status.state is JobState.RUNNING
    hog.cancel()
    assert hog.wait(WAIT_S)


def test_many_threads_share_one_service(service):
    def ask(number):
        handle = run(service, "echo", number, session=f"thread {number % 8}")
        return handle.result(WAIT_S)["request"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(24))) == list(range(24))


def test_a_handle_is_found_by_its_id(service):
    handle = run(service, "echo")
    assert service.find(handle.id) is handle
    handle.result(WAIT_S)
    assert service.find("nobody") is None


def test_memory_is_measured(service):
    assert all(one.memory_used_bytes > 10 * 2**20 for one in service.devices(measure=True))
    assert all(one.memory_bytes == 2**30 for one in service.devices())


def test_nothing_starts_before_the_first_job():
    before = threading.active_count()
    with ComputeService(ComputeSettings()) as idle:
        status = idle.status()
        assert (status.state, status.workers, status.place) == ("stopped", (), "this computer")
        assert threading.active_count() == before
    with pytest.raises(ComputeError, match="closed"):
        run(idle, "echo")


def test_a_scheduler_that_is_not_there_is_an_error_each_time():
    settings = ComputeSettings(scheduler="tcp://127.0.0.1:9", connect_timeout_s=0.3)
    with ComputeService(settings) as service:
        for _ in range(2):
            with pytest.raises(ComputeError, match="cannot be reached") as caught:
                run(service, "echo").result(WAIT_S)
            assert caught.value.where == "tcp://127.0.0.1:9"
        status = service.status()
        assert status.state == "unreachable"
        assert status.error is not None
        with pytest.raises(ComputeError, match="cannot be reached"):
            service.wait_ready(5)


def test_a_device_that_this_computer_lacks_is_an_error(monkeypatch):
    monkeypatch.setenv("PATH", "")
    settings = replace(ComputeSettings(), device=Device.CUDA)
    with ComputeService(settings) as service, pytest.raises(DeviceError, match="no cuda device"):
        run(service, "echo").result(WAIT_S)
