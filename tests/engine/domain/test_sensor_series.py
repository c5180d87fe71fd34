from dataclasses import replace

import numpy as np
import pytest

from engine.domain.sensors import SensorSeries, TimeAxis
from engine.errors import SensorError


@pytest.fixture
def series():
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    return SensorSeries("speed", ("a", "b"), values, TimeAxis.counted(3, 22, 24, 6), "mph")


def test_counted_axis_goes_over_midnight_and_sunday(series):
    assert series.axis.slot_T.tolist() == [22, 23, 0]
    assert series.axis.weekday_T.tolist() == [6, 6, 0]


def test_axis_without_weekends():
    axis = TimeAxis.counted(4, 0, 1, 3, (0, 1, 2, 3, 4))
    assert axis.weekday_T.tolist() == [3, 4, 0, 1]


def test_values_cannot_be_changed_from_outside(series):
    with pytest.raises(ValueError, match="read-only"):
        series.values_TN[0, 0] = 7


def test_part_keeps_its_clock(series):
    part = series.part(1, 3)
    assert part.values_TN.tolist() == [[2, 3], [4, 5]]
    assert part.axis.slot_T.tolist() == [23, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sensors": ("a", "b", "c")}, "do not fit the sensors"),
        ({"sensors": ("a", "a")}, "same name"),
        ({"values_TN": np.full((3, 2), np.inf, np.float32)}, "infinite"),
        ({"positions_N2": np.zeros((3, 2))}, "3 positions, 2 sensors"),
        ({"adjacency_NN": np.zeros((3, 3), np.float32)}, "another size"),
        ({"adjacency_NN": np.full((2, 2), -1, np.float32)}, "negative"),
        ({"axis": TimeAxis.counted(4, 0, 24)}, "do not fit the sensors"),
    ],
)
def test_what_does_not_fit_is_refused(series, change, message):
    with pytest.raises(SensorError, match=message):
        replace(series, **change)


def test_slot_outside_of_the_day_is_refused():
    with pytest.raises(SensorError, match="outside the day"):
        TimeAxis(np.array([24]), np.array([0]), 24)
