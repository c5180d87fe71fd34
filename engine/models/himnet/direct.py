"""Ours: all horizons at once, with quantiles, on an editable street network.

What it keeps of HimNet: spatial and temporal embeddings, a graph learned from the former, and a
head whose weights are mixed from a pool by both. What it replaces: the recurrences, whose
12 + 12 steps in order are most of HimNet's cost, by residual layers on the whole history; the
autoregressive decoder, whose errors feed on themselves, by a direct head; the point forecast by
quantiles. What it adds: the usual day of each sensor, missing readings as such, the streets, and
how much of a sensor's connections is open, so that a closed street is seen where it is. Where
asked for, it also sees how the hours before the history deviated from the usual day, lets sensors
attend to each other by their present state or runs through the history step by step, averages
several networks that differ in their first parameters, and moves its middle towards networks whose
errors differ from its own: STID, HimNet, and companions of other sizes.

See the package docstring for the shape legend; S = T + H, P earlier steps, M networks.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from engine.errors import WeightsError
from engine.models.forecast_windows import Forecast, Scale, WindowBatch
from engine.models.himnet.layers import GraphLayer, HistoryEncoder
from engine.models.himnet.meta import MetaLinear, Reassociated
from engine.models.himnet.network import HimNet
from engine.models.himnet.objective import pinball_loss
from engine.models.himnet.recurrent import learn_graph
from engine.models.himnet.streets import open_share, weigh_sources
from engine.models.stid.network import STID, STIDConfig

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class DirectConfig:
    """Sizes of the network.

    Args:
        num_sensors: N.
        steps_per_day: slots of a day.
        history: T.
        horizon: H.
        embedding: dimensions of the sensor, slot and weekday embeddings and of the history's.
        graph_embedding: dimensions of what the graph is learned from.
        pool: D, candidate heads.
        num_layers: residual layers.
        dropout: share of hidden units dropped in training.
        earlier: P, steps before the history that are seen as means of ``earlier_mean`` steps.
        earlier_mean: how many of them make one mean.
        heads: of the attention between sensors; 0 does without.
        members: M, networks whose quantiles are averaged.
        tails: weight of each outer quantile's loss; the median's is 1.
        plain: STID networks that move the middle; they are trained apart, see
            :func:`engine.models.himnet.blending.blend`.
        published: share of HimNet in the middle; see :meth:`DirectNet.join`.
        recurrent: hidden units of the recurrent encoder; 0 does without.
        early: loss of step h weighs ``h ** -early``: far steps, whose errors are largest, then do
            not rule the training.
        companions: sizes of networks that move the middle, trained apart.
        companion_share: their share in it.
    """

    num_sensors: int
    steps_per_day: int = 288
    history: int = 12
    horizon: int = 12
    embedding: int = 32
    graph_embedding: int = 16
    pool: int = 6
    num_layers: int = 3
    dropout: float = 0.15
    earlier: int = 0
    earlier_mean: int = 3
    heads: int = 0
    members: int = 1
    tails: float = 1.0
    plain: int = 0
    published: float = 0.0
    recurrent: int = 0
    early: float = 0.0
    companions: tuple["DirectConfig", ...] = ()
    companion_share: float = 0.0

    def __post_init__(self) -> None:
        # a card's plain values
        sizes = tuple(DirectConfig(**c) if isinstance(c, dict) else c for c in self.companions)
        object.__setattr__(self, "companions", sizes)

    @property
    def num_hidden(self) -> int:
        """C, channels of the residual layers."""
        return 4 * self.embedding + self.recurrent

    @property
    def num_features(self) -> int:
        """F, what is known of a sensor."""
        own = 2 * self.history + self.history + self.horizon + 1
        return own + 2 * (self.earlier // self.earlier_mean)


class DirectMember(nn.Module):
    """One network of :class:`DirectNet`: from features to scaled quantiles.

    Args:
        config: sizes.
        generator: draws the initial parameters.
    """

    def __init__(self, config: DirectConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        n, e = config.num_sensors, config.embedding
        c, num_features, q = config.num_hidden, config.num_features, len(QUANTILES)
        self.history_embedding = nn.Linear(num_features, e)
        self.sensor_embedding_NE = nn.Parameter(torch.empty(n, e))
        self.slot_embedding_SE = nn.Parameter(torch.empty(config.steps_per_day, e))
        self.weekday_embedding_7E = nn.Parameter(torch.empty(7, e))
        self.graph_embedding_ND = nn.Parameter(torch.empty(n, config.graph_embedding))
        self.encoder = (
            HistoryEncoder(config.history, 3 * e, config.recurrent) if config.recurrent else None
        )
        self.layers = nn.ModuleList(
            GraphLayer(c, config.dropout, config.heads) for _ in range(config.num_layers)
        )
        self.mixture = nn.Linear(3 * e, config.pool)
        self.head = MetaLinear(config.pool, c, config.horizon * q)
        self.shortcut = nn.Linear(num_features, config.horizon)
        self._initialise(generator)

    def _initialise(self, generator: torch.Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        for name, parameter in self.named_parameters():
            if "_embedding_" in name:
                nn.init.xavier_uniform_(parameter, generator=generator)
        self.head.initialise(generator)
        bound = (3 / self.head.pool_DKO.shape[1]) ** 0.5
        nn.init.uniform_(self.head.pool_DKO, -bound, bound, generator=generator)

    def forward(
        self,
        features_BNF: Tensor,
        slot_B: Tensor,
        weekday_B: Tensor,
        streets_BNN: Tensor,
        weekday_share_7: Tensor,
    ) -> Tensor:
        """Quantiles of the scaled values, in rising order: (B, H, N, Q)."""
        b, n, _ = features_BNF.shape
        mean_E = weekday_share_7 @ self.weekday_embedding_7E
        known_BE = self.weekday_embedding_7E[weekday_B.clamp(min=0)]
        weekday_BE = torch.where((weekday_B < 0).unsqueeze(-1), mean_E, known_BE)
        context_BNX = torch.cat(
            [
                self.sensor_embedding_NE.expand(b, -1, -1),
                self.slot_embedding_SE[slot_B].unsqueeze(1).expand(-1, n, -1),
                weekday_BE.unsqueeze(1).expand(-1, n, -1),
            ],
            dim=-1,
        )
        z_BNC = torch.cat([self.history_embedding(features_BNF), context_BNX], dim=-1)
        learned_NN = learn_graph(self.graph_embedding_ND).to(z_BNC.dtype)
        if self.encoder is not None:
            steps = 3 * self.config.history
            seen_BN3T = features_BNF[..., :steps].reshape(b, n, 3, self.config.history)
            state_BNC = self.encoder(seen_BN3T, context_BNX, learned_NN, streets_BNN)
            z_BNC = torch.cat([z_BNC, state_BNC], dim=-1)
        for layer in self.layers:
            z_BNC = layer(z_BNC, learned_NN, streets_BNN.to(z_BNC.dtype))
        mixture_BND = torch.softmax(self.mixture(context_BNX).float(), dim=-1)
        head = self.head.bind(mixture_BND, Reassociated)
        raw_BNHQ = head(z_BNC).float().unflatten(-1, (self.config.horizon, len(QUANTILES)))  # type: ignore[no-untyped-call]
        middle_BNH = raw_BNHQ[..., 1] + self.shortcut(features_BNF).float()
        # softplus keeps the quantiles in order
        lower_BNH = middle_BNH - nn.functional.softplus(raw_BNHQ[..., 0])
        upper_BNH = middle_BNH + nn.functional.softplus(raw_BNHQ[..., 2])
        return torch.stack([lower_BNH, middle_BNH, upper_BNH], dim=-1).transpose(1, 2)


class DirectNet(DirectMember):
    """Our forecast network: one or several members, which see the same and are averaged.

    It is its own first member.

    Args:
        config: sizes.
        adjacency_NN: the streets between the sensors, 0 to 1; zeros where none are known.
        generator: draws the initial parameters.
    """

    value_mean: Tensor
    value_std: Tensor
    weekday_share_7: Tensor
    adjacency_NN: Tensor
    profile_SN: Tensor
    quantiles_Q: Tensor

    def __init__(
        self, config: DirectConfig, adjacency_NN: Tensor, generator: torch.Generator
    ) -> None:
        super().__init__(config, generator)
        self.others = nn.ModuleList(
            DirectMember(config, generator) for _ in range(config.members - 1)
        )
        sizes = (config.num_sensors, config.steps_per_day, config.history, config.horizon)
        self.plain = nn.ModuleList(STID(STIDConfig(*sizes), generator) for _ in range(config.plain))
        self.companions = nn.ModuleList(
            DirectMember(sizes, generator) for sizes in config.companions
        )
        # not a part of this network: it belongs to the method ``paper`` and is kept once
        self._published: tuple[HimNet, ...] = ()
        for name, value in (
            ("value_mean", torch.zeros(())),
            ("value_std", torch.ones(())),
            ("weekday_share_7", torch.full((7,), 1 / 7)),
            ("adjacency_NN", adjacency_NN.float().clone()),
            ("profile_SN", torch.zeros(config.steps_per_day, config.num_sensors)),
            ("quantiles_Q", torch.tensor(QUANTILES)),
        ):
            self.register_buffer(name, value)

    def set_scale(self, scale: Scale, profile_SN: Tensor) -> None:
        """Fix the scale, the usual weekdays, and each sensor's usual day (in the data's unit)."""
        self.value_mean.fill_(scale.mean)
        self.value_std.fill_(scale.std)
        self.weekday_share_7.copy_(torch.tensor(scale.weekday_share))
        self.profile_SN.copy_((profile_SN - scale.mean) / scale.std)

    def join(self, network: HimNet) -> None:
        """Let HimNet as published have its share in the middle; it stays a network of its own.

        Args:
            network: of the same sensors; it knows its own scale.

        Raises:
            WeightsError: its sizes differ.
        """
        own, other = self.config, network.config
        names = ("num_sensors", "steps_per_day", "history", "horizon")
        if any(getattr(own, name) != getattr(other, name) for name in names):
            raise WeightsError("HimNet is of other sensors or other steps.")
        self._published = (network,)

    def inputs(
        self,
        batch: WindowBatch,
        adjacency: Tensor | None = None,
        usual_BSN: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """What the network takes of a batch: features_BNF, slot_B, weekday_B, streets_BNN.

        Args:
            batch: the windows.
            adjacency: an edited street network, (N, N) or (B, N, N); None for the trained one.
            usual_BSN: usual values in the data's unit; None for the network's own.
        """
        last = self.config.history - 1
        if usual_BSN is None:
            scaled_BSN = self.profile_SN[batch.slot_BS]
        else:
            scaled_BSN = (usual_BSN - self.value_mean) / self.value_std
        z_BTN = (batch.history_BTN - self.value_mean) / self.value_std
        valid_BTN = batch.history_valid_BTN
        z_BTN = torch.where(valid_BTN, z_BTN, scaled_BSN[:, : last + 1])
        streets = self.adjacency_NN if adjacency is None else adjacency
        open_B1N = open_share(streets, self.adjacency_NN).expand(len(batch), -1).unsqueeze(1)
        features_BSN = torch.cat(
            [
                z_BTN,
                valid_BTN.to(z_BTN.dtype),
                scaled_BSN,
                *self._earlier_features(batch),
                open_B1N,
            ],
            dim=1,
        )
        streets_BNN = weigh_sources(streets, valid_BTN.any(dim=1))
        slot_B, weekday_B = batch.slot_BS[:, last], batch.weekday_BS[:, last]
        return features_BSN.transpose(1, 2), slot_B, weekday_B, streets_BNN

    def _earlier_features(self, batch: WindowBatch) -> tuple[Tensor, ...]:
        """Mean deviation from the usual day before the history, and how much was heard: (B, K, N).

        A batch that does not reach so far back is as one in which nothing was heard.
        """
        config = self.config
        if not config.earlier:
            return ()
        b, _, n = batch.history_BTN.shape
        shape = (b, config.earlier // config.earlier_mean, config.earlier_mean, n)
        if batch.earlier_BPN is None or batch.earlier_valid_BPN is None:
            nothing_BKN = batch.history_BTN.new_zeros(b, shape[1], n)
            return nothing_BKN, nothing_BKN
        back_P = torch.arange(-config.earlier, 0, device=batch.slot_BS.device)
        slot_BP = (batch.slot_BS[:, :1] + back_P) % config.steps_per_day
        z_BPN = (batch.earlier_BPN[:, -config.earlier :] - self.value_mean) / self.value_std
        valid_BPN = batch.earlier_valid_BPN[:, -config.earlier :]
        off_BPN = torch.where(valid_BPN, z_BPN - self.profile_SN[slot_BP], 0.0)
        count_BKN = valid_BPN.to(z_BPN.dtype).view(shape).sum(dim=2)
        mean_BKN = off_BPN.view(shape).sum(dim=2) / count_BKN.clamp(min=1)
        return mean_BKN, count_BKN / config.earlier_mean

    def forward(  # type: ignore[override]
        self, features_BNF: Tensor, slot_B: Tensor, weekday_B: Tensor, streets_BNN: Tensor
    ) -> Tensor:
        """Each member's quantiles of the scaled values: (M, B, H, N, Q)."""
        given = (features_BNF, slot_B, weekday_B, streets_BNN, self.weekday_share_7)
        return torch.stack([super().forward(*given), *(other(*given) for other in self.others)])

    def unscale(self, values: Tensor) -> Tensor:
        """Values in the data's own unit."""
        return values.float() * self.value_std + self.value_mean

    def forecast(self, batch: WindowBatch, adjacency: Tensor | None = None) -> Forecast:
        """The forecast of a batch with its own, not yet calibrated band, in the data's unit."""
        given = self.inputs(batch, adjacency)
        scaled_BHNQ = self(*given).mean(dim=0)
        own_BHN = scaled_BHNQ[..., 1]
        for share, middle_BHN in self._beside(batch, given):
            # the band moves with the middle
            scaled_BHNQ = scaled_BHNQ + share * (middle_BHN - own_BHN).unsqueeze(-1)
        lower, middle, upper = self.unscale(scaled_BHNQ).unbind(-1)
        return Forecast(middle, lower, upper)

    def _beside(
        self, batch: WindowBatch, given: tuple[Tensor, ...]
    ) -> Iterator[tuple[float, Tensor]]:
        """Share in the middle and scaled middle (B, H, N) of each kind of network beside our own.

        Raises:
            WeightsError: HimNet has a share and was never joined.
        """
        config, (features_BNF, slot_B, weekday_B, _) = self.config, given
        z_BTN = features_BNF[..., : config.history].transpose(1, 2)
        if config.plain:
            rest = 1 - config.companion_share - config.published
            plain = torch.stack([network(z_BTN, slot_B, weekday_B) for network in self.plain])
            share = rest * config.plain / (config.plain + config.members)
            yield share, plain.mean(dim=0).float()
        if config.companions:
            seen = (*given, self.weekday_share_7)
            middles = [network(*seen)[..., 1] for network in self.companions]
            yield config.companion_share, torch.stack(middles).mean(dim=0)
        if config.published:
            yield config.published, self._published_middle(batch, z_BTN)

    def _published_middle(self, batch: WindowBatch, z_BTN: Tensor) -> Tensor:
        """HimNet's forecast, scaled: (B, H, N).

        Where nothing was measured it is given the usual value, as our own network is.
        """
        if not self._published:
            raise WeightsError("These weights lack the HimNet that ours is blended with.")
        (network,) = self._published
        heard = replace(batch, history_BTN=self.unscale(z_BTN))
        return (network.forecast(heard).middle_BHN - self.value_mean) / self.value_std

    def objective(self, output: Tensor, batch: WindowBatch) -> Tensor:
        """Pinball loss, in the data's own unit; the median's share is the absolute error."""
        truth_BHN, valid_BHN = batch.truth_BHN, batch.truth_valid_BHN
        quantiles = self.unscale(output)
        ahead_H = torch.arange(1, self.config.horizon + 1, device=output.device)
        weight_H = ahead_H.float() ** -self.config.early
        weight_H1 = (weight_H / weight_H.mean()).unsqueeze(-1)
        # the loss grows with its arguments' unit
        quantiles, truth_BHN = quantiles * weight_H1.unsqueeze(-1), truth_BHN * weight_H1
        losses = [
            pinball_loss(quantiles[..., i : i + 1], truth_BHN, valid_BHN, self.quantiles_Q[i])
            for i in range(len(QUANTILES))
        ]
        weight = self.config.tails
        total = losses[1] + weight * (losses[0] + losses[2])
        return total / (self.config.members * (1 + 2 * weight))
