"""T-PatternNet: the periods of a series of complete coarse maps.

Each TimesBlock finds the strongest frequencies, folds the series into (cycles x period), and reads
it with two-dimensional kernels: along a row within a period, along a column across periods. The
block is TimesNet's, arXiv 2210.02186.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SeriesEmbedding(nn.Module):
    """All cells of a map to d features per moment.

    Source: [DiffRecon] Eq. (26).

    Args:
        cells: I * J.
        d_model: d.
    """

    def __init__(self, cells: int, d_model: int) -> None:
        super().__init__()
        self.weights = nn.Linear(cells, d_model)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, t, I, J) to (B, t, d)."""
        embedded: Tensor = self.weights(maps.flatten(2))
        return embedded


def mean_amplitudes(series: Tensor) -> Tensor:
    """Amplitude of each frequency, averaged over the features.

    Source: [DiffRecon] Eq. (27).

    Args:
        series: (B, t, d).

    Returns:
        (B, floor(t / 2) + 1); frequency 0 is the mean.
    """
    return torch.fft.rfft(series.float(), dim=1).abs().mean(-1)


def top_frequencies(amplitudes: Tensor, count: int) -> list[int]:
    """The frequencies f >= 1 with the largest amplitudes, averaged over the batch.

    Source: [DiffRecon] Eq. (28).

    Differs from paper: the batch shares its frequencies, as in TimesNet, so that it can be folded
    as one tensor. Inference folds one frame at a time, so that its company does not matter.
    """
    mean = amplitudes.detach().mean(0)[1:]
    best = mean.topk(min(count, len(mean))).indices
    return [int(index) + 1 for index in best]


def period_of(length: int, frequency: int) -> int:
    """Steps in one cycle, rounded up.

    Source: [DiffRecon] Eq. (29).
    """
    return -(-length // frequency)


def fold(series: Tensor, period: int) -> Tensor:
    """Pad with zeros at the end and fold into cycles.

    Source: [DiffRecon] Eq. (30).

    Args:
        series: (B, t, d).
        period: p.

    Returns:
        (B, d, ceil(t / p), p).
    """
    b, length, d = series.shape
    cycles = -(-length // period)
    padded = F.pad(series, (0, 0, 0, cycles * period - length))
    return padded.reshape(b, cycles, period, d).permute(0, 3, 1, 2)


class InceptionBlock(nn.Module):
    """Square kernels of several sizes, averaged.

    Source: [DiffRecon] Eq. (31).

    Args:
        enter: channels in.
        leave: channels out.
        kernels: sizes 1, 3, 5, ..., this many.
    """

    def __init__(self, enter: int, leave: int, kernels: int) -> None:
        super().__init__()
        self.kernels = nn.ModuleList(
            nn.Conv2d(enter, leave, 2 * k + 1, padding=k) for k in range(kernels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, enter, cycles, period) to (B, leave, cycles, period)."""
        return torch.stack([kernel(x) for kernel in self.kernels]).mean(0)


def unfold(folded: Tensor, length: int) -> Tensor:
    """Undo :func:`fold` and cut the padding off.

    Source: [DiffRecon] Eq. (32).
    """
    return folded.permute(0, 2, 3, 1).flatten(1, 2)[:, :length]


def period_weights(amplitudes: Tensor, frequencies: list[int]) -> Tensor:
    """Weights of the chosen periods, (B, k); they sum to one.

    Source: [DiffRecon] Eq. (33).
    """
    return amplitudes[:, frequencies].softmax(-1)


class TimesBlock(nn.Module):
    """One round of folding, kernels and fusion by amplitude.

    Source: [DiffRecon] Eq. (34).

    Differs from paper: the input is added to the fused result, as in TimesNet; without it, what
    has no period is lost.

    Args:
        d_model: d.
        periods: k.
        kernels: kernel sizes of the inception blocks.
    """

    def __init__(self, d_model: int, periods: int, kernels: int) -> None:
        super().__init__()
        self.periods = periods
        self.inception = nn.Sequential(
            InceptionBlock(d_model, d_model // 2, kernels),
            nn.GELU(),
            InceptionBlock(d_model // 2, d_model, kernels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, t, d) to the same shape."""
        length = x.shape[1]
        amplitudes = mean_amplitudes(x)
        frequencies = top_frequencies(amplitudes, self.periods)
        weights = period_weights(amplitudes, frequencies).to(x.dtype)
        views = [
            unfold(self.inception(fold(x, period_of(length, frequency))), length)
            for frequency in frequencies
        ]
        return x + (torch.stack(views, -1) * weights[:, None, None]).sum(-1)


class TPatternNet(nn.Module):
    """Stacked TimesBlocks, then features for each coarse cell of the current moment.

    The paper stacks the last block's representation "of all the spatial locations"; its features
    are of the whole map, so that a linear layer gives each location its own.

    Args:
        grid: I, J.
        d_model: d.
        layers: number of blocks.
        periods: k.
        kernels: kernel sizes.
        channels: features for each coarse cell.
    """

    def __init__(
        self,
        grid: tuple[int, int],
        d_model: int,
        layers: int,
        periods: int,
        kernels: int,
        channels: int,
    ) -> None:
        super().__init__()
        self.grid, self.channels = grid, channels
        self.embedding = SeriesEmbedding(grid[0] * grid[1], d_model)
        self.blocks = nn.ModuleList(TimesBlock(d_model, periods, kernels) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(layers))
        self.leave = nn.Linear(2 * d_model, channels * grid[0] * grid[1])

    def forward(self, maps: Tensor) -> Tensor:
        """(B, t, I, J) complete maps to (B, channels, I, J)."""
        x = self.embedding(maps)
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = norm(block(x))
        now = torch.cat([x[:, -1], x.mean(1)], -1)
        features: Tensor = self.leave(now).reshape(len(maps), self.channels, *self.grid)
        return features
