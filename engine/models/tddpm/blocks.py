"""The building blocks of both networks: attention, adaptive norms, embeddings, map features.

Shapes: B pieces, R regions, N tokens, T tokens of all pieces packed together, M map tokens,
D channels, L points, S cells a side.
"""

import math
from dataclasses import dataclass

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


def position_waves(points: Tensor, octaves: int) -> Tensor:
    """(..., 4 * octaves) sines and cosines of canonical coordinates, from the region's side down.

    They let a network that knows one city tell places apart that are a few metres from each other.
    """
    rates = math.pi * 2.0 ** torch.arange(octaves, device=points.device)
    angles = (points.float()[..., None] * rates).flatten(-2)
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

    def within(self, x_TD: Tensor, packing: "Packing") -> Tensor:
        """Self-attention of packed tokens, each piece by itself."""
        query = self._split(packing.unpack(self.query(x_TD)))
        both = packing.unpack(self.key_value(x_TD)).chunk(2, dim=-1)
        key, value = (self._split(part) for part in both)
        mask = packing.mask[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(packing.pack(mixed.transpose(1, 2).flatten(2)))

    def onto(self, x_TD: Tensor, map_RMD: Tensor, packing: "Packing") -> Tensor:
        """Attention of packed tokens to the map of their region, projected once per region."""
        pieces, length = packing.mask.shape
        regions = len(map_RMD)
        query = packing.unpack(self.query(x_TD)).reshape(regions, pieces // regions * length, -1)
        key, value = (self._split(part) for part in self.key_value(map_RMD).chunk(2, dim=-1))
        mixed = functional.scaled_dot_product_attention(self._split(query), key, value)
        return self.out(packing.pack(mixed.transpose(1, 2).reshape(pieces, length, -1)))

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


@dataclass(frozen=True, eq=False)
class Packing:
    """Where the tokens that are computed lie among all: what lies beyond a piece's end is not.

    Most pieces are much shorter than the longest; only attention works on padded rows. On an
    accelerator all are computed: to be told how many there are would take longer.

    Args:
        mask: (B, N) bool, True for tokens of a piece.
        slot: (T,) flat position of each packed token in (B, N).
        is_full: whether all tokens are computed.
    """

    mask: Tensor
    slot: Tensor
    is_full: bool

    @classmethod
    def of(cls, mask_BN: Tensor) -> "Packing":
        """The packing of a mask."""
        if mask_BN.device.type != "cpu":
            return cls.full(mask_BN)
        return cls(mask_BN, mask_BN.flatten().nonzero()[:, 0], False)

    @classmethod
    def full(cls, mask_BN: Tensor) -> "Packing":
        """All tokens, those beyond a piece's end too."""
        return cls(mask_BN, torch.arange(mask_BN.numel(), device=mask_BN.device), True)

    @property
    def place(self) -> Tensor:
        """(T,) the number of each packed token in its piece."""
        return self.slot % self.mask.shape[1]

    def spread(self, x_BD: Tensor) -> Tensor:
        """(T, ...) what belongs to each packed token's piece."""
        length = self.mask.shape[1]
        if self.is_full:
            return x_BD.repeat_interleave(length, dim=0)
        return x_BD[self.slot // length]

    def pack(self, x_BND: Tensor) -> Tensor:
        """(T, D) the tokens that count."""
        flat = x_BND.flatten(0, 1)
        return flat if self.is_full else flat[self.slot]

    def unpack(self, x_TD: Tensor) -> Tensor:
        """(B, N, D), zero where no token is computed."""
        pieces, length = self.mask.shape
        if self.is_full:
            return x_TD.reshape(pieces, length, -1)
        padded = x_TD.new_zeros(pieces * length, x_TD.shape[-1])
        return padded.index_copy(0, self.slot, x_TD).reshape(pieces, length, -1)


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

    def forward(self, x_TD: Tensor, map_RMD: Tensor, packing: Packing, steer: Tensor) -> Tensor:
        """Args: packed tokens, map tokens of R regions, where tokens lie, (B, 6, D) modulation.

        B is a multiple of R; the pieces of a region follow each other.
        """
        parts = packing.spread(steer + self.table).unbind(1)
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = parts
        normed = self.norm(x_TD) * (1 + scale_1) + shift_1
        x_TD = x_TD + gate_1 * self.attention.within(normed, packing)
        x_TD = x_TD + self.read_map.onto(self.norm_map(x_TD), map_RMD, packing)
        normed = self.norm(x_TD) * (1 + scale_2) + shift_2
        return x_TD + gate_2 * self.mlp(normed)


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
