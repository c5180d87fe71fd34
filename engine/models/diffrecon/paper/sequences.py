"""What the two stages see: incomplete coarse maps for C, complete ones for F."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from engine.models.diffrecon.paper.external import External


def hide(complete: Tensor, observed: Tensor) -> Tensor:
    """The incomplete map: what is observed, zero elsewhere.

    Source: [DiffRecon] Eq. (1).
    """
    return complete * observed.to(complete.dtype)


@dataclass(frozen=True)
class Scale:
    """Square roots of counts, standardised.

    Args:
        coarse_mean: mean root of a coarse total.
        coarse_deviation: its standard deviation.
        fine_mean: mean root of a fine count.
        fine_deviation: its standard deviation.
    """

    coarse_mean: float
    coarse_deviation: float
    fine_mean: float
    fine_deviation: float

    def coarse(self, totals: Tensor) -> Tensor:
        """Standardised roots of coarse totals."""
        return (totals.sqrt() - self.coarse_mean) / self.coarse_deviation

    def fine(self, counts: Tensor) -> Tensor:
        """Standardised roots of fine counts."""
        return (counts.sqrt() - self.fine_mean) / self.fine_deviation

    def to_coarse(self, roots: Tensor) -> Tensor:
        """Totals of standardised roots, never negative."""
        return (roots * self.coarse_deviation + self.coarse_mean).clamp_min(0).square()

    def to_fine(self, roots: Tensor) -> Tensor:
        """Counts of standardised roots, never negative."""
        return (roots * self.fine_deviation + self.fine_mean).clamp_min(0).square()


@dataclass(frozen=True, eq=False)
class Sequences:
    """A batch for both stages; all maps are standardised roots.

    Args:
        maps: (B, t, I, J) incomplete maps, the current one last, zero where not observed.
        observed: (B, t, I, J) bool.
        series: (B, t', I, J) complete maps before the current one, for T-PatternNet.
        external: features of the current moment.
    """

    maps: Tensor
    observed: Tensor
    series: Tensor
    external: External

    def __len__(self) -> int:
        return len(self.maps)

    def to(self, device: torch.device) -> "Sequences":
        """The same on another device."""
        moved = External(*(getattr(self.external, f.name).to(device) for f in fields(External)))
        return Sequences(
            self.maps.to(device), self.observed.to(device), self.series.to(device), moved
        )

    def repeated(self, times: int) -> "Sequences":
        """A single frame's sequences, as a batch of the same."""
        parts = (getattr(self.external, f.name) for f in fields(External))
        external = External(*(part.expand(times, *part.shape[1:]) for part in parts))
        maps, observed, series = (
            part.expand(times, -1, -1, -1) for part in (self.maps, self.observed, self.series)
        )
        return Sequences(maps, observed, series, external)

    def with_current(self, coarse: Tensor) -> Tensor:
        """The series with a completed current map (B, I, J) at its end."""
        return torch.cat([self.series, coarse[:, None]], 1)
