"""What our direct network is built of: layers on two graphs, and a recurrent encoder.

See the package docstring for the shape legend.
"""

import torch
from torch import Tensor, nn

from engine.models.dropout import SeededDropout


class SensorAttention(nn.Module):
    """Each sensor listens to those whose present state matters to its own.

    Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017.
    """

    def __init__(self, num_hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(num_hidden)
        self.query = nn.Linear(num_hidden, num_hidden)
        self.key = nn.Linear(num_hidden, num_hidden)
        self.value = nn.Linear(num_hidden, num_hidden)

    def forward(self, z_BNC: Tensor) -> Tensor:
        """What each sensor heard, (B, N, C)."""
        normed_BNC = self.norm(z_BNC)
        query, key, value = (
            linear(normed_BNC).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        heard = nn.functional.scaled_dot_product_attention(query, key, value)
        return heard.transpose(1, 2).flatten(2)


class GraphLayer(nn.Module):
    """z + FC2(ReLU(FC1[z, A z, S z])): own state, the learned graph's, the streets'.

    With attention there is one more part, what the sensors hear of each other's present state.
    """

    def __init__(self, num_hidden: int, dropout: float, heads: int = 0) -> None:
        super().__init__()
        self.attention = SensorAttention(num_hidden, heads) if heads else None
        num_parts = 3 if self.attention is None else 4
        self.first = nn.Linear(num_parts * num_hidden, num_hidden)
        self.second = nn.Linear(num_hidden, num_hidden)
        self.dropout = SeededDropout(dropout)

    def forward(self, z_BNC: Tensor, learned: Tensor, streets_BNN: Tensor) -> Tensor:
        """The layer's output, (B, N, C)."""
        parts = [z_BNC, learned @ z_BNC, streets_BNN @ z_BNC]
        if self.attention is not None:
            parts.append(self.attention(z_BNC))
        seen = torch.cat(parts, dim=-1)
        return z_BNC + self.second(self.dropout(torch.relu(self.first(seen))))


class HistoryEncoder(nn.Module):
    """The history step by step: a gated recurrent cell whose maps are graph convolutions.

    HimNet's recurrence without its meta-parameters: what differs from sensor to sensor and from
    hour to hour enters as the initial state, so that the weights are the same everywhere and one
    product serves all sensors and samples.

    Source: [HimNet] graph convolutional recurrent unit; Li et al., "Diffusion Convolutional
    Recurrent Neural Network", ICLR 2018, on a learned graph. Differs from both: inputs are spread
    along the streets too, and each gate sees the graph's mean of one and the same state.

    Args:
        history: T.
        num_context: features of the sensor and the hour, from which the state begins.
        num_hidden: C.
    """

    def __init__(self, history: int, num_context: int, num_hidden: int) -> None:
        super().__init__()
        self.history, self.num_hidden = history, num_hidden
        self.initial = nn.Linear(num_context, num_hidden)
        self.input = nn.Linear(3 * 3, 3 * num_hidden)
        self.gate = nn.Linear(2 * num_hidden, 2 * num_hidden)
        self.update = nn.Linear(2 * num_hidden, num_hidden)

    def forward(
        self, seen_BN3T: Tensor, context_BNX: Tensor, learned_NN: Tensor, streets_BNN: Tensor
    ) -> Tensor:
        """The state after the last step, (B, N, C).

        Args:
            seen_BN3T: value, whether it was measured, and the usual value at each step.
            context_BNX: what is known of sensor and hour.
            learned_NN: the learned graph.
            streets_BNN: the streets' graph.
        """
        flat_BNK = seen_BN3T.flatten(2)
        spread = [flat_BNK, learned_NN @ flat_BNK, streets_BNN @ flat_BNK]
        inputs_BNT9 = torch.cat([part.view_as(seen_BN3T) for part in spread], dim=2).transpose(2, 3)
        # sensors first: the graph is then applied to all samples in one product
        known_TNBX = self.input(inputs_BNT9.permute(2, 1, 0, 3)).contiguous()
        h_NBC = torch.tanh(self.initial(context_BNX.transpose(0, 1)))
        for known_NBX in known_TNBX.unbind(0):
            for_gates, for_update = known_NBX.split([2 * self.num_hidden, self.num_hidden], dim=-1)
            around_NBC = (learned_NN @ h_NBC.flatten(1)).view_as(h_NBC)
            both = torch.cat([h_NBC, around_NBC], dim=-1)
            z_NBC, r_NBC = torch.sigmoid(for_gates + self.gate(both)).chunk(2, dim=-1)
            reset = torch.cat([z_NBC, z_NBC], dim=-1) * both
            candidate_NBC = torch.tanh(for_update + self.update(reset))
            h_NBC = candidate_NBC + r_NBC * (h_NBC - candidate_NBC)
        return h_NBC.transpose(0, 1)
