"""Graph convolution and gated recurrent cell with weights mixed from pools.

See the package docstring for the shape legend.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.models.himnet.meta import Form, Map, MetaLinear

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


def convolve_on(graph: Tensor, linear: Map) -> Map:
    """HimGCN: [x, A x] through a linear map; the supports are {I, A}.

    Source: [HimNet] graph convolution with meta-parameters.

    Args:
        graph: (N, N), or one for each sample (B, N, N).
        linear: of K = 2 F inputs.
    """

    def convolve(x_BNF: Tensor) -> Tensor:
        return linear(torch.cat([x_BNF, (graph @ x_BNF).to(x_BNF.dtype)], dim=-1))

    return convolve


def gated_step(gate: Map, update: Map) -> Cell:
    """(z, r) = sigmoid(gate[x, h]), c = tanh(update[x, z h]), h' = r h + (1 - r) c.

    Source: [HimNet] graph convolutional recurrent unit.
    """

    def step(x_BNF: Tensor, h_BNC: Tensor) -> Tensor:
        both = torch.sigmoid(gate(torch.cat([x_BNF, h_BNC], dim=-1)))
        z_BNC, r_BNC = both.chunk(2, dim=-1)
        candidate_BNC = torch.tanh(update(torch.cat([x_BNF, z_BNC * h_BNC], dim=-1)))
        return r_BNC * h_BNC + (1 - r_BNC) * candidate_BNC

    return step


def side_by_side(first: Map, second: Map) -> Map:
    """Two maps, each on one half of an axis of two: (2, B, N, K) to (2, B, N, O)."""
    return lambda both: torch.stack([first(both[0]), second(both[1])])


class MetaGraphConv(nn.Module):
    """HimGCN: a graph convolution whose map is mixed from a pool.

    Args:
        num_embedding: D.
        num_inputs: features a sensor, F; the map has K = 2 F inputs.
        num_outputs: O.
    """

    def __init__(self, num_embedding: int, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.linear = MetaLinear(num_embedding, 2 * num_inputs, num_outputs)

    def bind(self, embedding: Tensor, graph: Tensor, form: Form) -> Map:
        """The convolution x_BNF -> y_BNO for these contexts on this graph (N, N) or (B, N, N)."""
        return convolve_on(graph, self.linear.bind(embedding, form))


class MetaGRU(nn.Module):
    """Gated recurrent cell whose two maps are graph convolutions with mixed weights.

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
        """One step for these contexts on this graph."""
        return gated_step(
            self.gate.bind(embedding, graph, form), self.update.bind(embedding, graph, form)
        )
