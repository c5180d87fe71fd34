"""Small factors on the best map, by how busy a cell is expected to be.

The mean network is trained on square roots, whose mean lies below the counts' own, most of all in
quiet cells. How much is measured on frames that were not trained on, and taken back here; observed
totals are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.errors import WeightsError
from engine.models.conservation import conserve, repeat_blocks

KNOTS = (0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Expected counts per frame between whose logarithms the factors are interpolated."""

_SHIFT = 0.02
"""Added to counts before logarithms."""


@dataclass(frozen=True)
class Correction:
    """Logarithms of the factors at :data:`KNOTS`.

    Args:
        observed: for cells below a working sensor.
        missing: for cells below a missing one.
    """

    observed: tuple[float, ...] = (0.0,) * len(KNOTS)
    missing: tuple[float, ...] = (0.0,) * len(KNOTS)

    def apply(self, fine: Tensor, coarse: Tensor, observed: Tensor) -> Tensor:
        """The corrected map; see :func:`corrected`."""
        factors = torch.tensor([self.observed, self.missing], device=fine.device)
        return corrected(fine, coarse, observed, factors)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as :meth:`from_json` takes them back."""
        return {"observed": list(self.observed), "missing": list(self.missing)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Correction":
        """The correction that :meth:`to_json` wrote.

        Raises:
            WeightsError: values are missing or not one for each knot.
        """
        try:
            factors = tuple(tuple(map(float, data[side])) for side in ("observed", "missing"))
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError("The weights' correction cannot be read.", str(error)) from error
        if any(len(side) != len(KNOTS) for side in factors):
            raise WeightsError("The weights' correction has the wrong number of factors.")
        return cls(*factors)


def corrected(fine: Tensor, coarse: Tensor, observed: Tensor, factors: Tensor) -> Tensor:
    """A map with factors by expected count, and with its observed totals.

    Args:
        fine: (B, R, C) non-negative best maps.
        coarse: (B, I, J) totals, used where observed.
        observed: (B, I, J) bool.
        factors: (2, number of knots) logarithms, for observed and for missing cells.

    Returns:
        (B, R, C), non-negative; differentiable in ``factors``.
    """
    n = fine.shape[-1] // coarse.shape[-1]
    knots = torch.tensor(KNOTS, device=fine.device).log()
    place = (fine + _SHIFT).log().clamp(knots[0], knots[-1]).contiguous()
    right = torch.searchsorted(knots, place).clamp(1, len(KNOTS) - 1)
    share = (place - knots[right - 1]) / (knots[right] - knots[right - 1])
    side = (~repeat_blocks(observed, n)).long()
    logs = factors[side, right - 1] * (1 - share) + factors[side, right] * share
    return conserve(fine * logs.exp(), coarse, observed, fine)
