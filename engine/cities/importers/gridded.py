"""Gridded flows of other formats: from frames with times to fields on a regular time axis.

=================  ==========================================  ============================
format             file                                        module
=================  ==========================================  ============================
DiDi Chengdu       ``.npz``, ``flow`` (days, 144, R, C, 3)     ``gridded_archives``
BikeNYC (P6)       ``.npz``, ``flow`` (T, 2, R, C)             ``gridded_archives``
TaxiBJ, BikeNYC    ``.h5``, ``data`` (T, 2, R, C) and ``date``  ``gridded_stdata``
UrbanFM            folder with X.npy, Y.npy, ext.npy           ``gridded_urbanfm``
tables             CSV or Parquet, one row a value             ``gridded_tables``
=================  ==========================================  ============================

Here is what they share: the rules, the checks of values, and the placing of frames in time.
What was put right is said in the import's notes; what cannot be is refused.
Shapes: T frames as stored, K steps of the time axis, R rows, C columns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.cities.format import MAX_ARRAY_BYTES
from engine.domain import Aggregation, FieldSeries, Grid
from engine.errors import CityDamagedError, InputError

Bounds = tuple[float, float, float, float]
Frames = NDArray[Any]
Instants = NDArray[np.datetime64]
"""(T,) datetime64[s], UTC."""
T = TypeVar("T")

MAX_GAP_SHARE: Final = 0.95
"""A file that lacks more than this share of the steps between its first and last is refused."""
MAX_IMPORT_BYTES: Final = 2 * 2**30
MAX_VALUE: Final = 1e12
_FLOAT_EXACT: Final = 2**24


@dataclass(frozen=True)
class GriddedRules:
    """How frames become fields.

    Args:
        bounds: west, south, east, north of the file's whole grid, degrees; None takes the
            format's own, which is only roughly known for most of them.
        magnification: fine cells along one side of a coarse cell.
        north_first: whether the file's first row lies in the north.
        mark_gaps: whether missing time steps become missing values; otherwise they are refused.
        keep_first: whether the first of several frames of the same time is kept; otherwise they
            are refused.
        mark_bad: whether values that are negative or no number become missing; otherwise they
            are refused.
    """

    bounds: Bounds | None = None
    magnification: int = 1
    north_first: bool = True
    mark_gaps: bool = True
    keep_first: bool = False
    mark_bad: bool = False


@dataclass(frozen=True)
class Channel:
    """One of the things that a file counts.

    Args:
        name: name of the field in the city.
        title: what is counted, in plain words.
        unit: see :data:`engine.domain.fields.KNOWN_UNITS`.
        aggregation: what merged cells do.
    """

    name: str
    title: str
    unit: str = "vehicles"
    aggregation: Aggregation = Aggregation.SUM


@dataclass(frozen=True)
class GriddedImport:
    """What was read.

    Args:
        fields: by name, all on one grid and time axis.
        notes: what was put right or is not known, as full sentences.
    """

    fields: Mapping[str, FieldSeries]
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class FrameClock:
    """When the frames were taken.

    Args:
        instants: (T,) datetime64[s], UTC; NaT for frames at hours that never were.
        step: length of a step.
        zone: IANA name, for showing.
    """

    instants: Instants
    step: timedelta
    zone: str

    def __post_init__(self) -> None:
        if self.step < timedelta(seconds=1) or self.step.microseconds:
            raise InputError("A step must be a whole number of seconds.", str(self.step))


def assemble_import(
    channels: Mapping[Channel, Frames],
    clock: FrameClock,
    bounds: Bounds,
    rules: GriddedRules,
    where: str,
    notes: tuple[str, ...] = (),
) -> GriddedImport:
    """Frames with times as fields on a regular axis.

    Args:
        channels: (T, R, C) of each.
        clock: when the frames were taken.
        bounds: of the whole grid, unless the rules say otherwise.
        rules: see :class:`GriddedRules`.
        where: the file's name, for messages.
        notes: what the reader has to say itself.

    Raises:
        InputError: values, times or sizes do not fit the rules.
    """
    shape = next(iter(channels.values())).shape
    grid = Grid(*(rules.bounds or bounds), shape[1], shape[2], rules.magnification)
    chosen, steps, said = place_frames(clock, shape[1] * shape[2], rules, where)
    start = clock.instants[chosen].min().astype(datetime).replace(tzinfo=UTC)
    fields = {}
    for channel, frames in channels.items():
        values, marked = check_values(frames, f"{where}: {channel.name}", rules)
        if marked:
            said.append(f"{marked:,} impossible values of {channel.name} are marked as missing.")
        values = values[:, ::-1] if not rules.north_first else values
        fields[channel.name] = FieldSeries(
            channel.title,
            _compact(_spread(values[chosen], steps)),
            grid,
            start.astimezone(ZoneInfo(clock.zone)),
            clock.step,
            channel.unit,
            channel.aggregation,
        )
    if rules.bounds is None:
        said.append("Where exactly the grid lies is not stated; the map shows it about there.")
    return GriddedImport(fields, (*notes, *said))


def check_values(frames: Frames, where: str, rules: GriddedRules) -> tuple[Frames, int]:
    """Values as they may stay, and how many were marked as missing.

    Raises:
        InputError: no numbers, infinite, or negative or missing where the rules refuse it.
    """
    if frames.dtype.kind not in "fiu":
        raise InputError("The values are no numbers.", f"{where}: {frames.dtype}")
    if frames.dtype.kind == "f" and bool((np.abs(frames) > MAX_VALUE).any()):
        raise InputError("The values hold infinite numbers, or some too large to be true.", where)
    bad = np.isnan(frames) if frames.dtype.kind == "f" else np.zeros(frames.shape, bool)
    for kind, found in (("no numbers (NaN)", bad), ("negative", frames < 0)):
        if found.any() and not rules.mark_bad:
            place = ", ".join(str(i) for i in np.argwhere(found)[0])
            raise InputError(
                f"{int(found.sum()):,} values are {kind}.",
                f"{where}: the first at frame, row, column {place}",
                "Mark them as missing (--mark-bad), or repair the file.",
            )
    bad = bad | (frames < 0)
    if not bad.any():
        return frames, 0
    marked = frames.astype(np.float32)
    marked[bad] = np.nan
    return marked, int(bad.sum())


def place_frames(
    clock: FrameClock, num_cells: int, rules: GriddedRules, where: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Which frames are kept, and at which step of the time axis each of them stands.

    Returns:
        Frame numbers in the order of time, their steps, and notes.

    Raises:
        InputError: no frame, times off the step, two frames at once, gaps, or an axis too long.
    """
    notes = []
    real = np.flatnonzero(~np.isnat(clock.instants))
    if not len(real):
        raise InputError("The file holds no frame with a time.", where)
    if len(real) < len(clock.instants):
        lost = len(clock.instants) - len(real)
        notes.append(f"{lost} frames at hours that the clock leaps over are left out.")
    seconds = clock.instants[real].astype("datetime64[s]").astype(np.int64)
    step_s = int(clock.step.total_seconds())
    steps, rest = np.divmod(seconds - seconds.min(), step_s)
    if rest.any():
        first = clock.instants[real[np.flatnonzero(rest)[0]]]
        raise InputError("A frame's time lies between two steps.", f"{where}: {first} UTC")
    order = np.argsort(steps, kind="stable")
    frames, steps = real[order], steps[order]
    twice = np.flatnonzero(np.diff(steps) == 0)
    if len(twice):
        when = clock.instants[frames[twice[0]]]
        if not rules.keep_first:
            raise InputError(
                f"{len(twice)} frames have the time of another one.",
                f"{where}: {when} UTC",
                "Keep the first of each (--keep-first), or repair the file.",
            )
        keep = np.ones(len(frames), bool)
        keep[twice + 1] = False
        frames, steps = frames[keep], steps[keep]
        notes.append(f"{len(twice)} frames with the time of another one are left out.")
    _check_gaps(steps, clock, num_cells, rules, where, notes)
    return frames, steps, notes


