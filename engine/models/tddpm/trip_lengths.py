"""Closing the loop of lengths: trips come out as long as they were wished.

A network in few steps follows the length that it is told only roughly, and makes long trips about
half as long. So it is told the wished length times a factor, which follows what came out for such
lengths so far; and of several tries one that has its length is preferred.

Differs from paper: the paper's lengths are what the network makes of the map.

Shapes: N trips, C classes of wished length.
"""

from dataclasses import replace

import numpy as np

from engine.models.tddpm.plans import TripPlan
from engine.models.tddpm.tracks import Floats, Tracks, path_lengths_m

CLASSES_M = np.geomspace(30.0, 60_000.0, 13)
"""Edges of the classes, metres; shorter and longer trips count at the ends."""
GAIN = 0.7
"""Part of an error that the next chunk mends."""
FULL_CLASS, SMALL_CLASS = 16, 4
"""Trips of a class in one chunk that move its factor as far as :data:`GAIN` says; fewer move it
less, and too few not at all."""
MOST = 8.0
"""Factors lie between one over this and this."""
SLACK_M = 20.0
"""A difference of lengths that counts for little: what a receiver's noise adds to a trip."""


class LengthLoop:
    """What the network is told of trips' lengths, and how well the trips that came out fit.

    Args:
        step_s: time between two points, seconds.
    """

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._log_factor = np.zeros(len(CLASSES_M) - 1)

    def factors(self, wished_m: Floats) -> Floats:
        """(N,) what the network is to be told over what is wished, by wished length."""
        middle = np.log(CLASSES_M[1:] * CLASSES_M[:-1]) / 2
        return np.exp(np.interp(np.log(np.maximum(wished_m, 1.0)), middle, self._log_factor))

    def told(self, plan: TripPlan) -> TripPlan:
        """The plan as the network is told it; the same where no speeds are wished."""
        if plan.speed_m_s is None:
            return plan
        factor = self.factors(plan.speed_m_s * (plan.num_points - 1) * self._step_s)
        return replace(plan, speed_m_s=plan.speed_m_s * factor)

    def note(self, plan: TripPlan, tries: Tracks) -> Floats | None:
        """Take the tries of a plan into account.

        Returns:
            (N,) misfit of each: absolute logarithm of the length that it has over the one that
            was wished, as far as it came; None if no speeds are wished.
        """
        wished_m = planned_lengths_m(plan, tries)
        if wished_m is None:
            return None
        came_m = path_lengths_m(tries)
        error = np.log((came_m + SLACK_M / 2) / (wished_m + SLACK_M / 2))
        of_class = np.clip(np.searchsorted(CLASSES_M, wished_m) - 1, 0, len(self._log_factor) - 1)
        for number in np.flatnonzero(np.bincount(of_class) >= SMALL_CLASS):
            errors = error[of_class == number]
            self._log_factor[number] -= (
                GAIN * min(1.0, len(errors) / FULL_CLASS) * np.median(errors)
            )
        self._log_factor = np.clip(self._log_factor, -np.log(MOST), np.log(MOST))
        return np.abs(np.log((came_m + SLACK_M) / (wished_m + SLACK_M)))


def planned_lengths_m(plan: TripPlan, tracks: Tracks) -> Floats | None:
    """(N,) lengths of trips of a plan, as far as they came; None if the plan knows no speeds."""
    if plan.speed_m_s is None:
        return None
    return np.asarray(plan.speed_m_s * (tracks.num_points - 1) * tracks.step_s)
