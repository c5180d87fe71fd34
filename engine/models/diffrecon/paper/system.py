"""From observations to samples of the complete fine map, as the paper does it."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.fewstep import sample_implicit
from engine.diffusion.noise import draw, sample_generator
from engine.diffusion.parametrisation import x_0_from_eps
from engine.diffusion.reverse import CPU, Denoiser, Projection, sample_ancestral
from engine.errors import InputError, WeightsError
from engine.models.baselines.historical import complete_by_level
from engine.models.baselines.profile import Profile
from engine.models.diffrecon.paper.config import Config
from engine.models.diffrecon.paper.external import External
from engine.models.diffrecon.paper.objective import (
    LARGEST_ROOT,
    Stages,
    build_stages,
    keep_observed,
)
from engine.models.diffrecon.paper.predictors import Context
from engine.models.diffrecon.paper.sequences import Scale, Sequences, hide
from engine.models.flows import Maps, coarsen
from engine.models.observations import Observations
from engine.models.weights import fill_module, load_weights, save_weights

KIND = "diffrecon-paper"
CHUNK = 4
"""Samples are computed in chunks of exactly this size: a matrix product of another size rounds
differently, and sample 3 must not depend on how many others were asked for."""


def all_lags(config: Config) -> tuple[int, ...]:
    """Base steps back to every earlier map: those of C, then those of F, the oldest first."""
    series = tuple(config.window * k for k in range(config.series - 1, 0, -1))
    return (*config.lags, *series)


def sequences_of(seen: Observations, config: Config, usual: Maps, scale: Scale) -> Sequences:
    """Observations as both stages see them.

    Args:
        seen: with the earlier maps of :func:`all_lags`.
        config: sizes.
        usual: (S, I, J) historical mean coarse map of each slot; fills the gaps of F's series.
        scale: of the maps.
    """
    cut = len(config.lags)
    totals = np.concatenate([seen.past[:, :cut], seen.coarse[:, None]], axis=1)
    masks = np.concatenate([seen.past_observed[:, :cut], seen.observed[:, None]], axis=1)
    observed = torch.from_numpy(masks)
    known = seen.past_observed[:, cut:].astype(np.float32)
    series = complete_by_level(seen.past[:, cut:], known, usual[seen.past_slots[:, cut:]])
    time = (seen.slots % config.slots_per_day).astype(np.float32) / config.slots_per_day
    return Sequences(
        hide(scale.coarse(torch.from_numpy(totals)), observed),
        observed,
        scale.coarse(torch.from_numpy(series.astype(np.float32))),
        External.of_moments(torch.from_numpy(time), torch.from_numpy(seen.conditions)),
    )


class PaperReconstructor:
    """Both stages, trained, with the scale of their data.

    Args:
        config: sizes and switches.
        stages: trained networks.
        scale: of the maps.
        step_means: (S, R, C) the mean day, for gaps before the series.
        card: what is known about the weights.
        device: where the networks work.
    """

    def __init__(
        self,
        config: Config,
        stages: Stages,
        scale: Scale,
        step_means: Maps,
        card: dict[str, Any] | None = None,
        device: torch.device = CPU,
    ) -> None:
        self.config, self.scale, self.device = config, scale, device
        self.stages = stages.to(device).eval()
        self.profile = Profile(
            step_means.astype(np.float64),
            np.ones(len(step_means)),
            config.window,
            config.magnification,
            len(step_means) // config.slots_per_day,
        )
        self.card = card or {}
        self._usual = coarsen(self.profile.frame_means(0), config.magnification)

    @torch.no_grad()
    def sample(
        self,
        seen: Observations,
        seed: int = 0,
        samples: int = 4,
        evaluations: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Maps:
        """Samples of one frame's complete fine map.

        Args:
            seen: a single frame with the earlier maps of :func:`all_lags`.
            seed: sample i depends on (seed, i) alone.
            samples: how many.
            evaluations: per stage; None takes all of the chain's steps.
            check: called before each evaluation; may raise to stop.

        Returns:
            (samples, R, C) counts.

        Raises:
            InputError: not one frame.
        """
        if len(seen) != 1:
            raise InputError("One frame is reconstructed at a time.", f"{len(seen)} frames")
        one = sequences_of(seen, self.config, self._usual, self.scale).to(self.device)
        chunks = [
            self._sample_chunk(one, (seed, first), evaluations, check)
            for first in range(0, samples, CHUNK)
        ]
        return torch.cat(chunks)[:samples].cpu().numpy()

    def _sample_chunk(
        self,
        one: Sequences,
        seeds: tuple[int, int],
        evaluations: int | None,
        check: Callable[[], None],
    ) -> Tensor:
        """A whole chunk of samples, (CHUNK, R, C) counts; the context is read once for all steps.

        Each sample's series is folded on its own, so that its company does not matter.
        """
        seed, first = seeds
        n, shape = self.config.magnification, (self.config.rows, self.config.cols)
        generators = [sample_generator(seed, first + row, "paper") for row in range(CHUNK)]
        seen = one.repeated(CHUNK)
        points = _repeated([self.stages.completion.context(one)] * CHUNK)

        def complete(x_t: Tensor, t_B: Tensor) -> Tensor:
            check()
            noise: Tensor = self.stages.completion(x_t, t_B, seen, points)
            return noise

        coarse = self._run(
            complete,
            lambda x_0: keep_observed(x_0.clamp(-LARGEST_ROOT, LARGEST_ROOT), seen),
            shape,
            generators,
            evaluations,
        )
        patterns = _repeated([self.stages.inference.context(row[None], one) for row in coarse])

        def infer(x_t: Tensor, t_B: Tensor) -> Tensor:
            check()
            noise: Tensor = self.stages.inference(x_t, t_B, coarse, seen, patterns)
            return noise

        fine = self._run(
            infer,
            lambda x_0: x_0.clamp(-LARGEST_ROOT, LARGEST_ROOT),
            (shape[0] * n, shape[1] * n),
            generators,
            evaluations,
        )
        return self.scale.to_fine(fine)

    def _run(
        self,
        noise_of: Denoiser,
        project: Projection,
        shape: tuple[int, int],
        generators: list[torch.Generator],
        evaluations: int | None,
    ) -> Tensor:
        schedule = self.config.schedule

        def denoise(x_t: Tensor, t_B: Tensor) -> Tensor:
            return x_0_from_eps(x_t, noise_of(x_t, t_B), t_B, schedule)

        if evaluations is None:
            *_, last = sample_ancestral(denoise, shape, schedule, generators, project, self.device)
        else:
            noise = draw(shape, generators, torch.empty(0, device=self.device))
            *_, last = sample_implicit(denoise, noise, schedule, evaluations, project)
        return last.estimate


def _repeated(rows: list[Context]) -> Context:
    """The contexts of single frames as one batch."""
    inter = [row.inter for row in rows if row.inter is not None]
    external = torch.cat([row.external for row in rows])
    return Context(torch.cat(inter) if inter else None, external)


def save_paper(path: Path, system: PaperReconstructor) -> None:
    """Write networks, scale and mean day as one weight file with its card."""
    tensors = {"step_means": torch.from_numpy(system.profile.sums).to(torch.float16)}
    for name, tensor in system.stages.state_dict().items():
        tensors[f"stages.{name}"] = tensor.to(torch.float16)
    card = {
        **system.card,
        "kind": KIND,
        "config": system.config.to_json(),
        "scale": asdict(system.scale),
    }
    save_weights(path, tensors, card)


def load_paper(path: Path, device: torch.device = CPU) -> PaperReconstructor:
    """The system that :func:`save_paper` wrote.

    Raises:
        WeightsError: the file is missing, damaged, or of another kind.
    """
    tensors, card = load_weights(path)
    if card.get("kind") != KIND:
        raise WeightsError("These weights are not the paper's system.", path.name)
    config = Config.from_json(card["config"])
    stages = build_stages(config, 0)
    head = "stages."
    fill_module(
        stages, {k[len(head) :]: v.float() for k, v in tensors.items() if k.startswith(head)}
    )
    history = tensors["step_means"].float().numpy()
    return PaperReconstructor(config, stages, Scale(**card["scale"]), history, card, device)
