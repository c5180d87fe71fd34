"""The next hour: which city has forecasts, what can be asked, and as which scenario.

Loads no torch: what is known of the weights is on their card.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.cities import City, FileKind
from engine.cities.format import SEGMENTS_NAME
from engine.domain import Edit, Question, Scenario
from engine.domain.scenario import Scalar
from engine.errors import ScenarioError
from engine.models.installed import weights_of_city

KIND, FIELD = "forecast", "speed_kmh"
METHODS = {
    "ours": "Citybrush",
    "paper": "HimNet, as published",
    "stid": "STID, the quick preview",
    "last-value": "Simple: it stays as it is",
    "historical-mean": "Simple: the usual at this time",
}
"""Every method in plain words, in the order of the error card."""

PREVIEW = "stid"
LEAST_RIGHT, LEAST_SIZE = 0.6, 0.1
"""A lever is offered only where it moved the forecast as the simulator moved the city."""
MINUTES_A_DAY = 1440
MORNING, SATURDAY, HOUR = 8, 5, timedelta(hours=1)


@dataclass(frozen=True, eq=False)
class Forecaster:
    """The weights of a city, as far as their card tells.

    Args:
        path: the file of tensors.
        card: its card.
    """

    path: Path
    card: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def sha256(self) -> str:
        """Checksum of the tensors."""
        return str(self.card["sha256"])

    @property
    def unit(self) -> str:
        """Of the values."""
        return str(self.card["series"]["unit"])

    @property
    def history(self) -> int:
        """Steps that a forecast sees."""
        return int(self.card["series"]["history"])

    @property
    def horizon(self) -> int:
        """Steps that are forecast."""
        return int(self.card["series"]["horizon"])

    @property
    def step(self) -> timedelta:
        """Length of one step."""
        return timedelta(minutes=MINUTES_A_DAY / int(self.card["series"]["steps_per_day"]))

    @property
    def test_steps(self) -> int:
        """Steps at the end of the city's series that no training has seen."""
        return int(self.card["series"].get("test_steps", 0))

    @property
    def methods(self) -> tuple[str, ...]:
        """Those that the file holds, in the order of the error card."""
        trained = self.card["methods"]
        simple = ("last-value", "historical-mean")
        return tuple(name for name in METHODS if name in trained or name in simple)

    @property
    def knows_closures(self) -> bool:
        """Whether what is said of closed streets was right on the simulator's test closures.

        In direction at most of the sensors that truly change, and not far too little.
        """
        tried = self.card.get("assessment", {}).get("closures", ())
        judged = [row for row in tried if row["same_sign"] is not None]
        sensors = sum(row["sensors"] for row in judged)
        if not sensors or "ours" not in self.methods:
            return False
        right, size = (
            sum(row["sensors"] * row[name] for row in judged) / sensors
            for name in ("same_sign", "slope")
        )
        return right >= LEAST_RIGHT and size >= LEAST_SIZE

    @property
    def best(self) -> str:
        """The method whose answer is shown: ours, or the next that there is."""
        return self.methods[0]


@dataclass(frozen=True)
class Span:
    """When a city can be forecast, local time.

    Args:
        first: the earliest "now".
        last: the latest one: the end of the series.
        held_out: from here on no training has seen the series.
    """

    first: datetime
    last: datetime
    held_out: datetime


def find_forecaster(city: City) -> Forecaster | None:
    """The weights for a city's street sensors; the user's own count before the shipped ones.

    Raises:
        WeightsError: weights that bear the city's name have a card that cannot be read.
    """
    if not city.has(FileKind.SEGMENTS):
        return None
    found = weights_of_city(city.id, FIELD, KIND)
    return None if found is None else Forecaster(found.path, found.card)


def forecast_span(city: City, forecaster: Forecaster) -> Span:
    """The moments that can be "now"."""
    start, step, length = _axis(city)
    first, last = start + forecaster.history * step, start + length * step
    held_out = start + (length - forecaster.test_steps + forecaster.history) * step
    return Span(*(moment.astimezone(city.zone) for moment in (first, last, held_out)))


def moment_index(city: City, moment: datetime) -> int:
    """Number of the first step to forecast.

    Raises:
        ScenarioError: the moment is not the beginning of a step.
    """
    start, step, _ = _axis(city)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=city.zone)
    index, rest = divmod(moment.astimezone(UTC) - start, step)
    if rest:
        raise ScenarioError(
            "Now must be the beginning of a step of the series.",
            moment.isoformat(),
            f"Give a multiple of {step.total_seconds() / 60:g} minutes.",
        )
    return index


def _axis(city: City) -> tuple[datetime, timedelta, int]:
    """Start in UTC, step and number of steps of the street sensors' series."""
    entry = city.metadata.files[SEGMENTS_NAME]
    if entry.start is None or entry.step_s is None:
        raise ScenarioError("The city's street sensors have no time axis.", city.id)
    return entry.start.astimezone(UTC), timedelta(seconds=entry.step_s), entry.shape[0]


def forecast_scenario(
    city_id: str,
    moment: datetime,
    edits: tuple[Edit, ...] = (),
    shift_min: int = 0,
    weekday: int | None = None,
) -> Scenario:
    """The scenario of a question for the next hour.

    Args:
        city_id: id of a city with forecasts.
        moment: "now" on the city's clock: what was measured before it is seen.
        edits: incidents, silent sensors, streets closed from now on.
        shift_min: tell the networks that it is so many minutes later than it is.
        weekday: tell them that it is Monday 0 ... Sunday 6; None for the true day.
    """
    parameters: dict[str, Scalar] = {
        "moment": moment.replace(tzinfo=None).isoformat(timespec="minutes"),
        "shift_min": int(shift_min),
        "weekday": weekday,
    }
    return Scenario(city_id, Question.FORECAST, edits, parameters)


def scenario_moment(scenario: Scenario, city: City) -> datetime:
    """When "now" is, on the city's clock.

    Raises:
        ScenarioError: the scenario does not say.
    """
    try:
        moment = datetime.fromisoformat(str(scenario.parameters["moment"]))
    except (KeyError, ValueError) as error:
        raise ScenarioError("The scenario names no moment.", "", "Give one.") from error
    return moment.replace(tzinfo=city.zone)


def default_moment(span: Span) -> datetime:
    """The first working morning that no training has seen; else the first moment of that kind."""
    for days in range((span.last - span.held_out).days + 1):
        morning = span.held_out + timedelta(days=days)
        morning = morning.replace(hour=MORNING, minute=0, second=0, microsecond=0)
        if morning.weekday() < SATURDAY and span.held_out <= morning <= span.last - HOUR:
            return morning
    return min(span.held_out, span.last)
