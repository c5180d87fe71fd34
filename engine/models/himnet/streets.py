"""The street network in a forecast: a term that the user can edit.

See the package docstring for the shape legend.
"""

import torch
from torch import Tensor


def weigh_sources(adjacency: Tensor, alive: Tensor) -> Tensor:
    """Whom each sensor listens to along the streets; rows sum to one, or to zero where cut off.

    A closed street is an entry set to zero, a dead sensor a source that nobody hears.

    Args:
        adjacency: (N, N) or (B, N, N), non-negative; row listens to column.
        alive: (B, N) bool or float, whether a source has been heard at all.

    Returns:
        (B, N, N).
    """
    heard = adjacency * alive.to(adjacency.dtype).unsqueeze(1)
    return heard / heard.sum(dim=-1, keepdim=True).clamp(min=1e-6)


def open_share(adjacency: Tensor, trained_NN: Tensor) -> Tensor:
    """How much of each sensor's connections is left: 1 untouched, 0 cut off.

    Args:
        adjacency: (N, N) or (B, N, N), perhaps edited.
        trained_NN: the network as it was trained; a sensor without connections counts as open.

    Returns:
        (1, N) or (B, N).
    """
    whole_N = trained_NN.sum(dim=-1)
    share = adjacency.sum(dim=-1) / whole_N.clamp(min=1e-6)
    left = torch.where(whole_N > 0, share, torch.ones_like(share))
    return left if left.dim() == 2 else left.unsqueeze(0)


def drop_edges(adjacency: Tensor, draws_BNN: Tensor, share_B: Tensor) -> Tensor:
    """The adjacency of each sample with edges left out at random, both directions at once.

    Training sees closed streets this way, so that an edit is nothing new to the network.

    Args:
        adjacency: the network, (N, N) or each sample's.
        draws_BNN: uniform in [0, 1).
        share_B: share of edges to leave out, a sample.

    Returns:
        (B, N, N).
    """
    symmetric_BNN = torch.triu(draws_BNN) + torch.triu(draws_BNN, 1).transpose(1, 2)
    return adjacency * (symmetric_BNN >= share_B.view(-1, 1, 1))
