"""The U-Net of both stages: an encoder, a bottleneck to join features at, a decoder."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

GROUPS = 8
TIME_RATES = 16


class StepEmbedding(nn.Module):
    """The diffusion step, and external features if there are any, as one vector.

    Args:
        width: features of the result.
        external: features of the external encoder; 0 for none.
    """

    def __init__(self, width: int, external: int) -> None:
        super().__init__()
        self.step = nn.Sequential(nn.Linear(2 * TIME_RATES, width), nn.SiLU())
        self.external = nn.Linear(external, width) if external else None
        self.mix = nn.Linear(width, width)

    def forward(self, t_B: Tensor, external: Tensor | None) -> Tensor:
        """(B,) steps and (B, external) to (B, width)."""
        order = torch.arange(TIME_RATES, device=t_B.device)
        rates = torch.exp(-math.log(1000.0) * order / TIME_RATES)
        angle = t_B[:, None] * rates
        x = self.step(torch.cat([angle.sin(), angle.cos()], -1))
        if self.external is not None and external is not None:
            x = x + self.external(external)
        mixed: Tensor = self.mix(x)
        return mixed


class ResidualBlock(nn.Module):
    """Two convolutions with a shortcut; the step scales and shifts in between (FiLM).

    Args:
        enter: channels in.
        leave: channels out.
        step: features of the step embedding.
    """

    def __init__(self, enter: int, leave: int, step: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(math.gcd(GROUPS, enter), enter),
            nn.SiLU(),
            nn.Conv2d(enter, leave, 3, padding=1),
        )
        self.film = nn.Linear(step, 2 * leave)
        self.norm = nn.GroupNorm(math.gcd(GROUPS, leave), leave)
        self.second = nn.Sequential(nn.SiLU(), nn.Conv2d(leave, leave, 3, padding=1))
        self.short = nn.Conv2d(enter, leave, 1) if enter != leave else nn.Identity()

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """(B, enter, R, C) to (B, leave, R, C)."""
        scale, shift = self.film(step)[..., None, None].chunk(2, 1)
        y = self.norm(self.first(x)) * (1 + scale) + shift
        out: Tensor = self.second(y) + self.short(x)
        return out


class Encoder(nn.Module):
    """Levels of halved resolution.

    Source: [DiffRecon] Eq. (8).

    Args:
        enter: channels in.
        widths: channels of each level, the finest first.
        step: features of the step embedding.
    """

    def __init__(self, enter: int, widths: Sequence[int], step: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(enter, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            ResidualBlock(before, width, step)
            for before, width in zip([widths[0], *widths], widths, strict=False)
        )
        self.downs = nn.ModuleList(
            nn.Conv2d(width, width, 3, stride=2, padding=1) for width in widths[:-1]
        )

    def forward(self, x: Tensor, step: Tensor) -> list[Tensor]:
        """Features of each level, the finest first; the last is the bottleneck."""
        x = self.enter(x)
        levels = []
        for number, block in enumerate(self.blocks):
            x = block(x, step)
            levels.append(x)
            if number < len(self.downs):
                x = self.downs[number](x)
        return levels


class Decoder(nn.Module):
    """Back to full resolution, with the encoder's levels beside.

    Source: [DiffRecon] Eq. (9).

    Args:
        joined: channels of the bottleneck after joining.
        widths: channels of each level, the finest first.
        step: features of the step embedding.
    """

    def __init__(self, joined: int, widths: Sequence[int], step: int) -> None:
        super().__init__()
        self.join = nn.Conv2d(joined, widths[-1], 1)
        self.middle = ResidualBlock(widths[-1], widths[-1], step)
        upward = list(widths[::-1])
        self.blocks = nn.ModuleList(
            ResidualBlock(below + width, width, step) for below, width in pairwise(upward)
        )
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.leave = nn.Sequential(
            nn.GroupNorm(math.gcd(GROUPS, widths[0]), widths[0]),
            nn.SiLU(),
            nn.Conv2d(widths[0], 1, 3, padding=1),
        )

    def forward(self, bottleneck: Tensor, levels: list[Tensor], step: Tensor) -> Tensor:
        """(B, joined, ...) and the finer levels to (B, R, C)."""
        x = self.middle(self.join(bottleneck), step)
        for block, level in zip(self.blocks, levels[-2::-1], strict=True):
            x = block(torch.cat([self.up(x), level], 1), step)
        out: Tensor = self.leave(x)[:, 0]
        return out
