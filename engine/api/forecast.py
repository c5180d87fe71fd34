"""The next hour at every street sensor, and what changes when its input is edited.

The untouched and the edited window go through the same code, so that an edit that changes nothing
changes no bit of the answer.

Shapes: T history, H horizon, N sensors.
"""

# ruff: noqa: N815 - fields carry shape suffixes like the arrays elsewhere

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import __version__
from engine.api.forecast_case import (
    PREVIEW,
    Forecaster,
    find_forecaster,
    moment_index,
    scenario_moment,
)
from engine.cities import City
from engine.cities.registry import open_city
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job, JobContext, Progress
from engine.compute.service import ComputeService
from engine.compute.worker_cache import worker_cache
from engine.domain import CloseStreets, Result, ScaleReadings, Scenario, SilenceSensors
from engine.domain.scenario import Scalar
from engine.domain.sensors import SensorSeries
from engine.errors import ScenarioError, SensorError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from engine.evaluation.forecast_range import HistoryRange
    from engine.models.forecast_bundle import ForecastBundle
    from engine.models.forecast_windows import Forecast, WindowBatch

FUNCTION = "engine.api.forecast.run"
EDITED = "edited/"


@dataclass(frozen=True, eq=False)
class _Loaded:
    """What a worker keeps of a city: readings, methods, and what is usual."""

    series: SensorSeries
    street_of: Mapping[str, str]
    bundle: "ForecastBundle"
    range: "HistoryRange"


@dataclass(frozen=True, eq=False)
class _Input:
    """One window, and the streets that are open."""

    window: "WindowBatch"
    streets_NN: "Tensor | None"


def ask_forecast(service: ComputeService, scenario: Scenario, session: str = "local") -> JobHandle:
    """Have a scenario answered by a worker; returns at once.

    Raises:
        QueueFullError: the line or the session's quota is full.
    """
    label = f"the hour after {scenario.parameters['moment']}"
    return service.submit(Job(FUNCTION, scenario.to_json(), session, scenario.seed, label=label))


def forecast_now(scenario: Scenario) -> Result:
    """The answer, computed here and now; loads torch.

    Raises:
        EngineError: as :func:`run`.
    """
    steps = run(scenario.to_json())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return read_forecast(scenario, end.value)


def read_forecast(scenario: Scenario, answer: Mapping[str, Any]) -> Result:
    """The result of a scenario from what :func:`run` returned."""
    return Result(scenario, answer["arrays"], answer["metrics"], answer["manifest"])


def run(
    request: dict[str, Any],
    context: JobContext | None = None,  # noqa: ARG001 - jobs are given one
) -> Generator[Progress, None, dict[str, Any]]:
    """The job: forecast the window as it was and as it was edited, the quick preview first.

    Args:
        request: a scenario as JSON.
        context: of the job.

    Returns:
        ``arrays`` in the data's unit: ``past`` (T, N), ``truth`` (H, N), both NaN where nothing
        was measured, ``usual`` (T + H, N), and ``METHOD/middle``, ``METHOD/lower``,
        ``METHOD/upper`` (H, N) of each method; all but truth again under ``edited/``.
        ``metrics`` with how unusual the edited input is, and each method's error where the truth
        is known; ``manifest``.

    Raises:
        ScenarioError: an edit is none of a forecast's levers, or names what does not exist.
        SensorError: there are not enough readings before the moment.
        WeightsError: there are no weights for the city, or they are damaged.
    """
    begun = time.perf_counter()
    scenario = Scenario.from_json(request)
    city = open_city(scenario.city_id)
    forecaster = find_forecaster(city)
    if forecaster is None:
        raise WeightsError("There are no forecasts for this city.", city.id)
    key = f"forecast:{city.digest}:{forecaster.sha256}"
    loaded: _Loaded = worker_cache.get(key, lambda: _load(city, forecaster))
    index = moment_index(city, scenario_moment(scenario, city))
    plain = _Input(cut_window(loaded.series, index, loaded.bundle), None)
    edited = _edit(plain, scenario, loaded)
    names = [name for name in forecaster.methods if name != PREVIEW]
    names = [PREVIEW, *names] if PREVIEW in forecaster.methods else names
    arrays = _inputs(plain, edited, loaded)
    for number, name in enumerate(names):
        arrays |= _answers(loaded.bundle, name, plain, "")
        arrays |= _answers(loaded.bundle, name, edited, EDITED)
        preview = arrays[f"{EDITED}{names[0]}/middle"]
        yield Progress((number + 1) / len(names), "Forecasting", preview)
    metrics = _metrics(arrays, names, edited, loaded)
    metrics["seconds"] = time.perf_counter() - begun
    manifest: dict[str, Scalar] = {
        "version": __version__,
        "city": city.digest,
        "weights": forecaster.name,
        "weights_sha256": forecaster.sha256,
        "method": forecaster.best,
    }
    return {"arrays": arrays, "metrics": metrics, "manifest": manifest}


