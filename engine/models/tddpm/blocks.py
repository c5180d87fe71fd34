"""The building blocks of both networks: attention, adaptive norms, embeddings, map features.

Shapes: B pieces, R regions, N tokens, M map tokens, D channels, L points, S cells a side.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TIME_SCALE = 1_000.0
"""Times in [0, 1] are spread over this range before the sinusoids."""


def sinusoids(positions: Tensor, channels: int, longest: float = 10_000.0) -> Tensor:
    """Sines and cosines of positions at geometrically spaced wavelengths.

    Args:
        positions: (...) any real numbers.
        channels: D, even.
        longest: the longest wavelength over 2 pi.

    Returns:
        (..., D) float32.
    """
    half = channels // 2
    rates = torch.exp(-math.log(longest) * torch.arange(half, device=positions.device) / half)
    angles = positions.float()[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Attention(nn.Module):
    """Multi-head attention of queries over a context, or over themselves."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x_BND: Tensor, context_BMD: Tensor, mask_BM: Tensor | None = None) -> Tensor:
        """Attend; ``mask_BM`` is True for context tokens that may be read."""
        query = self._split(self.query(x_BND))
        key, value = (self._split(part) for part in self.key_value(context_BMD).chunk(2, dim=-1))
        mask = None if mask_BM is None else mask_BM[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x_BND: Tensor) -> Tensor:
        return x_BND.reshape(*x_BND.shape[:2], self.heads, -1).transpose(1, 2)


def feed_forward(channels: int) -> nn.Sequential:
    """Two layers, four times as wide between."""
    return nn.Sequential(
        nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
    )


class EncoderBlock(nn.Module):
    """A plain pre-norm transformer block."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(channels)
        self.attention = Attention(channels, heads)
        self.norm_2 = nn.LayerNorm(channels)
        self.mlp = feed_forward(channels)

    def forward(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        """Self-attention and feed-forward; ``mask_BN`` is True for tokens that may be read."""
        normed = self.norm_1(x_BND)
        x_BND = x_BND + self.attention(normed, normed, mask_BN)
        return x_BND + self.mlp(self.norm_2(x_BND))


class DenoiserBlock(nn.Module):
    """Self-attention, cross-attention to the map, feed-forward; norms steered by the step.

    Scale, shift and gate come from one projection shared by all blocks plus this block's own
    table (arXiv 2310.00426, section 2.3), which costs a third of a projection per block.
    """

    NUM_PARTS = 6

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.norm_map = nn.LayerNorm(channels)
        self.attention = Attention(channels, heads)
        self.read_map = Attention(channels, heads)
        self.mlp = feed_forward(channels)
        self.table = nn.Parameter(torch.zeros(self.NUM_PARTS, channels))
        # cross-attention starts silent, the gates start from the shared projection
        nn.init.zeros_(self.read_map.out.weight)
        nn.init.zeros_(self.read_map.out.bias)

    def forward(self, x_BND: Tensor, map_BMD: Tensor, mask_BN: Tensor, steer: Tensor) -> Tensor:
        """Args: tokens, map tokens, tokens that may be read, (B, 6, D) modulation."""
        parts = (steer + self.table)[:, :, None].unbind(1)
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = parts
        normed = self.norm(x_BND) * (1 + scale_1) + shift_1
        x_BND = x_BND + gate_1 * self.attention(normed, normed, mask_BN)
        x_BND = x_BND + self.read_map(self.norm_map(x_BND), map_BMD)
        normed = self.norm(x_BND) * (1 + scale_2) + shift_2
        return x_BND + gate_2 * self.mlp(normed)


class MapEncoder(nn.Module):
    """A small vision transformer: (R, S, S) maps to (R, M, D) tokens."""

    def __init__(self, channels: int, heads: int, layers: int, size: int, patch: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, channels, kernel_size=patch, stride=patch)
        self.position = nn.Parameter(0.02 * torch.randn((size // patch) ** 2, channels))
        self.blocks = nn.ModuleList(EncoderBlock(channels, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(channels)

    def forward(self, map_RSS: Tensor) -> Tensor:
        """Tokens of scaled maps."""
        tokens = self.patches(map_RSS[:, None]).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)


class MapFeatures(nn.Module):
    """Features of the map at each place, at the map's own and at a quarter of its resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2),
        )
        self.coarse = nn.Sequential(
            nn.Conv2d(channels, channels, 4, stride=4),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, map_RSS: Tensor) -> tuple[Tensor, Tensor]:
        """(R, C, S, S) fine and (R, C, S / 4, S / 4) coarse features."""
        fine = self.fine(map_RSS[:, None])
        return fine, self.coarse(functional.gelu(fine))


def look_up(features_RCSS: Tensor, points_RQ2: Tensor) -> Tensor:
    """(R, Q, C) features at canonical points, bilinear; zero outside the map."""
    # canonical y is up, image rows go down
    grid = torch.stack([points_RQ2[..., 0], -points_RQ2[..., 1]], dim=-1)[:, None]
    found = functional.grid_sample(features_RCSS, grid, align_corners=False)
    return found[:, :, 0].transpose(1, 2)
