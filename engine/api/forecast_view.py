"""What a page shows of forecasts: places on the map, times, the error card, how unusual it is."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.api.forecast import EDITED
from engine.api.forecast_case import METHODS, Forecaster, scenario_moment
from engine.cities import City
from engine.domain import Result
from engine.geo.hexagons import HexCells, hexagons_at
from engine.scenarios.exports import csv_text

UNUSUAL, OUTSIDE = 0.95, 0.995
SILENCED_IN_TRAINING, CLOSED_IN_TRAINING = 0.15, 0.3
"""At most so many sensors were silent, and links closed, in training."""


@dataclass(frozen=True, eq=False)
class SensorMap:
    """The street sensors on the map, each a hexagon of its own.

    Args:
        cells: the hexagons, with the sensors' names.
        order: which sensor each hexagon stands for.
        names: of the sensors, in the order of the forecast.
        streets: id of each sensor's street.
        positions: (N, 2) lon, lat.
    """

    cells: HexCells
    order: NDArray[np.int64]
    names: tuple[str, ...]
    streets: tuple[str, ...]
    positions: NDArray[np.float64]

    def on_map(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Values by sensor, (..., N), in the order of the hexagons."""
        return np.asarray(values, dtype=np.float64)[..., self.order]


def sensor_map(city: City, forecaster: Forecaster) -> SensorMap:
    """Where a city's forecast sensors stand."""
    sensors = tuple(str(name) for name in forecaster.card["series"]["sensors"])
    table = city.sensors().set_index("sensor_id").loc[list(sensors)]
    positions = table[["lon", "lat"]].to_numpy(np.float64)
    cells, order = hexagons_at(city.grid, positions)
    names = [
        f"{name or 'Sensor'} · {sensor}"
        for sensor, name in zip(sensors, table["name"], strict=True)
    ]
    on_map = tuple(names[i] for i in order)
    streets = tuple(str(street) for street in table["street_id"])
    return SensorMap(replace(cells, names=on_map), order, tuple(names), streets, positions)


def forecast_times(result: Result, city: City, forecaster: Forecaster) -> tuple[datetime, ...]:
    """Beginnings of the T + H steps, local time."""
    now = scenario_moment(result.scenario, city)
    first = -forecaster.history
    steps = range(first, forecaster.horizon)
    return tuple((now + i * forecaster.step) for i in steps)


class RangeLevel(StrEnum):
    """How far an input is from what the models were trained on."""

    ORDINARY = "ordinary"
    UNUSUAL = "unusual"
    OUTSIDE = "outside"


@dataclass(frozen=True)
class InputGauge:
    """How unusual the input of an answer is.

    Args:
        level: in a word.
        share: of all training hours that were less unusual, 0 to 1.
        reasons: what is outside of training, in plain words.
    """

    level: RangeLevel
    share: float
    reasons: tuple[str, ...]


def range_gauge(result: Result) -> InputGauge:
    """The gauge of an answer's edited input."""
    metrics = result.metrics
    share = max(metrics["unusual_overall"], metrics["unusual_worst"])
    reasons = []
    if metrics["unusual_overall"] > OUTSIDE:
        reasons.append("The last hour as a whole was hardly ever like this in training.")
    if metrics["unusual_worst"] > OUTSIDE:
        reasons.append("One sensor is further from its usual than in training.")
    if metrics["silenced_share"] > SILENCED_IN_TRAINING:
        reasons.append(
            f"{metrics['silenced_share']:.0%} of the sensors are off; in training at most "
            f"{SILENCED_IN_TRAINING:.0%} were."
        )
    if metrics["closed_share"] > CLOSED_IN_TRAINING:
        reasons.append(
            f"{metrics['closed_share']:.0%} of the links between sensors are closed; in training "
            f"at most {CLOSED_IN_TRAINING:.0%} were."
        )
    if reasons:
        return InputGauge(RangeLevel.OUTSIDE, share, tuple(reasons))
    level = RangeLevel.UNUSUAL if share > UNUSUAL else RangeLevel.ORDINARY
    return InputGauge(level, share, ())


@dataclass(frozen=True)
class ForecastErrors:
    """One line of the error card.

    Args:
        name: short name of the method.
        label: the method in plain words.
        mae: mean absolute error of each step.
        coverage90: share of the truth inside the band, of each step.
        by_hour: mean absolute error by hour of the day.
    """

    name: str
    label: str
    mae: tuple[float, ...]
    coverage90: tuple[float, ...]
    by_hour: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over all steps."""
        return float(np.nanmean(self.mae))


@dataclass(frozen=True)
class ForecastCard:
    """How wrong the methods of a city are on days that no training saw.

    Args:
        methods: best first as the product ranks them; empty where nothing was assessed.
        windows: so many hours were forecast.
        period: which days, in words.
        closures: what was said of the simulator's test closures, beside what it says itself.
        data: name, description and terms of the training data.
    """

    methods: tuple[ForecastErrors, ...]
    windows: int
    period: str
    closures: tuple[Mapping[str, Any], ...]
    data: Mapping[str, Any]


def forecast_card(forecaster: Forecaster) -> ForecastCard:
    """The error card that lies beside the weights."""
    found = forecaster.card.get("assessment", {})
    rows = found.get("methods", {})
    methods = tuple(
        ForecastErrors(
            name,
            METHODS[name],
            _numbers(rows[name]["by_step"]["mae"]),
            _numbers(rows[name]["by_step"]["coverage90"]),
            _numbers(rows[name]["by_hour"]["mae"]),
        )
        for name in METHODS
        if name in rows
    )
    return ForecastCard(
        methods,
        int(found.get("windows", 0)),
        str(found.get("period", "")),
        tuple(found.get("closures", ())),
        forecaster.card.get("data", {}),
    )


def _numbers(values: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(float("nan") if value is None else float(value) for value in values)


def forecast_csv(result: Result, city: City, forecaster: Forecaster) -> str:
    """The answer as a table: a row for each sensor and step, untouched and edited.

    Cells that a spreadsheet would take for a formula are written as text.
    """
    unit, best = forecaster.unit, str(result.manifest["method"])
    columns = {
        f"forecast ({unit})": f"{EDITED}{best}/middle",
        f"lower ({unit})": f"{EDITED}{best}/lower",
        f"upper ({unit})": f"{EDITED}{best}/upper",
        f"without the what-if ({unit})": f"{best}/middle",
        f"last value ({unit})": "last-value/middle",
        f"usual ({unit})": "historical-mean/middle",
        f"measured ({unit})": "truth",
    }
    arrays = [result.arrays[name] for name in columns.values()]
    times = forecast_times(result, city, forecaster)[forecaster.history :]
    out = StringIO()
    for name, value in {**result.manifest, "scenario": result.scenario.digest}.items():
        out.write(f"# {name},{csv_text(str(value))}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", "sensor", *columns])
    for step, moment in enumerate(times):
        for column, sensor in enumerate(forecaster.card["series"]["sensors"]):
            numbers = [float(array[step, column]) for array in arrays]
            shown = ["" if np.isnan(number) else f"{number:.2f}" for number in numbers]
            name = str(sensor)
            safe = f"'{name}" if name[:1] in "=+-@\t\r" else name
            writer.writerow([moment.isoformat(), safe, *shown])
    return out.getvalue()
