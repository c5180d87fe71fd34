"""Graph convolution and gated recurrent cell with weights mixed from pools.

See the package docstring for the shape legend.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.models.himnet.meta import Form, MetaLinear

Cell = Callable[[Tensor, Tensor], Tensor]
"""One recurrent step with graph and embedding bound: (x_BNF, h_BNC) -> h'_BNC."""


def learn_graph(embedding: Tensor) -> Tensor:
    """Who listens to whom: A = softmax(ReLU(E E^T)), rows sum to one.

    Source: [HimNet] adaptive graph from the embeddings.

    Args:
        embedding: (N, D) for all samples, or (B, N, D) for each.

    Returns:
        (N, N) or (B, N, N), float32 also under autocast.
    """
    return torch.softmax(torch.relu(embedding @ embedding.transpose(-1, -2)).float(), dim=-1)


class MetaGraphConv(nn.Module):
    """HimGCN: [x, A x] through a map mixed from a pool; the supports are {I, A}.

    Source: [HimNet] graph convolution with meta-parameters.

    Args:
        num_embedding: D.
        num_inputs: features a sensor, F; the map has K = 2 F inputs.
        num_outputs: O.
    """

    def __init__(self, num_embedding: int, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.linear = MetaLinear(num_embedding, 2 * num_inputs, num_outputs)

    def bind(self, embedding: Tensor, graph: Tensor, form: Form) -> Callable[[Tensor], Tensor]:
        """The convolution x_BNF -> y_BNO for these contexts on this graph (N, N) or (B, N, N)."""
        linear = self.linear.bind(embedding, form)

        def convolve(x_BNF: Tensor) -> Tensor:
            return linear(torch.cat([x_BNF, (graph @ x_BNF).to(x_BNF.dtype)], dim=-1))

        return convolve


class MetaGRU(nn.Module):
    """Gated recurrent cell whose two maps are graph convolutions with mixed weights.

    Source: [HimNet] graph convolutional recurrent unit.

    Args:
        num_embedding: D.
        num_inputs: features a sensor, F.
        num_hidden: C.
    """

    def __init__(self, num_embedding: int, num_inputs: int, num_hidden: int) -> None:
        super().__init__()
        self.num_hidden = num_hidden
        self.gate = MetaGraphConv(num_embedding, num_inputs + num_hidden, 2 * num_hidden)
        self.update = MetaGraphConv(num_embedding, num_inputs + num_hidden, num_hidden)

    def bind(self, embedding: Tensor, graph: Tensor, form: Form) -> Cell:
        """One step for these contexts on this graph.

        (z, r) = sigmoid(gate[x, h]), c = tanh(update[x, z h]), h' = r h + (1 - r) c.
        """
        gate = self.gate.bind(embedding, graph, form)
        update = self.update.bind(embedding, graph, form)

        def step(x_BNF: Tensor, h_BNC: Tensor) -> Tensor:
            both = torch.sigmoid(gate(torch.cat([x_BNF, h_BNC], dim=-1)))
            z_BNC, r_BNC = both.chunk(2, dim=-1)
            candidate_BNC = torch.tanh(update(torch.cat([x_BNF, z_BNC * h_BNC], dim=-1)))
            return r_BNC * h_BNC + (1 - r_BNC) * candidate_BNC

        return step

    def encode(self, x_BTNF: Tensor, cell: Cell) -> Tensor:
        """The hidden state after the last of T steps, started from zero: h_BNC."""
        batch, num_steps, sensors, _ = x_BTNF.shape
        h_BNC = x_BTNF.new_zeros(batch, sensors, self.num_hidden)
        for t in range(num_steps):
            h_BNC = cell(x_BTNF[:, t], h_BNC)
        return h_BNC
