"""Where the next sensor helps most, and which of those there are would be missed most."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.api.reconstruction import load_ours, one_thread, sample_ours
from engine.api.reconstruction_case import Case, open_case
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job, JobContext, Progress
from engine.compute.service import ComputeService
from engine.domain import Result, Scenario
from engine.errors import ScenarioError

if TYPE_CHECKING:
    from engine.models.diffrecon.ours.system import Reconstruction, Reconstructor
    from engine.models.observations import Observations

PLACE = "engine.api.reconstruction_sensors.run_place"
RANK = "engine.api.reconstruction_sensors.run_rank"
SAMPLES_SHARE = 0.2
Steps = Generator[Progress, None, dict[str, Any]]
Cell = tuple[int, int]


@dataclass(frozen=True, eq=False)
class NextSensors:
    """Where sensors would narrow the bands most, one after the other.

    Args:
        cells: row and column of each coarse cell, the best one first.
        widths: expected sum of all 90 % bands: before, and after each choice.
        gains: (I, J) gain of each further cell after the last choice; NaN where there is a sensor.
    """

    cells: tuple[Cell, ...]
    widths: tuple[float, ...]
    gains: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class SensorRanking:
    """What would be lost with each sensor.

    Args:
        cells: row and column of each coarse cell, the one that would be missed most first.
        widening: by how much the sum of all 90 % bands would grow without it.
        change: by how much the map would change without it, summed over its cells.
        width: the sum of all bands with all sensors.
    """

    cells: tuple[Cell, ...]
    widening: tuple[float, ...]
    change: tuple[float, ...]
    width: float


def place_scenario(scenario: Scenario, count: int) -> Scenario:
    """The question where ``count`` more sensors would help most.

    Raises:
        ScenarioError: the count is out of range.
    """
    if not 1 <= count <= 32:
        raise ScenarioError("Ask for 1 to 32 sensors.", str(count))
    return replace(scenario, parameters={**scenario.parameters, "place": count})


def ask_place(service: ComputeService, scenario: Scenario, session: str = "local") -> JobHandle:
    """Have places for new sensors chosen by a worker; returns at once."""
    label = "the next sensors"
    return service.submit(Job(PLACE, scenario.to_json(), session, scenario.seed, label=label))


def ask_rank(service: ComputeService, scenario: Scenario, session: str = "local") -> JobHandle:
    """Have every sensor left out once by a worker; returns at once."""
    label = "which sensor matters"
    return service.submit(Job(RANK, scenario.to_json(), session, scenario.seed, label=label))


def read_sensors(scenario: Scenario, answer: Mapping[str, Any]) -> Result:
    """The result of either job."""
    return Result(scenario, answer["arrays"], answer["metrics"], answer["manifest"])


def run_place(request: dict[str, Any], context: JobContext) -> Steps:
    """The job of :func:`ask_place`: ``cells`` (K, 2), ``widths`` (K + 1,), ``gains`` (I, J)."""
    from engine.models.diffrecon.ours.sensors import place_sensors

    case = open_case(Scenario.from_json(request))
    count = case.scenario.parameters.get("place")
    if not isinstance(count, int):
        raise ScenarioError("The scenario does not say how many sensors.", "place")
    system, seen, answer = yield from _answer(case, context)
    steps = place_sensors(system, seen, answer, count)
    last = None
    while True:
        with one_thread():
            step = next(steps, None)
        if step is None:
            break
        last = step
        context.raise_if_cancelled()
        share = SAMPLES_SHARE + (1 - SAMPLES_SHARE) * step.share
        yield Progress(share, f"Trying cells for sensor {len(step.cells) + 1}")
    assert last is not None
    cells = np.array(last.cells, dtype=np.int64).reshape(-1, 2)
    arrays = {"cells": cells, "widths": np.array(last.widths), "gains": last.gains}
    return {"arrays": arrays, "metrics": {}, "manifest": _manifest(case, context)}


def run_rank(request: dict[str, Any], context: JobContext) -> Steps:
    """The job of :func:`ask_rank`: ``cells`` (K, 2), ``widening`` and ``change`` (K,)."""
    from engine.models.diffrecon.ours.sensors import rank_sensors

    case = open_case(Scenario.from_json(request))
    system, seen, answer = yield from _answer(case, context)
    steps = rank_sensors(system, seen, answer)
    last = None
    while True:
        with one_thread():
            step = next(steps, None)
        if step is None:
            break
        last = step
        context.raise_if_cancelled()
        share = SAMPLES_SHARE + (1 - SAMPLES_SHARE) * step.share
        yield Progress(share, "Leaving out each sensor once")
    assert last is not None
    cells = np.array(last.ranking(), dtype=np.int64).reshape(-1, 2)
    rows, cols = cells.T
    arrays = {
        "cells": cells,
        "widening": last.widening[rows, cols],
        "change": last.change[rows, cols],
    }
    metrics = {"width": last.width}
    return {"arrays": arrays, "metrics": metrics, "manifest": _manifest(case, context)}


def _answer(
    case: Case, context: JobContext
) -> "Generator[Progress, None, tuple[Reconstructor, Observations, Reconstruction]]":
    system = load_ours(case.model.weights, context.device)
    seen = case.observe(system.config.lags)
    *_, answer = sample_ours(system, seen, case.scenario, context.raise_if_cancelled)
    yield Progress(SAMPLES_SHARE, "What is open now")
    return system, seen, answer


def _manifest(case: Case, context: JobContext) -> dict[str, Any]:
    sha256 = case.model.weights.sha256
    return {"version": __version__, "weights_sha256": sha256, "device": context.device}


def next_sensors(result: Result) -> NextSensors:
    """The answer to :func:`ask_place`."""
    cells = tuple((int(row), int(col)) for row, col in result.arrays["cells"])
    widths = tuple(float(width) for width in result.arrays["widths"])
    return NextSensors(cells, widths, np.asarray(result.arrays["gains"], dtype=np.float32))


def sensor_ranking(result: Result) -> SensorRanking:
    """The answer to :func:`ask_rank`."""
    cells = tuple((int(row), int(col)) for row, col in result.arrays["cells"])
    widening, change = (
        tuple(float(value) for value in result.arrays[name]) for name in ("widening", "change")
    )
    return SensorRanking(cells, widening, change, result.metrics["width"])
