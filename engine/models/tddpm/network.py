"""Our denoiser: the map encoded once per region, read by cross-attention and looked up in place.

Shapes: R regions, K pieces a region, L points, N = L / patch tokens, D channels, F features with
their flags, S cells a side. Pieces of one call are grouped by region: (R, K, ...).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.models.tddpm.blocks import (
    TIME_SCALE,
    DenoiserBlock,
    MapEncoder,
    MapFeatures,
    look_up,
    sinusoids,
)
from engine.models.tddpm.conditions import NUM_FEATURES, NUM_GROUPS
from engine.models.tddpm.frames import MAP_SIZE


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the network.

    Args:
        channels: D.
        layers: blocks of the denoiser.
        heads: attention heads of all blocks.
        map_layers: blocks of the map encoder.
        map_patch: side of a map patch, cells.
        point_patch: points of one token.
        feature_channels: channels of the map features looked up in place.
    """

    channels: int = 128
    layers: int = 6
    heads: int = 4
    map_layers: int = 2
    map_patch: int = 8
    point_patch: int = 4
    feature_channels: int = 24


@dataclass(frozen=True, eq=False)
class EncodedMap:
    """What the denoiser reads of R maps; computed once and used at every step.

    Args:
        tokens: (R, M, D).
        fine: (R, C, S, S).
        coarse: (R, C, S / 4, S / 4).
    """

    tokens: Tensor
    fine: Tensor
    coarse: Tensor

    def select(self, region: Tensor) -> "EncodedMap":
        """The maps of an index, in its order, with repetitions."""
        return EncodedMap(self.tokens[region], self.fine[region], self.coarse[region])


@dataclass(frozen=True, eq=False)
class PieceInput:
    """What is given of (R, K) pieces.

    Args:
        valid: (R, K, L) bool, False beyond the piece's end.
        known: (R, K, L) bool, points that are given.
        points: (R, K, L, 2) the given points; any value where not known.
        conditions: (R, K, F) features and flags.
    """

    valid: Tensor
    known: Tensor
    points: Tensor
    conditions: Tensor


class MapReader(nn.Module):
    """Velocity of the straight path from noise to pieces of trips, given the map.

    Differs from paper: the paper joins map patches, points and step in one encoder, which reads
    the map anew at every step; here the map is encoded once (:meth:`encode`). A token holds
    several points. Each point also sees the map where it is now, which ties it to streets.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width, patch = config.channels, config.point_patch
        self.map_encoder = MapEncoder(
            width, config.heads, config.map_layers, MAP_SIZE, config.map_patch
        )
        self.map_features = MapFeatures(config.feature_channels)
        # a dropped map is one learned token and no features
        self.no_map = nn.Parameter(torch.zeros(1, 1, width))
        per_point = 2 + 2 + 2 * config.feature_channels
        self.embed = nn.Linear(patch * per_point, width)
        self.steer = nn.Sequential(
            nn.Linear(width + NUM_FEATURES + NUM_GROUPS, width),
            nn.SiLU(),
            nn.Linear(width, DenoiserBlock.NUM_PARTS * width),
        )
        self.blocks = nn.ModuleList(
            DenoiserBlock(width, config.heads) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, patch * 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def encode(self, map_RSS: Tensor, keep_R: Tensor | None = None) -> EncodedMap:
        """Encode scaled maps; where ``keep_R`` is False the map is dropped (for guidance)."""
        tokens = self.map_encoder(map_RSS)
        fine, coarse = self.map_features(map_RSS)
        if keep_R is None:
            return EncodedMap(tokens, fine, coarse)
        keep = keep_R[:, None, None]
        tokens = torch.where(keep, tokens, self.no_map.expand_as(tokens))
        return EncodedMap(tokens, fine * keep[..., None], coarse * keep[..., None])

    def encode_nothing(self, like: EncodedMap) -> EncodedMap:
        """What the denoiser reads when the maps are dropped; nothing is computed."""
        return EncodedMap(
            self.no_map.expand_as(like.tokens),
            torch.zeros_like(like.fine),
            torch.zeros_like(like.coarse),
        )

    def forward(self, x_t: Tensor, time_R: Tensor, given: PieceInput, seen: EncodedMap) -> Tensor:
        """Velocity ``noise - data`` at each point.

        Args:
            x_t: (R, K, L, 2) noisy canonical points.
            time_R: (R, K) in [0, 1]; 0 is data, 1 is noise.
            given: known points, validity and conditions.
            seen: encoded maps.

        Returns:
            (R, K, L, 2); meaningless where a point is known or beyond the end.
        """
        regions, pieces, length, _ = x_t.shape
        patch = self.config.point_patch
        known = given.known[..., None]
        state = torch.where(known, given.points, x_t)
        local = self._look_around(state, seen)
        flags = torch.stack([given.known, given.valid], dim=-1).to(state.dtype)
        inputs = torch.cat([state, flags, local], dim=-1) * given.valid[..., None]
        # positions need all their digits: half precision would round them to 6 m
        with torch.autocast(x_t.device.type, enabled=False):
            flat = inputs.float().reshape(regions * pieces, length // patch, -1)
            tokens = self.embed(flat)
        place = torch.arange(length // patch, device=x_t.device)
        tokens = tokens + sinusoids(place, tokens.shape[-1], 1_000.0)
        mask = given.valid.reshape(regions * pieces, length // patch, patch).any(dim=-1)
        step = sinusoids(time_R * TIME_SCALE, tokens.shape[-1])
        steer = self.steer(torch.cat([step, given.conditions], dim=-1))
        steer = steer.reshape(regions * pieces, DenoiserBlock.NUM_PARTS, -1)
        map_tokens = seen.tokens.repeat_interleave(pieces, dim=0)
        for block in self.blocks:
            tokens = block(tokens, map_tokens, mask, steer)
        with torch.autocast(x_t.device.type, enabled=False):
            return self.out(self.norm(tokens.float())).reshape(x_t.shape)

    def _look_around(self, state: Tensor, seen: EncodedMap) -> Tensor:
        flat = state.flatten(1, 2)
        found = [look_up(features, flat) for features in (seen.fine, seen.coarse)]
        return torch.cat(found, dim=-1).reshape(*state.shape[:3], -1)
