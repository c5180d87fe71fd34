"""Baselines that know the mean day: historical mean and historical share."""

from dataclasses import dataclass

import numpy as np

from engine.models.baselines.profile import Profile
from engine.models.flows import Maps, coarsen, spread
from engine.models.observations import Observations

HALF_HOUR_S = 1800
SECONDS_PER_DAY = 86_400


def half_hour_width(slots_per_day: int) -> int:
    """Slots in half an hour, the smoothing of the specification; 0 for hourly slots."""
    return HALF_HOUR_S * slots_per_day // SECONDS_PER_DAY


def usual_frames(profile: Profile) -> Maps:
    """The specification's mean frame: its first slot's smoothed mean, times the steps it has.

    Returns:
        (S, R, C) counts per frame.
    """
    return profile.step_means(half_hour_width(profile.slots_per_day)) * np.float32(profile.window)


def level(coarse: Maps, observed: Maps, prior: Maps) -> Maps:
    """How busy the observed cells are, compared with their history.

    Args:
        coarse: (..., I, J) totals, used where observed.
        observed: (..., I, J), 1 where observed, else 0.
        prior: (..., I, J) historical totals.

    Returns:
        (..., 1, 1) ratio; 1 where nothing is observed or history is empty.
    """
    seen = (coarse * observed).sum((-2, -1), keepdims=True)
    usual = (prior * observed).sum((-2, -1), keepdims=True)
    return np.where(usual > 0, seen / np.where(usual > 0, usual, 1), 1).astype(np.float32)


def complete_by_level(coarse: Maps, observed: Maps, prior: Maps) -> Maps:
    """Observed totals as they are, missing ones as their history times the level."""
    return np.where(observed > 0, coarse, prior * level(coarse, observed, prior))


def split_by_share(coarse: Maps, prior: Maps, magnification: int) -> Maps:
    """Split coarse totals by the shares of a fine prior; evenly where the prior is empty."""
    totals = spread(coarsen(prior, magnification), magnification)
    even = 1 / magnification**2
    shares = np.where(totals > 0, prior / np.where(totals > 0, totals, 1), even)
    return np.asarray(shares * spread(coarse, magnification), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class HistoricalMean:
    """The mean day, whatever is observed."""

    profile: Profile

    def estimate(self, seen: Observations) -> Maps:
        """(B, R, C) counts per frame."""
        return usual_frames(self.profile)[seen.slots]


@dataclass(frozen=True, eq=False)
class HistoricalShare:
    """The mean day's shares, with coarse totals completed by the observed level.

    The slot means are averaged over half an hour on both sides.
    """

    profile: Profile

    def estimate(self, seen: Observations) -> Maps:
        """(B, R, C) counts per frame; observed totals are kept."""
        means = usual_frames(self.profile)[seen.slots]
        n = self.profile.magnification
        observed = seen.observed.astype(np.float32)
        totals = complete_by_level(seen.coarse, observed, coarsen(means, n))
        return split_by_share(totals, means, n)
