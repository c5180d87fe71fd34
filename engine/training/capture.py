"""A training step's loss and gradients recorded once as a CUDA graph and replayed for each batch.

A recurrent network of many small products spends most of a step on launching them one by one; a
recorded step is launched at once. Only steps whose work does not depend on the batch's values can
be recorded: no draws on the host, no shapes that vary.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from engine.models.recording import record

B = TypeVar("B")


def tensors_in(batch: Any) -> Iterator[Tensor]:  # noqa: ANN401 - any dataclass of tensors
    """All tensors of a batch, those of batches inside it too, always in the same order."""
    if isinstance(batch, Tensor):
        yield batch
    elif is_dataclass(batch):
        for part in fields(batch):
            yield from tensors_in(getattr(batch, part.name))


class CapturedStep(Generic[B]):
    """Loss and gradients of batches of one shape.

    Args:
        loss: mean loss of a batch, a scalar; decides nothing on the host.
        parameters: whose gradients are wanted; those of before are dropped.
        batch: an example on the device; it is kept and overwritten.
        generator: what dropout draws from.

    Raises:
        RuntimeError: the step cannot be recorded.
    """

    def __init__(
        self,
        loss: Callable[[B], Tensor],
        parameters: Iterable[nn.Parameter],
        batch: B,
        generator: torch.Generator,
    ) -> None:
        self._batch = batch
        self._parameters = list(parameters)

        def step() -> Tensor:
            mean = loss(batch)
            mean.backward()  # type: ignore[no-untyped-call]
            return mean

        self._graph, self._loss = record(step, self._forget, [generator])

    def __call__(self, batch: B) -> Tensor:
        """The batch's loss; its gradients are where an optimiser looks for them.

        The gradients of the batch before are overwritten, so they need not be set to zero.
        """
        for kept, new in zip(tensors_in(self._batch), tensors_in(batch), strict=True):
            kept.copy_(new)
        self._graph.replay()
        return self._loss

    def _forget(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None
