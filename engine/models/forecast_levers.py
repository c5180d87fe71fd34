"""What a user can change about a forecast's input, and nothing that the networks do not see.

Each lever takes windows and returns windows; one that changes nothing returns the same numbers
bit for bit. A closed street is a changed adjacency, which only the direct network knows.

Shapes: B windows, T history, N sensors.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from engine.errors import SensorError
from engine.models.forecast_windows import WindowBatch


def scale_history(
    batch: WindowBatch,
    sensors: Sequence[int],
    factor: float,
    last_steps: int,
    usual_BTN: Tensor | None = None,
) -> WindowBatch:
    """An incident: the last steps of some sensors multiplied, 0.4 for a cut by 60 %.

    Args:
        batch: the windows.
        sensors: column numbers.
        factor: from 0 up; 1 changes nothing.
        last_steps: how many steps before now, 1 to T.
        usual_BTN: stands in where nothing was measured, so that an incident is seen on a street
            on which no vehicle happened to pass; None leaves such gaps.

    Raises:
        SensorError: a sensor, the factor or the number of steps does not exist.
    """
    _check_sensors(batch, sensors)
    history = batch.history_BTN.shape[1]
    if not (0 <= factor < float("inf")) or not 1 <= last_steps <= history:
        raise SensorError(
            "The incident does not fit the history.",
            f"factor {factor}, last {last_steps} of {history} steps",
        )
    if factor == 1:
        return batch
    history_BTN, valid_BTN = batch.history_BTN.clone(), batch.history_valid_BTN.clone()
    recent = (slice(None), slice(history - last_steps, None), list(sensors))
    if usual_BTN is not None:
        history_BTN[recent] = torch.where(valid_BTN[recent], history_BTN[recent], usual_BTN[recent])
        valid_BTN[recent] = True
    history_BTN[recent] *= factor
    return replace(batch, history_BTN=history_BTN, history_valid_BTN=valid_BTN)


def silence_sensors(batch: WindowBatch, sensors: Sequence[int]) -> WindowBatch:
    """Sensors that have measured nothing in the whole history.

    Raises:
        SensorError: there is no such sensor.
    """
    _check_sensors(batch, sensors)
    quiet = replace(
        batch,
        history_BTN=_without(batch.history_BTN, sensors),
        history_valid_BTN=_without(batch.history_valid_BTN, sensors),
    )
    if batch.earlier_BPN is None or batch.earlier_valid_BPN is None:
        return quiet
    return replace(
        quiet,
        earlier_BPN=_without(batch.earlier_BPN, sensors),
        earlier_valid_BPN=_without(batch.earlier_valid_BPN, sensors),
    )


def shift_clock(
    batch: WindowBatch, steps_per_day: int, by_steps: int = 0, weekday: int | None = None
) -> WindowBatch:
    """The same readings at another time of day, or on another day of the week.

    Args:
        batch: the windows.
        steps_per_day: slots of a day.
        by_steps: later, or earlier when negative; weekdays that are known move along.
        weekday: Monday 0 ... Sunday 6 of the last step seen; None leaves it.

    Raises:
        SensorError: there is no such weekday.
    """
    if weekday is not None and weekday not in range(7):
        raise SensorError("A weekday is a number from 0 (Monday) to 6 (Sunday).", str(weekday))
    moved_BS = batch.slot_BS + by_steps
    weekday_BS = batch.weekday_BS
    days_BS = torch.div(moved_BS, steps_per_day, rounding_mode="floor")
    weekday_BS = torch.where(weekday_BS < 0, weekday_BS, (weekday_BS + days_BS) % 7)
    slot_BS = moved_BS % steps_per_day
    if weekday is not None:
        last = batch.history_BTN.shape[1] - 1
        midnights_BS = torch.cumsum(slot_BS.diff(dim=1, prepend=slot_BS[:, :1]) < 0, dim=1)
        weekday_BS = (weekday + midnights_BS - midnights_BS[:, last : last + 1]) % 7
    return replace(batch, slot_BS=slot_BS, weekday_BS=weekday_BS)


def close_links(adjacency_NN: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """The street network without the links between these pairs, in both directions.

    Raises:
        SensorError: a sensor of a pair does not exist.
    """
    closed_NN = adjacency_NN.clone()
    for i, j in pairs:
        if not (0 <= i < len(closed_NN) and 0 <= j < len(closed_NN)):
            raise SensorError("There is no such pair of sensors.", f"{i}, {j}")
        closed_NN[i, j] = closed_NN[j, i] = 0.0
    return closed_NN


def cut_off(adjacency_NN: Tensor, sensors: Sequence[int]) -> Tensor:
    """The street network without any link of these sensors: their streets are closed.

    Raises:
        SensorError: there is no such sensor.
    """
    _check_numbers(sensors, len(adjacency_NN))
    closed_NN = adjacency_NN.clone()
    closed_NN[list(sensors), :] = 0.0
    closed_NN[:, list(sensors)] = 0.0
    return closed_NN


def _without(values: Tensor, sensors: Sequence[int]) -> Tensor:
    """A copy with zeros in these sensors' columns."""
    rest = values.clone()
    rest[..., list(sensors)] = 0
    return rest


def _check_sensors(batch: WindowBatch, sensors: Sequence[int]) -> None:
    _check_numbers(sensors, batch.history_BTN.shape[2])


def _check_numbers(sensors: Sequence[int], num_sensors: int) -> None:
    wrong = [sensor for sensor in sensors if not 0 <= sensor < num_sensors]
    if wrong:
        raise SensorError("There is no such sensor.", f"{wrong[0]} of {num_sensors}")
