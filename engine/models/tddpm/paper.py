"""The paper's system: one encoder over points, map patches and the step; noise prediction; DDPM.

What the paper leaves open (steps, schedule, widths, patch size) is filled in as the module's
defaults say. Pieces are cut at the region's border (``PieceConfig(hold=False, known_share=0,
subset_share=0)``), and a trip is one piece: nothing else is known of how the paper joins them.

Shapes: R regions, K pieces a region, L points, M map tokens, D channels, S cells a side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.diffusion.forward import diffuse
from engine.diffusion.noise import sample_generator
from engine.diffusion.parametrisation import x_0_from_eps
from engine.diffusion.reverse import sample_ancestral
from engine.diffusion.schedules import Schedule, linear_schedule
from engine.models.tddpm.blocks import EncoderBlock, sinusoids
from engine.models.tddpm.frames import MAP_SIZE
from engine.models.tddpm.occupancy import (
    CityMap,
    RegionGrid,
    cut_regions,
    frames_of_slices,
    network_input,
    slice_map,
)
from engine.models.tddpm.tracks import Tracks, join_tracks, tracks_from_trips

CHUNK = 256
ROWS_AT_ONCE = 32
"""Pieces that the network sees together, about equally long."""
ESTIMATE_LIMIT = 1.5
"""Clean estimates are limited to this: pieces lie in [-1, 1]."""


@dataclass(frozen=True)
class JointConfig:
    """Sizes of the paper's network and length of its chain.

    Args:
        channels: D.
        layers: encoder blocks.
        heads: attention heads.
        map_patch: side of a map patch, cells.
        num_steps: T.
    """

    channels: int = 256
    layers: int = 6
    heads: int = 8
    map_patch: int = 8
    num_steps: int = 500

    def schedule(self) -> Schedule:
        """Linear variances; their sum is that of 1,000 steps whatever T is. [DDPM], section 4."""
        scale = 1_000 / self.num_steps
        return linear_schedule(self.num_steps, 1e-4 * scale, min(0.02 * scale, 0.5))


class JointDenoiser(nn.Module):
    """A transformer encoder over three kinds of token: points, map patches, the step.

    Source: [TDDPM], network. It reads the map anew at every step.
    """

    def __init__(self, config: JointConfig) -> None:
        super().__init__()
        self.config = config
        width, patch = config.channels, config.map_patch
        self.embed_point = nn.Linear(2, width)
        self.embed_map = nn.Conv2d(1, width, kernel_size=patch, stride=patch)
        self.embed_step = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        # tells points, map patches and the step apart
        self.kind = nn.Parameter(0.02 * torch.randn(3, width))
        self.blocks = nn.ModuleList(EncoderBlock(width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 2)

    def forward(self, x_t: Tensor, t_B: Tensor, map_BSS: Tensor, valid_BL: Tensor) -> Tensor:
        """Noise at each point.

        Args:
            x_t: (B, L, 2) noisy canonical points.
            t_B: (B,) step, 1 to T.
            map_BSS: (B, S, S) scaled maps.
            valid_BL: (B, L) bool, False beyond a piece's end.

        Returns:
            (B, L, 2).
        """
        width, length = self.config.channels, x_t.shape[1]
        points = self.embed_point(x_t) + self.kind[0]
        points = points + sinusoids(torch.arange(length, device=x_t.device), width)
        patches = self.embed_map(map_BSS[:, None]).flatten(2).transpose(1, 2) + self.kind[1]
        place = torch.arange(patches.shape[1], device=x_t.device)
        patches = patches + sinusoids(place, width)
        step = self.embed_step(sinusoids(t_B, width))[:, None] + self.kind[2]
        tokens = torch.cat([points, patches, step], dim=1)
        rest = torch.ones(len(x_t), tokens.shape[1] - length, dtype=torch.bool, device=x_t.device)
        mask = torch.cat([valid_BL, rest], dim=1)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.out(self.norm(tokens[:, :length]))


@dataclass(frozen=True, eq=False)
class NoiseDraws:
    """What is random about a step, and what it makes of the pieces.

    Args:
        steps: (B,) of the chain, 1 to T.
        noise: (B, L, 2) standard normal.
        noisy: (B, L, 2) the pieces after so many steps.
    """

    steps: Tensor
    noise: Tensor
    noisy: Tensor


def draw_noise(x_0: Tensor, schedule: Schedule, generator: torch.Generator) -> NoiseDraws:
    """Steps and noise for (B, L, 2) clean pieces; all on the CPU."""
    steps = torch.randint(1, schedule.num_steps + 1, (len(x_0),), generator=generator)
    noise = torch.randn(x_0.shape, generator=generator)
    return NoiseDraws(steps, noise, diffuse(x_0, steps, noise, schedule))


def noise_loss(
    network: JointDenoiser, map_BSS: Tensor, valid_BL: Tensor, draws: NoiseDraws
) -> Tensor:
    """Mean squared error of the noise over valid points.

    Source: [DDPM] Eq. (14).

    Args:
        network: the denoiser.
        map_BSS: scaled maps.
        valid_BL: points that count.
        draws: noisy pieces, and their noise.
    """
    error = network(draws.noisy, draws.steps, map_BSS, valid_BL) - draws.noise
    valid = valid_BL.to(error.dtype)
    return (error.square().mean(dim=-1) * valid).sum() / valid.sum().clamp_min(1)


@dataclass(frozen=True, eq=False)
class PaperModel:
    """The trained network and how long pieces are.

    Args:
        network: the denoiser.
        piece_lengths: (L + 1,) counts of training pieces by number of points.
        step_s: time between two points, seconds.
        side_m: side of a region, metres.
    """

    network: JointDenoiser
    piece_lengths: NDArray[np.float64]
    step_s: float
    side_m: float


def count_lengths(valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(L + 1,) counts of (..., L) pieces by number of points."""
    lengths = valid.sum(axis=-1).ravel()
    return np.bincount(lengths, minlength=valid.shape[-1] + 1).astype(np.float64)


