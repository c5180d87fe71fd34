"""What HimNet is trained on: a masked error and the schedule of teacher forcing.

See the package docstring for the shape legend.
"""

from math import exp

import torch
from torch import Tensor


def masked_mae(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error over the valid entries; zero when there is none.

    Differs from paper: validity is an argument. The published metric takes every zero for a
    missing value, which is right for speeds and wrong for counts.

    Args:
        prediction: any shape, in the data's own unit.
        truth: same shape; what stands at invalid entries does not matter.
        valid: same shape, bool.

    Returns:
        A scalar in the data's unit.
    """
    error = torch.where(valid, (prediction - truth).abs(), 0.0)
    return error.sum() / valid.sum().clamp(min=1)


def masked_huber(prediction: Tensor, truth: Tensor, valid: Tensor, delta: float = 1.0) -> Tensor:
    """Mean Huber error over the valid entries, for flows; arguments as :func:`masked_mae`."""
    size = (prediction - truth).abs()
    huber = torch.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta))
    return torch.where(valid, huber, 0.0).sum() / valid.sum().clamp(min=1)


def pinball_loss(
    quantiles_BHNQ: Tensor, truth_BHN: Tensor, valid_BHN: Tensor, q_Q: Tensor
) -> Tensor:
    """Mean pinball loss, twice, so that the median's share equals the absolute error.

    Source: Koenker and Bassett, "Regression Quantiles", Econometrica 1978.

    Args:
        quantiles_BHNQ: the predicted quantiles.
        truth_BHN: what happened.
        valid_BHN: bool, where it is known.
        q_Q: the quantiles' probabilities, in (0, 1).
    """
    error = truth_BHN.unsqueeze(-1) - quantiles_BHNQ
    loss = 2 * torch.maximum(q_Q * error, (q_Q - 1) * error).mean(dim=-1)
    return torch.where(valid_BHN, loss, 0.0).sum() / valid_BHN.sum().clamp(min=1)


def teacher_probability(batch: int, k: float = 6000.0) -> float:
    """How likely the decoder is fed the truth after so many training batches.

    Source: [HimNet] scheduled sampling, p = k / (k + e^{batch / k}).
    """
    return k / (k + exp(min(batch / k, 700.0)))
