"""What the networks are trained on.

Shapes: R regions, K pieces a region, L points, as in :mod:`engine.models.tddpm.network`.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.diffusion.fewstep import straight_path
from engine.models.tddpm.conditions import GROUPS, NUM_GROUPS
from engine.models.tddpm.network import MapReader, PieceInput


@dataclass(frozen=True)
class StraightObjective:
    """Flow matching along straight paths, with parts of the input hidden at random.

    Args:
        map_drop: part of the regions whose map is hidden, for guidance.
        condition_drop: part of the pieces' groups of conditions that are hidden.
        time_power: times are uniform numbers to this power: above 1, small noise is seen more
            often, where streets are decided.
    """

    map_drop: float = 0.1
    condition_drop: float = 0.3
    time_power: float = 2.0


@dataclass(frozen=True, eq=False)
class StraightDraws:
    """What is random about a step.

    Args:
        keep: (R,) bool, False for regions whose map is hidden.
        time: (R, K) in [0, 1].
        noise: (R, K, L, 2) standard normal.
        conditions: (R, K, F) features and flags, some groups hidden.
    """

    keep: Tensor
    time: Tensor
    noise: Tensor
    conditions: Tensor


def draw_straight(
    given: PieceInput, objective: StraightObjective, generator: torch.Generator
) -> StraightDraws:
    """Noise, times and what is hidden, for pieces on the CPU.

    Args:
        given: pieces of R regions.
        objective: how much is hidden.
        generator: on the CPU.
    """
    shape = given.valid.shape
    return StraightDraws(
        torch.rand(shape[0], generator=generator) >= objective.map_drop,
        torch.rand(shape[:2], generator=generator) ** objective.time_power,
        torch.randn((*shape, 2), generator=generator),
        hide_conditions(given.conditions, objective.condition_drop, generator),
    )


def straight_loss(
    network: MapReader, maps_RSS: Tensor, given: PieceInput, draws: StraightDraws
) -> Tensor:
    """Mean squared error of the velocity over points that are valid and not given.

    Source: [RF] Eq. (1); target noise minus data.

    Args:
        network: the denoiser.
        maps_RSS: scaled maps.
        given: pieces; ``points`` holds the clean data here.
        draws: what is random.

    Returns:
        A scalar.
    """
    noise, time = draws.noise, draws.time
    given = replace(given, conditions=draws.conditions)
    flat = straight_path(given.points.flatten(0, 1), noise.flatten(0, 1), time.flatten())
    seen = network.encode(maps_RSS, draws.keep)
    velocity = network(flat.reshape(noise.shape), time, given, seen)
    wanted = (given.valid & ~given.known).to(velocity.dtype)
    error = (velocity - (noise - given.points)).square().mean(dim=-1)
    return (error * wanted).sum() / wanted.sum().clamp_min(1)


def hide_conditions(conditions: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Make each group of conditions unknown with probability ``share``, piece by piece.

    Args:
        conditions: (R, K, F) features followed by their groups' flags.
        share: probability.
        generator: on the CPU.
    """
    keep = torch.rand((*conditions.shape[:-1], NUM_GROUPS), generator=generator) >= share
    repeats = torch.tensor(list(GROUPS.values()))
    columns = torch.cat([keep.repeat_interleave(repeats, dim=-1), keep], dim=-1)
    return conditions * columns.to(conditions)
