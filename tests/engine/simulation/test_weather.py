from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.simulation.weather import Weather, day_weather, weather_at, wet_share

FIRST = date(2025, 3, 31)


def test_a_day_is_the_same_whatever_was_asked_before():
    alone = day_weather(7, FIRST + timedelta(days=40))
    in_order = [day_weather(7, FIRST + timedelta(days=i)) for i in range(41)]
    assert in_order[40] == alone
    assert day_weather(8, FIRST + timedelta(days=40)) != alone


def test_it_rains_about_as_often_as_in_berlin():
    assert 0.05 < wet_share(20250331, FIRST, 365) < 0.2


def test_summer_is_warmer_than_winter_and_the_afternoon_than_the_night():
    summer = [day_weather(1, date(2025, 7, d)) for d in range(1, 31)]
    winter = [day_weather(1, date(2025, 1, d)) for d in range(1, 31)]
    means = [np.mean([w.temperature_c for day in days for w in day]) for days in (summer, winter)]
    assert means[0] > means[1] + 10
    night = np.mean([day[8].temperature_c for day in summer])
    assert np.mean([day[30].temperature_c for day in summer]) > night + 3


def test_kinds_follow_the_rain():
    kinds = [Weather(10, rain).kind for rain in (0.0, 0.3, 2.4, 2.5, 9.0)]
    assert kinds == ["dry", "light-rain", "light-rain", "heavy-rain", "heavy-rain"]


def test_an_instant_is_looked_up_on_the_local_clock():
    berlin = ZoneInfo("Europe/Berlin")
    weather = weather_at(3, datetime(2025, 5, 14, 22, 10, tzinfo=UTC), berlin)
    assert weather == day_weather(3, date(2025, 5, 15))[0]
