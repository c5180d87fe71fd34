"""Samples per second by batch size and arithmetic, up to where a device is saturated.

On an accelerator the same evaluations are run in float32, in bf16, and in bf16 recorded as one
graph that is launched at once; on a CPU in float32.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from torch import Tensor

from engine.diffusion.fewstep import straight_step, straight_times
from engine.errors import InputError
from engine.models.diffrecon.ours.condition import Condition
from engine.models.diffrecon.ours.networks import MeanEstimate, fine_of, project_residual
from engine.models.diffrecon.ours.objective import Networks
from engine.models.diffrecon.ours.system import Reconstructor, repeat_mean
from engine.models.observations import Observations
from engine.models.recording import record

PEAK_SIZE = {"cpu": 1024, "cuda": 8192, "mps": 4096}
REPEATS = 5
Sampler = Callable[[Tensor], Tensor]
"""(B, R, C) noise to (B, R, C) counts."""


@dataclass(frozen=True)
class SweepRow:
    """One batch size in one arithmetic; times are medians of several runs.

    Args:
        arithmetic: "float32", "bf16" or "bf16, recorded".
        samples: in one batch.
        seconds: for the batch, noise included.
        samples_per_s: throughput.
        achieved_flops: operations a second.
        peak_share: of the same arithmetic's large matrix product on this machine.
        memory_bytes: largest allocation beyond the weights; on accelerators only.
        difference: largest difference from float32, counts.
    """

    arithmetic: str
    samples: int
    seconds: float
    samples_per_s: float
    achieved_flops: float
    peak_share: float
    memory_bytes: int | None
    difference: float

    def to_json(self) -> dict[str, float | int | str | None]:
        """Plain values."""
        return asdict(self)


def sweep_batches(
    system: Reconstructor, one: Observations, evaluations: int, sizes: Sequence[int]
) -> Iterator[SweepRow]:
    """Time batches of samples of one frame by the first member.

    Args:
        system: trained networks, on the device that is measured.
        one: a single frame.
        evaluations: denoiser evaluations a sample.
        sizes: samples in a batch.

    Yields:
        A :class:`SweepRow` for each arithmetic and size.

    Raises:
        InputError: a size is not positive.
    """
    if min(sizes, default=1) < 1:
        raise InputError("A batch needs at least one sample.", str(min(sizes)))
    device = system.device
    condition = system.condition(one)
    mean = system.means(condition)[0]
    peaks = {"float32": _peak_flops(device, torch.float32)}
    if device.type == "cuda":
        peaks["bf16"] = peaks["bf16, recorded"] = _peak_flops(device, torch.bfloat16)
    for size in sizes:
        batch = BatchSampler(system.members[0], condition, repeat_mean(mean, size), evaluations)
        generator = torch.Generator(device).manual_seed(size)
        noise = torch.randn(size, *mean.fine.shape[1:], generator=generator, device=device)
        operations = _operations(batch, noise)
        exact = batch.sample(noise)
        for arithmetic, peak in peaks.items():
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
            sampler = batch.sampler(arithmetic, noise)
            difference = float((sampler(noise) - exact).abs().max())
            seconds = _median_s(sampler, noise)
            memory = torch.cuda.max_memory_allocated() - before if device.type == "cuda" else None
            yield SweepRow(
                arithmetic,
                size,
                seconds,
                size / seconds,
                operations / seconds,
                operations / seconds / peak,
                memory,
                difference,
            )


@dataclass(frozen=True, eq=False)
class BatchSampler:
    """Samples of one frame that are drawn together.

    Args:
        member: trained networks.
        condition: of the frame.
        mean: of the frame, repeated for each sample.
        evaluations: denoiser evaluations a sample.
    """

    member: Networks
    condition: Condition
    mean: MeanEstimate
    evaluations: int

    @torch.no_grad()
    def sample(self, noise: Tensor) -> Tensor:
        """(B, R, C) counts from noise, as the product's sampler makes them."""
        scale = self.member.config.residual_scale
        observed = self.condition.observed.expand(len(noise), -1, -1)
        x_t = x_0 = noise
        for now, following in pairwise(straight_times(self.evaluations)):
            time_B = torch.full((len(noise),), now, device=noise.device)
            guess = self.member.residual(x_t, time_B, self.mean, observed)
            x_0 = project_residual(guess.float(), self.mean, self.condition, scale)
            x_t = straight_step(x_t, x_0, now, following)
        return fine_of(x_0, self.mean.fine, scale)

    def sample_half(self, noise: Tensor) -> Tensor:
        """The same with products in bf16; sums and the projection stay in float32."""
        with torch.autocast(noise.device.type, torch.bfloat16, cache_enabled=False):
            return self.sample(noise)

    def sampler(self, arithmetic: str, noise: Tensor) -> Sampler:
        """How to sample in an arithmetic."""
        if arithmetic == "float32":
            return self.sample
        return self.sample_half if arithmetic == "bf16" else _record(self.sample_half, noise)


def _record(sample: Sampler, noise: Tensor) -> Sampler:
    """All evaluations as one graph; the result is overwritten by the next call."""
    kept = noise.clone()
    graph, result = record(lambda: sample(kept))

    def replay(fresh: Tensor) -> Tensor:
        kept.copy_(fresh)
        graph.replay()
        return result

    return replay


def _operations(batch: BatchSampler, noise: Tensor) -> int:
    """Floating-point operations of all evaluations, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        batch.sample(noise)
    return int(counter.get_total_flops())


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def _median_s(sampler: Sampler, noise: Tensor) -> float:
    sampler(noise)
    times = []
    for _ in range(REPEATS):
        _wait(noise.device)
        started = time.perf_counter()
        sampler(noise)
        _wait(noise.device)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _peak_flops(device: torch.device, kind: torch.dtype) -> float:
    """Operations a second of a large matrix product of random numbers."""
    size = PEAK_SIZE[device.type]
    generator = torch.Generator(device).manual_seed(0)
    a = torch.randn(size, size, generator=generator, device=device).to(kind)
    return 2 * size**3 / _median_s(lambda x: x @ x, a)
