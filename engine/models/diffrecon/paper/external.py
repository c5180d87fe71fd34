"""External features: what else is known of a moment.

Categories that are not known have a value of their own; numbers that are not known are zero beside
a flag. A data set without weather thus needs no other network.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WEEKDAYS, HOLIDAYS, WEATHERS = 7, 2, 16
UNKNOWN = -1
NUMBERS = 2


@dataclass(frozen=True, eq=False)
class External:
    """Features of B moments.

    Args:
        time_of_day: (B,) float32 in [0, 1).
        weekday: (B,) int64, Monday 0; -1 unknown.
        holiday: (B,) int64, 1 on holidays; -1 unknown.
        weather: (B,) int64, a category below 16; -1 unknown.
        numbers: (B, 2) float32, temperature and wind, standardised; NaN unknown.
    """

    time_of_day: Tensor
    weekday: Tensor
    holiday: Tensor
    weather: Tensor
    numbers: Tensor

    @classmethod
    def of_times(cls, time_of_day: Tensor) -> "External":
        """Nothing is known but the time of day."""
        unknown = torch.full(time_of_day.shape, UNKNOWN, dtype=torch.int64)
        numbers = torch.full((*time_of_day.shape, NUMBERS), math.nan)
        return cls(time_of_day, unknown, unknown, unknown, numbers)


class ExternalEncoder(nn.Module):
    """Embeddings of the categories and the numbers, mixed by two layers.

    Args:
        width: features of the result.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.categories = nn.ModuleList(
            nn.Embedding(count + 1, width) for count in (WEEKDAYS, HOLIDAYS, WEATHERS)
        )
        self.plain = nn.Linear(4 + 2 * NUMBERS, width)
        self.mix = nn.Sequential(nn.SiLU(), nn.Linear(width, width))

    def forward(self, external: External) -> Tensor:
        """(B, width)."""
        angle = 2 * math.pi * external.time_of_day[:, None]
        clock = [f(k * angle) for k in (1, 2) for f in (torch.sin, torch.cos)]
        known = ~external.numbers.isnan()
        numbers = external.numbers.nan_to_num()
        x = self.plain(torch.cat([*clock, numbers, known.to(numbers.dtype)], -1))
        kinds = (external.weekday, external.holiday, external.weather)
        for embedding, kind in zip(self.categories, kinds, strict=True):
            x = x + embedding(kind + 1)
        mixed: Tensor = self.mix(x)
        return mixed