def generate_pieces(
    model: PaperModel, city: CityMap, num_trips: int, seed: int
) -> Iterator[Tracks]:
    """Pieces of overlapping regions, N_r in proportion to p(r), in the order of the regions.

    Source: [TDDPM], sampling a city.

    Args:
        model: the trained network.
        city: the map.
        num_trips: pieces in all.
        seed: of everything; piece i has noise of its own.

    Yields:
        Chunks of at most :data:`CHUNK` trips.
    """
    rng = np.random.default_rng((seed, 6))
    regions = cut_regions(city)
    share = model.piece_lengths / model.piece_lengths.sum()
    region = np.sort(rng.choice(len(regions), size=num_trips, p=regions.weight))
    length = rng.choice(len(share), size=num_trips, p=share)
    for begin in range(0, num_trips, CHUNK):
        part = slice(begin, begin + CHUNK)
        numbers = range(num_trips)[part]
        generators = [sample_generator(seed, number, "piece") for number in numbers]
        yield _sample_chunk(model, city, regions, region[part], length[part], generators)


def _sample_chunk(
    model: PaperModel,
    city: CityMap,
    regions: RegionGrid,
    region: NDArray[np.int64],
    length: NDArray[np.int64],
    generators: Sequence[torch.Generator],
) -> Tracks:
    network, schedule = model.network, model.network.config.schedule()
    size = len(model.piece_lengths) - 1
    used, place = np.unique(region, return_inverse=True)
    slices = [slice_map(city, int(regions.row[r]), int(regions.col[r])) for r in used]
    maps = torch.from_numpy(network_input(np.stack(slices)))[torch.from_numpy(place)]
    valid = torch.from_numpy(np.arange(size) < length[:, None])
    order = torch.from_numpy(np.argsort(length, kind="stable"))
    rows = torch.split(order, ROWS_AT_ONCE)

    def denoise(x_t: Tensor, t_B: Tensor) -> Tensor:
        noise = torch.zeros_like(x_t)
        for row in rows:
            # pieces side by side are about as long, and nothing is computed beyond the longest
            longest = int(length[row[-1]])
            part = x_t[row, :longest], t_B[row], maps[row], valid[row, :longest]
            noise[row, :longest] = network(*part)
        return x_0_from_eps(x_t, noise, t_B, schedule)

    def limit(x_0: Tensor) -> Tensor:
        return x_0.clamp(-ESTIMATE_LIMIT, ESTIMATE_LIMIT)

    estimate = torch.zeros(0)
    for step in sample_ancestral(denoise, (size, 2), schedule, generators, limit):
        estimate = step.estimate
    frames = frames_of_slices(city, regions.row[region], regions.col[region], MAP_SIZE)
    pieces = estimate.double().numpy()
    points_m = [frames.to_plane(pieces[i, : length[i]], i) for i in range(len(pieces))]
    return tracks_from_trips(points_m, model.step_s)


def collect_pieces(model: PaperModel, city: CityMap, num_trips: int, seed: int) -> Tracks:
    """All chunks of :func:`generate_pieces` at once."""
    return join_tracks(list(generate_pieces(model, city, num_trips, seed)))
