"""What else is known of a moment: weekday, holiday, weather and temperature.

A row of conditions is ``(weekday, holiday, weather, temperature, rain)``, float32, NaN where not
known. Weekday is 0 on Mondays; holiday is 1 on public holidays; weather is a place in
:data:`WEATHERS`; temperature is in degrees Celsius, rain in millimetres an hour.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import FieldError

if TYPE_CHECKING:
    import pandas as pd

Conditions = NDArray[np.float32]

WEEKDAY, HOLIDAY, WEATHER, TEMPERATURE, RAIN = range(5)
NUM_CONDITIONS = 5
WEATHERS = ("dry", "light-rain", "heavy-rain", "snow", "fog", "storm")
"""Known weathers; another one counts as not known."""

DAY_KINDS = ("working day", "Saturday", "Sunday or holiday")
"""Days whose mean differs so much that each kind has a mean day of its own."""

_SATURDAY, _SUNDAY = 5, 6


def unknown_conditions(count: int) -> Conditions:
    """Nothing is known of ``count`` moments, (count, 5)."""
    return np.full((count, NUM_CONDITIONS), np.nan, dtype=np.float32)


def conditions_of(times: Sequence[datetime], context: "pd.DataFrame") -> Conditions:
    """Conditions of moments.

    Args:
        times: T moments with a time zone; their weekday is the local one.
        context: a city's weather and calendar: time (UTC), temperature_c, rain_mm_h, weather,
            holiday; the last row before a moment counts. May be empty.

    Returns:
        (T, 5).

    Raises:
        FieldError: a moment has no time zone.
    """
    import pandas as pd

    conditions = unknown_conditions(len(times))
    if any(time.tzinfo is None for time in times):
        raise FieldError("The time has no time zone.", str(times[0]))
    conditions[:, WEEKDAY] = [time.weekday() for time in times]
    if context.empty:
        return conditions
    moments = pd.to_datetime(list(times), utc=True)
    rows = np.searchsorted(context["time"].to_numpy(), moments.to_numpy(), side="right") - 1
    known = rows >= 0
    table = context.iloc[rows[known]]
    weather = {name: place for place, name in enumerate(WEATHERS)}
    conditions[known, HOLIDAY] = table["holiday"].to_numpy(dtype=np.float32)
    conditions[known, WEATHER] = table["weather"].map(weather).to_numpy(dtype=np.float32)
    conditions[known, TEMPERATURE] = table["temperature_c"].to_numpy(dtype=np.float32)
    conditions[known, RAIN] = table["rain_mm_h"].to_numpy(dtype=np.float32)
    return conditions


def day_kinds(conditions: Conditions) -> NDArray[np.int64]:
    """Place of each moment's day in :data:`DAY_KINDS`, (T,); a working day where not known."""
    weekday, holiday = conditions[..., WEEKDAY], conditions[..., HOLIDAY]
    kinds = np.zeros(conditions.shape[:-1], dtype=np.int64)
    kinds[weekday == _SATURDAY] = 1
    kinds[(weekday == _SUNDAY) | (holiday > 0)] = 2
    return kinds
