"""Colour scales: perceptually uniform, safe for colour-blind eyes, in light and in dark.

More of a quantity is always further from the background: on light paper the scales run from pale
to dark, on dark paper the other way round. The first colours are partly transparent, so that the
city shows through where there is little.

Sources: "heat", "violet" and "blue" are lajolla, acton and oslo, the diverging scale is vik (light)
and berlin (dark), all by F. Crameri (Scientific colour maps, MIT); viridis and cividis come from
matplotlib (CC0); the categorical colours are those of Okabe and Ito.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError

Color = tuple[int, int, int, int]

# eleven colours each, from dark to light
SEQUENTIAL: Final = {
    "heat": "2b200a 452918 6c362c 9a4340 c7504b de6b4f e58751 eaa253 f0be58 f8e07f fefbc0",
    "violet": "331f50 463a69 57527f 71618c 8d648e ac6790 cc739a d890b3 e1aecc e8cbe2 eee3f4",
    "blue": "0f2133 13324f 1b456f 285990 406eaf 6187c5 7d99ca 94a8c9 aeb9cb ccd0d6 ebeced",
    "viridis": "440154 482576 414487 355f8d 2a788e 21918c 22a884 42be71 7ad151 bddf26 fde725",
    "cividis": "00224e 0c3470 35456c 4f576c 666970 7d7c78 948e77 ada272 c8b866 e5cf52 fee838",
}
# eleven colours each, from negative to positive
DIVERGING_LIGHT: Final = (
    "022a70 044d87 2575a1 6aa4c1 b0cfde ebe6e2 e4bea8 d29470 c06b3a a13c0b 731406"
)
DIVERGING_DARK: Final = (
    "93affa 71a8e7 529ed1 3d88b2 2c7192 3a424b 853c28 a15443 bb6c60 d78880 f4a3a1"
)
"""Of berlin the outer 55 % of each half: its black middle cannot be told from dark paper."""

CATEGORICAL: Final = "0072b2 e69f00 009e73 cc79a7 56b4e9 d55e00 f0e442 999999"

_FADE_IN: Final = (0, 110, 190, 230, 250)
_FADE_DIVERGING: Final = {5: 0, 4: 150, 6: 150, 3: 225, 7: 225}
_FADE_DIVERGING_DARK: Final = {5: 0, 4: 210, 6: 210, 3: 235, 7: 235}


class ScaleKind(StrEnum):
    """What the values of a map mean, and so how colours follow them."""

    SEQUENTIAL = "sequential"
    DIVERGING = "diverging"
    CATEGORICAL = "categorical"


def _colors(text: str, alphas: dict[int, int] | None = None) -> list[Color]:
    alphas = alphas or {}
    return [(*bytes.fromhex(color), alphas.get(i, 255)) for i, color in enumerate(text.split())]


def sequential_stops(palette: str) -> dict[str, list[Color]]:
    """Colours from little to much, for light and for dark paper.

    Raises:
        InputError: no palette of that name.
    """
    if palette not in SEQUENTIAL:
        raise InputError(
            f"There is no palette '{palette}'.", "", f"Choose one of: {', '.join(SEQUENTIAL)}."
        )
    fade = dict(enumerate(_FADE_IN))
    rising = SEQUENTIAL[palette]
    falling = " ".join(reversed(rising.split()))
    return {"light": _colors(falling, fade), "dark": _colors(rising, fade)}


def diverging_stops() -> dict[str, list[Color]]:
    """Colours from negative to positive, transparent in the middle."""
    return {
        "light": _colors(DIVERGING_LIGHT, _FADE_DIVERGING),
        "dark": _colors(DIVERGING_DARK, _FADE_DIVERGING_DARK),
    }


def categorical_colors(count: int) -> list[Color]:
    """That many colours which colour-blind eyes tell apart, at most eight.

    Raises:
        InputError: more are asked for.
    """
    colors = _colors(CATEGORICAL)
    if count > len(colors):
        raise InputError(
            f"{count} categories cannot be told apart by colour.", "", "Use at most eight."
        )
    return colors[:count]


@dataclass(frozen=True)
class ColorScale:
    """How the values of a map become colours, heights and words.

    Args:
        low: value of the first colour.
        high: value of the last colour; of a categorical scale, the number of categories - 1.
        label: what is shown, for the legend.
        unit: of the values; empty when they have none.
        kind: sequential, diverging or categorical.
        palette: name of a sequential palette.
        group: views whose scales are of one group can share one scale.
        labels: of a categorical scale, one per category.

    Raises:
        InputError: the limits are no numbers, or not in order, or the palette is not known.
    """

    low: float
    high: float
    label: str
    unit: str = ""
    kind: ScaleKind = ScaleKind.SEQUENTIAL
    palette: str = "heat"
    group: str = ""
    labels: tuple[str, ...] = ()
    colors: tuple[Color, ...] = ()

    def __post_init__(self) -> None:
        if not (isfinite(self.low) and isfinite(self.high)) or self.low > self.high:
            raise InputError(
                "A colour scale needs a lowest and a highest value.", f"{self.low} to {self.high}"
            )
        if self.kind is ScaleKind.SEQUENTIAL:
            sequential_stops(self.palette)

    @classmethod
    def of(
        cls,
        values: NDArray[np.generic],
        label: str,
        unit: str = "",
        palette: str = "heat",
        group: str = "",
    ) -> "ColorScale":
        """A sequential scale from zero (or the lowest value) to the highest finite value."""
        finite = np.asarray(values, dtype=np.float64)
        finite = finite[np.isfinite(finite)]
        high = float(finite.max()) if finite.size else 1.0
        low = min(0.0, float(finite.min())) if finite.size else 0.0
        top = high if high > low else low + 1.0
        return cls(low, top, label, unit, palette=palette, group=group)

    @classmethod
    def around_zero(cls, values: NDArray[np.generic], label: str, unit: str = "") -> "ColorScale":
        """A diverging scale, as wide as the value furthest from zero."""
        finite = np.abs(np.asarray(values, dtype=np.float64))
        finite = finite[np.isfinite(finite)]
        size = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
        return cls(-size, size, label, unit, ScaleKind.DIVERGING)

    @classmethod
    def of_categories(
        cls, labels: tuple[str, ...], label: str, colors: tuple[Color, ...] = ()
    ) -> "ColorScale":
        """A categorical scale: value k has the k-th label and colour."""
        return cls(
            0, len(labels) - 1, label, kind=ScaleKind.CATEGORICAL, labels=labels, colors=colors
        )

    def with_limits(self, low: float, high: float) -> "ColorScale":
        """The same scale over other limits."""
        return replace(self, low=low, high=high)

    def to_json(self) -> dict[str, Any]:
        """Plain values for the map in the browser."""
        if self.kind is ScaleKind.SEQUENTIAL:
            stops = sequential_stops(self.palette)
        elif self.kind is ScaleKind.DIVERGING:
            stops = diverging_stops()
        else:
            colors = list(self.colors) or categorical_colors(len(self.labels))
            stops = {"light": colors, "dark": colors}
        return {
            "kind": self.kind.value,
            "stops": stops,
            "low": float(self.low),
            "high": float(self.high),
            "label": self.label,
            "unit": self.unit,
            "group": self.group or f"{self.label}|{self.unit}",
            "labels": list(self.labels),
        }


def cell_colors(
    values: NDArray[np.generic], scale: ColorScale, theme: str = "light"
) -> NDArray[np.uint8]:
    """Colours of values, as the map in the browser computes them.

    Args:
        values: any shape; NaN becomes transparent.
        scale: not categorical.
        theme: "light" or "dark".

    Returns:
        RGBA, the values' shape with one more axis of four.
    """
    stops = np.array(scale.to_json()["stops"][theme], dtype=np.float64)
    numbers = np.asarray(values, dtype=np.float64)
    share = np.nan_to_num((numbers - scale.low) / ((scale.high - scale.low) or 1.0))
    place = np.clip(share, 0, 1) * (len(stops) - 1)
    left = np.minimum(place.astype(int), len(stops) - 2)
    part = (place - left)[..., None]
    mixed = stops[left] * (1 - part) + stops[left + 1] * part
    mixed[~np.isfinite(numbers)] = 0
    return np.asarray(np.rint(mixed), dtype=np.uint8)
