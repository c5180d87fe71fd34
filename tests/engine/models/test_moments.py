"""Conditions of moments, and mean days of each kind of day."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from engine.errors import FieldError
from engine.models.baselines.profile import OtherDays, fit_profile
from engine.models.diffrecon.ours.config import Config
from engine.models.flows import FlowSeries
from engine.models.moments import (
    HOLIDAY,
    RAIN,
    TEMPERATURE,
    WEATHER,
    WEEKDAY,
    conditions_of,
    day_kinds,
    unknown_conditions,
)
from engine.models.observations import observe_in_order
from engine.training.loop import examples_of_step
from engine.training.reconstruction import ReconstructionTask

BERLIN = ZoneInfo("Europe/Berlin")
CONTEXT = pd.DataFrame(
    {
        "time": pd.to_datetime(["2025-04-17T22:00Z", "2025-04-18T22:00Z"]),
        "temperature_c": [8.5, 12.0],
        "rain_mm_h": [0.0, 1.5],
        "weather": ["dry", "hail of stones"],
        "holiday": [True, False],
    }
)


def week_series(weeks=3, slots=2):
    """Counts that tell the kind of day: 1 on working days, 10 on Saturdays, 100 on Sundays."""
    weekday = np.repeat(np.tile(np.arange(7), weeks), slots)
    values = np.select([weekday == 5, weekday == 6], [10.0, 100.0], 1.0)
    conditions = unknown_conditions(len(values))
    conditions[:, WEEKDAY] = weekday
    maps = np.broadcast_to(values[:, None, None], (len(values), 4, 4))
    return FlowSeries(maps.astype(np.float32), slots, 1, 2, 0, conditions)


def test_conditions_are_those_of_the_last_known_moment():
    times = [datetime(2025, 4, 17, 12, tzinfo=BERLIN) + timedelta(days=day) for day in range(3)]
    known = conditions_of(times, CONTEXT)
    assert known[:, WEEKDAY].tolist() == [3, 4, 5]
    assert np.isnan(known[0, HOLIDAY:]).all(), "before the calendar begins"
    assert known[1, [HOLIDAY, WEATHER, TEMPERATURE, RAIN]].tolist() == [1, 0, 8.5, 0]
    assert known[2, [HOLIDAY, TEMPERATURE, RAIN]].tolist() == [0, 12, 1.5]
    assert np.isnan(known[2, WEATHER]), "a weather that nobody knows"
    assert day_kinds(known).tolist() == [0, 2, 1], "Good Friday is as a Sunday"


def test_the_weekday_is_the_local_one():
    late = datetime(2025, 4, 20, 23, 30, tzinfo=ZoneInfo("UTC")).astimezone(BERLIN)
    assert conditions_of([late], CONTEXT.iloc[:0])[0, WEEKDAY] == 0
    with pytest.raises(FieldError, match="time zone"):
        conditions_of([datetime(2025, 4, 20)], CONTEXT)


def test_each_kind_of_day_has_its_own_mean():
    profile = fit_profile(week_series())
    assert profile.kinds == 3
    assert profile.slots_per_day == 2
    for width in (0, 1):
        means = profile.step_means(width)[:, 0, 0]
        assert means.tolist() == [1, 1, 10, 10, 100, 100], f"smoothed over {width}"


def test_a_kind_of_day_never_seen_has_the_mean_of_all():
    first_days = week_series().part(0, 12)  # Monday to Saturday
    assert np.allclose(fit_profile(first_days).step_means(0)[4:, 0, 0], 2.5)


def test_other_days_keep_kinds_apart_and_leave_the_own_day_out():
    series = week_series()
    values = series.values.copy()
    values[10] = 70  # the first Saturday
    values[2] = 15  # the first Tuesday
    series = replace(series, values=values)
    means = OtherDays(series, (0, 1)).frame_means(np.array([10, 2]))[:, :, 0, 0]
    assert means.tolist() == [[10, 10], [1, 1]]


def test_a_part_keeps_calendar_and_clock():
    part = week_series().part(9, 20)
    assert part.slots(np.array([0, 1, 3])).tolist() == [1, 2, 4]
    assert part.moments(np.array([-1, 1]))[:, WEEKDAY].tolist()[1] == 5
    assert np.isnan(part.moments(np.array([-1]))).all()


def test_training_on_a_calendar_tells_the_kinds_of_days_apart():
    series = week_series(weeks=4)
    config = Config(2, 2, 2, 2, 1, (0, 1), 0, (2, 14), use_conditions=True, day_kinds=3)
    task = ReconstructionTask(series.part(0, 42), series.part(42), config, 0)
    examples, seeds = examples_of_step(task.num_examples, 16, 0, 3)
    batch = task.batch(examples, [np.random.default_rng(seed) for seed in seeds])
    kind = day_kinds(series.moments(examples))
    assert np.allclose(batch.condition.prior[:, 0, 0, 0], np.array([1, 10, 100])[kind])
    unknown = np.isnan(batch.condition.moment[:, HOLIDAY:].numpy()).all(1)
    assert unknown.all(), "this calendar has no holidays"
    assert not np.isnan(batch.condition.moment[:, WEEKDAY].numpy()).any()


def test_weather_changes_the_answer_of_a_trained_network():
    series = week_series(weeks=4)
    config = Config(2, 2, 2, 2, 1, (0, 1), 0, (2, 14), use_conditions=True, day_kinds=3)
    task = ReconstructionTask(series.part(0, 42), series.part(42), config, 0)
    system = task.system([task.network])
    with np.errstate(all="raise"):
        masks = np.ones((14, 2, 2), dtype=bool)
        masks[:, 0, 0] = False
        seen = observe_in_order(series.part(42), masks, config.lags)
    wet = replace(seen, conditions=np.where(np.arange(5) == RAIN, 5.0, seen.conditions))
    for parameter in task.network.parameters():
        parameter.data.add_(0.01)
    assert not np.array_equal(system.estimate(seen[:1]), system.estimate(wet[:1]))
