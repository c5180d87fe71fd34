"""Wall clock times and slots of days as moments in time."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from engine.cities.importers.gridded import FrameClock, Instants
from engine.errors import InputError

DAY_S: Final = 86_400
_STAMP: Final = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)")


def clock_of_walls(walls: Instants, step: timedelta, zone: str) -> FrameClock:
    """The clock of frames with local times.

    An hour that the clock leaps over becomes NaT. Of an hour that comes twice the first is meant,
    so the second is a gap. Steps of whole days are counted in local days.

    Args:
        walls: (T,) datetime64, local wall clock times.
        step: length of a step.
        zone: IANA name.

    Raises:
        InputError: the zone is not known, or a time lies beyond what can be counted.
    """
    import pandas as pd

    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            "The time zone is not known.", zone[:80], "Use a name such as Asia/Shanghai."
        ) from error
    index = pd.DatetimeIndex(walls.astype("datetime64[s]"))
    first_of_two = np.ones(len(index), bool)
    local = index.tz_localize(zone, ambiguous=first_of_two, nonexistent="NaT")
    instants = local.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]")
    if step % timedelta(seconds=DAY_S) == timedelta(0) and len(instants):
        earliest = int(np.argmin(walls))
        instants = walls.astype("datetime64[s]") + (instants[earliest] - walls[earliest])
    return FrameClock(instants, step, zone)


def clock_of_slots(first_day: date, num_frames: int, slots_per_day: int, zone: str) -> FrameClock:
    """The clock of frames that follow each other from midnight, so many to a local day."""
    step_s = DAY_S // slots_per_day
    walls = np.datetime64(first_day, "s") + np.arange(num_frames) * np.timedelta64(step_s, "s")
    return clock_of_walls(walls, timedelta(seconds=step_s), zone)


def walls_of_stamps(stamps: Sequence[bytes], slots_per_day: int, where: str) -> Instants:
    """Local times of stamps such as ``b'2013070148'``: year, month, day, slot of the day.

    TaxiBJ counts slots from 1, BikeNYC from 0: a file that has a slot 0 counts from 0.

    Args:
        stamps: T stamps of ten digits.
        slots_per_day: 48 for half an hour.
        where: the file's name, for messages.

    Returns:
        (T,) datetime64[s].

    Raises:
        InputError: a stamp is no date with a slot.
    """
    dates, slots = [], []
    for number, stamp in enumerate(stamps):
        found = _STAMP.fullmatch(stamp)
        try:
            year, month, day, slot = (int(part) for part in found.groups()) if found else (0,) * 4
            dates.append(date(year, month, day))
        except ValueError as error:
            raise InputError(
                "A frame's date cannot be read.",
                f"{where}: frame {number}, {stamp[:20]!r}",
                "It must be year, month, day and slot, such as 2013070148.",
            ) from error
        slots.append(slot)
    return _walls(np.array(dates, "datetime64[s]"), np.array(slots), slots_per_day, where)


def _walls(days: Instants, slots: NDArray[np.int64], slots_per_day: int, where: str) -> Instants:
    if not len(slots):
        raise InputError("The file holds no frame.", where)
    first = 0 if slots.min() == 0 else 1
    if slots.max() - first >= slots_per_day:
        raise InputError(
            f"A frame's slot is larger than {slots_per_day} slots a day allow.",
            f"{where}: slots {slots.min()} to {slots.max()}",
            "Choose the format with the right number of slots.",
        )
    return days + (slots - first) * np.timedelta64(DAY_S // slots_per_day, "s")
