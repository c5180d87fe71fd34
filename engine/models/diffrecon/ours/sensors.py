"""Where the next sensor helps most, and which of those there are would be missed most.

What a sensor tells is judged by the mean network alone. It is asked twice, for a total one spread
below and one above what it expects of the sensor's cell: by how much the two maps differ is what
is not known as long as the sensor is missing. Variances of square roots of counts add up, so each
choice takes its part off what the samples left open.

Shapes: R x C fine cells, I x J coarse cells, K sensors looked at together.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from engine.errors import InputError
from engine.models.diffrecon.ours.bands import LEAST_SPREAD, UNCALIBRATED
from engine.models.diffrecon.ours.system import Reconstruction, Reconstructor
from engine.models.flows import Index, Maps
from engine.models.observations import Observations

CARD_KEY = "hidden_spread"
DEFAULT_SPREAD = (0.5, 0.1)
"""Where it was not measured: a Poisson count's, and a fifth of the total."""

MAX_CHOICES = 32
BATCH = 32
_NINE_TENTHS = UNCALIBRATED.observed[0]

Cell = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Placement:
    """Sensors chosen so far.

    Args:
        share: of the work done, 0 to 1.
        cells: row and column of each chosen coarse cell, the first one first.
        widths: expected sum of all 90 % bands, in counts: before, and after each choice.
        gains: (I, J) by how much each cell would narrow the bands now; NaN where a sensor works
            or was chosen.
    """

    share: float
    cells: tuple[Cell, ...]
    widths: tuple[float, ...]
    gains: Maps


@dataclass(frozen=True, eq=False)
class Importance:
    """What would be lost with each sensor, as far as it is known.

    Args:
        share: of the work done, 0 to 1.
        widening: (I, J) by how much the sum of all 90 % bands would grow, in counts; NaN where no
            sensor works, or where it was not looked at yet.
        change: (I, J) by how much the map would change without it, summed over all cells, in
            counts; NaN as above.
        width: the sum of all bands with all sensors.
    """

    share: float
    widening: Maps
    change: Maps
    width: float

    def ranking(self) -> tuple[Cell, ...]:
        """Row and column of each sensor, the one that would be missed most first."""
        known = np.argwhere(~np.isnan(self.widening))
        order = sorted(known.tolist(), key=lambda cell: -self.widening[cell[0], cell[1]])
        return tuple((row, col) for row, col in order)


def hidden_spread(system: Reconstructor) -> tuple[float, float]:
    """Floor and growth of the error of a hidden coarse total, in square roots of counts."""
    floor, growth = system.card.get(CARD_KEY, DEFAULT_SPREAD)
    return float(floor), float(growth)


def place_sensors(
    system: Reconstructor, seen: Observations, answer: Reconstruction, count: int
) -> Iterator[Placement]:
    """Choose the missing cells whose observation narrows the bands most, one after the other.

    A chosen cell counts as observed with the total that is expected of it.

    Args:
        system: the model.
        seen: a single frame.
        answer: what the model made of it, with samples.
        count: how many to choose, 1 to 32; fewer where fewer are missing.

    Yields:
        :class:`Placement`; the last one is the answer.

    Raises:
        InputError: not one frame, no sensor is missing, no samples, or a count out of range.
    """
    _check(seen, answer)
    missing = int((~seen.observed).sum())
    if not 1 <= count <= MAX_CHOICES or not missing:
        raise InputError(
            "There is no place for so many sensors.",
            f"{count} wanted, {missing} cells without a sensor",
            f"Take 1 to {MAX_CHOICES}, and leave at least one cell without a sensor.",
        )
    count = min(count, missing)
    estimate, variance = answer.estimate, _variance(answer)
    coarse, cells = answer.coarse, list[Cell]()
    widths = [_width(estimate, variance)]
    for turn in range(count):
        places = np.argwhere(~seen.observed[0])
        gains = np.full(seen.observed.shape[1:], np.nan, dtype=np.float32)
        told: dict[Cell, Maps] = {}
        for first in range(0, len(places), BATCH):
            part = places[first : first + BATCH]
            shift = _told(system, seen, part, coarse)
            for (row, col), own in zip(part.tolist(), shift, strict=True):
                gains[row, col] = widths[-1] - _width(estimate, _less(variance, own))
                told[row, col] = own
            done = (turn + min(1.0, (first + BATCH) / len(places))) / count
            yield Placement(min(done, 1 - 1e-6), tuple(cells), tuple(widths), gains)
        row, col = (int(i) for i in np.unravel_index(np.nanargmax(gains), gains.shape))
        variance = _less(variance, told[row, col])
        cells.append((row, col))
        widths.append(_width(estimate, variance))
        seen = _with_totals(seen, np.array([[row, col]]), coarse[None, row, col])
        gains[row, col] = np.nan
    yield Placement(1.0, tuple(cells), tuple(widths), gains)


