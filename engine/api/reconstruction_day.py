"""One whole day with the same sensors missing: series of every cell, with bands.

A day takes fewer samples a frame than a single answer does; best maps are the same.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.api.reconstruction import load_ours, one_thread, sample_ours
from engine.api.reconstruction_case import Case, Sampling, open_case
from engine.api.reconstruction_view import day_steps
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job, JobContext, Progress
from engine.compute.service import ComputeService
from engine.domain import Result, Scenario
from engine.models.similar_days import SimilarDay, similar_days

FUNCTION = "engine.api.reconstruction_day.run"
DAY_SAMPLING = Sampling(samples=8, steps=4)
BEST_SHARE = 0.2
MAX_SIMILAR = 3
Values = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class DaySeries:
    """One cell through one day.

    Args:
        times: T beginnings, local time.
        estimate: (T,) best estimate, counts per step.
        lower: (T,) lower end of the band.
        upper: (T,) upper end.
        truth: (T,) true counts; None where the city knows none.
    """

    times: tuple[datetime, ...]
    estimate: Values
    lower: Values
    upper: Values
    truth: Values | None


def day_scenario(scenario: Scenario) -> Scenario:
    """The same question for a whole local day; equal for all times of that day."""
    case = open_case(scenario)
    day = case.model.field.time_of(case.index).date()
    _, when = day_steps(case.model, day)[0]
    parameters = {
        **scenario.parameters,
        "time": when.astimezone(UTC).isoformat(),
        "samples": DAY_SAMPLING.samples,
        "steps": DAY_SAMPLING.steps,
    }
    return replace(scenario, parameters=parameters)


def ask_day(service: ComputeService, scenario: Scenario, session: str = "local") -> JobHandle:
    """Have a whole day filled in by a worker; returns at once.

    Args:
        service: takes the job.
        scenario: as :func:`day_scenario` makes it.
        session: who asks.
    """
    label = "a day with missing sensors"
    return service.submit(Job(FUNCTION, scenario.to_json(), session, scenario.seed, label=label))


def read_day(scenario: Scenario, answer: Mapping[str, Any]) -> Result:
    """The result of a day from what :func:`run` returned."""
    return Result(scenario, answer["arrays"], {}, answer["manifest"])


def run(request: dict[str, Any], context: JobContext) -> Generator[Progress, None, dict[str, Any]]:
    """The job: best maps of the day's steps first, then their bands.

    Args:
        request: a scenario of :func:`day_scenario` as JSON.
        context: of the job.

    Returns:
        ``arrays`` with ``estimate``, ``lower`` and ``upper``, (T, R, C), T steps of the day.
        Steps carry (3, T, R, C): the same, as far as it is known.
    """
    first = open_case(Scenario.from_json(request))
    cases = day_cases(first)
    system = load_ours(first.model.weights, context.device)
    seen = [case.observe(system.config.lags) for case in cases]
    best = []
    for number, frame in enumerate(seen):
        with one_thread():
            best.append(system.estimate(frame)[0])
        context.raise_if_cancelled()
        if number % 8 == 7:
            yield Progress(BEST_SHARE * number / len(seen), "Best estimates of the day")
    maps = np.stack([np.stack(best)] * 3)
    for number, frame in enumerate(seen):
        *_, last = sample_ours(system, frame, first.scenario, context.raise_if_cancelled)
        maps[1, number], maps[2, number] = last.lower, last.upper
        share = BEST_SHARE + (1 - BEST_SHARE) * (number + 1) / len(seen)
        yield Progress(share, f"Bands of the day, {number + 1} of {len(seen)}", maps)
    arrays = dict(zip(("estimate", "lower", "upper"), maps, strict=True))
    weights = first.model.weights
    manifest = {"version": __version__, "weights_sha256": weights.sha256, "device": context.device}
    return {"arrays": arrays, "manifest": manifest}


def day_cases(case: Case) -> list[Case]:
    """The same question at every step of its local day."""
    return [replace(case, index=index) for index, _ in _steps(case)]


def _steps(case: Case) -> tuple[tuple[int, datetime], ...]:
    return day_steps(case.model, case.model.field.time_of(case.index).date())


def day_series(case: Case, maps: Values, cell: int) -> DaySeries:
    """One cell of a day's maps.

    Args:
        case: of any time of the day.
        maps: (3, T, R, C): estimate, lower, upper.
        cell: number of the fine cell, row by row.
    """
    steps = _steps(case)
    rows = np.asarray(maps, dtype=np.float32).reshape(3, len(steps), -1)[:, :, cell]
    estimate, lower, upper = rows
    truth = None
    if case.model.has_truth:
        chosen = [index for index, _ in steps]
        values = np.asarray(case.model.field.values[chosen], dtype=np.float32)
        truth = values.reshape(len(steps), -1)[:, cell]
    return DaySeries(tuple(when for _, when in steps), estimate, lower, upper, truth)


def days_like(case: Case, cell: int) -> tuple[SimilarDay, ...]:
    """The other days on which the working sensors showed much the same at that hour.

    Args:
        case: the question.
        cell: number of the fine cell whose series is wanted, row by row.

    Returns:
        At most three, the most similar first; none where the city knows no fine maps.
    """
    if not case.model.has_truth:
        return ()
    field = case.model.field
    when = field.time_of(case.index)
    row, col = divmod(cell, field.grid.cols)
    return similar_days(
        case.flows(),
        field.start.date(),
        case.observe(()),
        (row, col),
        MAX_SIMILAR,
        except_for=when.date(),
    )
