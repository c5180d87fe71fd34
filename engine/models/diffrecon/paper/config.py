"""Sizes of the paper's system, and switches for its ablations."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.diffusion.schedules import Schedule, quadratic_schedule
from engine.errors import WeightsError


@dataclass(frozen=True)
class Config:
    """Sizes and switches.

    Args:
        rows: coarse rows I; even.
        cols: coarse columns J; even.
        magnification: N, a power of two.
        slots_per_day: base steps a day.
        window: base steps in a frame.
        lags: base steps back to each earlier map that ST-PointFormer sees, the oldest first.
        series: length t of the series that T-PatternNet sees, in frames.
        d_model: features per token.
        heads: attention heads; divides d_model.
        layers: layers of ST-PointFormer, and of T-PatternNet.
        periods: how many periods a TimesBlock looks at.
        kernels: kernel sizes of the inception block.
        width: channels of the U-Nets' first level; the others have twice as many.
        num_steps: T of the diffusions.
        last_variance: of the last step.
        use_st_pointformer: switch of an ablation.
        use_t_patternnet: switch of an ablation.
    """

    rows: int
    cols: int
    magnification: int
    slots_per_day: int
    window: int
    lags: tuple[int, ...]
    series: int
    d_model: int = 64
    heads: int = 4
    layers: int = 2
    periods: int = 3
    kernels: int = 6
    width: int = 64
    num_steps: int = 50
    last_variance: float = 0.5
    use_st_pointformer: bool = True
    use_t_patternnet: bool = True

    @property
    def schedule(self) -> Schedule:
        """Variances of both diffusions."""
        return quadratic_schedule(self.num_steps, 1e-4, self.last_variance)

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
            return cls(**{**data, "lags": tuple(data["lags"])})
        except (KeyError, TypeError) as error:
            raise WeightsError("The weights' configuration cannot be read.", str(error)) from error
