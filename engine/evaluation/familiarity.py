"""How far a question lies outside of what a model was trained on.

Every yardstick is a plain figure: the share of missing sensors, the way to the nearest one, the
city's level against the mean day, the spread over the city, the oddest single sensor, the weather.
Each is divided by what is still ordinary, so that 1 is the border; the largest decides.
:mod:`engine.evaluation.familiarity_limits` measures what is ordinary.

Shapes: B frames, I x J coarse cells.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import WeightsError
from engine.models.diffrecon.ours.system import Reconstructor
from engine.models.flows import Maps
from engine.models.masks import Mask
from engine.models.moments import RAIN, TEMPERATURE, WEATHER, WEATHERS
from engine.models.observations import Observations

CARD_KEY = "familiarity"
SHARES = (0.1, 0.25, 0.5, 0.75)
"""Borders between few and many working sensors: what is odd depends on how many there are."""

MEASURES = ("level", "pattern", "worst")
"""Figures whose limits are measured, for each share of working sensors."""

MARGIN = 0.1
"""By how much of its range a temperature or rain may lie outside of it."""

UNSEEN = 2.0
"""Oddity of a weather that was never trained on."""

_TINY = 1e-9

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Spreads:
    """How much ordinary totals differ from the mean day, in square roots of counts.

    Args:
        level: floor of the city's total, and its growth with the square root of the total.
        cell: the same of a coarse cell, once the city's level is known.
    """

    level: tuple[float, float]
    cell: tuple[float, float]


@dataclass(frozen=True)
class Familiarity:
    """What is ordinary for a model.

    Args:
        spreads: of totals around the mean day.
        limits: largest ordinary value of each of :data:`MEASURES`, by share of working sensors.
        max_missing: largest share of missing cells that was trained on.
        max_way: largest ordinary way to the nearest sensor, in coarse cells.
        temperature: lowest and highest that was trained on, °C; None where unknown.
        rain: the same, mm/h.
        weathers: those that were trained on, as places in the list of known ones.
        rates: share of cases called unfamiliar on days that were not measured on, by kind.
    """

    spreads: Spreads
    limits: Mapping[str, tuple[float, ...]]
    max_missing: float
    max_way: float
    temperature: tuple[float, float] | None = None
    rain: tuple[float, float] | None = None
    weathers: tuple[int, ...] = ()
    rates: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, as :meth:`from_json` takes them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Familiarity":
        """The yardstick that :meth:`to_json` wrote.

        Raises:
            WeightsError: values are missing.
        """
        try:
            ranges = {k: tuple(data[k]) if data[k] else None for k in ("temperature", "rain")}
            parts = {
                "spreads": Spreads(**{k: tuple(v) for k, v in data["spreads"].items()}),
                "limits": {name: tuple(data["limits"][name]) for name in MEASURES},
                "weathers": tuple(data["weathers"]),
            }
            return cls(**{**data, **ranges, **parts})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise WeightsError("The weights' familiarity cannot be read.", str(error)) from error


@dataclass(frozen=True, eq=False)
class Unfamiliarity:
    """How far one frame lies outside of what was trained on.

    Args:
        overall: above 1 is unfamiliar.
        cells: (I, J) the same for each coarse cell.
        reasons: why, in plain words, the strongest first; empty where all is ordinary.
    """

    overall: float
    cells: Maps
    reasons: tuple[str, ...]

    @property
    def is_unfamiliar(self) -> bool:
        """Whether the answer needs a warning."""
        return self.overall > 1


def familiarity_of(system: Reconstructor) -> Familiarity | None:
    """The yardstick in the card of a model's weights; None where it was not measured."""
    data = system.card.get(CARD_KEY)
    return Familiarity.from_json(data) if data else None


def score_familiarity(
    system: Reconstructor, seen: Observations, known: Familiarity | None = None
) -> tuple[Unfamiliarity, ...]:
    """How far each frame lies outside of what the model was trained on.

    Args:
        system: the model.
        seen: B frames.
        known: the yardstick; that of the model's card if not given.

    Returns:
        One for each frame; none at all where the yardstick was not measured.

    Raises:
        WeightsError: the card's yardstick cannot be read.
    """
    known = known or familiarity_of(system)
    if known is None:
        return ()
    figures = measure_figures(seen, system.usual, known.spreads)
    odd = oddities(figures, seen, known)
    return tuple(_verdict(figures, odd, seen, known, frame) for frame in range(len(seen)))


@dataclass(frozen=True, eq=False)
class Figures:
    """What is measured of B frames.

    Args:
        ratio: (B,) observed totals over the mean day's.
        expected: (B, I, J) the mean day at that level.
        level: (B,) size of the observed total's deviation, in spreads.
        cells: (B, I, J) size of each cell's deviation at that level, in spreads; 0 where missing.
        pattern: (B,) mean square of it over the working sensors.
        worst: (B,) the largest of it.
        way: (B, I, J) to the nearest sensor, in coarse cells.
    """

    ratio: Values
    expected: Values
    level: Values
    cells: Values
    pattern: Values
    worst: Values
    way: Values


