"""External features: what else is known of a moment.

Categories that are not known have a value of their own; numbers that are not known are zero beside
a flag. A data set without weather thus needs no other network.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.models.moments import HOLIDAY, RAIN, TEMPERATURE, WEATHER, WEEKDAY

WEEKDAYS, HOLIDAYS, WEATHERS = 7, 2, 16
USUAL = (12.0, 0.2)
SCALES = (8.0, 1.0)
"""Mean and spread that temperature (degrees Celsius) and rain (mm/h) are standardised by."""
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
        numbers: (B, 2) float32, temperature and rain, standardised; NaN unknown.
    """

    time_of_day: Tensor
    weekday: Tensor
    holiday: Tensor
    weather: Tensor
    numbers: Tensor

    @classmethod
    def of_moments(cls, time_of_day: Tensor, conditions: Tensor) -> "External":
        """Features of a time of day, (B,), and conditions, (B, 5)."""
        kinds = conditions.nan_to_num(UNKNOWN).to(torch.int64)
        numbers = conditions[:, (TEMPERATURE, RAIN)] - conditions.new_tensor(USUAL)
        return cls(
            time_of_day,
            kinds[:, WEEKDAY],
            kinds[:, HOLIDAY],
            kinds[:, WEATHER],
            numbers / conditions.new_tensor(SCALES),
        )


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
