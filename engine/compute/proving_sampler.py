"""A small, real diffusion sampler: proves that a cluster computes, reports, stops and repeats.

It samples maps from a Gaussian mixture by the reverse diffusion of a variance-exploding process.
The best denoiser of a mixture is known in closed form, so nothing is trained or downloaded, and
what comes out can be checked: samples lie around the components, in the mixture's proportions.

Shapes: B samples, K components, H rows, W columns, D = H·W.

Source: [EDM] Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models
(2022): noise levels Eq. (5), the Euler step of Algorithm 2, the ideal denoiser of Appendix B.3.
"""

from collections.abc import Generator

import torch
from torch import Tensor

from engine.compute.jobs import JobContext, Progress
from engine.compute.proving import ProvingRequest, ProvingResult

SIGMA_MIN = 0.002
SIGMA_MAX = 40.0
RHO = 7.0
CHURN = 0.05


def make_components(request: ProvingRequest) -> Tensor:
    """The mixture's means: hills at K places around the centre, K×D, float64."""
    axis = torch.linspace(-1.0, 1.0, request.size, dtype=torch.float64)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    angles = 2 * torch.pi * torch.arange(request.num_components) / request.num_components
    hills = [
        torch.exp(-((rows - 0.5 * angle.sin()) ** 2 + (columns - 0.5 * angle.cos()) ** 2) / 0.08)
        for angle in angles
    ]
    return torch.stack(hills).flatten(1)


def noise_levels(num_steps: int) -> Tensor:
    """Noise levels from SIGMA_MAX down to 0, num_steps + 1.

    Source: [EDM] Eq. (5).
    """
    ramp = torch.linspace(0, 1, num_steps, dtype=torch.float64)
    high, low = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    return torch.cat([(high + ramp * (low - high)) ** RHO, torch.zeros(1, dtype=torch.float64)])


def denoise(x_BD: Tensor, sigma: Tensor, means_KD: Tensor, spread: float) -> Tensor:
    """E[x_0 | x] under the mixture with weights 1 : 2 : ... : K, B×D.

    Source: [EDM] Appendix B.3, with components of width ``spread`` instead of points.
    """
    variance = spread**2 + sigma**2
    weights_K = torch.arange(1, len(means_KD) + 1, dtype=x_BD.dtype, device=x_BD.device)
    square_BK = torch.cdist(x_BD, means_KD) ** 2
    posterior_BK = torch.softmax(weights_K.log() - square_BK / (2 * variance), dim=1)
    mean_BD = posterior_BK @ means_KD
    return mean_BD + (spread**2 / variance) * (x_BD - mean_BD)


def run(request: ProvingRequest, context: JobContext) -> Generator[Progress, None, ProvingResult]:
    """Sample, one step a yield, with the denoised maps' mean as the estimate.

    All noise is drawn on the CPU from the job's generator, so that every device sees the same.
    """
    # MPS has no float64
    kind = torch.float32 if context.device == "mps" else torch.float64
    means_KD = make_components(request).to(context.device, kind)
    noise = context.generator()
    shape = (request.num_samples, means_KD.shape[1])

    def draw() -> Tensor:
        return torch.randn(shape, generator=noise, dtype=torch.float64).to(context.device, kind)

    levels = noise_levels(request.num_steps).to(context.device, kind)
    x_BD = draw() * levels[0]
    for step in range(request.num_steps):
        sigma, following = levels[step], levels[step + 1]
        raised = sigma * (1 + CHURN) if step else sigma
        x_BD = x_BD + (raised**2 - sigma**2).clamp(min=0).sqrt() * draw()
        clean_BD = denoise(x_BD, raised, means_KD, request.spread)
        x_BD = clean_BD + (following / raised) * (x_BD - clean_BD)
        estimate = clean_BD.mean(0).reshape(request.size, request.size)
        yield Progress(
            (step + 1) / request.num_steps,
            f"Step {step + 1} of {request.num_steps}",
            estimate.float().cpu().numpy(),
        )
    return _summarise(x_BD, means_KD, request)


def _summarise(x_BD: Tensor, means_KD: Tensor, request: ProvingRequest) -> ProvingResult:
    distance_BK = torch.cdist(x_BD, means_KD) / means_KD.shape[1] ** 0.5
    nearest = distance_BK.min(dim=1)
    maps = x_BD.reshape(-1, request.size, request.size)
    return ProvingResult(
        maps.float().cpu().numpy(),
        nearest.indices.cpu().numpy(),
        nearest.values.float().cpu().numpy(),
    )
