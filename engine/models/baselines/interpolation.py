"""Baselines that know nothing but the coarse map in front of them."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from engine.models.flows import Maps, spread
from engine.models.masks import Mask
from engine.models.observations import Observations


def fill_nearest(coarse: Maps, observed: Mask) -> Maps:
    """Missing cells take the value of the nearest observed one; zero if there is none.

    Args:
        coarse: (B, I, J) totals, used where observed.
        observed: (B, I, J) bool.

    Returns:
        (B, I, J) totals.
    """
    filled = np.zeros_like(coarse)
    for row, (values, mask) in enumerate(zip(coarse, observed, strict=True)):
        if mask.any():
            place = ndimage.distance_transform_edt(
                ~mask, return_distances=False, return_indices=True
            )
            filled[row] = values[tuple(place)]
    return filled


@dataclass(frozen=True)
class NearestFill:
    """Nearest fill, then an even spread within each coarse cell."""

    magnification: int

    def estimate(self, seen: Observations) -> Maps:
        """(B, R, C) counts per frame; observed totals are kept."""
        filled = fill_nearest(seen.coarse, seen.observed)
        return spread(filled, self.magnification) / np.float32(self.magnification**2)


@dataclass(frozen=True)
class Bicubic:
    """Nearest fill, then cubic splines between the coarse cells' centres; negatives are cut."""

    magnification: int

    def estimate(self, seen: Observations) -> Maps:
        """(B, R, C) counts per frame; totals are not kept."""
        filled = fill_nearest(seen.coarse, seen.observed) / np.float32(self.magnification**2)
        zoom = (1, self.magnification, self.magnification)
        fine = ndimage.zoom(filled, zoom, order=3, mode="nearest", grid_mode=True)
        return np.asarray(np.maximum(fine, 0), dtype=np.float32)
