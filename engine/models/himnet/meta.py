"""Linear maps whose weights are mixed from a small pool by an embedding.

An embedding e in R^D mixes a pool of D candidate maps P_d in R^{K x O} into one map,
W(e) = sum_d e_d P_d. There is one embedding per sensor (spatial, shape 1ND), one per sample
(temporal, B1D) or one per sample and sensor (joint, BND).

The weights do not depend on the recurrent step, so that the same result can be had in three
ways; each is a class with the same call, chosen by the network's builder:

* :class:`Regenerated` makes the weights anew at every call, as the published code does.
* :class:`Hoisted` makes them once, when the embedding becomes known.
* :class:`Reassociated` never makes them: x W(e) = sum_d e_d (x P_d) = (e (x) x) [P_1; ...; P_D].

See the package docstring for the shape legend.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Map = Callable[[Tensor], Tensor]
"""A linear map with its embedding bound: x_BNK -> y_BNO."""

Form = Callable[[Tensor, Tensor, Tensor], Map]
"""One way to bind a map: (pool_DKO, bias_DO, embedding) -> map."""

ROWS_PER_BLOCK = 256
"""Rows whose outer products are held at a time on a CPU: 256 x 16 x 134 floats stay in a core's
cache."""
ROWS_PER_LAUNCH = 16_384
"""The same on an accelerator, where few large products are best."""


def mix_weights(embedding: Tensor, pool_DKO: Tensor) -> Tensor:
    """Weights of every context, W(e) = sum_d e_d P_d.

    Source: [HimNet] meta-parameter learning (spatial, temporal and joint).

    Args:
        embedding: (1, N, D), (B, 1, D) or (B, N, D).
        pool_DKO: the candidate maps.

    Returns:
        The embedding's two leading axes, then K x O.
    """
    d, k, o = pool_DKO.shape
    return (embedding @ pool_DKO.reshape(d, k * o)).reshape(*embedding.shape[:-1], k, o)


def apply_weights(x_BNK: Tensor, weights: Tensor) -> Tensor:
    """The map of each context applied to its inputs.

    Args:
        x_BNK: inputs.
        weights: (1, N, K, O), (B, 1, K, O) or (B, N, K, O).

    Returns:
        y_BNO.
    """
    if weights.shape[1] == 1:
        return x_BNK @ weights[:, 0]
    if weights.shape[0] == 1:
        return (x_BNK.transpose(0, 1) @ weights[0]).transpose(0, 1)
    return (x_BNK.unsqueeze(-2) @ weights).squeeze(-2)


class Regenerated:
    """The published form: weights made at every call."""

    def __init__(self, pool_DKO: Tensor, bias_DO: Tensor, embedding: Tensor) -> None:
        self.pool_DKO, self.bias_DO, self.embedding = pool_DKO, bias_DO, embedding

    def __call__(self, x_BNK: Tensor) -> Tensor:
        """y_BNO; memory B x N x K x O at every call for a joint embedding."""
        weights = mix_weights(self.embedding, self.pool_DKO)
        return apply_weights(x_BNK, weights) + self.embedding @ self.bias_DO


class Hoisted:
    """Weights made once, at binding: the least work where contexts are few."""

    def __init__(self, pool_DKO: Tensor, bias_DO: Tensor, embedding: Tensor) -> None:
        self.weights = mix_weights(embedding, pool_DKO)
        self.bias = embedding @ bias_DO

    def __call__(self, x_BNK: Tensor) -> Tensor:
        """y_BNO; memory B x N x K x O in all for a joint embedding."""
        return apply_weights(x_BNK, self.weights) + self.bias


class Reassociated:
    """No weights at all: the sum over the pool is taken on outer products of e and x."""

    def __init__(self, pool_DKO: Tensor, bias_DO: Tensor, embedding: Tensor) -> None:
        self.pool_DKO, self.embedding = pool_DKO, embedding
        self.bias = embedding @ bias_DO

    def __call__(self, x_BNK: Tensor) -> Tensor:
        """y_BNO; memory M x O, beside one block of outer products."""
        b, n, k = x_BNK.shape
        embedding_MD = self.embedding.expand(b, n, -1).reshape(b * n, -1)
        y_MO = _mixed_product(x_BNK.reshape(b * n, k), embedding_MD, self.pool_DKO)
        return y_MO.view(b, n, -1) + self.bias


def _outer_product(embedding_RD: Tensor, x_RK: Tensor) -> Tensor:
    """The rows' outer products, flattened: (R, D x K)."""
    return (embedding_RD.unsqueeze(2) * x_RK.unsqueeze(1)).flatten(1)


