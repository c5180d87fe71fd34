"""How fast samples are, and what speed costs in accuracy."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch

from engine.diffusion.fewstep import sample_straight_ancestral
from engine.evaluation.metrics import ranked_probability_score
from engine.models.diffrecon.ours.system import CHUNK, Reconstructor
from engine.models.flows import FlowSeries
from engine.models.masks import named_masks
from engine.models.observations import Observations, observe_in_order

MASK = "fix40"
PEAK_SIZE = 1024
REPEATS = 7


@dataclass(frozen=True)
class SpeedReport:
    """Figures of one machine at one moment; times are medians of several runs.

    Args:
        first_map_s: from observations to the best map.
        samples_s: from observations to 16 samples.
        samples: 16.
        evaluations: denoiser evaluations of each of them.
        ancestral_steps: of the yardstick.
        ancestral_s: 8 samples of the same network with ``ancestral_steps`` ancestral steps.
        few_step_s: 8 samples as the product draws them.
        speed_up: the one over the other.
        ancestral_crps: error of the former, over the compared frames.
        few_step_crps: error of the latter on the same frames.
        achieved_flops: of the denoiser while sampling, operations a second.
        peak_flops: of a large matrix product on this machine, likewise.
        threads: CPU threads used.
    """

    first_map_s: float
    samples_s: float
    samples: int
    evaluations: int
    ancestral_steps: int
    ancestral_s: float
    few_step_s: float
    speed_up: float
    ancestral_crps: float
    few_step_crps: float
    achieved_flops: float
    peak_flops: float
    threads: int

    def to_json(self) -> dict[str, float | int]:
        """Plain values."""
        return asdict(self)


def _median_s(action: Callable[[], object], repeats: int = REPEATS) -> float:
    action()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _draw(
    system: Reconstructor, one: Observations, steps: int, is_ancestral: bool
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    condition = system.condition(one)
    means = system.means(condition)
    if is_ancestral:
        maps = system.sample_chunk(condition, means, (0, 0), steps, sample_straight_ancestral)
    else:
        maps = system.sample_chunk(condition, means, (0, 0), steps)
    return maps.cpu().numpy()


def _observe(system: Reconstructor, series: FlowSeries) -> Observations:
    """All frames of a series under the benchmark's mask."""
    count = len(series.regular_starts())
    masks = named_masks(MASK, count, series.coarse_shape)
    return observe_in_order(series, masks, system.config.lags)


def middle_frame(system: Reconstructor, series: FlowSeries) -> Observations:
    """The frame in the middle of a series under the benchmark's mask."""
    middle = len(series.regular_starts()) // 2
    return _observe(system, series)[middle : middle + 1]


def measure_peak_flops(device: torch.device) -> float:
    """Operations a second of a float32 matrix product, on the threads that torch uses."""
    a = torch.rand(PEAK_SIZE, PEAK_SIZE, generator=torch.Generator().manual_seed(0)).to(device)
    return 2 * PEAK_SIZE**3 / _median_s(lambda: float((a @ a)[0, 0]))


def _evaluation_flops(system: Reconstructor, one: Observations) -> int:
    """Operations of one denoiser evaluation of a chunk, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    condition = system.condition(one)
    means = system.means(condition)
    with FlopCounterMode(display=False) as counter:
        system.sample_chunk(condition, means, (0, 0), 1)
    return counter.get_total_flops()


def measure_speed(
    system: Reconstructor,
    series: FlowSeries,
    evaluations: int = 8,
    ancestral_steps: int = 1000,
    compared_frames: int = 4,
) -> SpeedReport:
    """Time the preview, the samples, and the yardstick of many ancestral steps.

    Args:
        system: trained networks.
        series: frames to work on.
        evaluations: sampler steps of the product.
        ancestral_steps: of the yardstick.
        compared_frames: how many frames both samplers are scored on.
    """
    seen, count = _observe(system, series), len(series.regular_starts())
    truth = series.frames(series.regular_starts())
    chosen = np.linspace(0, count - 1, compared_frames).astype(int)
    scores: dict[bool, list[float]] = {True: [], False: []}
    for frame in chosen:
        for is_ancestral, steps in ((True, ancestral_steps), (False, evaluations)):
            maps = _draw(system, seen[frame : frame + 1], steps, is_ancestral)
            scores[is_ancestral].append(float(ranked_probability_score(maps, truth[frame]).mean()))
    one = middle_frame(system, series)
    few = _median_s(lambda: _draw(system, one, evaluations, False))
    many = _median_s(lambda: _draw(system, one, ancestral_steps, True), repeats=1)
    return SpeedReport(
        first_map_s=_median_s(lambda: next(system.reconstruct(one, samples=0))),
        samples_s=_median_s(lambda: list(system.reconstruct(one, evaluations=evaluations))),
        samples=2 * CHUNK,
        evaluations=evaluations,
        ancestral_steps=ancestral_steps,
        ancestral_s=many,
        few_step_s=few,
        speed_up=many / few,
        ancestral_crps=float(np.mean(scores[True])),
        few_step_crps=float(np.mean(scores[False])),
        achieved_flops=evaluations * _evaluation_flops(system, one) / few,
        peak_flops=measure_peak_flops(system.device),
        threads=torch.get_num_threads(),
    )