def _load(city: City, forecaster: Forecaster) -> _Loaded:
    from engine.cities.street_sensors import read_street_sensors
    from engine.evaluation.forecast_range import HistoryRange
    from engine.models.forecast_bundle import load_bundle

    bundle = load_bundle(forecaster.path)
    facts = bundle.facts
    series = read_street_sensors(city).select(facts.sensors)
    if series.axis.steps_per_day != facts.steps_per_day:
        raise SensorError(
            "The series has another step than the weights were trained on.",
            f"{series.axis.steps_per_day} steps a day, not {facts.steps_per_day}",
        )
    seen = series.part(0, len(series) - facts.test_steps)
    usual_SN = bundle.profile.mean_SN.numpy().astype(np.float64)
    streets = city.sensors().set_index("sensor_id")["street_id"]
    return _Loaded(
        series,
        {sensor: str(streets[sensor]) for sensor in facts.sensors},
        bundle,
        HistoryRange.fit(seen, usual_SN, facts.history),
    )


def cut_window(series: SensorSeries, index: int, bundle: "ForecastBundle") -> "WindowBatch":
    """The window whose first step to forecast is ``index``; truth is missing after the end.

    Raises:
        SensorError: there are not enough readings before it, or none.
    """
    from engine.models.forecast_windows import WindowSet

    history, horizon, earlier = bundle.facts.history, bundle.facts.horizon, bundle.facts.earlier
    if not history <= index <= len(series):
        raise SensorError(
            "There are not enough readings before this moment.",
            f"step {index} of {len(series)}",
            f"Choose a moment with at least {history} steps before it.",
        )
    if index + horizon <= len(series):
        first = max(0, index - history - earlier)
        part = series.part(first, index + horizon)
        return WindowSet.of(part, history, horizon, earlier).last()
    ahead = WindowSet.ahead_of(series.part(0, index), history, horizon, earlier).last()
    known_KN = series.values_TN[index:]
    truth_BHN, valid_BHN = ahead.truth_BHN.clone(), ahead.truth_valid_BHN.clone()
    for step, values_N in enumerate(known_KN):
        valid_BHN[0, step] = _tensor(np.isfinite(values_N))
        truth_BHN[0, step] = _tensor(np.nan_to_num(values_N))
    return replace(ahead, truth_BHN=truth_BHN, truth_valid_BHN=valid_BHN)


def _tensor(values: NDArray[np.generic]) -> "Tensor":
    import torch

    return torch.from_numpy(np.ascontiguousarray(values))


def _edit(plain: _Input, scenario: Scenario, loaded: _Loaded) -> _Input:
    """The window after all edits, in their order, and then with the clock moved."""
    from engine.models.forecast_levers import scale_history, shift_clock, silence_sensors

    facts, window, streets = loaded.bundle.facts, plain.window, plain.streets_NN
    step_min = 1440 / facts.steps_per_day
    for edit in scenario.edits:
        if isinstance(edit, ScaleReadings):
            steps = min(facts.history, max(1, round(edit.minutes / step_min)))
            usual = loaded.bundle.profile.profile(window)[:, : facts.history]
            columns = _columns(edit.sensor_ids, facts.sensors)
            window = scale_history(window, columns, edit.factor, steps, usual)
        elif isinstance(edit, SilenceSensors):
            window = silence_sensors(window, _columns(edit.sensor_ids, facts.sensors))
        elif isinstance(edit, CloseStreets):
            streets = _close(edit, streets, loaded)
        else:
            raise ScenarioError(
                "A forecast cannot take this edit into account.", type(edit).__name__
            )
    shift, weekday = scenario.parameters.get("shift_min"), scenario.parameters.get("weekday")
    window = shift_clock(
        window,
        facts.steps_per_day,
        round(float(shift or 0) / step_min),
        None if weekday is None else int(weekday),
    )
    return _Input(window, streets)


