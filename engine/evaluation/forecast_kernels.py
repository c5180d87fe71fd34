"""A training step of HimNet's decoder with its weights made in each of the equal ways."""

import time
from statistics import median

import torch

from engine.models.himnet.meta import Form, Hoisted, Reassociated, Regenerated
from engine.models.himnet.network import HimNet, HimNetConfig

FORMS: dict[str, Form] = {
    "regenerated": Regenerated,
    "hoisted": Hoisted,
    "reassociated": Reassociated,
}


def time_decoder(batch: int, num_sensors: int, repeats: int = 3) -> dict[str, dict[str, float]]:
    """Forward and backward pass of the decoder, 12 steps, by form.

    Args:
        batch: samples.
        num_sensors: N.
        repeats: of which the median counts, after a first one that does not.

    Returns:
        By form: ``seconds`` of a training step, ``speedup`` over the published form, and the
        largest ``difference`` of an output from it, relative to the largest output.
    """
    generator = torch.Generator().manual_seed(0)
    network = HimNet(HimNetConfig(num_sensors), generator)
    hidden = 0.3 * torch.randn(batch, num_sensors, 64, generator=generator)
    covariates = torch.rand(batch, 12, num_sensors, 2, generator=generator)
    result: dict[str, dict[str, float]] = {}
    direct: torch.Tensor | None = None
    for name, form in FORMS.items():
        seconds = []
        for _ in range(repeats + 1):
            network.zero_grad()
            start = hidden.clone().requires_grad_()
            begun = time.perf_counter()
            output = network.decode(start, covariates, None, form)
            torch.autograd.backward(output.square().mean())
            seconds.append(time.perf_counter() - begun)
        direct = output.detach() if direct is None else direct
        gap = (output.detach() - direct).abs().max() / direct.abs().max()
        first = result["regenerated"]["seconds"] if result else median(seconds[1:])
        result[name] = {
            "seconds": median(seconds[1:]),
            "speedup": first / median(seconds[1:]),
            "difference": float(gap),
        }
    return result
