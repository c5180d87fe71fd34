"""Noise that belongs to one sample, wherever and with whatever it is computed."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def sample_generator(seed: int, sample: int, purpose: str = "sample") -> torch.Generator:
    """The generator of one sample of one scenario.

    It depends on nothing but its arguments, so that sample 3 of a scenario is the same whether
    four or forty are drawn, alone or beside other scenarios. Always on the CPU: a GPU's generator
    would give other numbers.
    """
    digest = hashlib.sha256(f"{purpose}/{seed}/{sample}".encode()).digest()
    generator = torch.Generator("cpu")
    generator.manual_seed(int.from_bytes(digest[:7], "little"))
    return generator


def draw(shape: Sequence[int], generators: Sequence[torch.Generator], like: Tensor) -> Tensor:
    """Standard normal noise, row i from ``generators[i]``.

    Args:
        shape: shape of one sample, without the batch axis.
        generators: one per sample, on the CPU.
        like: gives device and type.

    Returns:
        (B, *shape), B = number of generators.
    """
    rows = [torch.randn(tuple(shape), generator=g) for g in generators]
    return torch.stack(rows).to(device=like.device, dtype=like.dtype)
