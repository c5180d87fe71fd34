"""Days of the city: public holidays, day types, and wall-clock against real seconds.

Public holidays of Berlin: §1 Sonn- und Feiertagsgesetz Berlin; school holidays as published by
the city for 2024/25. Easter after the algorithm of Meeus, Jones and Butcher.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

DAY_S = 86_400


class DayType(StrEnum):
    """How a day's traffic behaves."""

    WEEKDAY = "weekday"
    SCHOOL_HOLIDAY = "school-holiday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"
    HOLIDAY = "holiday"


SCHOOL_HOLIDAYS = (
    (date(2025, 4, 14), date(2025, 4, 25)),
    (date(2025, 5, 2), date(2025, 5, 2)),
    (date(2025, 5, 30), date(2025, 5, 30)),
    (date(2025, 7, 24), date(2025, 9, 6)),
)


@dataclass(frozen=True)
class Day:
    """One local day: its date, type and the holiday's name, empty on others."""

    date: date
    type: DayType
    holiday: str


def easter(year: int) -> date:
    """Easter Sunday of a year in the Gregorian calendar."""
    a, b, c = year % 19, year // 100, year % 100
    d, e, f = b // 4, b % 4, (b + 8) // 25
    h = (19 * a + b - d - (b - f + 1) // 3 + 15) % 30
    i, k = c // 4, c % 4
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def public_holiday(day: date) -> str:
    """The name of the public holiday in Berlin, or an empty text."""
    fixed = {
        (1, 1): "New Year",
        (3, 8): "Women's Day",
        (5, 1): "Labour Day",
        (10, 3): "German Unity Day",
        (12, 25): "Christmas Day",
        (12, 26): "Boxing Day",
    }
    moving = {
        -2: "Good Friday",
        1: "Easter Monday",
        39: "Ascension Day",
        50: "Whit Monday",
    }
    if day == date(2025, 5, 8):
        return "80 years since liberation"
    named = fixed.get((day.month, day.day))
    return named or moving.get((day - easter(day.year)).days, "")


def describe_day(day: date) -> Day:
    """The day's type; a public holiday counts before the weekday."""
    holiday = public_holiday(day)
    if holiday:
        return Day(day, DayType.HOLIDAY, holiday)
    if day.weekday() == 6:
        return Day(day, DayType.SUNDAY, "")
    if day.weekday() == 5:
        return Day(day, DayType.SATURDAY, "")
    if any(first <= day <= last for first, last in SCHOOL_HOLIDAYS):
        return Day(day, DayType.SCHOOL_HOLIDAY, "")
    return Day(day, DayType.WEEKDAY, "")


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant in UTC at which the local day begins."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def day_length_s(day: date, zone: ZoneInfo) -> int:
    """Real seconds of the local day: 82,800, 86,400 or 90,000."""
    length = local_midnight(day + timedelta(days=1), zone) - local_midnight(day, zone)
    return int(length.total_seconds())


def real_seconds(day: date, wall_s: float, zone: ZoneInfo) -> float:
    """Real seconds from local midnight to a wall-clock time of that day.

    A time that the clock skips in spring is taken as just after the gap; one that it shows twice
    in autumn is taken as the first.
    """
    if wall_s >= DAY_S:
        return day_length_s(day, zone) + wall_s - DAY_S
    wall = datetime.combine(day, time(), zone) + timedelta(seconds=wall_s)
    return (wall.astimezone(UTC) - local_midnight(day, zone)).total_seconds()


def wall_seconds(day: date, real_s: float, zone: ZoneInfo) -> float:
    """The wall clock's seconds after midnight, real_s seconds after the local day began."""
    local = (local_midnight(day, zone) + timedelta(seconds=real_s)).astimezone(zone)
    midnight = datetime.combine(day, time())
    return (local.replace(tzinfo=None) - midnight).total_seconds()
