"""Keeps observed totals: the fine cells of an observed coarse cell sum to what was measured.

Shapes: R x C fine cells, I x J coarse cells, N magnification; leading axes are free.
"""

import torch
from torch import Tensor

TINY = 1e-12


def block_sums(fine: Tensor, magnification: int) -> Tensor:
    """Sum N x N fine cells into one coarse cell, (..., R, C) to (..., I, J)."""
    *lead, rows, cols = fine.shape
    n = magnification
    return fine.reshape(*lead, rows // n, n, cols // n, n).sum((-3, -1))


def repeat_blocks(coarse: Tensor, magnification: int) -> Tensor:
    """Repeat each coarse cell N x N times, (..., I, J) to (..., R, C)."""
    n = magnification
    return coarse.repeat_interleave(n, -1).repeat_interleave(n, -2)


def conserve(fine: Tensor, coarse: Tensor, observed: Tensor, fallback: Tensor) -> Tensor:
    """Scale the fine cells of each observed coarse cell so that they sum to its total.

    Args:
        fine: (..., R, C) estimate; negative values count as zero.
        coarse: (..., I, J) totals, used where observed.
        observed: (..., I, J) bool.
        fallback: (..., R, C) non-negative shares for blocks whose estimate is all zero; an even
            split where these are zero too.

    Returns:
        (..., R, C), non-negative, with the observed totals exact to rounding.
    """
    n = fine.shape[-1] // coarse.shape[-1]
    fine = fine.clamp_min(0)
    sums = block_sums(fine, n)
    spare = torch.where(repeat_blocks(block_sums(fallback, n) > TINY, n), fallback, 1.0)
    fine = torch.where(repeat_blocks(observed & (sums <= TINY), n), spare, fine)
    sums = block_sums(fine, n)
    scale = torch.where(observed, coarse / sums.clamp_min(TINY), torch.ones_like(sums))
    return fine * repeat_blocks(scale, n)
