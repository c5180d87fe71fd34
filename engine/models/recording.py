"""Work on an NVIDIA device recorded once as a graph that is launched at once."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

R = TypeVar("R")
WARMUP = 3
"""Runs before recording, in which libraries choose their kernels and allocate."""


def record(
    action: Callable[[], R],
    prepare: Callable[[], None] = lambda: None,
    generators: Sequence[torch.Generator] = (),
) -> tuple[torch.cuda.CUDAGraph, R]:
    """A graph of an action, and its result, which every replay overwrites.

    Args:
        action: works on tensors that stay where they are; decides nothing on the host, and draws
            only from ``generators``.
        prepare: done before each run and before the recording, not recorded.
        generators: of the device; a replay draws from their state at that moment.

    Raises:
        RuntimeError: the action cannot be recorded.
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
    for generator in generators:
        graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        result = action()
    return graph, result
