"""Training steps recorded as graphs; the recording itself needs an NVIDIA device."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from engine.models.dropout import SeededDropout, seed_dropout
from engine.training.capture import CapturedStep, tensors_in


@dataclass
class Inner:
    x: torch.Tensor
    name: str


@dataclass
class Outer:
    y: torch.Tensor
    inner: Inner
    nothing: torch.Tensor | None = None


def test_all_tensors_of_a_batch_are_found_in_order():
    first, second = torch.zeros(2), torch.ones(3)
    assert [id(t) for t in tensors_in(Outer(first, Inner(second, "b")))] == [id(first), id(second)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA device")
def test_a_recorded_step_is_the_step():
    device = torch.device("cuda")
    network = nn.Sequential(nn.Linear(8, 32), SeededDropout(0.5), nn.Linear(32, 1)).to(device)
    generator = torch.Generator(device)
    seed_dropout(network, generator)

    def loss(batch):
        return network(batch.y).square().mean()

    batches = [Outer(torch.randn(16, 8, device=device), Inner(torch.zeros(1), "")) for _ in "123"]
    expected = []
    for number, batch in enumerate(batches):
        generator.manual_seed(number)
        network.zero_grad()
        value = loss(batch)
        value.backward()
        expected.append((value.detach().clone(), [p.grad.clone() for p in network.parameters()]))
    kept = Outer(batches[0].y.clone(), Inner(torch.zeros(1), ""))
    step = CapturedStep(loss, network.parameters(), kept, generator)
    for number, (batch, (value, gradients)) in enumerate(zip(batches, expected, strict=True)):
        generator.manual_seed(number)
        torch.testing.assert_close(step(batch), value)
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)
