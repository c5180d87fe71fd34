"""The STID network. See the package docstring for the shape legend."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.models.dropout import SeededDropout
from engine.models.forecast_windows import Forecast, Scale, WindowBatch
from engine.models.himnet.objective import masked_mae


@dataclass(frozen=True)
class STIDConfig:
    """Sizes of the network; the defaults are the published ones.

    Args:
        num_sensors: N.
        steps_per_day: slots of a day.
        history: T.
        horizon: H.
        embedding: dimensions of each of the four parts; C is their sum.
        num_layers: residual layers.
        dropout: share of hidden units dropped in training.
    """

    num_sensors: int
    steps_per_day: int = 288
    history: int = 12
    horizon: int = 12
    embedding: int = 32
    num_layers: int = 3
    dropout: float = 0.15


class ResidualLayer(nn.Module):
    """Two linear maps with a ReLU between, added to the input.

    Source: [STID] encoding, z' = FC2(ReLU(FC1(z))) + z.
    """

    def __init__(self, num_hidden: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(num_hidden, num_hidden)
        self.second = nn.Linear(num_hidden, num_hidden)
        self.dropout = SeededDropout(dropout)

    def forward(self, z_BNC: Tensor) -> Tensor:
        """The layer's output, same shape."""
        return z_BNC + self.second(self.dropout(torch.relu(self.first(z_BNC))))


class STID(nn.Module):
    """History, sensor, time of day and day of the week, concatenated; layers; one head.

    Source: [STID] Sec. "Spatial-Temporal Identity".

    Args:
        config: sizes.
        generator: draws the initial parameters.
    """

    value_mean: Tensor
    value_std: Tensor
    weekday_share_7: Tensor

    def __init__(self, config: STIDConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        e = config.embedding
        self.history_embedding = nn.Linear(config.history, e)
        self.sensor_embedding_NE = nn.Parameter(torch.empty(config.num_sensors, e))
        self.slot_embedding_SE = nn.Parameter(torch.empty(config.steps_per_day, e))
        self.weekday_embedding_7E = nn.Parameter(torch.empty(7, e))
        self.layers = nn.Sequential(
            *(ResidualLayer(4 * e, config.dropout) for _ in range(config.num_layers))
        )
        self.head = nn.Linear(4 * e, config.horizon)
        self.register_buffer("value_mean", torch.zeros(()))
        self.register_buffer("value_std", torch.ones(()))
        self.register_buffer("weekday_share_7", torch.full((7,), 1 / 7))
        self._initialise(generator)

    def _initialise(self, generator: torch.Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        for name in ("sensor_embedding_NE", "slot_embedding_SE", "weekday_embedding_7E"):
            nn.init.xavier_uniform_(self.get_parameter(name), generator=generator)

    def set_scale(self, scale: Scale) -> None:
        """Fix what the data's values are scaled with, and how often each weekday occurs."""
        self.value_mean.fill_(scale.mean)
        self.value_std.fill_(scale.std)
        self.weekday_share_7.copy_(torch.tensor(scale.weekday_share))

    def forward(self, z_BTN: Tensor, slot_B: Tensor, weekday_B: Tensor) -> Tensor:
        """The forecast of scaled values.

        Differs from paper: a negative weekday means that it is not known; then the embeddings
        of all weekdays are averaged by how often each occurred in training.

        Args:
            z_BTN: scaled history.
            slot_B: slot of the day of the last step seen.
            weekday_B: its weekday.

        Returns:
            (B, H, N), scaled.
        """
        b, _, n = z_BTN.shape
        known_BE = self.weekday_embedding_7E[weekday_B.clamp(min=0)]
        mean_E = self.weekday_share_7 @ self.weekday_embedding_7E
        weekday_BE = torch.where((weekday_B < 0).unsqueeze(-1), mean_E, known_BE)
        parts = [
            self.history_embedding(z_BTN.transpose(1, 2)),
            self.sensor_embedding_NE.expand(b, -1, -1),
            self.slot_embedding_SE[slot_B].unsqueeze(1).expand(-1, n, -1),
            weekday_BE.unsqueeze(1).expand(-1, n, -1),
        ]
        return self.head(self.layers(torch.cat(parts, dim=-1))).transpose(1, 2)

    def inputs(self, batch: WindowBatch) -> tuple[Tensor, Tensor, Tensor]:
        """What the network takes of a batch: z_BTN, slot_B, weekday_B."""
        z_BTN = (batch.history_BTN - self.value_mean) / self.value_std
        last = self.config.history - 1
        return z_BTN, batch.slot_BS[:, last], batch.weekday_BS[:, last]

    def forecast(self, batch: WindowBatch) -> Forecast:
        """The forecast of a batch, in the data's own unit."""
        return Forecast(self._unscale(self(*self.inputs(batch))))

    def objective(self, output: Tensor, batch: WindowBatch) -> Tensor:
        """Masked mean absolute error, in the data's own unit."""
        return masked_mae(self._unscale(output), batch.truth_BHN, batch.truth_valid_BHN)

    def _unscale(self, y_BHN: Tensor) -> Tensor:
        return y_BHN.float() * self.value_std + self.value_mean
