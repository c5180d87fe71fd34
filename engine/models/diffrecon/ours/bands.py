"""Lower and upper maps that hold the truth nine times in ten.

Samples say where a map is uncertain; how wide that makes a band is measured on frames that were
not trained on, separately for quiet and busy cells, and for cells whose sensor is there or gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import WeightsError
from engine.models.flows import Maps

EDGES = (0.25, 1.0, 4.0, 16.0, 64.0)
"""Borders between quiet and busy, in expected counts per frame."""

TARGET = 0.9
WIDEST = 8.0
LEAST_SPREAD = 0.05
"""In square roots of counts: samples that agree by chance are not certain."""


def spread_of(samples: Maps, estimate: Maps) -> Maps:
    """Root mean square distance of the samples from the estimate, in square roots of counts.

    Args:
        samples: (S, ..., R, C) counts.
        estimate: (..., R, C) counts.

    Returns:
        (..., R, C).
    """
    gap = np.sqrt(samples) - np.sqrt(estimate)[None]
    return np.asarray(np.sqrt((gap**2).mean(0) + LEAST_SPREAD**2), dtype=np.float32)


@dataclass(frozen=True)
class Bands:
    """How many spreads a band is wide on each side.

    Args:
        observed: factor per bin of the expected count, for cells below a working sensor.
        missing: the same for cells below a missing one.
    """

    observed: tuple[float, ...]
    missing: tuple[float, ...]

    def around(
        self, estimate: Maps, spread: Maps, observed: NDArray[np.bool_]
    ) -> tuple[Maps, Maps]:
        """Lower and upper map.

        Args:
            estimate: (..., R, C) counts.
            spread: as :func:`spread_of` gives it.
            observed: (..., R, C) bool, whether the coarse cell above was observed.

        Returns:
            lower, upper, (..., R, C) counts; 0 <= lower <= estimate <= upper.
        """
        place = np.digitize(estimate, EDGES)
        factor = np.where(observed, np.array(self.observed)[place], np.array(self.missing)[place])
        root = np.sqrt(estimate)
        lower = np.maximum(root - factor * spread, 0) ** 2
        upper = (root + factor * spread) ** 2
        return lower.astype(np.float32), upper.astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as :meth:`from_json` takes them back."""
        return {"observed": list(self.observed), "missing": list(self.missing)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Bands":
        """The bands that :meth:`to_json` wrote.

        Raises:
            WeightsError: values are missing.
        """
        try:
            bands = cls(tuple(data["observed"]), tuple(data["missing"]))
        except (KeyError, TypeError) as error:
            raise WeightsError("The weights' bands cannot be read.", str(error)) from error
        if {len(bands.observed), len(bands.missing)} != {len(EDGES) + 1}:
            raise WeightsError("The weights' bands have the wrong number of bins.")
        return bands


UNCALIBRATED = Bands((1.645,) * (len(EDGES) + 1), (1.645,) * (len(EDGES) + 1))
"""Nine tenths of a normal distribution, for networks that were not calibrated yet."""


def _least_factor(estimate: Maps, spread: Maps, truth: Maps) -> float:
    """The smallest factor whose band holds the truth nine times in ten."""
    if not len(estimate):
        return UNCALIBRATED.observed[0]
    needed = np.abs(np.sqrt(truth) - np.sqrt(estimate)) / spread
    return float(min(np.quantile(needed, TARGET), WIDEST))


def calibrate(estimate: Maps, spread: Maps, observed: NDArray[np.bool_], truth: Maps) -> Bands:
    """Bands that hold the truth of the given maps nine times in ten, in each bin.

    Args:
        estimate: (B, R, C) counts.
        spread: as :func:`spread_of` gives it.
        observed: (B, R, C) bool.
        truth: (B, R, C) counts.
    """
    place = np.digitize(estimate, EDGES)
    factors = []
    for side in (observed, ~observed):
        chosen = [side & (place == b) for b in range(len(EDGES) + 1)]
        factors.append(tuple(_least_factor(estimate[c], spread[c], truth[c]) for c in chosen))
    return Bands(*factors)
