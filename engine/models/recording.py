"""Work on an NVIDIA device recorded once as a graph that is launched at once."""

from collections.abc import Callable
from typing import TypeVar

import torch

R = TypeVar("R")
WARMUP = 3
"""Runs before recording, in which libraries choose their kernels and allocate."""


def record(action: Callable[[], R], prepare: Callable[[], None]) -> tuple[torch.cuda.CUDAGraph, R]:
    """A graph of an action, and its result, which every replay overwrites.

    Args:
        action: works on tensors that stay where they are; draws and decides nothing on the host.
        prepare: done before each run and before the recording, not recorded.
    """
    beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARMUP):
            prepare()
            action()
    torch.cuda.current_stream().wait_stream(beside)
    prepare()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = action()
    return graph, result
