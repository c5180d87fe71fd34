from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from engine.simulation.calendar import (
    DayType,
    day_length_s,
    describe_day,
    easter,
    local_midnight,
    public_holiday,
    real_seconds,
    wall_seconds,
)

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN, PLAIN = date(2025, 3, 30), date(2025, 10, 26), date(2025, 5, 15)


@pytest.mark.parametrize(
    ("year", "day"),
    [(2024, date(2024, 3, 31)), (2025, date(2025, 4, 20)), (2026, date(2026, 4, 5))],
)
def test_easter_is_where_the_church_has_it(year, day):
    assert easter(year) == day


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2025, 4, 18), "Good Friday"),
        (date(2025, 5, 29), "Ascension Day"),
        (date(2025, 6, 9), "Whit Monday"),
        (date(2025, 5, 1), "Labour Day"),
        (date(2025, 5, 8), "80 years since liberation"),
        (date(2024, 5, 8), ""),
        (PLAIN, ""),
    ],
)
def test_public_holidays_of_berlin(day, name):
    assert public_holiday(day) == name


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (PLAIN, DayType.WEEKDAY),
        (date(2025, 4, 15), DayType.SCHOOL_HOLIDAY),
        (date(2025, 5, 17), DayType.SATURDAY),
        (date(2025, 5, 18), DayType.SUNDAY),
        (date(2025, 4, 21), DayType.HOLIDAY),
    ],
)
def test_day_types(day, kind):
    assert describe_day(day).type is kind


def test_days_with_a_clock_change_are_an_hour_shorter_or_longer():
    assert [day_length_s(d, BERLIN) / 3600 for d in (SPRING, PLAIN, AUTUMN)] == [23, 24, 25]


def test_midnight_is_an_instant():
    assert local_midnight(PLAIN, BERLIN) == datetime(2025, 5, 14, 22, tzinfo=UTC)
    assert local_midnight(SPRING, BERLIN) == datetime(2025, 3, 29, 23, tzinfo=UTC)


def test_wall_clock_against_real_time():
    assert real_seconds(PLAIN, 8 * 3600, BERLIN) == 8 * 3600
    assert real_seconds(SPRING, 8 * 3600, BERLIN) == 7 * 3600
    assert real_seconds(AUTUMN, 8 * 3600, BERLIN) == 9 * 3600
    assert real_seconds(SPRING, 24 * 3600, BERLIN) == 23 * 3600


@pytest.mark.parametrize("day", [SPRING, PLAIN, AUTUMN])
def test_wall_clock_there_and_back(day):
    for hour in (0, 1, 5, 12, 23):
        real_s = real_seconds(day, hour * 3600, BERLIN)
        assert wall_seconds(day, real_s, BERLIN) == hour * 3600


def test_real_time_never_runs_backwards_over_a_gap():
    times = [real_seconds(SPRING, 900 * i, BERLIN) for i in range(96) if not 8 <= i < 12]
    assert times == sorted(times)
