"""Conditions as the user supposes them: another weather, a holiday, another temperature.

The sensors' counts stay what they were; the model reads them as those of a day of another kind.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING

from engine.domain import Scenario
from engine.errors import ScenarioError

if TYPE_CHECKING:
    import pandas as pd

RAIN_MM_H = {"dry": 0.0, "light-rain": 1.0, "heavy-rain": 6.0}
"""Weathers that can be supposed, with their rain."""

COLDEST_C, HOTTEST_C = -30.0, 45.0


@dataclass(frozen=True)
class Supposed:
    """What is supposed of a moment; None leaves it as it was.

    Args:
        weather: ``dry``, ``light-rain`` or ``heavy-rain``.
        is_holiday: whether the day is a public holiday.
        temperature_c: degrees Celsius, -30 to 45.

    Raises:
        ScenarioError: no such weather, or an impossible temperature.
    """

    weather: str | None = None
    is_holiday: bool | None = None
    temperature_c: float | None = None

    def __post_init__(self) -> None:
        if self.weather is not None and self.weather not in RAIN_MM_H:
            names = ", ".join(RAIN_MM_H)
            raise ScenarioError("There is no such weather.", str(self.weather), f"Use {names}.")
        degrees = self.temperature_c
        if degrees is not None and not (isfinite(degrees) and COLDEST_C <= degrees <= HOTTEST_C):
            raise ScenarioError(
                "The temperature is impossible.",
                f"{degrees}",
                f"Use {COLDEST_C:.0f} to {HOTTEST_C:.0f} degrees Celsius.",
            )

    @property
    def is_nothing(self) -> bool:
        """Whether all is as it was."""
        return self == Supposed()


def suppose(scenario: Scenario, supposed: Supposed) -> Scenario:
    """The same question under other conditions."""
    known = {
        "suppose_weather": supposed.weather,
        "suppose_holiday": supposed.is_holiday,
        "suppose_temperature_c": supposed.temperature_c,
    }
    more = {name: value for name, value in known.items() if value is not None}
    return replace(scenario, parameters={**scenario.parameters, **more})


def supposed_of(scenario: Scenario) -> Supposed:
    """What a scenario supposes.

    Raises:
        ScenarioError: it cannot be supposed.
    """
    weather, holiday, degrees = (
        scenario.parameters.get(f"suppose_{name}")
        for name in ("weather", "holiday", "temperature_c")
    )
    if holiday is not None and not isinstance(holiday, bool):
        raise ScenarioError("A day is a holiday or not.", str(holiday))
    if degrees is not None and (isinstance(degrees, bool) or not isinstance(degrees, int | float)):
        raise ScenarioError("The temperature is no number.", str(degrees))
    return Supposed(
        None if weather is None else str(weather),
        holiday,
        None if degrees is None else float(degrees),
    )


def suppose_context(context: "pd.DataFrame", when: datetime, supposed: Supposed) -> "pd.DataFrame":
    """A city's calendar and weather with what is supposed of one moment and its day.

    Args:
        context: a copy, which is changed.
        when: the moment, local time.
        supposed: of the moment; a holiday is one all day.
    """
    if context.empty or supposed.is_nothing:
        return context
    local = context["time"].dt.tz_convert(when.tzinfo)
    if supposed.is_holiday is not None:
        context.loc[local.dt.date == when.date(), "holiday"] = supposed.is_holiday
    now = local[local <= when].index[-1:]
    if supposed.weather is not None:
        context.loc[now, "weather"] = supposed.weather
        context.loc[now, "rain_mm_h"] = RAIN_MM_H[supposed.weather]
    if supposed.temperature_c is not None:
        context.loc[now, "temperature_c"] = supposed.temperature_c
    return context
