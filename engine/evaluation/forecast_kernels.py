"""A training step of HimNet's decoder with its weights made in each of the equal ways."""

import time

import torch

from engine.models.himnet.meta import Form, Hoisted, Reassociated, Regenerated
from engine.models.himnet.network import HimNet, HimNetConfig

FORMS: dict[str, Form] = {
    "regenerated": Regenerated,
    "hoisted": Hoisted,
    "reassociated": Reassociated,
}


def time_decoder(batch: int, num_sensors: int, repeats: int = 4) -> dict[str, dict[str, float]]:
    """Forward and backward pass of the decoder, 12 steps, by form.

    The forms take turns, and the fastest turn of each counts, so that other work on the machine
    tells little; the first turn is left out.

    Args:
        batch: samples.
        num_sensors: N.
        repeats: turns that count.

    Returns:
        By form: ``seconds`` of a training step, ``speedup`` over the published form, and the
        largest ``difference`` of an output from it, relative to the largest output.
    """
    generator = torch.Generator().manual_seed(0)
    network = HimNet(HimNetConfig(num_sensors), generator)
    hidden = 0.3 * torch.randn(batch, num_sensors, 64, generator=generator)
    covariates = torch.rand(batch, 12, num_sensors, 2, generator=generator)
    seconds: dict[str, list[float]] = {name: [] for name in FORMS}
    outputs: dict[str, torch.Tensor] = {}
    for _ in range(repeats + 1):
        for name, form in FORMS.items():
            network.zero_grad()
            start = hidden.clone().requires_grad_()
            begun = time.perf_counter()
            output = network.decode(start, covariates, None, form)
            torch.autograd.backward(output.square().mean())
            seconds[name].append(time.perf_counter() - begun)
            outputs[name] = output.detach()
    direct, slowest = outputs["regenerated"], min(seconds["regenerated"][1:])
    return {
        name: {
            "seconds": min(times[1:]),
            "speedup": slowest / min(times[1:]),
            "difference": float((outputs[name] - direct).abs().max() / direct.abs().max()),
        }
        for name, times in seconds.items()
    }