def rank_sensors(
    system: Reconstructor, seen: Observations, answer: Reconstruction
) -> Iterator[Importance]:
    """Leave out each working sensor once, with all that it told before.

    Args:
        system: the model.
        seen: a single frame with two or more sensors.
        answer: what the model made of it, with samples.

    Yields:
        :class:`Importance`; the last one is the answer.

    Raises:
        InputError: not one frame, fewer than two sensors, or no samples.
    """
    _check(seen, answer)
    places = np.argwhere(seen.observed[0])
    if len(places) < 2:
        raise InputError("Only one sensor is left, so none can be compared.")
    variance = _variance(answer)
    width = _width(answer.estimate, variance)
    widening, change = (np.full(seen.observed.shape[1:], np.nan, np.float32) for _ in range(2))
    for first in range(0, len(places), BATCH):
        part = places[first : first + BATCH]
        hidden = _without(seen, part)
        fine, coarse = system.complete(hidden)
        expected = coarse[np.arange(len(part)), part[:, 0], part[:, 1]]
        told = _between(system, hidden, part, expected)
        for number, (row, col) in enumerate(part.tolist()):
            wider = variance + told[number]
            widening[row, col] = _width(fine[number], wider) - width
            change[row, col] = np.abs(fine[number] - answer.estimate).sum()
        share = min(1.0, (first + BATCH) / len(places))
        yield Importance(share, widening.copy(), change.copy(), width)


def _check(seen: Observations, answer: Reconstruction) -> None:
    if len(seen) != 1:
        raise InputError("Sensors are compared for one frame at a time.", f"{len(seen)} frames")
    if len(answer.samples) < 2:
        raise InputError("Sensors are compared by samples.", "", "Draw two or more samples.")


def _variance(answer: Reconstruction) -> Maps:
    """What the bands say of each cell, as a variance of square roots of counts, (R, C)."""
    half = (np.sqrt(answer.upper) - np.sqrt(answer.estimate)) / _NINE_TENTHS
    return np.asarray(half**2, dtype=np.float32)


def _width(estimate: Maps, variance: Maps) -> float:
    """Sum of the 90 % bands, counts."""
    root, half = np.sqrt(estimate), _NINE_TENTHS * np.sqrt(variance)
    return float(((root + half) ** 2 - np.maximum(root - half, 0) ** 2).sum(dtype=np.float64))


def _less(variance: Maps, told: Maps) -> Maps:
    """What is still open once a sensor has told its part; samples are never wholly certain."""
    least = np.minimum(variance, np.float32(LEAST_SPREAD**2))
    return np.maximum(variance - told, least)


def _told(system: Reconstructor, seen: Observations, places: Index, coarse: Maps) -> Maps:
    """Variance that is open as long as each of K missing cells is, (K, R, C)."""
    expected = coarse[places[:, 0], places[:, 1]]
    return _between(system, _repeated(seen, len(places)), places, expected)


def _between(system: Reconstructor, seen: Observations, places: Index, expected: Maps) -> Maps:
    """Variance between the maps for a low and a high total of one cell each, (K, R, C)."""
    floor, growth = hidden_spread(system)
    size = np.sqrt(floor**2 + growth**2 * expected)
    roots = [
        np.sqrt(system.complete(_with_totals(seen, places, np.maximum(total, 0) ** 2))[0])
        for total in (np.sqrt(expected) - size, np.sqrt(expected) + size)
    ]
    return np.asarray(((roots[1] - roots[0]) / 2) ** 2, dtype=np.float32)


def _repeated(seen: Observations, times: int) -> Observations:
    """One frame several times over."""
    parts = {f.name: getattr(seen, f.name) for f in fields(seen)}
    return replace(seen, **{name: np.repeat(part, times, 0) for name, part in parts.items()})


def _with_totals(seen: Observations, places: Index, totals: Maps) -> Observations:
    """Frame k with a sensor in cell k that counts total k."""
    coarse, observed = seen.coarse.copy(), seen.observed.copy()
    frames = np.arange(len(places))
    coarse[frames, places[:, 0], places[:, 1]] = totals
    observed[frames, places[:, 0], places[:, 1]] = True
    return replace(seen, coarse=coarse, observed=observed)


def _without(seen: Observations, places: Index) -> Observations:
    """Frame k without the sensor of cell k, now and before."""
    seen = _repeated(seen, len(places))
    observed, past = seen.observed.copy(), seen.past_observed.copy()
    frames = np.arange(len(places))
    observed[frames, places[:, 0], places[:, 1]] = False
    past[frames, :, places[:, 0], places[:, 1]] = False
    return replace(seen, observed=observed, past_observed=past)
