"""ST-PointFormer: attention between all space-time points of a sequence of incomplete maps."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POINT_VALUES = 2
"""A point's value, and whether it was observed."""


class PointEmbedding(nn.Module):
    """Value, learned position and external features of each point, added.

    Source: [DiffRecon] Eq. (14).

    Args:
        maps: t.
        rows: I.
        cols: J.
        d_model: d.
    """

    def __init__(self, maps: int, rows: int, cols: int, d_model: int) -> None:
        super().__init__()
        self.value = nn.Linear(POINT_VALUES, d_model)
        self.position = nn.Parameter(0.02 * torch.randn(maps * rows * cols, d_model))
        self.external = nn.Linear(d_model, d_model)

    def forward(self, maps: Tensor, observed: Tensor, external: Tensor) -> Tensor:
        """(B, t, I, J) values and mask and (B, d) external features to (B, Z, d)."""
        points = torch.stack([maps, observed.to(maps.dtype)], -1).flatten(1, 3)
        embedded: Tensor = self.value(points) + self.position + self.external(external)[:, None]
        return embedded


def project(x: Tensor, weights: nn.Linear, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of each head, (B, heads, Z, d / heads).

    Source: [DiffRecon] Eq. (15).
    """
    b, z, d = x.shape
    q, k, v = weights(x).reshape(b, z, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    return q, k, v


def attention_scores(query: Tensor, key: Tensor) -> Tensor:
    """How much each point reads of each other one, (..., Z, Z); rows sum to one.

    Source: [DiffRecon] Eq. (16).
    """
    return (query @ key.transpose(-1, -2) * key.shape[-1] ** -0.5).softmax(-1)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """New values of the points of each head, (B, heads, Z, d / heads).

    Source: [DiffRecon] Eq. (17) and [DiffRecon] Eq. (19).
    """
    return attention_scores(query, key) @ value


class MultiHeadAttention(nn.Module):
    """All heads, concatenated and projected.

    Source: [DiffRecon] Eq. (18).

    Args:
        d_model: d.
        heads: divides d.
    """

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.enter = nn.Linear(d_model, 3 * d_model, bias=False)
        self.leave = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """(B, Z, d) to the same shape."""
        values = attend(*project(x, self.enter, self.heads))
        joined: Tensor = self.leave(values.transpose(1, 2).flatten(2))
        return joined


def feed_forward(x: Tensor, first: nn.Linear, second: nn.Linear) -> Tensor:
    """Two layers, each followed by a ReLU.

    Source: [DiffRecon] Eq. (22) and, for the last layer, [DiffRecon] Eq. (23).
    """
    return F.relu(second(F.relu(first(x))))


class EncoderLayer(nn.Module):
    """Attention with residual and LayerNorm, then the feed-forward layers.

    Source: [DiffRecon] Eq. (21).

    Args:
        d_model: d.
        heads: divides d.
    """

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(d_model, heads)
        self.norm = nn.LayerNorm(d_model)
        self.first = nn.Linear(d_model, d_model)
        self.second = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """(B, Z, d) to the same shape."""
        attended = self.norm(self.attention(x) + x)
        return feed_forward(attended, self.first, self.second)


def stack_points(points: Tensor, maps: int, rows: int, cols: int, down: tuple[int, int]) -> Tensor:
    """Stack the points below each bottleneck cell channel-wise.

    Source: [DiffRecon] Eq. (24) and [DiffRecon] Eq. (25).

    Differs from paper: Eq. (24) runs over I_down x J_down points where its text says the points
    of one subregion; the text is followed.

    Args:
        points: (B, Z, d).
        maps: t.
        rows: I.
        cols: J.
        down: rows and columns of the bottleneck; divide I and J.

    Returns:
        (B, t * (I / I_down) * (J / J_down) * d, I_down, J_down).
    """
    b, _, d = points.shape
    high, wide = rows // down[0], cols // down[1]
    grid = points.reshape(b, maps, down[0], high, down[1], wide, d)
    return grid.permute(0, 1, 3, 5, 6, 2, 4).reshape(b, -1, *down)


class STPointFormer(nn.Module):
    """Embedding, K layers, stacking.

    Source: [DiffRecon] Eq. (20).

    Args:
        maps: t.
        grid: I, J.
        d_model: d.
        heads: divides d.
        layers: K.
        down: rows and columns of the bottleneck.
    """

    def __init__(
        self,
        maps: int,
        grid: tuple[int, int],
        d_model: int,
        heads: int,
        layers: int,
        down: tuple[int, int],
    ) -> None:
        super().__init__()
        self.maps, self.grid, self.down = maps, grid, down
        self.embedding = PointEmbedding(maps, *grid, d_model)
        self.layers = nn.ModuleList(EncoderLayer(d_model, heads) for _ in range(layers))
        points = maps * (grid[0] // down[0]) * (grid[1] // down[1])
        self.channels = points * d_model

    def forward(self, maps: Tensor, observed: Tensor, external: Tensor) -> Tensor:
        """(B, t, I, J) values and mask to (B, channels, I_down, J_down)."""
        x = self.embedding(maps, observed, external)
        for layer in self.layers:
            x = layer(x)
        return stack_points(x, self.maps, *self.grid, self.down)
