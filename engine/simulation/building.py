"""Making the whole embedded city: all days and interventions, several at a time, resumable."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from engine.domain import Edit
from engine.errors import InputError, JobCancelledError
from engine.simulation import adlershof as place
from engine.simulation.assembly import WorkFolder, write_city
from engine.simulation.catalogue import INTERVENTIONS, Planned
from engine.simulation.construction import build_adlershof
from engine.simulation.day import Progress, never
from engine.simulation.model import MODEL_FILE, NET_FILE, TrafficModel
from engine.simulation.production import is_finished, produce_day

MOST_WEEKS = 52
POLL_S = 0.2


@dataclass(frozen=True)
class BuildOptions:
    """How to make the embedded city.

    Args:
        root: folder of cities; the city becomes ``root/adlershof``.
        work: scratch folder that keeps finished days between runs.
        weeks: number of weeks from the first day on.
        seed: of demand, weather and events.
        jobs: simulators at a time.
    """

    root: Path
    work: Path
    weeks: int = place.WEEKS
    seed: int = place.SEED
    jobs: int = 2


@dataclass(frozen=True)
class _Task:
    day: date
    edits: tuple[Edit, ...]
    target: Path


def build_city(
    options: BuildOptions, should_cancel: Callable[[], bool] = never
) -> Iterator[Progress | Path]:
    """Simulate what is not finished yet and write the city.

    Yields:
        Progress with an estimate of the time left, and last the city's folder.

    Raises:
        InputError: weeks or jobs are out of range.
        SimulationError: see :func:`engine.simulation.day.simulate_day`.
        StorageError: a full disk, missing rights.
        JobCancelledError: cancelled; finished days are kept.
    """
    if not 1 <= options.weeks <= MOST_WEEKS or not 1 <= options.jobs <= 64:
        raise InputError(
            "The city cannot be made so.",
            f"{options.weeks} weeks, {options.jobs} jobs",
            f"Give 1 to {MOST_WEEKS} weeks and 1 to 64 jobs.",
        )
    yield Progress(0.0, "Cleaning the street network")
    work, model = prepare(options)
    days = [place.FIRST_DAY + timedelta(days=i) for i in range(7 * options.weeks)]
    planned = [p for p in INTERVENTIONS if p.date in set(days)]
    tasks = [_Task(day, (), work.day(day)) for day in days]
    tasks += [_Task(p.date, p.edits, work.intervention(p)) for p in planned]
    yield from _run_tasks(model, tasks, options.jobs, should_cancel)
    yield Progress(0.98, "Writing the city")
    yield write_city(model, work, options.root, days, planned)


def prepare(options: BuildOptions) -> tuple[WorkFolder, TrafficModel]:
    """The work folder and the traffic model in it; days of another model are not reused."""
    work = WorkFolder(options.work)
    before = _fingerprint(work)
    model = build_adlershof(work.city, seed=options.seed)
    if before not in ("", _fingerprint(work)):
        raise InputError(
            "The work folder holds days of another version of the city.",
            str(options.work),
            "Name an empty folder with --work, or delete this one.",
        )
    return work, model


def _fingerprint(work: WorkFolder) -> str:
    paths = [work.city / MODEL_FILE, work.city / NET_FILE]
    if not all(path.exists() for path in paths):
        return ""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _run_tasks(
    model: TrafficModel, tasks: Sequence[_Task], jobs: int, should_cancel: Callable[[], bool]
) -> Iterator[Progress]:
    """Run the tasks in threads: the simulators are processes of their own."""
    left = [task for task in tasks if not is_finished(task.target)]
    finished, began = len(tasks) - len(left), time.monotonic()
    stop = threading.Event()
    yield _report(finished, len(tasks), 0, 0.0)
    with ThreadPoolExecutor(jobs) as pool:
        running: set[Future[None]] = {pool.submit(_produce, model, task, stop) for task in left}
        try:
            done_now = 0
            while running:
                done, running = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    done_now += 1
                if should_cancel():
                    raise JobCancelledError("Making the city was cancelled.")
                took_s = time.monotonic() - began
                yield _report(finished + done_now, len(tasks), done_now, took_s)
        finally:
            stop.set()
            for future in running:
                future.cancel()


def _produce(model: TrafficModel, task: _Task, stop: threading.Event) -> None:
    for _ in produce_day(model, task.day, task.edits, task.target, stop.is_set):
        pass


def _report(finished: int, total: int, done_now: int, took_s: float) -> Progress:
    text = f"Simulated {finished} of {total} days"
    if done_now:
        left_s = round(took_s / done_now * (total - finished))
        text += f", about {timedelta(seconds=left_s)} left"
    return Progress(0.01 + 0.96 * finished / max(total, 1), text)


def collected_summaries(
    work: WorkFolder, planned: Sequence[Planned]
) -> dict[str, dict[str, float]]:
    """The figures of all finished days and interventions, by date or id."""
    paths = sorted((work.path / "days").glob("*.json"))
    paths += [work.intervention(p).with_suffix(".json") for p in planned]
    found = {}
    for path in paths:
        if path.exists():
            found[path.stem] = json.loads(path.read_text("utf-8"))["summary"]
    return found
