"""UrbanFM: super-resolution of complete coarse maps; our implementation from its paper.

Residual blocks on the coarse map, upsampling by sub-pixel convolution, and a distributional
upsampling that makes the fine cells of each coarse one sum to it. External factors enter as a
coarse and a fine feature map. It knows no missing cells: these are filled from the nearest
observed one first.

Source: arXiv 1902.05377, section 3.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import WeightsError
from engine.models.baselines.interpolation import fill_nearest
from engine.models.conservation import block_sums, repeat_blocks
from engine.models.dropout import SeededDropout
from engine.models.flows import Maps
from engine.models.observations import Observations
from engine.models.weights import fill_module, load_weights, save_weights

KIND = "urbanfm"
TINY = 1e-7


@dataclass(frozen=True)
class Config:
    """Sizes.

    Args:
        rows: coarse rows I.
        cols: coarse columns J.
        magnification: N, a power of two.
        slots_per_day: S.
        width: feature maps, F in the paper.
        blocks: residual blocks, M in the paper.
        external: features of the external factors' first layer.
        dropout: of that layer.
        largest_coarse: coarse totals are divided by it.
        largest_fine: fine counts are divided by it.
    """

    rows: int
    cols: int
    magnification: int
    slots_per_day: int
    width: int = 64
    blocks: int = 16
    external: int = 128
    dropout: float = 0.3
    largest_coarse: float = 1.0
    largest_fine: float = 1.0

    def __post_init__(self) -> None:
        if self.magnification & (self.magnification - 1):
            raise WeightsError("UrbanFM needs a magnification of 2, 4, 8 ...")


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation, added to their input.

    Args:
        width: feature maps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, I, J) to the same shape."""
        return x + self.layers(x)


def distribute(weights: Tensor, coarse: Tensor, magnification: int) -> Tensor:
    """Shares of each coarse cell's fine cells, times its total.

    Source: UrbanFM's N^2-normalisation and distributional upsampling, section 3.1.

    Args:
        weights: (B, R, C) non-negative.
        coarse: (B, I, J) totals.
        magnification: N.

    Returns:
        (B, R, C), summing to the totals where any weight is positive.
    """
    sums = repeat_blocks(block_sums(weights, magnification), magnification)
    return weights / (sums + TINY) * repeat_blocks(coarse, magnification)


class UrbanFM(nn.Module):
    """The inference network with its external factor fusion.

    Args:
        config: sizes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, w = config, config.width
        cells = config.rows * config.cols
        self.slot = nn.Embedding(config.slots_per_day, 8)
        self.external = nn.Sequential(
            nn.Linear(8, config.external),
            SeededDropout(config.dropout),
            nn.ReLU(),
            nn.Linear(config.external, cells),
            nn.ReLU(),
        )
        doublings = config.magnification.bit_length() - 1
        self.external_up = nn.Sequential(*(_doubling(1) for _ in range(doublings)))
        self.enter = nn.Sequential(nn.Conv2d(2, w, 9, padding=4), nn.ReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(w) for _ in range(config.blocks)))
        self.after = nn.Sequential(nn.Conv2d(w, w, 3, padding=1), nn.BatchNorm2d(w))
        self.up = nn.Sequential(*(_doubling(w) for _ in range(doublings)))
        self.leave = nn.Sequential(nn.Conv2d(w + 1, 1, 9, padding=4), nn.ReLU())

    def forward(self, coarse: Tensor, slots: Tensor) -> Tensor:
        """Fine maps of complete coarse ones.

        Args:
            coarse: (B, I, J) totals in counts.
            slots: (B,) slot of the day.

        Returns:
            (B, R, C) counts.
        """
        scaled = coarse / self.config.largest_coarse
        external = self.external(self.slot(slots)).unflatten(1, (1, *coarse.shape[1:]))
        x = self.enter(torch.cat([scaled[:, None], external], 1))
        x = self.up(x + self.after(self.blocks(x)))
        weights = self.leave(torch.cat([x, self.external_up(external)], 1))[:, 0]
        return distribute(weights.float(), coarse, self.config.magnification)


def _doubling(width: int) -> nn.Sequential:
    """Twice the resolution by sub-pixel convolution."""
    return nn.Sequential(
        nn.Conv2d(width, 4 * width, 3, padding=1),
        nn.BatchNorm2d(4 * width),
        nn.PixelShuffle(2),
        nn.ReLU(),
    )


@dataclass(frozen=True, eq=False)
class UrbanFMFill:
    """Nearest fill, then UrbanFM."""

    network: UrbanFM

    @torch.no_grad()
    def estimate(self, seen: Observations) -> Maps:
        """(B, R, C) counts per frame."""
        filled = torch.from_numpy(fill_nearest(seen.coarse, seen.observed))
        network = self.network.eval()
        rows = [
            network(
                filled[i : i + 1],
                torch.from_numpy(seen.slots[i : i + 1] % network.config.slots_per_day),
            )
            for i in range(len(seen))
        ]
        return torch.cat(rows).numpy()


def save_urbanfm(path: Path, network: UrbanFM, card: Mapping[str, Any]) -> None:
    """Write a network as a weight file with its card."""
    state = {name: tensor.float() for name, tensor in network.state_dict().items()}
    save_weights(path, state, {**card, "kind": KIND, "config": asdict(network.config)})


def load_urbanfm(path: Path) -> UrbanFM:
    """The network that :func:`save_urbanfm` wrote.

    Raises:
        WeightsError: the file is missing, damaged, or of another kind.
    """
    tensors, card = load_weights(path)
    if card.get("kind") != KIND:
        raise WeightsError("These weights are not UrbanFM's.", path.name)
    network = UrbanFM(Config(**card["config"]))
    fill_module(network, tensors)
    return network.eval()
