"""What a reconstruction may know: coarse totals where sensors work, now and before.

Shapes: B frames, L earlier frames, I x J coarse cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import FieldError, MaskError
from engine.models.flows import FlowSeries, Index, Maps
from engine.models.masks import Mask
from engine.models.moments import NUM_CONDITIONS, Conditions


@dataclass(frozen=True, eq=False)
class Observations:
    """Coarse maps with gaps, and those of earlier frames.

    Args:
        coarse: (B, I, J) observed totals per frame; ignored where not observed.
        observed: (B, I, J) bool.
        slots: (B,) slot of the mean day at which each frame begins.
        past: (B, L, I, J) totals of earlier frames; ignored where not observed.
        past_observed: (B, L, I, J) bool; all False where there was no such frame.
        past_slots: (B, L) slot of the mean day of each earlier frame.
        conditions: (B, 5) weekday, holiday, weather, temperature and rain of each frame.

    Raises:
        MaskError: masks and maps differ in shape.
        FieldError: an observed total is negative or no number.
    """

    coarse: Maps
    observed: Mask
    slots: Index
    past: Maps
    past_observed: Mask
    past_slots: Index
    conditions: Conditions

    def __post_init__(self) -> None:
        if self.coarse.shape != self.observed.shape or self.past.shape != self.past_observed.shape:
            raise MaskError(
                "The mask has another shape than the coarse map.",
                f"mask {self.observed.shape}, map {self.coarse.shape}",
            )
        if self.conditions.shape != (len(self.coarse), NUM_CONDITIONS):
            raise FieldError("The conditions do not fit the frames.", str(self.conditions.shape))
        for name, mask in (("coarse", self.observed), ("past", self.past_observed)):
            values = np.where(mask, getattr(self, name), 0).astype(np.float32)
            if not np.isfinite(values).all():
                raise FieldError("An observed total is no number.", name)
            if (values < 0).any():
                raise FieldError("An observed total is negative.", name)
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.coarse)

    def __getitem__(self, part: slice) -> "Observations":
        return Observations(
            self.coarse[part],
            self.observed[part],
            self.slots[part],
            self.past[part],
            self.past_observed[part],
            self.past_slots[part],
            self.conditions[part],
        )


def observe(
    series: FlowSeries, starts: Index, masks: Mask, lags: Sequence[int] = ()
) -> Observations:
    """Coarse totals of the frames at ``starts`` and of the frames ``lags`` base steps earlier.

    Args:
        series: the truth.
        starts: (B,) base steps at which frames begin.
        masks: (B, 1 + L, I, J) bool, the frame's own mask first; or (B, I, J), used for all.
        lags: base steps back to each earlier frame, L of them.

    Returns:
        The observations; frames before the series' beginning are unobserved.
    """
    if masks.shape[-2:] != series.coarse_shape:
        raise MaskError(
            "The mask has another shape than the coarse map.",
            f"mask {masks.shape[-2:]}, map {series.coarse_shape}",
        )
    if masks.ndim == 3:
        masks = np.repeat(masks[:, None], 1 + len(lags), axis=1)
    earlier = starts[:, None] - np.asarray(lags, dtype=np.int64)[None, :]
    known = earlier >= 0
    past = np.zeros((*earlier.shape, *series.coarse_shape), dtype=np.float32)
    past[known] = series.coarse_frames[earlier[known]]
    return Observations(
        series.coarse_frames[starts],
        masks[:, 0],
        series.slots(starts),
        past,
        masks[:, 1:] & known[:, :, None, None],
        series.slots(earlier),
        series.moments(starts),
    )


def observe_in_order(
    series: FlowSeries, masks: Mask, lags: Sequence[int] = (), every: int = 1
) -> Observations:
    """All regular frames of a series, each with the earlier frames as they were observed then.

    Args:
        series: the truth.
        masks: (B, I, J) bool, one per regular frame.
        lags: as in :func:`observe`, multiples of the series' window.
        every: only each ``every``-th frame; the others are still history.

    Raises:
        MaskError: not one mask per frame.
    """
    starts = series.regular_starts()
    if len(masks) != len(starts):
        raise MaskError("There is not one mask per frame.", f"{len(masks)}, {len(starts)}")
    order = np.arange(0, len(starts), every)
    back = np.asarray([0, *lags], dtype=np.int64) // series.window
    chosen = np.maximum(order[:, None] - back[None, :], 0)
    return observe(series, starts[order], masks[chosen], lags)
