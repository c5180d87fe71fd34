from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.api.weeks import find_week, list_weeks, usual_maps, usual_series
from engine.domain import Aggregation, FieldSeries, Grid, TimeAxis
from engine.errors import FieldError

BERLIN = ZoneInfo("Europe/Berlin")
GRID = Grid(13.51, 52.42, 13.55, 52.46, 2, 2)


def hourly(start, num_steps, values=None):
    values = np.zeros((num_steps, 2, 2)) if values is None else values
    step = timedelta(hours=1)
    return FieldSeries("flow", values, GRID, start, step, "vehicles", Aggregation.SUM)


def axis_of(start, num_steps):
    return TimeAxis(start, timedelta(hours=1), num_steps)


def test_weeks_begin_on_local_mondays():
    weeks = list_weeks(axis_of(datetime(2024, 5, 1, tzinfo=BERLIN), 24 * 12))
    assert [week.monday for week in weeks] == [date(2024, 4, 29), date(2024, 5, 6)]
    assert [len(week.times) for week in weeks] == [24 * 5, 24 * 7]
    assert weeks[1].times[0].isoformat() == "2024-05-06T00:00:00+02:00"


def test_the_week_that_loses_an_hour_has_167():
    weeks = list_weeks(axis_of(datetime(2024, 3, 25, tzinfo=BERLIN), 24 * 14 - 1))
    assert [len(week.times) for week in weeks] == [167, 168]


def test_usual_is_the_mean_of_the_other_weeks_by_local_hour():
    start = datetime(2024, 3, 25, tzinfo=BERLIN)  # the clocks go forward on the 31st
    field = hourly(start, 168 * 3 - 1)
    local = [field.time_of(i) for i in range(len(field))]
    values = np.array([t.hour + 100.0 * ((t.date() - start.date()).days // 7) for t in local])
    field = hourly(start, len(field), np.repeat(values[:, None, None], 4, 1).reshape(-1, 2, 2))
    week = list_weeks(field.axis)[1]
    hours = np.array([time.hour for time in week.times])
    expected = hours + 100.0  # weeks 0 and 2 have + 0 and + 200
    lost = (np.array([t.weekday() for t in week.times]) == 6) & (hours == 2)
    expected[lost] += 100  # 02:00 on Sunday was not there in week 0
    maps = usual_maps(field, week)
    assert maps.shape == (168, 2, 2)
    np.testing.assert_allclose(maps[:, 0, 1], expected)
    mean, low, high = usual_series(values, field.axis, week)
    np.testing.assert_allclose(mean, expected)
    np.testing.assert_allclose(low[~lost], hours[~lost] + 20.0)
    np.testing.assert_allclose(high[~lost], hours[~lost] + 180.0)


def test_one_week_alone_has_nothing_usual():
    field = hourly(datetime(2024, 5, 6, tzinfo=BERLIN), 168)
    week = list_weeks(field.axis)[0]
    assert np.isnan(usual_maps(field, week)).all()
    assert np.isnan(usual_series(field.values[:, 0, 0], field.axis, week)).all()


def test_an_unknown_week_is_refused():
    weeks = list_weeks(axis_of(datetime(2024, 5, 6, tzinfo=BERLIN), 168))
    assert find_week(weeks, None) is weeks[0]
    with pytest.raises(FieldError, match="no such week"):
        find_week(weeks, date(2024, 5, 13))