def read_as_input(where: str, read: Callable[[], T]) -> T:
    """What the city reader calls damage is, in a file to import, bad input.

    Raises:
        InputError: reading failed.
    """
    try:
        return read()
    except CityDamagedError as error:
        raise InputError(error.what, error.where, "Choose a file as its publisher wrote it.") from (
            error
        )
    except FileNotFoundError as error:
        raise InputError("There is no such file.", where) from error
    except OSError as error:
        raise InputError("The file cannot be read.", f"{where}: {error.strerror}") from error


def _check_gaps(
    steps: NDArray[np.int64],
    clock: FrameClock,
    num_cells: int,
    rules: GriddedRules,
    where: str,
    notes: list[str],
) -> None:
    num_steps = int(steps[-1]) + 1
    num_gaps = num_steps - len(steps)
    if num_steps * num_cells * 4 > MAX_ARRAY_BYTES or num_gaps > MAX_GAP_SHARE * num_steps:
        raise InputError(
            "The times are too far apart for one series.",
            f"{where}: {len(steps):,} frames in {num_steps:,} steps",
            "Import parts of it one by one.",
        )
    if not num_gaps:
        return
    hole = int(np.flatnonzero(np.diff(steps) > 1)[0])
    after = steps[hole] * int(clock.step.total_seconds())
    when = np.nanmin(clock.instants) + after.astype("timedelta64[s]")
    if not rules.mark_gaps:
        raise InputError(
            f"{num_gaps:,} time steps are missing.",
            f"{where}: the first after {when} UTC",
            "Let them be marked as missing, or repair the file.",
        )
    notes.append(f"{num_gaps:,} of {num_steps:,} time steps are missing and marked so.")


def _spread(values: Frames, steps: NDArray[np.int64]) -> Frames:
    """(K, R, C): each frame at its step, NaN between them."""
    if len(steps) == steps[-1] + 1:
        return values
    spread = np.full((int(steps[-1]) + 1, *values.shape[1:]), np.nan, np.float32)
    spread[steps] = values
    return spread


def _compact(values: Frames) -> Frames:
    """Whole numbers in the narrowest unsigned type, others as float32."""
    if values.dtype.kind == "f":
        whole = not np.isnan(values).any() and bool((values == np.rint(values)).all())
        if not whole or values.max(initial=0) >= _FLOAT_EXACT:
            return values.astype(np.float32)
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))
