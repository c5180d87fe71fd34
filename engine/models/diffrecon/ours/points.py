"""Attention over all space-time points without quadratic memory.

A few learned latents read every point of the present and the past, and every present point reads
the latents: memory grows with points x latents. 64 x 64 coarse cells with four earlier frames are
20,480 points; full attention would hold 420 million scores a head, this holds 0.4 million.

Source: induced set attention, arXiv 1810.00825, section 3.1.
"""

import torch
from torch import Tensor, nn

from engine.models.dropout import SeededDropout

NEVER = -1e4


def attention(
    query: Tensor, key: Tensor, value: Tensor, heads: int, known: Tensor | None = None
) -> Tensor:
    """Scaled dot-product attention with several heads.

    Written out: with 16 queries the fused kernel is several times slower on a CPU in bf16.

    Args:
        query: (B, X, D).
        key: (B, Y, D).
        value: (B, Y, D).
        heads: divides D.
        known: (B, Y) bool, keys that may be read; all of them if None.

    Returns:
        (B, X, D).
    """
    b, x, d = query.shape
    q, k, v = (t.reshape(b, -1, heads, d // heads).transpose(1, 2) for t in (query, key, value))
    scores = q @ k.transpose(-1, -2) * (d // heads) ** -0.5
    if known is not None:
        scores = scores.masked_fill(~known[:, None, None], NEVER)
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, x, d)


class PointBlock(nn.Module):
    """Neighbours by a 3 x 3 convolution, all points by latents, then two layers per point.

    Args:
        width: D.
        heads: divides D.
        latents: number of summary vectors.
        rows: coarse rows I.
        cols: coarse columns J.
        dropout: probability.
    """

    def __init__(
        self, width: int, heads: int, latents: int, rows: int, cols: int, dropout: float
    ) -> None:
        super().__init__()
        self.rows, self.cols, self.heads = rows, cols, heads
        self.norm_near = nn.LayerNorm(width)
        self.near = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm_far = nn.LayerNorm(width)
        self.latents = nn.Parameter(0.02 * torch.randn(latents, width))
        self.gather_query = nn.Linear(width, width)
        self.gather_key_value = nn.Linear(width, 2 * width)
        self.gather_out = nn.Linear(width, width)
        self.read_query = nn.Linear(width, width)
        self.read_key_value = nn.Linear(width, 2 * width)
        self.read_out = nn.Linear(width, width)
        self.norm_own = nn.LayerNorm(width)
        self.own = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            SeededDropout(dropout),
            nn.Linear(4 * width, width),
        )
        self.drop = SeededDropout(dropout)

    def forward(self, x: Tensor, past: Tensor | None = None, known: Tensor | None = None) -> Tensor:
        """Present points after one block.

        Args:
            x: (B, P, D) present points.
            past: (B, L * P, D) earlier points, or None.
            known: (B, L * P) bool, earlier points that were observed.

        Returns:
            (B, P, D).
        """
        grid = self.norm_near(x).transpose(1, 2).unflatten(2, (self.rows, self.cols))
        x = x + self.drop(self.near(grid).flatten(2).transpose(1, 2))
        y = self.norm_far(x)
        x = x + self.drop(self.read_out(self._far(y, past, known)))
        return x + self.drop(self.own(self.norm_own(x)))

    def _far(self, y: Tensor, past: Tensor | None, known: Tensor | None) -> Tensor:
        every, may_read = y, None
        if past is not None and known is not None:
            every = torch.cat([y, past.to(y.dtype)], 1)
            may_read = torch.cat([known.new_ones(y.shape[:2]), known], 1)
        query = self.gather_query(self.latents).expand(len(y), -1, -1)
        key, value = self.gather_key_value(every).chunk(2, -1)
        summary = self.gather_out(attention(query, key, value, self.heads, may_read))
        key, value = self.read_key_value(summary).chunk(2, -1)
        return attention(self.read_query(y), key, value, self.heads)
