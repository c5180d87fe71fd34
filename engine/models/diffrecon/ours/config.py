"""Sizes and switches of the system."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import WeightsError

MAX_EVALUATIONS = 64
MAX_SAMPLES = 256


@dataclass(frozen=True)
class Config:
    """Sizes and switches of the mean network and the residual denoiser.

    Args:
        rows: coarse rows I.
        cols: coarse columns J.
        magnification: N.
        slots_per_day: S.
        window: base steps in a frame.
        half_widths: smoothing scales of history in slots, K of them.
        base_scale: which of them is the prior that is corrected.
        lags: base steps back to each earlier frame, L of them.
        width: features per point, D.
        blocks: blocks of the mean network.
        place_rank: features that each coarse cell reads with weights of its own.
        heads: attention heads; divides D.
        latents: summary vectors that all points are read into.
        residual_width: features per point in the denoiser.
        residual_blocks: blocks of the denoiser.
        residual_scale: typical difference of square roots; 0.5 for a Poisson count.
        small_count: added to counts before logarithms, so that a cell that history never used can
            still be used; smaller where empty cells stay empty.
        level_counts: counts of the mean day added to both sides of the observed level, so that a
            few counts at night do not multiply the whole city; 0 for none.
        dropout: probability.
        use_past: whether earlier frames are read.
        use_conditions: whether weekday, holiday, weather and temperature are read.
        day_kinds: kinds of days that have a mean day of their own.
    """

    rows: int
    cols: int
    magnification: int
    slots_per_day: int
    window: int
    half_widths: tuple[int, ...]
    base_scale: int
    lags: tuple[int, ...]
    width: int = 64
    blocks: int = 2
    place_rank: int = 16
    heads: int = 4
    latents: int = 16
    residual_width: int = 64
    residual_blocks: int = 2
    residual_scale: float = 0.5
    small_count: float = 0.02
    level_counts: float = 0.0
    dropout: float = 0.2
    use_past: bool = True
    use_conditions: bool = False
    day_kinds: int = 1

    @property
    def cells(self) -> int:
        """Fine cells in a coarse one, Q."""
        return self.magnification**2

    @property
    def points(self) -> int:
        """Coarse cells, P."""
        return self.rows * self.cols

    def to_json(self) -> dict[str, Any]:
        """Plain values, as :meth:`from_json` takes them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Config":
        """The configuration that :meth:`to_json` wrote.

        Raises:
            WeightsError: values are missing or unknown.
        """
        try:
            plain = dict(data)
            widths, lags = tuple(plain.pop("half_widths")), tuple(plain.pop("lags"))
            return cls(half_widths=widths, lags=lags, **plain)
        except (KeyError, TypeError) as error:
            raise WeightsError("The weights' configuration cannot be read.", str(error)) from error
