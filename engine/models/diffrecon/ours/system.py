"""From observations to the best map, samples of it, and bands around it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.fewstep import sample_straight
from engine.diffusion.noise import sample_generator
from engine.diffusion.reverse import SamplingStep
from engine.errors import FieldError, InputError, MaskError, WeightsError
from engine.models.baselines.profile import Profile
from engine.models.conservation import block_sums
from engine.models.diffrecon.ours.bands import UNCALIBRATED, Bands, spread_of
from engine.models.diffrecon.ours.condition import Condition
from engine.models.diffrecon.ours.config import MAX_EVALUATIONS, MAX_SAMPLES, Config
from engine.models.diffrecon.ours.correction import Correction
from engine.models.diffrecon.ours.networks import (
    MeanEstimate,
    fine_of,
    project_residual,
    relative_error_of_totals,
)
from engine.models.diffrecon.ours.objective import Networks, build_networks
from engine.models.flows import Maps, coarsen, spread
from engine.models.observations import Observations
from engine.models.weights import fill_module, load_weights, save_weights

KIND = "diffrecon-ours"
CHUNK = 8
"""Samples are computed in chunks of exactly this size: a matrix product of another size rounds
differently, and sample 3 must not depend on how many others were asked for."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """The answer for one frame, as far as it is known.

    Args:
        estimate: (R, C) best map, counts.
        coarse: (I, J) completed coarse map.
        samples: (S, R, C) possible maps so far; S = 0 for the preview.
        lower: (R, C) lower end of the 90 % band; equal to the estimate without samples.
        upper: (R, C) upper end.
        evaluations: network evaluations so far.
        total_evaluations: network evaluations in all.
        conservation: largest relative error of an observed total, in estimate and samples.
    """

    estimate: Maps
    coarse: Maps
    samples: Maps
    lower: Maps
    upper: Maps
    evaluations: int
    total_evaluations: int
    conservation: float


class Reconstructor:
    """Trained networks with the history that they correct.

    Args:
        config: sizes.
        step_means: (S, R, C) float32, the mean day of each kind of day: counts per base step.
        members: one or more trained networks; their best maps are averaged, samples alternate.
        bands: calibrated band factors.
        card: what is known about the weights.
        device: where the networks work.

    Raises:
        WeightsError: the history does not fit the configuration, or there are no networks.
    """

    def __init__(
        self,
        config: Config,
        step_means: Maps,
        members: Sequence[Networks],
        bands: Bands = UNCALIBRATED,
        card: dict[str, Any] | None = None,
        device: torch.device | None = None,
    ) -> None:
        n = config.magnification
        slots = config.day_kinds * config.slots_per_day
        if step_means.shape != (slots, config.rows * n, config.cols * n):
            raise WeightsError("The weights' history has another shape.", str(step_means.shape))
        if not members:
            raise WeightsError("The weights hold no networks.")
        self.config, self.bands, self.card = config, bands, card or {}
        self.correction = Correction()
        self.device = device or torch.device("cpu")
        self.members = [member.to(self.device).eval() for member in members]
        self.profile = Profile(
            step_means.astype(np.float64), np.ones(slots), config.window, n, config.day_kinds
        )
        priors = [self.profile.frame_means(width) for width in config.half_widths]
        self._priors = np.stack(priors, axis=1)
        self._usual = coarsen(self._priors[:, config.base_scale], n)

    @property
    def usual(self) -> Maps:
        """(S, I, J) coarse totals of the mean day, by slot."""
        return self._usual

    def condition(self, seen: Observations) -> Condition:
        """Observations with their history, as tensors.

        Raises:
            MaskError: the maps have another shape than the weights, or nothing is observed.
            FieldError: the frames' slots are not those of the weights' mean days.
        """
        shape = (self.config.rows, self.config.cols)
        if seen.coarse.shape[1:] != shape or seen.past.shape[1:] != (len(self.config.lags), *shape):
            raise MaskError(
                "The coarse map or its history has another shape than these weights.",
                f"{seen.coarse.shape[1:]}, {seen.past.shape[1:]}; weights {shape}, "
                f"{len(self.config.lags)} earlier frames",
            )
        if max(seen.slots.max(), seen.past_slots.max(initial=0)) >= self.profile.num_slots:
            raise FieldError(
                "The field's calendar does not fit these weights.",
                f"{self.config.day_kinds} kinds of days, {self.config.slots_per_day} slots a day",
            )
        if not seen.observed.any((1, 2)).all():
            raise MaskError(
                "No sensor is left, so nothing can be reconstructed.",
                "",
                "Leave at least one sensor.",
            )
        arrays = (
            self._priors[seen.slots],
            seen.slots,
            seen.coarse,
            seen.observed,
            seen.past,
            seen.past_observed,
            self._usual[seen.past_slots],
            seen.conditions,
        )
        tensors = (torch.from_numpy(np.array(array)) for array in arrays)
        return Condition(*tensors).to(self.device)

    @torch.no_grad()
    def means(self, condition: Condition) -> list[MeanEstimate]:
        """Each member's best map."""
        return [member.mean(condition) for member in self.members]

    def estimate(self, seen: Observations) -> Maps:
        """Best maps at one evaluation a member, (B, R, C); each frame on its own."""
        rows = [self.complete(seen[i : i + 1])[0] for i in range(len(seen))]
        return np.concatenate(rows)

    def complete(self, seen: Observations) -> tuple[Maps, Maps]:
        """Best maps (B, R, C) and completed coarse maps (B, I, J) of frames taken together."""
        condition = self.condition(seen)
        best = self.best(condition, self.means(condition))
        return best.cpu().numpy(), self._totals(best, condition).cpu().numpy()

    def reconstruct(
        self,
        seen: Observations,
        seed: int = 0,
        samples: int = 16,
        evaluations: int = 8,
        sampler: Callable[..., Iterator[SamplingStep]] = sample_straight,
    ) -> Iterator[Reconstruction]:
        """One frame: the preview first, then the answer so far after each chunk of samples.

        Args:
            seen: a single frame.
            seed: of the samples; sample i depends on (seed, i) alone.
            samples: how many, 0 to 256.
            evaluations: denoiser evaluations a sample, 1 to 64.
            sampler: along the straight path; one that raises stops between two evaluations.

        Yields:
            :class:`Reconstruction`; the last one is the answer.

        Raises:
            InputError: samples or evaluations outside their range, or not one frame.
            MaskError: as :meth:`condition`.
        """
        if not 0 <= samples <= MAX_SAMPLES or not 1 <= evaluations <= MAX_EVALUATIONS:
            raise InputError(
                "Samples or sampler steps are out of range.",
                f"{samples} samples, {evaluations} steps",
                f"Use up to {MAX_SAMPLES} samples and 1 to {MAX_EVALUATIONS} steps.",
            )
        if len(seen) != 1:
            raise InputError("One frame is reconstructed at a time.", f"{len(seen)} frames")
        condition = self.condition(seen)
        means = self.means(condition)
        drawn: list[Tensor] = []
        yield self._answer(condition, means, drawn, samples, evaluations)
        for first in range(0, samples, CHUNK):
            chunk = self.sample_chunk(condition, means, (seed, first), evaluations, sampler)
            drawn.append(chunk[: samples - first])
            yield self._answer(condition, means, drawn, samples, evaluations)

    @torch.no_grad()
    def sample_chunk(
        self,
        condition: Condition,
        means: list[MeanEstimate],
        seeds: tuple[int, int],
        evaluations: int,
        sampler: Callable[..., Iterator[SamplingStep]] = sample_straight,
    ) -> Tensor:
        """A whole chunk of samples by one member.

        Args:
            condition: of one frame.
            means: of that frame.
            seeds: the seed and the number of the first sample, a multiple of CHUNK.
            evaluations: denoiser evaluations a sample.
            sampler: along the straight path.

        Returns:
            (CHUNK, R, C) counts.
        """
        seed, first = seeds
        turn = first // CHUNK % len(self.members)
        member, mean = self.members[turn], repeat_mean(means[turn], CHUNK)
        scale = self.config.residual_scale
        observed = condition.observed.expand(CHUNK, -1, -1)

        def denoise(x_t: Tensor, time_B: Tensor) -> Tensor:
            guess: Tensor = member.residual(x_t, time_B, mean, observed)
            return guess

        def project(x_0: Tensor) -> Tensor:
            return project_residual(x_0, mean, condition, scale)

        generators = [sample_generator(seed, first + i) for i in range(CHUNK)]
        shape = mean.fine.shape[1:]
        *_, last = sampler(denoise, shape, generators, evaluations, project, self.device)
        return fine_of(last.estimate, mean.fine, scale)

    def best(self, condition: Condition, means: list[MeanEstimate]) -> Tensor:
        """The best map of each frame: the members' mean, corrected, (B, R, C)."""
        fine = torch.stack([mean.fine for mean in means]).mean(0)
        return self.correction.apply(fine, condition.coarse, condition.observed)

    def _totals(self, best: Tensor, condition: Condition) -> Tensor:
        sums = block_sums(best, self.config.magnification)
        return torch.where(condition.observed, condition.coarse, sums)

    def _answer(
        self,
        condition: Condition,
        means: list[MeanEstimate],
        drawn: list[Tensor],
        samples: int,
        evaluations: int,
    ) -> Reconstruction:
        best = self.best(condition, means)
        maps = torch.cat(drawn) if drawn else best.new_zeros(0, *best.shape[1:])
        estimate, possible = best[0].cpu().numpy(), maps.cpu().numpy()
        lower = upper = estimate
        if len(possible) > 1:
            known = condition.observed[0].float().cpu().numpy()
            fine_observed = spread(known, self.config.magnification) > 0
            width = spread_of(possible, estimate)
            lower, upper = self.bands.around(estimate, width, fine_observed)
        chunks = -(-samples // CHUNK)
        return Reconstruction(
            estimate=estimate,
            coarse=self._totals(best, condition)[0].cpu().numpy(),
            samples=possible,
            lower=lower,
            upper=upper,
            evaluations=len(means) + len(drawn) * evaluations,
            total_evaluations=len(means) + chunks * evaluations,
            conservation=relative_error_of_totals(torch.cat([best, maps]), condition),
        )


def repeat_mean(mean: MeanEstimate, times: int) -> MeanEstimate:
    """One frame's estimate as a batch of ``times``; nothing is copied."""
    parts = (mean.fine, mean.coarse, mean.points)
    return MeanEstimate(*(part.expand(times, *part.shape[1:]) for part in parts))


def save_reconstructor(path: Path, system: Reconstructor, half: bool) -> None:
    """Write networks, history and bands as one weight file with its card.

    Args:
        path: ends in ``.safetensors``.
        system: what to write; its card is kept and completed.
        half: store 16-bit floats; computations stay in 32 bits.
    """
    kind = torch.float16 if half else torch.float32
    tensors = {"step_means": torch.from_numpy(system.profile.sums).to(kind)}
    for number, member in enumerate(system.members):
        for name, tensor in member.state_dict().items():
            tensors[f"member{number}.{name}"] = tensor.to(kind)
    card = {
        **system.card,
        "kind": KIND,
        "members": len(system.members),
        "config": system.config.to_json(),
        "bands": system.bands.to_json(),
        "correction": system.correction.to_json(),
    }
    save_weights(path, tensors, card)


def load_reconstructor(path: Path, device: torch.device | None = None) -> Reconstructor:
    """The system that :func:`save_reconstructor` wrote.

    Raises:
        WeightsError: the file is missing, damaged, or of another kind.
    """
    tensors, card = load_weights(path)
    if card.get("kind") != KIND:
        raise WeightsError("These weights are not for reconstruction.", path.name)
    config = Config.from_json(card["config"])
    members = []
    for number in range(int(card["members"])):
        head = f"member{number}."
        own = {k[len(head) :]: v.float() for k, v in tensors.items() if k.startswith(head)}
        member = build_networks(config, 0)
        fill_module(member, own)
        members.append(member)
    history = tensors["step_means"].float().numpy()
    bands = Bands.from_json(card["bands"])
    system = Reconstructor(config, history, members, bands, card, device)
    if "correction" in card:
        system.correction = Correction.from_json(card["correction"])
    return system