def _close(edit: CloseStreets, streets: "Tensor | None", loaded: _Loaded) -> "Tensor":
    from engine.models.forecast_levers import cut_off
    from engine.models.himnet.direct import DirectNet

    method = loaded.bundle.method("ours").method
    if not isinstance(method, DirectNet):
        raise WeightsError("These weights know no streets.", "", "Leave the streets open.")
    closed = set(edit.street_ids)
    unknown = closed - set(loaded.street_of.values())
    if unknown:
        raise ScenarioError(
            "A street without a sensor cannot be closed in a forecast.",
            ", ".join(sorted(unknown)[:3]),
            "Choose a street with a sensor, or ask the simulator.",
        )
    columns = [place for place, street in enumerate(loaded.street_of.values()) if street in closed]
    return cut_off(method.adjacency_NN if streets is None else streets, columns)


def _columns(wanted: tuple[str, ...], sensors: tuple[str, ...]) -> list[int]:
    place = {sensor: column for column, sensor in enumerate(sensors)}
    missing = [sensor for sensor in wanted if sensor not in place]
    if missing:
        raise ScenarioError("There is no such sensor.", ", ".join(missing[:3]))
    return [place[sensor] for sensor in wanted]


def _forecast(bundle: "ForecastBundle", name: str, given: _Input) -> "Forecast":
    import torch

    from engine.models.himnet.direct import DirectNet

    banded = bundle.method(name)
    with torch.no_grad():
        if isinstance(banded.method, DirectNet):
            return banded.widen(banded.method.forecast(given.window, given.streets_NN))
        return banded.forecast(given.window)


def _answers(
    bundle: "ForecastBundle", name: str, given: _Input, head: str
) -> dict[str, NDArray[np.float32]]:
    answer = _forecast(bundle, name, given)
    parts = {"middle": answer.middle_BHN, "lower": answer.lower_BHN, "upper": answer.upper_BHN}
    floor = 0.0  # no speed is negative
    return {
        f"{head}{name}/{part}": np.maximum(values[0].numpy().astype(np.float32), floor)
        for part, values in parts.items()
        if values is not None
    }


def _inputs(plain: _Input, edited: _Input, loaded: _Loaded) -> dict[str, NDArray[np.float32]]:
    """What was measured, what followed, and what is usual."""
    arrays = {"truth": _known(plain.window.truth_BHN[0], plain.window.truth_valid_BHN[0])}
    for head, given in (("", plain), (EDITED, edited)):
        window = given.window
        arrays[f"{head}past"] = _known(window.history_BTN[0], window.history_valid_BTN[0])
        arrays[f"{head}usual"] = loaded.bundle.profile.profile(window)[0].numpy()
    return arrays


def _known(values: "Tensor", valid: "Tensor") -> NDArray[np.float32]:
    return np.where(valid.numpy(), values.numpy(), np.float32(np.nan)).astype(np.float32)


def _metrics(
    arrays: Mapping[str, NDArray[np.generic]], names: list[str], edited: _Input, loaded: _Loaded
) -> dict[str, float]:
    """How unusual the edited input is, and how wrong each method was on the untouched one."""
    window, history = edited.window, loaded.bundle.facts.history
    heard_TN = window.history_valid_BTN[0].numpy()
    slots_T = window.slot_BS[0, :history].numpy()
    score = loaded.range.score(window.history_BTN[0].numpy(), heard_TN, slots_T)
    before_TN = np.isfinite(np.asarray(arrays["past"], dtype=np.float64))
    silenced = before_TN.any(axis=0) & ~heard_TN.any(axis=0)
    metrics = {
        "unusual_overall": score.overall,
        "unusual_worst": score.worst,
        "silenced_share": float(silenced.mean()),
        "closed_share": _closed_share(edited, loaded),
    }
    truth = np.asarray(arrays["truth"], dtype=np.float64)
    for name in names:
        error = np.abs(np.asarray(arrays[f"{name}/middle"], dtype=np.float64) - truth)
        if np.isfinite(error).any():
            metrics[f"{name}/mae"] = float(np.nanmean(error))
    return metrics


def _closed_share(edited: _Input, loaded: _Loaded) -> float:
    """Share of the street network's links that the edits closed."""
    from engine.models.himnet.direct import DirectNet

    if edited.streets_NN is None:
        return 0.0
    method = loaded.bundle.method("ours").method
    assert isinstance(method, DirectNet)
    links = int((method.adjacency_NN > 0).sum())
    return 1 - int((edited.streets_NN > 0).sum()) / max(1, links)
