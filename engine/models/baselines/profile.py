"""The mean day of the training data, at several degrees of smoothing.

Where a calendar is known, each kind of day has a mean day of its own: S slots for each of them.

Shapes: S slots, B frames, R x C fine cells.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.models.flows import FlowSeries, Index, Maps

Sums = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Profile:
    """Mean counts per base step and slot of the day.

    Args:
        sums: (S, R, C) sum over the days.
        days: (S,) number of days behind each slot.
        window: base steps summed into a frame.
        magnification: fine cells along one side of a coarse cell.
        kinds: kinds of days; divides S.
    """

    sums: Sums
    days: NDArray[np.float64]
    window: int
    magnification: int
    kinds: int = 1

    @property
    def num_slots(self) -> int:
        """S."""
        return len(self.days)

    @property
    def slots_per_day(self) -> int:
        """S over the kinds of days."""
        return self.num_slots // self.kinds

    def _later(self, values: Sums, shift: int) -> Sums:
        """Each slot's value moved ``shift`` slots on, around its own kind of day."""
        days = values.reshape(self.kinds, self.slots_per_day, *values.shape[1:])
        return np.asarray(np.roll(days, shift, axis=1).reshape(values.shape))

    def step_means(self, half_width: int) -> Maps:
        """Mean of one base step at each slot, averaged over ± ``half_width`` slots (circular).

        Returns:
            (S, R, C) counts per base step.
        """
        sums, days = self.box(half_width)
        return np.asarray(sums / np.maximum(days, 1)[:, None, None], dtype=np.float32)

    def frame_means(self, half_width: int) -> Maps:
        """Mean frame that begins at each slot: :meth:`step_means` summed over its steps.

        Returns:
            (S, R, C) counts per frame.
        """
        means = self.step_means(half_width).astype(np.float64)
        frames = sum(self._later(means, -offset) for offset in range(self.window))
        return np.asarray(frames, dtype=np.float32)

    def box(self, half_width: int) -> tuple[Sums, NDArray[np.float64]]:
        """Sums and days over ± ``half_width`` slots around each slot."""
        shifts = range(-half_width, half_width + 1)
        sums = np.zeros_like(self.sums)
        days = np.zeros_like(self.days)
        for shift in shifts:
            sums += self._later(self.sums, shift)
            days += self._later(self.days, shift)
        return sums, days


def fit_profile(series: FlowSeries) -> Profile:
    """The mean day of a series, or of each kind of its days.

    A kind that the series does not hold has the mean of all days.
    """
    kinds, day = series.num_day_kinds, series.slots_per_day
    slots = series.slots(np.arange(len(series.values)))
    sums = np.zeros((kinds * day, *series.shape))
    np.add.at(sums, slots, series.values)
    days = np.bincount(slots, minlength=kinds * day).astype(np.float64)
    empty = np.flatnonzero(days == 0)
    for part in (sums, days):
        every = part.reshape(kinds, day, *part.shape[1:]).sum(0)
        part[empty] = every[empty % day]
    return Profile(sums, days, series.window, series.magnification, kinds)


class OtherDays:
    """The profile that a training frame would have seen, had it not been part of it.

    A prior that contains its own target looks better in training than it ever will again. This
    leaves out, for each frame, every base step of the frame's own surroundings.

    Args:
        series: the training series.
        half_widths: degrees of smoothing, in slots, K of them.
    """

    def __init__(self, series: FlowSeries, half_widths: tuple[int, ...]) -> None:
        profile = fit_profile(series)
        self._series = series
        self._half_widths = half_widths
        self._boxes = [profile.box(width) for width in half_widths]
        zero = np.zeros((1, *series.shape))
        self._running = np.concatenate([zero, series.values.cumsum(0, dtype=np.float64)])

    def frame_means(self, *starts: Index) -> Maps:
        """Mean frames of the other days at the slots of the frames at ``starts``.

        Args:
            starts: (B,) beginnings; a second array, at the same slots, if frames were blended
                from two days each. A frame blended with itself is left out once.

        Returns:
            (B, K, R, C) counts per frame.
        """
        columns = [
            sum(
                self._step_mean([s + offset for s in starts], k)
                for offset in range(self._series.window)
            )
            for k in range(len(self._half_widths))
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def _surroundings(self, steps: Index, width: int) -> tuple[Index, Index]:
        """First step and the step after the last that smoothing mixes with each step's own.

        Where kinds of days are kept apart, they end with the step's own day.
        """
        first, last = np.zeros_like(steps), np.full_like(steps, len(self._series.values))
        if self._series.num_day_kinds > 1:
            day = self._series.slots_per_day
            midnight = self._series.days(steps) * day - self._series.first_slot
            first, last = np.maximum(midnight, first), np.minimum(midnight + day, last)
        low = np.clip(steps - width, first, last)
        return low, np.clip(steps + width + 1, first, last)

    def _step_mean(self, own_steps: list[Index], k: int) -> Sums:
        width, (sums, days) = self._half_widths[k], self._boxes[k]
        slots = self._series.slots(own_steps[0])
        rest, remaining = sums[slots], days[slots]
        for number, steps in enumerate(own_steps):
            low, high = self._surroundings(steps, width)
            if number:
                high = np.where(steps == own_steps[0], low, high)
            rest = rest - (self._running[high] - self._running[low])
            remaining = remaining - (high - low)
        # too few training days leave nothing: fall back to the whole mean
        alone = (remaining <= 0)[:, None, None]
        rest = np.where(alone, sums[slots], rest)
        remaining = np.where(remaining <= 0, np.maximum(days[slots], 1), remaining)
        return np.asarray(np.maximum(rest, 0) / remaining[:, None, None])


def find_clock(series: FlowSeries, profile: Profile) -> int:
    """The slot at which a series without a clock most likely begins.

    Compares the city's total over the day with the profile's; uses coarse totals only.
    """
    totals = series.values.sum((1, 2), dtype=np.float64)
    slots = np.arange(len(totals)) % profile.num_slots
    counts = np.maximum(np.bincount(slots, minlength=profile.num_slots), 1)
    day = np.bincount(slots, totals, minlength=profile.num_slots) / counts
    known = profile.sums.sum((1, 2)) / np.maximum(profile.days, 1)
    scores = [float(np.corrcoef(day, np.roll(known, -shift))[0, 1]) for shift in range(len(known))]
    return int(np.argmax(scores))
