"""UrbanFM's folders: coarse and fine flows and external factors as three ``.npy`` files.

``X.npy`` (T, R, C) coarse, ``Y.npy`` (T, N R, N C) fine, ``ext.npy`` (T, 7), of which column 4 is
the weekday from Monday 1 and column 5 the hour. The files have no dates, and frames are missing:
each frame is put at the next moment that has its weekday and hour.

Source: Y. Liang et al., UrbanFM: Inferring Fine-Grained Urban Flows, KDD 2019, and its code.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.cities.archives import read_array
from engine.cities.importers.gridded import (
    Bounds,
    Channel,
    Frames,
    GriddedImport,
    GriddedRules,
    Instants,
    assemble_import,
    read_as_input,
)
from engine.cities.importers.gridded_clock import clock_of_walls
from engine.errors import InputError

ZONE: Final = "Asia/Shanghai"
BOUNDS: Final[Bounds] = (116.25, 39.81, 116.50, 40.00)
CHANNEL: Final = Channel("flow", "taxis in each cell")
STEP: Final = timedelta(minutes=30)
NUM_FACTORS: Final = 7
_WEEKDAY, _HOUR = 4, 5
_STEPS_PER_HOUR: Final = 2
_STEPS_PER_WEEK: Final = 336
_SUM_TOLERANCE: Final = 1e-3


def read_urbanfm(folder: Path, first_day: date, rules: GriddedRules) -> GriddedImport:
    """Read one part (train, valid or test) of a set; the fine map becomes the field.

    Args:
        folder: with ``X.npy``, ``Y.npy`` and ``ext.npy``.
        first_day: a day from which on the first frame is looked for.
        rules: the magnification is taken from the files.

    Raises:
        InputError: a file is missing, shapes differ, the fine map does not add up to the coarse
            one, or weekdays and hours are none.
    """
    coarse, fine, factors = (_read(folder / f"{name}.npy") for name in ("X", "Y", "ext"))
    magnification = _check_maps(coarse, fine, folder.name)
    walls = _walls(factors, len(fine), first_day, folder.name)
    rules = GriddedRules(**(vars(rules) | {"magnification": magnification}))
    clock = clock_of_walls(walls, STEP, ZONE)
    note = "Dates are not stated: each frame stands at the next moment of its weekday and hour."
    return assemble_import({CHANNEL: fine}, clock, BOUNDS, rules, folder.name, (note,))


def _read(path: Path) -> Frames:
    def read() -> Frames:
        with path.open("rb") as file:
            return read_array(file, path.name)

    return read_as_input(path.name, read)


def _check_maps(coarse: Frames, fine: Frames, where: str) -> int:
    """The magnification, if the fine map adds up to the coarse one."""
    if coarse.ndim != 3 or fine.ndim != 3 or not coarse.size or len(coarse) != len(fine):
        raise InputError(
            "X.npy and Y.npy must be (frames, rows, columns), as many frames in both.",
            f"{where}: {coarse.shape}, {fine.shape}",
        )
    n = fine.shape[1] // coarse.shape[1]
    if n < 1 or fine.shape[1:] != (coarse.shape[1] * n, coarse.shape[2] * n):
        raise InputError(
            "The fine map is no multiple of the coarse one.",
            f"{where}: {fine.shape[1:]} and {coarse.shape[1:]}",
        )
    blocks = fine.reshape(len(fine), coarse.shape[1], n, coarse.shape[2], n)
    difference = np.abs(blocks.sum(axis=(2, 4), dtype=np.float64) - coarse)
    if np.nanmax(difference) > _SUM_TOLERANCE * max(1.0, float(np.nanmax(coarse))):
        raise InputError(
            "The fine map does not add up to the coarse one.",
            f"{where}: frame {int(np.nanargmax(difference) // coarse[0].size)}",
            "X.npy and Y.npy must hold counts, not scaled values, of the same frames.",
        )
    return n


def _walls(factors: Frames, num_frames: int, first_day: date, where: str) -> Instants:
    if factors.shape != (num_frames, NUM_FACTORS) or factors.dtype.kind not in "fiu":
        raise InputError(
            f"ext.npy must have {NUM_FACTORS} numbers for each frame.", f"{where}: {factors.shape}"
        )
    days, hours = factors[:, _WEEKDAY], factors[:, _HOUR]
    good = np.isin(days, np.arange(1, 8)) & np.isin(hours, np.arange(24))
    if not good.all():
        frame = int(np.flatnonzero(~good)[0])
        raise InputError(
            "A frame's weekday or hour is none.",
            f"{where}: frame {frame}, weekday {days[frame]}, hour {hours[frame]}",
            "Weekdays count from Monday 1 to Sunday 7, hours from 0 to 23.",
        )
    hours_of_week = (days.astype(np.int64) - 1) * 24 + hours.astype(np.int64)
    steps = _steps(hours_of_week, first_day.weekday() * 24 * _STEPS_PER_HOUR)
    monday = np.datetime64(first_day - timedelta(days=first_day.weekday()), "s")
    return monday + steps * np.timedelta64(int(STEP.total_seconds()), "s")


def _steps(hours_of_week: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Half-hours since Monday: each frame at the next one of its hour, after the one before."""
    steps = np.empty(len(hours_of_week), np.int64)
    earliest = first
    for frame, hour in enumerate(hours_of_week):
        begin = int(hour) * _STEPS_PER_HOUR
        into_hour = (earliest - begin) % _STEPS_PER_WEEK
        wait = 0 if into_hour < _STEPS_PER_HOUR else _STEPS_PER_WEEK - into_hour
        steps[frame] = earliest + wait
        earliest = int(steps[frame]) + 1
    return steps
