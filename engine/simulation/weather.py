"""A weather process that is like Berlin's, drawn from the seed; it is no record of real weather.

Each day's numbers come from generators keyed by (seed, date), and today's weather is a moving
average of them. So any half hour can be asked for on its own, and the answer does not depend on
which range was asked for.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from math import cos, pi
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

MEAN_C, SEASON_C = 10.3, 9.6
"""Berlin's yearly mean and half the span of its monthly means (DWD, 1991-2020, rounded)."""

DRY_THRESHOLD = 1.22
"""Share of wet half hours: the upper 11 % of a standard normal."""

WEATHER_KEY, RAIN_KEY = 71, 72
MEMORY_DAYS = 8
HALF_HOURS = 48


@dataclass(frozen=True)
class Weather:
    """The weather of one half hour.

    Args:
        temperature_c: air temperature.
        rain_mm_h: rain rate.
    """

    temperature_c: float
    rain_mm_h: float

    @property
    def kind(self) -> str:
        """``dry``, ``light-rain`` or ``heavy-rain`` (from 2.5 mm/h, as DWD counts)."""
        if self.rain_mm_h < 0.1:
            return "dry"
        return "light-rain" if self.rain_mm_h < 2.5 else "heavy-rain"


def generator(*key: int) -> np.random.Generator:
    """The random numbers of that key, the same on every machine and in every order of asking."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(list(key))))


@lru_cache(maxsize=512)
def _noise(seed: int, ordinal: int, key: int) -> NDArray[np.float64]:
    return generator(seed, ordinal, key).standard_normal(HALF_HOURS)


def _rain_mm_h(seed: int, ordinal: int) -> NDArray[np.float64]:
    """(48,) rain of one day: a smoothed normal process above a threshold."""
    two_days = np.concatenate(
        [_noise(seed, ordinal - 1, RAIN_KEY), _noise(seed, ordinal, RAIN_KEY)]
    )
    kernel = np.exp(-np.arange(12) / 3.5)
    kernel /= np.sqrt((kernel**2).sum())
    spells = np.convolve(two_days, kernel)[HALF_HOURS : 2 * HALF_HOURS]
    front = sum(0.6**k * _noise(seed, ordinal - k, WEATHER_KEY)[1] for k in range(4))
    excess = 0.85 * spells + 0.45 * front - DRY_THRESHOLD
    return np.asarray(np.where(excess > 0, 0.3 + 2.2 * np.maximum(excess, 0) ** 1.6, 0.0))


def day_weather(seed: int, day: date) -> tuple[Weather, ...]:
    """The weather of the 48 wall-clock half hours of a day."""
    ordinal = day.toordinal()
    season = -cos(2 * pi * (day.timetuple().tm_yday - 18) / 365.25)
    anomaly = sum(
        0.72**k * 2.3 * _noise(seed, ordinal - k, WEATHER_KEY)[0] for k in range(MEMORY_DAYS)
    )
    rain = _rain_mm_h(seed, ordinal)
    clock = np.arange(HALF_HOURS) / 2
    span = np.clip(4.2 + 1.2 * _noise(seed, ordinal, WEATHER_KEY)[2], 2.0, 6.5)
    swing = span * np.cos(2 * pi * (clock - 15) / 24) * (0.55 if rain.mean() > 0.15 else 1.0)
    warm = MEAN_C + SEASON_C * season + anomaly + swing - 1.2 * (rain > 0)
    return tuple(
        Weather(round(float(t), 1), round(float(r), 1)) for t, r in zip(warm, rain, strict=True)
    )


def weather_at(seed: int, when: datetime, zone: ZoneInfo) -> Weather:
    """The weather at an instant."""
    local = when.astimezone(zone)
    return day_weather(seed, local.date())[local.hour * 2 + local.minute // 30]


def wet_share(seed: int, first: date, days: int) -> float:
    """Share of half hours with rain, for checks and figures."""
    wet = [w.rain_mm_h > 0 for i in range(days) for w in day_weather(seed, first + timedelta(i))]
    return float(np.mean(wet))
