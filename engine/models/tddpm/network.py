"""Our denoiser: the map encoded once per region, read by cross-attention and looked up in place.

Shapes: R regions, K pieces a region, L points, N = L / patch tokens, T tokens packed together,
D channels, P numbers of a point, F features with their flags, S cells a side. Pieces of one call
are grouped by region: (R, K, ...).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.models.tddpm.blocks import (
    TIME_SCALE,
    DenoiserBlock,
    MapEncoder,
    MapFeatures,
    Packing,
    look_up,
    position_waves,
    sinusoids,
)
from engine.models.tddpm.conditions import NUM_FEATURES, NUM_GROUPS
from engine.models.tddpm.frames import MAP_SIZE

DIFFERENCE_SCALE = 16.0
"""Moves from point to point are a few hundredths of a region; this brings them near one."""


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
        octaves: wavelengths of the coordinates that each point is given; 0 for a network that
            is to work in places it never saw.
        point_channels: width of the layer that has the last word on each point by itself.
    """

    channels: int = 128
    layers: int = 6
    heads: int = 4
    map_layers: int = 2
    map_patch: int = 8
    point_patch: int = 4
    feature_channels: int = 24
    octaves: int = 0
    point_channels: int = 64


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
        per_point = 2 + 2 + 4 + 4 * config.octaves + 2 * config.feature_channels
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
        self.spread = nn.Linear(width, patch * config.point_channels)
        self.own = nn.Linear(per_point, config.point_channels)
        self.refine = nn.Linear(config.point_channels, config.point_channels)
        self.out = nn.Linear(config.point_channels, 2)
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
        mask = given.valid.reshape(regions * pieces, length // patch, patch).any(dim=-1)
        packing = Packing.of(mask)
        points = packing.pack(
            self._describe_points(x_t, given, seen).reshape(*mask.shape, -1)
        ).reshape(len(packing.slot), patch, -1)
        # positions need all their digits: half precision would round them to 6 m
        with torch.autocast(x_t.device.type, enabled=False):
            tokens = self.embed(points.flatten(1))
        tokens = tokens + sinusoids(packing.place, tokens.shape[-1], 1_000.0)
        step = sinusoids(time_R * TIME_SCALE, tokens.shape[-1])
        steer = self.steer(torch.cat([step, given.conditions], dim=-1))
        steer = steer.reshape(regions * pieces, DenoiserBlock.NUM_PARTS, -1)
        for block in self.blocks:
            tokens = block(tokens, seen.tokens, packing, steer)
        with torch.autocast(x_t.device.type, enabled=False):
            velocity = self._settle_points(tokens.float(), points)
        return packing.unpack(velocity.flatten(1)).reshape(x_t.shape)

    def _describe_points(self, x_t: Tensor, given: PieceInput, seen: EncodedMap) -> Tensor:
        """(R, K, L, P) float32 of each point: where it is, whether that is given, and the map."""
        state = torch.where(given.known[..., None], given.points, x_t)
        moves = DIFFERENCE_SCALE * state.diff(dim=2)
        rest = torch.zeros_like(state[:, :, :1])
        parts = [
            state,
            torch.cat([rest, moves], dim=2),
            torch.cat([moves, rest], dim=2),
            torch.stack([given.known, given.valid], dim=-1).to(state.dtype),
            position_waves(state, self.config.octaves),
            self._look_around(state, seen),
        ]
        return torch.cat(parts, dim=-1).float() * given.valid[..., None]

    def _settle_points(self, tokens: Tensor, points: Tensor) -> Tensor:
        """(T, patch, 2) velocities from (T, D) tokens and (T, patch, P) points."""
        wish = self.spread(self.norm(tokens)).reshape(*points.shape[:2], -1)
        hidden = functional.gelu(wish + self.own(points))
        velocity: Tensor = self.out(functional.gelu(self.refine(hidden)))
        return velocity

    def _look_around(self, state: Tensor, seen: EncodedMap) -> Tensor:
        flat = state.flatten(1, 2)
        found = [look_up(features, flat) for features in (seen.fine, seen.coarse)]
        return torch.cat(found, dim=-1).reshape(*state.shape[:3], -1)
