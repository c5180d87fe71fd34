import numpy as np
import pytest
import torch

from engine.domain.sensors import TimeAxis
from engine.errors import SensorError
from engine.models.forecast_levers import (
    close_links,
    scale_history,
    shift_clock,
    silence_sensors,
)
from engine.models.forecast_windows import WindowSet


@pytest.fixture
def batch():
    values = np.arange(40, dtype=np.float32).reshape(20, 2) + 1
    axis = TimeAxis.counted(20, 20, 24, 6)
    return WindowSet(values, values > 0, axis, 4, 2, earlier=3).batch(np.array([0, 9]))


def _equal(a, b):
    return all(torch.equal(vars(a)[name], vars(b)[name]) for name in vars(a))


def test_no_op_changes_nothing(batch):
    assert _equal(scale_history(batch, [0, 1], 1.0, 4), batch)
    assert _equal(silence_sensors(batch, []), batch)
    assert _equal(shift_clock(batch, 24), batch)
    streets = torch.rand(3, 3)
    assert torch.equal(close_links(streets, []), streets)


def test_incident_cuts_the_last_steps(batch):
    cut = scale_history(batch, [1], 0.5, 2)
    assert cut.history_BTN[0, :, 1].tolist() == [2, 4, 3, 4]
    assert cut.history_BTN[0, :, 0].tolist() == batch.history_BTN[0, :, 0].tolist()
    assert batch.history_BTN[0, :, 1].tolist() == [2, 4, 6, 8]  # the windows are as before


def test_silent_sensor_has_no_history(batch):
    silent = silence_sensors(batch, [0])
    assert not silent.history_valid_BTN[:, :, 0].any()
    assert silent.history_valid_BTN[:, :, 1].all()
    assert silent.history_BTN[:, :, 0].abs().sum() == 0
    assert silent.earlier_valid_BPN[1].tolist() == [[False, True]] * 3
    assert silent.earlier_BPN[:, :, 0].abs().sum() == 0
    assert torch.equal(silent.truth_valid_BHN, batch.truth_valid_BHN)


def test_clock_moves_over_midnight(batch):
    assert batch.slot_BS[0].tolist() == [20, 21, 22, 23, 0, 1]
    later = shift_clock(batch, 24, 3)
    assert later.slot_BS[0].tolist() == [23, 0, 1, 2, 3, 4]
    assert later.weekday_BS[0].tolist() == [6, 0, 0, 0, 0, 0]
    earlier = shift_clock(batch, 24, -2)
    assert earlier.slot_BS[0].tolist() == [18, 19, 20, 21, 22, 23]
    assert earlier.weekday_BS[0].tolist() == [6] * 6


def test_weekday_is_that_of_the_last_step_seen(batch):
    friday = shift_clock(batch, 24, 2, weekday=4)
    assert friday.slot_BS[0].tolist() == [22, 23, 0, 1, 2, 3]
    assert friday.weekday_BS[0].tolist() == [3, 3, 4, 4, 4, 4]


def test_link_is_closed_both_ways():
    closed = close_links(torch.ones(3, 3), [(0, 2)])
    assert closed.tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 1]]


@pytest.mark.parametrize(
    "lever",
    [
        lambda b: scale_history(b, [2], 0.5, 1),
        lambda b: scale_history(b, [0], -1.0, 1),
        lambda b: scale_history(b, [0], float("nan"), 1),
        lambda b: scale_history(b, [0], 0.5, 5),
        lambda b: silence_sensors(b, [-1]),
        lambda b: shift_clock(b, 24, weekday=7),
        lambda b: close_links(torch.ones(2, 2), [(0, 2)]),
    ],
)
def test_impossible_lever_is_refused(batch, lever):
    with pytest.raises(SensorError):
        lever(batch)
