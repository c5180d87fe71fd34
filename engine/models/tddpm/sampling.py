"""From noise to pieces of trips in a handful of evaluations.

Shapes: R regions, K pieces a region, L points, as in :mod:`engine.models.tddpm.network`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from engine.diffusion.fewstep import straight_noisy_step, straight_step
from engine.diffusion.reverse import SamplingStep
from engine.errors import InputError
from engine.models.tddpm.network import EncodedMap, MapReader, PieceInput

MAX_EVALUATIONS = 1_000
MAX_GUIDANCE = 10.0
MAX_ETA = 100.0


@dataclass(frozen=True)
class SamplerConfig:
    """How pieces are sampled.

    Args:
        evaluations: steps along the path from noise to data.
        time_power: equal steps to this power: above 1, they get finer towards the data, where
            points find their street.
        guidance: 1 samples the model as it is; above 1 the map counts for more, at the price of
            a second evaluation per step.
        eta: how much of the noise every step replaces: 0 follows the straight path, 1 is the
            paper's ancestral chain. With few steps, more than that mends their errors.
        correction: part of the second-order correction that each step makes, 0 to 1. It brings
            points closer to the streets and makes trips somewhat less regular.

    Raises:
        InputError: a value is out of range.
    """

    evaluations: int = 12
    time_power: float = 2.5
    guidance: float = 1.0
    eta: float = 3.0
    correction: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.evaluations <= MAX_EVALUATIONS:
            raise InputError(
                "The number of evaluations is out of range.",
                str(self.evaluations),
                f"Use 1 to {MAX_EVALUATIONS}.",
            )
        if not 1 <= self.guidance <= MAX_GUIDANCE or not 0.5 <= self.time_power <= 10:
            raise InputError("Guidance or the power of the times is out of range.", str(self))
        if not 0 <= self.eta <= MAX_ETA:
            raise InputError("The share of fresh noise is out of range.", str(self.eta))
        if not 0 <= self.correction <= 1:
            raise InputError("The correction must be 0 to 1.", str(self.correction))

    def times(self) -> list[float]:
        """Times from 1 (noise) down to 0 (data)."""
        n = self.evaluations
        return [float((1 - i / n) ** self.time_power) for i in range(n + 1)]


FOR_SETTLING = SamplerConfig(evaluations=6, time_power=1.5, eta=0.0)
"""For trips that are moved onto the map afterwards, which makes up for coarser steps."""


@torch.no_grad()
def sample_pieces(
    network: MapReader,
    seen: EncodedMap,
    given: PieceInput,
    config: SamplerConfig,
    generator: torch.Generator,
) -> Iterator[SamplingStep]:
    """Steps along the straight path, with fresh noise if asked; known points stay as given.

    Source: [RF], algorithm 1, with times that get finer towards the data; fresh noise and
    correction as in arXiv 2211.01095 (DPM-Solver++), the multistep solver of second order.

    Args:
        network: the denoiser.
        seen: the encoded maps, one a region.
        given: what is known of the pieces.
        config: steps and guidance.
        generator: of the initial noise; on the CPU.

    Yields:
        One step per evaluation; the last estimate is the sample, (R, K, L, 2) canonical.
    """
    noise = torch.randn((*given.valid.shape, 2), generator=generator)
    x_t = noise.to(seen.tokens.device)
    blind = network.encode_nothing(seen) if config.guidance > 1 else None
    memory = _Memory(config.correction)
    for done, (time, following) in enumerate(pairwise(config.times()), start=1):
        velocity = _guided(network, x_t, time, given, (seen, blind), config.guidance)
        x_0 = torch.where(given.known[..., None], given.points, x_t - time * velocity)
        aim = memory.extrapolate(x_0, time, following)
        if config.eta and following > 0:
            fresh = torch.randn(x_t.shape, generator=generator).to(x_t.device)
            x_t = straight_noisy_step(x_t, aim, time, following, fresh, config.eta)
        else:
            x_t = straight_step(x_t, aim, time, following)
        yield SamplingStep(done, config.evaluations, x_0)


class _Memory:
    """Remembers the last estimate, to see where the next one will be.

    Args:
        correction: part of the second-order correction to make.
    """

    def __init__(self, correction: float) -> None:
        self._correction = correction
        self._last: tuple[Tensor, float] | None = None

    def extrapolate(self, x_0: Tensor, time: float, following: float) -> Tensor:
        """The estimate half a step ahead, by how it changed over the last step."""
        step = _log_snr(following) - _log_snr(time)
        last, self._last = self._last, (x_0, step)
        if last is None or not self._correction or math.isinf(step) or math.isinf(last[1]):
            return x_0
        before, step_before = last
        return x_0 + self._correction / 2 * (step / step_before) * (x_0 - before)


def _log_snr(time: float) -> float:
    """Half the logarithm of signal over noise on the straight path."""
    if not 0 < time < 1:
        return math.inf if time <= 0 else -math.inf
    return math.log((1 - time) / time)


def _guided(
    network: MapReader,
    x_t: Tensor,
    time: float,
    given: PieceInput,
    maps: tuple[EncodedMap, EncodedMap | None],
    guidance: float,
) -> Tensor:
    """Velocity with the map, moved away from that without. Source: arXiv 2207.12598, Eq. (6)."""
    seen, blind = maps
    time_RK = torch.full(x_t.shape[:2], time, device=x_t.device)
    with_map = network(x_t, time_RK, given, seen)
    if blind is None:
        return with_map
    without = network(x_t, time_RK, given, blind)
    return without + guidance * (with_map - without)
