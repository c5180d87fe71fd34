"""A city's street sensors as the series that forecasts are made from.

Shapes: T time steps, N sensors.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.cities.city import City
from engine.cities.recordings import Recordings
from engine.cities.segments import SegmentSeries
from engine.domain.sensors import SensorSeries, TimeAxis
from engine.errors import SensorError

if TYPE_CHECKING:
    import pandas as pd

SUNDAY = 6
DAY = timedelta(days=1)


def read_street_sensors(city: City, day: Recordings | None = None) -> SensorSeries:
    """Mean speeds in km/h, NaN where no vehicle passed, with the sensors' positions.

    Slots and weekdays are those of the local clock, so that a change to or from summer time
    shifts nothing. A public holiday counts as a Sunday: traffic takes it for one.

    Args:
        city: an open city.
        day: recordings of one day of it, for example of an intervention; None for the city's.

    Raises:
        CityError: the city has no such series.
        SensorError: its step does not divide a day, or a sensor has no position.
    """
    segments = (day or city).segments()
    places = city.sensors().set_index("sensor_id")
    if missing := [name for name in segments.sensor_ids if name not in places.index]:
        raise SensorError("A street sensor has no position.", ", ".join(missing[:5]))
    positions_N2 = places.loc[list(segments.sensor_ids), ["lon", "lat"]].to_numpy(np.float64)
    axis = _local_axis(segments, city.context())
    return SensorSeries(
        "mean speed", segments.sensor_ids, segments.speed_kmh, axis, "km/h", positions_N2
    )


def _local_axis(segments: SegmentSeries, context: "pd.DataFrame") -> TimeAxis:
    steps_per_day, rest = divmod(DAY, segments.step)
    if rest:
        raise SensorError("The sensors' step does not divide a day.", str(segments.step))
    import pandas as pd

    start = pd.Timestamp(segments.start).tz_convert("UTC")
    times = pd.date_range(start, periods=len(segments), freq=segments.step)
    local = times.tz_convert(segments.start.tzinfo)
    seconds_T = np.asarray(local.hour * 3600 + local.minute * 60 + local.second, dtype=np.int64)
    is_holiday_T = np.asarray(local.normalize().isin(_holidays(context, segments)))
    weekday_T = np.where(is_holiday_T, SUNDAY, np.asarray(local.day_of_week, dtype=np.int64))
    slot_T: NDArray[np.int64] = seconds_T // int(segments.step.total_seconds())
    return TimeAxis(slot_T, weekday_T.astype(np.int64), steps_per_day)


def _holidays(context: "pd.DataFrame", segments: SegmentSeries) -> list["pd.Timestamp"]:
    """Local midnights of the public holidays."""
    if context.empty or "holiday" not in context:
        return []
    times = context.loc[context["holiday"].astype(bool), "time"]
    return list(times.dt.tz_convert(segments.start.tzinfo).dt.normalize().unique())
