"""What the product's training loop needs to know to train a trajectory network.

An example of the loop is a region with its pieces. Examples are drawn once and used in every
epoch with other noise, times and hidden parts; drawing one costs as much as a small step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.models.tddpm.conditions import Conditions
from engine.models.tddpm.network import MapReader, NetworkConfig, PieceInput
from engine.models.tddpm.objective import StraightObjective, straight_loss
from engine.models.tddpm.occupancy import network_input
from engine.models.tddpm.paper import JointConfig, JointDenoiser, noise_loss
from engine.models.tddpm.pieces import RegionExample

NUM_VALIDATION = 16
_VALIDATION_SEED = 1


@dataclass(frozen=True, eq=False)
class Batch:
    """Some regions and the seed of what is random in this step.

    Args:
        maps: (R, S, S) scaled maps.
        given: their pieces; ``points`` holds the clean data.
        seed: of noise, times and hidden parts.
    """

    maps: Tensor
    given: PieceInput
    seed: int


class StraightTraining(nn.Module):
    """A network whose ``forward`` is its loss, so that it can be wrapped for several devices."""

    def __init__(self, network: MapReader, objective: StraightObjective) -> None:
        super().__init__()
        self.network = network
        self.objective = objective

    def forward(self, batch: Batch, hide: bool = True) -> Tensor:
        """Mean squared error of the velocity; ``hide`` is False for validation."""
        generator = torch.Generator()
        generator.manual_seed(batch.seed)
        shown = replace(self.objective, map_drop=0.0, condition_drop=0.0)
        objective = self.objective if hide else shown
        return straight_loss(self.network, batch.maps, batch.given, objective, generator)


class NoiseTraining(nn.Module):
    """The paper's network; ``forward`` is its loss. Nothing is ever hidden from it."""

    def __init__(self, network: JointDenoiser) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch, hide: bool = True) -> Tensor:
        """Mean squared error of the noise."""
        del hide
        generator = torch.Generator()
        generator.manual_seed(batch.seed)
        given, pieces = batch.given, batch.given.valid.shape[1]
        maps = batch.maps.repeat_interleave(pieces, dim=0)
        points, valid = given.points.flatten(0, 1), given.valid.flatten(0, 1)
        return noise_loss(self.network, points, maps, valid, generator)


class PieceTask:
    """Training on regions and their pieces.

    Args:
        examples: regions to train on; the last few are kept for validation.
        training: the network with its loss: :class:`StraightTraining` or :class:`NoiseTraining`.
    """

    is_fixed = False

    def __init__(self, examples: Sequence[RegionExample], training: nn.Module) -> None:
        self.network = training
        held = min(NUM_VALIDATION, len(examples) // 2)
        self._examples = list(examples[: len(examples) - held])
        self._validation = stack_regions(examples[len(examples) - held :], _VALIDATION_SEED)
        self.num_examples = len(self._examples)

    def batch(self, examples: NDArray[np.int64], rngs: Sequence[np.random.Generator]) -> Batch:
        """The regions of these numbers; the step's randomness comes from the first generator."""
        return stack_regions(
            [self._examples[int(i)] for i in examples], int(rngs[0].integers(2**62))
        )

    def to_device(self, batch: Batch, device: torch.device) -> Batch:
        """The batch on another device."""
        parts = {f.name: getattr(batch.given, f.name).to(device) for f in fields(PieceInput)}
        return replace(batch, maps=batch.maps.to(device), given=PieceInput(**parts))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean squared error of the velocity."""
        loss: Tensor = network(batch)
        return loss

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """The loss with nothing hidden, always at the same noise and times."""
        device = next(network.parameters()).device
        batch = self.to_device(self._validation, device)
        return {"score": float(network(batch, hide=False))}


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


def stack_regions(examples: Sequence[RegionExample], seed: int) -> Batch:
    """Regions as one batch of (R, K, ...); pieces are repeated where a region has fewer."""
    most = max(len(example.points) for example in examples)

    def stack(name: str) -> NDArray[np.generic]:
        parts = [getattr(example, name) for example in examples]
        return np.stack([part[np.arange(most) % len(part)] for part in parts])

    features, known = stack("features"), stack("features_known")
    rows = Conditions(
        features.reshape(-1, features.shape[-1]).astype(np.float32),
        known.reshape(-1, known.shape[-1]).astype(np.bool_),
    ).as_input()
    return Batch(
        torch.from_numpy(network_input(np.stack([example.counts for example in examples]))),
        PieceInput(
            torch.from_numpy(stack("valid")),
            torch.from_numpy(stack("known")),
            torch.from_numpy(stack("points")),
            torch.from_numpy(rows).reshape(*features.shape[:2], -1),
        ),
        seed,
    )
