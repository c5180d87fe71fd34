"""Days on which streets were closed, as windows to train on: what a closure truly does.

Shapes: B windows, T history, H horizon, N sensors.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from engine.models.forecast_windows import WindowBatch, WindowSet

HOW_OFTEN = 0.15
"""Share of the windows that are taken from days with a closure."""


@dataclass(frozen=True, eq=False)
class Closure:
    """One day with streets closed, beside the same day as it was.

    Args:
        untouched: windows of the day as it was.
        closed: the same windows with the streets closed all the while.
        adjacency_NN: the street network without the closed streets.
        first: the first window that lies wholly within the closure.
        last: the last one.
    """

    untouched: WindowSet
    closed: WindowSet
    adjacency_NN: Tensor
    first: int
    last: int

    def window(self, start: int, is_sudden: bool) -> WindowBatch:
        """One window; a sudden closure has the history of the day as it was.

        Sudden means "closed from now on": what the lever on the page asks. Its truth is that of
        a day on which the street had been closed for longer, which the first minutes after a
        closing resemble least.
        """
        after = self.closed.batch(np.array([start]))
        if not is_sudden:
            return after
        before = self.untouched.batch(np.array([start]))
        parts = {item.name: getattr(after, item.name) for item in fields(WindowBatch)}
        for name in ("history_BTN", "history_valid_BTN", "earlier_BPN", "earlier_valid_BPN"):
            parts[name] = getattr(before, name)
        return WindowBatch(**parts)


def draw_closures(
    windows: WindowBatch,
    adjacency_NN: Tensor,
    closures: Sequence[Closure],
    rngs: Sequence[np.random.Generator],
) -> tuple[WindowBatch, Tensor, Tensor]:
    """The batch with some windows replaced by those of closures, their streets, and which."""
    streets_BNN = adjacency_NN.expand(len(windows), -1, -1).clone()
    columns = {k: v.clone() for k, v in vars(windows).items() if v is not None}
    is_drawn_B = torch.zeros(len(windows), dtype=torch.bool)
    for row, rng in enumerate(rngs):
        if rng.random() >= HOW_OFTEN:
            continue
        closure = closures[int(rng.integers(len(closures)))]
        start = int(rng.integers(closure.first, closure.last + 1))
        other = closure.window(start, is_sudden=bool(rng.random() < 0.5))
        for name, column in columns.items():
            column[row] = getattr(other, name)[0]
        streets_BNN[row] = torch.as_tensor(closure.adjacency_NN)
        is_drawn_B[row] = True
    return WindowBatch(**columns), streets_BNN, is_drawn_B
