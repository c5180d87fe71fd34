"""What the product's training loop needs to know to train a trajectory network.

An example of the loop is a region with its pieces. Examples are drawn once and used in every
epoch with other noise, times and hidden parts; drawing one costs as much as a small step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.models.tddpm.conditions import Conditions
from engine.models.tddpm.network import MapReader, NetworkConfig, PieceInput
from engine.models.tddpm.objective import (
    StraightDraws,
    StraightObjective,
    draw_straight,
    straight_loss,
)
from engine.models.tddpm.occupancy import network_input
from engine.models.tddpm.paper import (
    JointConfig,
    JointDenoiser,
    NoiseDraws,
    draw_noise,
    noise_loss,
)
from engine.models.tddpm.pieces import RegionExample

NUM_VALIDATION = 16
_VALIDATION_SEED = 1


Draws = StraightDraws | NoiseDraws
Part = TypeVar("Part", PieceInput, Draws)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some regions, and what is random in this step.

    Args:
        maps: (R, S, S) scaled maps.
        given: their pieces; ``points`` holds the clean data.
        draws: noise, times and hidden parts.
    """

    maps: Tensor
    given: PieceInput
    draws: Draws


class StraightTraining(nn.Module):
    """A network whose ``forward`` is its loss, so that it can be wrapped for several devices."""

    def __init__(self, network: MapReader, objective: StraightObjective) -> None:
        super().__init__()
        self.network = network
        self.objective = objective

    def draw(self, given: PieceInput, generator: torch.Generator, hide: bool = True) -> Draws:
        """What is random about these pieces; ``hide`` is False for validation."""
        shown = replace(self.objective, map_drop=0.0, condition_drop=0.0)
        return draw_straight(given, self.objective if hide else shown, generator)

    def forward(self, batch: Batch) -> Tensor:
        """Mean squared error of the velocity."""
        assert isinstance(batch.draws, StraightDraws)
        return straight_loss(self.network, batch.maps, batch.given, batch.draws)


class NoiseTraining(nn.Module):
    """The paper's network; ``forward`` is its loss. Nothing is ever hidden from it."""

    def __init__(self, network: JointDenoiser) -> None:
        super().__init__()
        self.network = network

    def draw(self, given: PieceInput, generator: torch.Generator, hide: bool = True) -> Draws:
        """What is random about these pieces."""
        del hide
        return draw_noise(given.points.flatten(0, 1), self.network.config.schedule(), generator)

    def forward(self, batch: Batch) -> Tensor:
        """Mean squared error of the noise."""
        assert isinstance(batch.draws, NoiseDraws)
        valid = batch.given.valid
        maps = batch.maps.repeat_interleave(valid.shape[1], dim=0)
        return noise_loss(self.network, maps, valid.flatten(0, 1), batch.draws)


class PieceTask:
    """Training on regions and their pieces.

    Args:
        examples: regions to train on; the last few are kept for validation.
        training: the network with its loss.
    """

    is_fixed = True

    def __init__(
        self, examples: Sequence[RegionExample], training: StraightTraining | NoiseTraining
    ) -> None:
        self.network: nn.Module = training
        self._training = training
        self._pieces = max(len(example.points) for example in examples)
        held = min(NUM_VALIDATION, len(examples) // 2)
        self._examples = list(examples[: len(examples) - held])
        self._validation = self._stack(
            examples[len(examples) - held :], _VALIDATION_SEED, hide=False
        )
        self.num_examples = len(self._examples)

    def batch(self, examples: NDArray[np.int64], rngs: Sequence[np.random.Generator]) -> Batch:
        """The regions of these numbers; the step's randomness comes from the first generator."""
        chosen = [self._examples[int(i)] for i in examples]
        return self._stack(chosen, int(rngs[0].integers(2**62)), hide=True)

    def _stack(self, chosen: Sequence[RegionExample], seed: int, hide: bool) -> Batch:
        maps, given = stack_regions(chosen, self._pieces)
        generator = torch.Generator().manual_seed(seed)
        return Batch(maps, given, self._training.draw(given, generator, hide))

    def to_device(self, batch: Batch, device: torch.device) -> Batch:
        """The batch on another device."""

        def move(part: Part) -> Part:
            moved = {f.name: getattr(part, f.name).to(device) for f in fields(part)}
            return replace(part, **moved)

        return Batch(batch.maps.to(device), move(batch.given), move(batch.draws))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean squared error of velocity or noise."""
        loss: Tensor = network(batch)
        return loss

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """The loss with nothing hidden, always at the same noise and times."""
        device = next(network.parameters()).device
        return {"score": float(network(self.to_device(self._validation, device)))}


def straight_training(
    config: NetworkConfig, seed: int, objective: StraightObjective | None = None
) -> StraightTraining:
    """Our network and its loss; the initial weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return StraightTraining(MapReader(config), objective or StraightObjective())


def noise_training(config: JointConfig, seed: int) -> NoiseTraining:
    """The paper's network and its loss; the initial weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return NoiseTraining(JointDenoiser(config))


def stack_regions(examples: Sequence[RegionExample], pieces: int) -> tuple[Tensor, PieceInput]:
    """Scaled maps (R, S, S) and (R, K, ...) pieces; repeated where a region has fewer than K."""

    def stack(name: str) -> NDArray[np.generic]:
        parts = [getattr(example, name) for example in examples]
        return np.stack([part[np.arange(pieces) % len(part)] for part in parts])

    features, known = stack("features"), stack("features_known")
    rows = Conditions(
        features.reshape(-1, features.shape[-1]).astype(np.float32),
        known.reshape(-1, known.shape[-1]).astype(np.bool_),
    ).as_input()
    given = PieceInput(
        torch.from_numpy(stack("valid")),
        torch.from_numpy(stack("known")),
        torch.from_numpy(stack("points")),
        torch.from_numpy(rows).reshape(*features.shape[:2], -1),
    )
    return torch.from_numpy(network_input(np.stack([e.counts for e in examples]))), given