class _MixedProduct(torch.autograd.Function):
    """y_m = sum_d e_md (x_m P_d), block by block; the outer products are remade in backward.

    Kept for the backward pass are only x and e: (K + D) numbers a row instead of K x D. Under
    autocast the products run in its type, and the pool's gradient is summed up in float32.
    """

    @staticmethod
    def forward(ctx: Any, x_MK: Tensor, embedding_MD: Tensor, pool_DKO: Tensor) -> Tensor:  # noqa: ANN401
        dtype = _product_type(x_MK)
        x_MK, embedding_MD = x_MK.to(dtype), embedding_MD.to(dtype)
        pool_SO = pool_DKO.to(dtype).flatten(0, 1)
        ctx.save_for_backward(x_MK, embedding_MD, pool_SO)
        ctx.pool_shape, ctx.pool_dtype = pool_DKO.shape, pool_DKO.dtype
        y_MO = x_MK.new_empty(len(x_MK), pool_SO.shape[1])
        for block in _blocks(x_MK):
            torch.mm(_outer_product(embedding_MD[block], x_MK[block]), pool_SO, out=y_MO[block])
        return y_MO

    @staticmethod
    def backward(ctx: Any, dy_MO: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        x_MK, embedding_MD, pool_SO = ctx.saved_tensors
        dy_MO = dy_MO.to(x_MK.dtype)
        dx_MK, de_MD = torch.empty_like(x_MK), torch.empty_like(embedding_MD)
        dpool_SO = torch.zeros(pool_SO.shape, dtype=ctx.pool_dtype, device=pool_SO.device)
        for block in _blocks(x_MK):
            x_RK, e_RD, dy_RO = x_MK[block], embedding_MD[block], dy_MO[block]
            dpool_SO += _outer_product(e_RD, x_RK).T @ dy_RO
            douter_RDK = (dy_RO @ pool_SO.T).unflatten(1, (e_RD.shape[1], x_RK.shape[1]))
            dx_MK[block] = torch.bmm(e_RD.unsqueeze(1), douter_RDK).squeeze(1)
            de_MD[block] = torch.bmm(douter_RDK, x_RK.unsqueeze(2)).squeeze(2)
        return dx_MK, de_MD, dpool_SO.view(ctx.pool_shape)


def _mixed_product(x_MK: Tensor, embedding_MD: Tensor, pool_DKO: Tensor) -> Tensor:
    product: Tensor = _MixedProduct.apply(x_MK, embedding_MD, pool_DKO)  # type: ignore[no-untyped-call]
    return product


def _product_type(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def _blocks(x_MK: Tensor) -> list[slice]:
    rows = ROWS_PER_BLOCK if x_MK.device.type == "cpu" else ROWS_PER_LAUNCH
    return [slice(i, i + rows) for i in range(0, len(x_MK), rows)]


class MetaLinear(nn.Module):
    """A pool of linear maps and of their biases.

    Source: [HimNet] meta-parameter pools.

    Args:
        num_embedding: D.
        num_inputs: K.
        num_outputs: O.
    """

    def __init__(self, num_embedding: int, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.pool_DKO = nn.Parameter(torch.empty(num_embedding, num_inputs, num_outputs))
        self.bias_DO = nn.Parameter(torch.zeros(num_embedding, num_outputs))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the pool anew (Xavier, normal); biases are zero."""
        nn.init.xavier_normal_(self.pool_DKO, generator=generator)
        nn.init.zeros_(self.bias_DO)

    def bind(self, embedding: Tensor, form: Form) -> Map:
        """The map for these contexts, to be applied at as many steps as there are.

        Args:
            embedding: (1, N, D), (B, 1, D) or (B, N, D).
            form: :class:`Regenerated`, :class:`Hoisted` or :class:`Reassociated`.
        """
        return form(self.pool_DKO, self.bias_DO, embedding)
