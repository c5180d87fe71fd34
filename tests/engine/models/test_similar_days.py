"""Days like a frame: on a series whose days differ in known ways."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from engine.errors import FieldError, InputError, MaskError
from engine.models.flows import FlowSeries
from engine.models.observations import observe
from engine.models.similar_days import similar_days

SLOTS = 6
MONDAY = date(2025, 3, 31)
LEVELS = (4, 9, 100, 14, 8, 12)


def series_of(levels=LEVELS, first_slot=0, window=1):
    """Day d has its level in every cell, plus the slot in the first one."""
    days = np.repeat(np.array(levels, np.float32), SLOTS)
    values = np.broadcast_to(days[:, None, None], (len(days), 4, 4)).copy()
    values[:, 0, 0] += np.tile(np.arange(SLOTS), len(levels))
    return FlowSeries(values[first_slot:], SLOTS, window, 2, first_slot)


def frame(series, start, mask=None):
    observed = np.ones((1, 2, 2), bool) if mask is None else np.array([mask], bool)
    return observe(series, np.array([start]), observed)


SERIES = series_of()


def test_the_nearest_levels_come_first_with_dates_and_series():
    found = similar_days(SERIES, MONDAY, frame(SERIES, SLOTS + 2), (0, 0), 3, date(2025, 4, 1))
    assert [day.day for day in found] == [4, 5, 3]
    assert [day.date.day for day in found] == [4, 5, 3]
    assert found[0].values.tolist() == [8, 9, 10, 11, 12, 13]
    assert [day.distance for day in found] == sorted(day.distance for day in found)


def test_the_distance_by_hand():
    seen = frame(SERIES, SLOTS, [[False, True], [False, False]])
    (own, near) = similar_days(SERIES, MONDAY, seen, (3, 3), 2)
    assert (own.day, own.distance) == (1, 0)
    assert near.distance == pytest.approx(np.sqrt(36) - np.sqrt(32))


def test_only_working_sensors_count():
    seen = frame(SERIES, SLOTS + 2, [[True, False], [True, True]])
    loud = dataclasses.replace(seen, coarse=seen.coarse + 1e4 * ~seen.observed)
    days = [[day.day for day in similar_days(SERIES, MONDAY, s, (0, 0), 6)] for s in (seen, loud)]
    assert days[0] == days[1]


def test_a_series_that_begins_within_a_day_has_only_whole_days():
    late = series_of(first_slot=4)
    found = similar_days(late, MONDAY, frame(late, 2 + 3), (0, 0), 9)
    assert sorted(day.day for day in found) == [1, 2, 3, 4, 5]
    assert found[0].day == 1
    assert found[0].values.tolist() == [9, 10, 11, 12, 13, 14]


def test_frames_of_several_steps():
    wide = series_of(window=2)
    found = similar_days(wide, MONDAY, frame(wide, SLOTS + 2), (3, 3), 1)
    assert found[0].day == 1
    assert found[0].values.tolist() == [18, 18, 18]


def test_what_cannot_be_compared_is_refused():
    seen = frame(SERIES, 2)
    for cell, count in (((4, 0), 1), ((0, -1), 1), ((0, 0), 0), ((0, 0), 99)):
        with pytest.raises(InputError):
            similar_days(SERIES, MONDAY, seen, cell, count)
    with pytest.raises(MaskError, match="No sensor"):
        similar_days(SERIES, MONDAY, frame(SERIES, 2, np.zeros((2, 2))), (0, 0))
    small = FlowSeries(np.ones((12, 2, 2), np.float32), SLOTS, 1, 2)
    with pytest.raises(MaskError, match="another shape"):
        similar_days(small, MONDAY, seen, (0, 0))
    short = series_of(levels=(4,))
    with pytest.raises(FieldError, match="no other whole day"):
        similar_days(short, MONDAY, seen, (0, 0), except_for=MONDAY)