def measure_figures(seen: Observations, usual_day: Maps, spreads: Spreads) -> Figures:
    """The figures of B frames.

    Args:
        seen: the frames.
        usual_day: (S, I, J) mean totals at each slot.
        spreads: what is usual around them.
    """
    from scipy.ndimage import distance_transform_edt

    observed, usual = seen.observed, usual_day[seen.slots].astype(np.float64)
    total = np.where(observed, seen.coarse, 0).sum((1, 2), dtype=np.float64)
    usual_total = np.where(observed, usual, 0).sum((1, 2))
    ratio = np.where(usual_total > 0, total / np.maximum(usual_total, _TINY), 1)
    expected = usual * ratio[:, None, None]
    cells = deviation(seen.coarse, expected, spreads.cell) * observed
    return Figures(
        ratio=ratio,
        expected=expected,
        level=deviation(total, usual_total, spreads.level),
        cells=cells,
        pattern=(cells**2).sum((1, 2)) / np.maximum(observed.sum((1, 2)), 1),
        worst=cells.max((1, 2)),
        way=np.stack([distance_transform_edt(~mask) for mask in observed]),
    )


def deviation(values: Maps | Values, expected: Values, spread: tuple[float, float]) -> Values:
    """Size of a difference of square roots, in spreads that grow with what is expected."""
    floor, growth = spread
    gap = np.abs(np.sqrt(values) - np.sqrt(expected))
    return np.asarray(gap / np.sqrt(floor**2 + growth**2 * expected), dtype=np.float64)


def share_bin(observed: Mask) -> NDArray[np.int64]:
    """Which of the shares of working sensors each frame has, (B,)."""
    return np.digitize(observed.mean((1, 2)), SHARES)


def oddities(figures: Figures, seen: Observations, known: Familiarity) -> dict[str, Values]:
    """Each yardstick over what is still ordinary, (B,) by name."""
    place = share_bin(seen.observed)
    odd = {
        name: getattr(figures, name) / np.maximum(np.array(known.limits[name])[place], _TINY)
        for name in MEASURES
    }
    odd["missing"] = (~seen.observed).mean((1, 2)) / known.max_missing
    odd["way"] = figures.way.max((1, 2)) / known.max_way
    for name, column, trained in (
        ("temperature", TEMPERATURE, known.temperature),
        ("rain", RAIN, known.rain),
    ):
        odd[name] = _outside(seen.conditions[:, column], trained)
    weather = seen.conditions[:, WEATHER]
    unseen = ~np.isnan(weather) & ~np.isin(weather, known.weathers)
    odd["weather"] = np.where(unseen & bool(known.weathers), UNSEEN, 0.0)
    return odd


def _outside(values: Maps, trained: tuple[float, float] | None) -> Values:
    """0 in the middle of the range, 1 a margin outside of it; 0 where unknown."""
    if trained is None:
        return np.zeros(len(values))
    low, high = trained
    half = max((high - low) / 2, _TINY)
    return np.nan_to_num(np.abs(values - (low + high) / 2) / (half * (1 + 2 * MARGIN)))


def _verdict(
    figures: Figures, odd: Mapping[str, Values], seen: Observations, known: Familiarity, frame: int
) -> Unfamiliarity:
    of_frame = {name: float(values[frame]) for name, values in odd.items()}
    limit = known.limits["worst"][int(share_bin(seen.observed[frame : frame + 1])[0])]
    cells = np.where(
        seen.observed[frame],
        np.maximum(figures.cells[frame] / max(limit, _TINY), of_frame["level"]),
        np.maximum(figures.way[frame] / known.max_way, of_frame["missing"]),
    )
    order = sorted((name for name in of_frame if of_frame[name] > 1), key=lambda n: -of_frame[n])
    return Unfamiliarity(
        overall=max(of_frame.values()),
        cells=cells.astype(np.float32),
        reasons=tuple(_in_words(name, figures, seen, known, frame) for name in order),
    )


def _in_words(
    name: str, figures: Figures, seen: Observations, known: Familiarity, frame: int
) -> str:
    conditions = seen.conditions[frame]
    if name == "level":
        return (
            f"The working sensors count {_times(float(figures.ratio[frame]))} what they usually "
            "do on such a day at this hour."
        )
    if name == "pattern":
        return "Traffic is spread over the city in a way that was never seen at this hour."
    if name == "worst":
        row, col = np.unravel_index(figures.cells[frame].argmax(), figures.cells[frame].shape)
        return (
            f"The sensor in row {row + 1}, column {col + 1} counts "
            f"{seen.coarse[frame, row, col]:,.0f}; going by the others, about "
            f"{figures.expected[frame, row, col]:,.0f} would be usual."
        )
    if name == "missing":
        return (
            f"{(~seen.observed[frame]).mean():.0%} of the sensors are missing; the model was "
            f"trained with up to {known.max_missing:.0%} missing."
        )
    if name == "way":
        return f"The nearest sensor is up to {figures.way[frame].max():.0f} cells away."
    if name == "weather":
        return f"The model was never trained on {WEATHERS[int(conditions[WEATHER])]} weather."
    column, unit = {"temperature": (TEMPERATURE, "°C"), "rain": (RAIN, "mm/h of rain")}[name]
    low, high = (known.temperature if name == "temperature" else known.rain) or (0, 0)
    return (
        f"{conditions[column]:.0f} {unit}: the model was trained on {low:.0f} to {high:.0f} {unit}."
    )


def _times(ratio: float) -> str:
    if ratio >= 1:
        return f"{ratio:.1f} times"
    return f"{ratio:.0%} of"
