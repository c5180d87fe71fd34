"""HimNet as published: two encoders, the joint decoder, scheduled sampling.

See the package docstring for the shape legend; here F = 3 input features: the scaled value, the
time of day in [0, 1) and the day of the week.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.models.forecast_windows import Forecast, Scale, WindowBatch
from engine.models.himnet.meta import Form, Hoisted, Reassociated
from engine.models.himnet.objective import masked_mae
from engine.models.himnet.recurrent import (
    MetaGRU,
    convolve_on,
    gated_step,
    learn_graph,
    side_by_side,
)


@dataclass(frozen=True)
class HimNetConfig:
    """Sizes of the network; the defaults are the published ones.

    Args:
        num_sensors: N.
        steps_per_day: slots of a day.
        history: T.
        horizon: H.
        hidden: C.
        slot_embedding: dimensions of the time-of-day embedding.
        weekday_embedding: dimensions of the day-of-week embedding.
        sensor_embedding: D of the spatial embedding.
        joint_embedding: D of the joint embedding.
    """

    num_sensors: int
    steps_per_day: int = 288
    history: int = 12
    horizon: int = 12
    hidden: int = 64
    slot_embedding: int = 8
    weekday_embedding: int = 8
    sensor_embedding: int = 16
    joint_embedding: int = 16


@dataclass(frozen=True, eq=False)
class Teacher:
    """Scheduled sampling: the truth, and after which steps the decoder is fed it.

    Args:
        truth_BHN1: the scaled truth, invalid entries zero.
        feeds_H: bool; one draw a step for the whole batch.
    """

    truth_BHN1: Tensor
    feeds_H: Tensor

    def next_input(self, step: int, own_BN1: Tensor) -> Tensor:
        """What the decoder sees after ``step``: the truth or its own output."""
        return torch.where(self.feeds_H[step], self.truth_BHN1[:, step], own_BN1)


class HimNet(nn.Module):
    """The published network.

    Source: [HimNet] Heterogeneity-Informed Spatiotemporal Meta-Network.

    Args:
        config: sizes.
        generator: draws the initial parameters; the same seed gives the same network.
    """

    value_mean: Tensor
    value_std: Tensor
    weekday_share_7: Tensor

    def __init__(self, config: HimNetConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        c, d_s, d_st = config.hidden, config.sensor_embedding, config.joint_embedding
        d_t = config.slot_embedding + config.weekday_embedding
        self.slot_embedding = nn.Embedding(config.steps_per_day, config.slot_embedding)
        self.weekday_embedding = nn.Embedding(7, config.weekday_embedding)
        self.sensor_embedding_ND = nn.Parameter(torch.empty(config.num_sensors, d_s))
        self.spatial_encoder = MetaGRU(d_s, 3, c)
        self.temporal_encoder = MetaGRU(d_t, 3, c)
        self.joint_decoder = MetaGRU(d_st, 3, c)
        self.joint_projection = nn.Linear(c, d_st)
        self.output = nn.Linear(c, 1)
        self.register_buffer("value_mean", torch.zeros(()))
        self.register_buffer("value_std", torch.ones(()))
        self.register_buffer("weekday_share_7", torch.full((7,), 1 / 7))
        self._initialise(generator)

    def _initialise(self, generator: torch.Generator) -> None:
        nn.init.xavier_normal_(self.sensor_embedding_ND, generator=generator)
        for embedding in (self.slot_embedding, self.weekday_embedding):
            nn.init.normal_(embedding.weight, generator=generator)
        for cell in (self.spatial_encoder, self.temporal_encoder, self.joint_decoder):
            cell.gate.linear.initialise(generator)
            cell.update.linear.initialise(generator)
        for linear in (self.joint_projection, self.output):
            bound = linear.in_features**-0.5
            nn.init.uniform_(linear.weight, -bound, bound, generator=generator)
            nn.init.uniform_(linear.bias, -bound, bound, generator=generator)

    def set_scale(self, scale: Scale) -> None:
        """Fix what the data's values are scaled with, and how often each weekday occurs."""
        self.value_mean.fill_(scale.mean)
        self.value_std.fill_(scale.std)
        self.weekday_share_7.copy_(torch.tensor(scale.weekday_share))

    def forward(
        self,
        x_BTNF: Tensor,
        covariates_BHN2: Tensor,
        teacher: Teacher | None = None,
        encoder_form: Form = Hoisted,
        decoder_form: Form = Reassociated,
    ) -> Tensor:
        """The forecast of scaled values.

        Args:
            x_BTNF: scaled value, time of day in [0, 1), day of the week (negative: unknown).
            covariates_BHN2: time of day and day of the week of the steps to forecast.
            teacher: in training, scheduled sampling; None feeds the network its own output.
            encoder_form: how the encoders' weights are made; all forms give the same result.
            decoder_form: how the decoder's weights are made.

        Returns:
            y_BHN1, scaled.
        """
        h_BNC = self.encode(x_BTNF, encoder_form)
        return self.decode(h_BNC, covariates_BHN2, teacher, decoder_form)

    def encode(self, x_BTNF: Tensor, form: Form = Hoisted) -> Tensor:
        """Sum of both encoders' last states: h_BNC.

        Source: [HimNet] temporal and spatial encoders, in parallel.
        """
        graph_NN = learn_graph(self.sensor_embedding_ND)
        spatial_1ND = self.sensor_embedding_ND.unsqueeze(0)
        temporal_B1D = self.embed_time(x_BTNF[:, -1, 0, 1], x_BTNF[:, -1, 0, 2]).unsqueeze(1)
        gate, update = (
            convolve_on(
                graph_NN,
                side_by_side(
                    getattr(self.spatial_encoder, part).linear.bind(spatial_1ND, form),
                    getattr(self.temporal_encoder, part).linear.bind(temporal_B1D, form),
                ),
            )
            for part in ("gate", "update")
        )
        # both encoders see the same input: all but their maps is computed for both at once
        x_2BTNF = self.fill_weekday(x_BTNF).expand(2, *x_BTNF.shape)
        h_2BNC = x_BTNF.new_zeros(2, len(x_BTNF), x_BTNF.shape[2], self.config.hidden)
        step = gated_step(gate, update)
        for t in range(x_BTNF.shape[1]):
            h_2BNC = step(x_2BTNF[:, :, t], h_2BNC)
        return h_2BNC.sum(0)

    def embed_time(self, time_of_day_B: Tensor, weekday_B: Tensor) -> Tensor:
        """E_t of each sample, (B, D): time of day and day of the week, concatenated.

        Differs from paper: a negative weekday means that it is not known; then the embeddings
        of all weekdays are averaged by how often each occurred in training.
        """
        slot_B = (time_of_day_B * self.config.steps_per_day).round().long()
        known = self.weekday_embedding(weekday_B.round().long().clamp(min=0))
        mean = self.weekday_share_7 @ self.weekday_embedding.weight
        weekday_BD = torch.where((weekday_B < 0).unsqueeze(-1), mean, known)
        return torch.cat([self.slot_embedding(slot_B), weekday_BD], dim=-1)

    def fill_weekday(self, features: Tensor) -> Tensor:
        """Unknown weekdays, in the last feature, replaced by the mean one of training."""
        mean = self.weekday_share_7 @ torch.arange(7.0, device=features.device)
        weekday = features[..., -1:]
        return torch.cat([features[..., :-1], torch.where(weekday < 0, mean, weekday)], dim=-1)

    def decode(
        self,
        h_BNC: Tensor,
        covariates_BHN2: Tensor,
        teacher: Teacher | None = None,
        form: Form = Reassociated,
    ) -> Tensor:
        """H autoregressive steps from the encoded state: y_BHN1, scaled.

        Source: [HimNet] spatiotemporal-joint decoder.
        """
        joint_BND = self.joint_projection(h_BNC)
        cell = self.joint_decoder.bind(joint_BND, learn_graph(joint_BND), form)
        covariates_BHN2 = self.fill_weekday(covariates_BHN2)
        fed_BN1 = h_BNC.new_zeros(*h_BNC.shape[:2], 1)
        outputs: list[Tensor] = []
        for step in range(self.config.horizon):
            h_BNC = cell(torch.cat([fed_BN1, covariates_BHN2[:, step]], dim=-1), h_BNC)
            outputs.append(self.output(h_BNC))
            fed_BN1 = outputs[-1] if teacher is None else teacher.next_input(step, outputs[-1])
        return torch.stack(outputs, dim=1)

    def inputs(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """What the network takes of a batch of windows: x_BTNF and covariates_BHN2.

        Missing values enter as zero on the data's scale, as in the published data sets.
        """
        t, n = self.config.history, self.config.num_sensors
        time_BS2 = torch.stack(
            [batch.slot_BS / self.config.steps_per_day, batch.weekday_BS.float()], dim=-1
        )
        time_BSN2 = time_BS2.unsqueeze(2).expand(-1, -1, n, -1)
        value_BTN1 = self.scale(batch.history_BTN).unsqueeze(-1)
        return torch.cat([value_BTN1, time_BSN2[:, :t]], dim=-1), time_BSN2[:, t:]

    def scale(self, values: Tensor) -> Tensor:
        """Values on the network's scale."""
        return (values - self.value_mean) / self.value_std

    def unscale(self, values: Tensor) -> Tensor:
        """Values in the data's own unit."""
        return values * self.value_std + self.value_mean

    def forecast(self, batch: WindowBatch) -> Forecast:
        """The forecast of a batch, in the data's own unit."""
        return Forecast(self.unscale(self(*self.inputs(batch)).squeeze(-1).float()))

    def teacher(self, batch: WindowBatch, feeds_H: Tensor) -> Teacher:
        """Scheduled sampling on the truth of a batch, where it is known."""
        truth_BHN1 = self.scale(batch.truth_BHN).unsqueeze(-1)
        known_BHN1 = batch.truth_valid_BHN.unsqueeze(-1)
        return Teacher(torch.where(known_BHN1, truth_BHN1, 0.0), feeds_H)

    def objective(self, output: Tensor, batch: WindowBatch) -> Tensor:
        """Masked mean absolute error, in the data's own unit."""
        forecast_BHN = self.unscale(output.squeeze(-1).float())
        return masked_mae(forecast_BHN, batch.truth_BHN, batch.truth_valid_BHN)
