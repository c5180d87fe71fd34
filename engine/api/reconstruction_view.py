"""What a page shows around a question about missing sensors: times, conditions, history."""

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd

from engine.api.reconstruction_case import Case, Model, coarse_totals
from engine.cities import City
from engine.models.flows import first_held_out


@dataclass(frozen=True)
class Conditions:
    """The conditions of a moment.

    Args:
        weather: in a word, such as ``light rain``.
        temperature_c: air temperature, degrees Celsius.
        rain_mm_h: rain, mm per hour.
        day_type: such as ``weekday`` or ``school holiday``.
        is_holiday: a public holiday.
    """

    weather: str
    temperature_c: float
    rain_mm_h: float
    day_type: str
    is_holiday: bool


@dataclass(frozen=True)
class Earlier:
    """One earlier reading that the model may look at.

    Args:
        when: its beginning, local time.
        total: all observed sensors together; None where nothing was observed.
        num_sensors: how many were observed.
    """

    when: datetime
    total: float | None
    num_sensors: int


def covered_days(model: Model) -> tuple[date, date]:
    """First and last local day of the field."""
    axis = model.field.axis
    return axis.start.date(), axis.time_of(len(axis) - 1).date()


def day_steps(model: Model, day: date) -> tuple[tuple[int, datetime], ...]:
    """Steps of one local day: index in the field, and beginning in local time."""
    axis = model.field.axis
    midnight = datetime(day.year, day.month, day.day, tzinfo=axis.start.tzinfo)
    first = int((midnight - axis.start) / axis.step)
    # an hour is lost or won twice a year: look a little further on both sides
    around = range(max(0, first - 4), min(len(axis), first + model.config.slots_per_day + 8))
    times = ((index, axis.time_of(index)) for index in around)
    return tuple((index, when) for index, when in times if when.date() == day)


def held_out_from(model: Model) -> int:
    """The first step of the days that the city's weights were not trained on."""
    return first_held_out(len(model.field), model.config.slots_per_day)


def conditions_at(city: City, when: datetime) -> Conditions | None:
    """Weather and kind of day at a moment; None where the city does not say."""
    context = city.context()
    if context.empty:
        return None
    times = pd.DatetimeIndex(context["time"])
    place = int(times.searchsorted(pd.Timestamp(when).tz_convert("UTC"), side="right")) - 1
    if place < 0:
        return None
    row = context.iloc[place]
    return Conditions(
        str(row["weather"]).replace("-", " "),
        float(row["temperature_c"]),
        float(row["rain_mm_h"]),
        str(row["day_type"]).replace("-", " "),
        bool(row["holiday"]),
    )


def earlier_readings(case: Case) -> tuple[Earlier, ...]:
    """The earlier readings that the model looks at, the oldest first."""
    lags = tuple(sorted(case.model.config.lags, reverse=True))
    seen = case.observe(lags)
    rows = []
    for number, lag in enumerate(lags):
        observed = seen.past_observed[0, number]
        known = bool(observed.any())
        total = float(seen.past[0, number][observed].sum()) if known else None
        when = case.model.field.time_of(case.index - lag)
        rows.append(Earlier(when, total, int(observed.sum())))
    return tuple(rows)


def usual_top(model: Model) -> tuple[float, float]:
    """Ends of the colour scales of fine cells and of sensors, the same at all times."""
    coarse = np.stack([coarse_totals(model, i) for i in range(0, len(model.field), 7)])
    if not model.has_truth:
        return _top(coarse) / model.config.magnification**2, _top(coarse)
    return _top(np.asarray(model.field.values[::7], dtype=np.float32)), _top(coarse)


def _top(values: np.ndarray) -> float:
    busy = values[values > 0]
    return float(np.percentile(busy, 99.5)) if busy.size else 1.0
