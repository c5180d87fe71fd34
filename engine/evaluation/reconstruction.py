"""All methods of reconstruction on the same frames and the same masks."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.evaluation.metrics import (
    coverage,
    mean_absolute_error,
    ranked_probability_score,
    root_mean_square_error,
)
from engine.models.baselines.historical import HistoricalMean, HistoricalShare
from engine.models.baselines.interpolation import Bicubic, NearestFill
from engine.models.baselines.profile import Profile
from engine.models.diffrecon.ours.system import Reconstructor
from engine.models.diffrecon.paper.system import PaperReconstructor, all_lags
from engine.models.flows import FlowSeries, Maps
from engine.models.masks import named_masks
from engine.models.observations import Observations, observe_in_order

BAND = (0.05, 0.95)
"""Quantiles of samples between which nine tenths lie."""

Row = dict[str, float | None]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a method says about all frames of a series.

    Args:
        estimate: (B, R, C) best maps.
        scores: mean CRPS; None where a method has no samples, and its MAE counts.
        covered: share of cells inside the 90 % band; None where a method has no bands.
        evaluations: network evaluations per frame.
    """

    estimate: Maps
    scores: float | None = None
    covered: float | None = None
    evaluations: int = 0


class Method(Protocol):
    """Anything that reconstructs frames; the truth is only for scoring samples as they come."""

    @property
    def lags(self) -> tuple[int, ...]:
        """Base steps back to each earlier frame that it looks at."""
        ...

    def answer(self, seen: Observations, truth: Maps, seed: int) -> Answers:
        """Reconstruct every frame."""
        ...


class Estimator(Protocol):
    """A method that gives one map per frame."""

    def estimate(self, seen: Observations) -> Maps:
        """(B, R, C) counts."""
        ...


@dataclass(frozen=True, eq=False)
class Plain:
    """A method without samples."""

    estimator: Estimator
    evaluations: int = 0
    lags: tuple[int, ...] = ()

    def answer(self, seen: Observations, truth: Maps, seed: int) -> Answers:
        """Its estimate of every frame."""
        del truth, seed
        return Answers(self.estimator.estimate(seen), evaluations=self.evaluations)


@dataclass(frozen=True, eq=False)
class Sampled:
    """Our system with samples and bands, one frame after the other."""

    system: Reconstructor
    samples: int = 16
    evaluations: int = 8

    @property
    def lags(self) -> tuple[int, ...]:
        """As the system was trained."""
        return self.system.config.lags

    def answer(self, seen: Observations, truth: Maps, seed: int) -> Answers:
        """Its estimates, the score of its samples, the coverage of its bands."""
        maps, scores, covered, evaluations = [], [], [], 0
        for frame in range(len(seen)):
            *_, last = self.system.reconstruct(
                seen[frame : frame + 1], seed + frame, self.samples, self.evaluations
            )
            maps.append(last.estimate)
            scores.append(ranked_probability_score(last.samples, truth[frame]).mean())
            covered.append(coverage(last.lower, last.upper, truth[frame]))
            evaluations = last.evaluations
        return Answers(np.stack(maps), float(np.mean(scores)), float(np.mean(covered)), evaluations)


@dataclass(frozen=True, eq=False)
class PaperSampled:
    """The paper's system: the mean of its samples, and the band between their quantiles."""

    system: PaperReconstructor
    samples: int = 16
    evaluations: int | None = None

    @property
    def lags(self) -> tuple[int, ...]:
        """As the system was trained."""
        return all_lags(self.system.config)

    def answer(self, seen: Observations, truth: Maps, seed: int) -> Answers:
        """Its estimates, the score of its samples, the coverage of their quantiles."""
        maps, scores, covered = [], [], []
        for frame in range(len(seen)):
            drawn = self.system.sample(
                seen[frame : frame + 1], seed + frame, self.samples, self.evaluations
            )
            lower, upper = np.quantile(drawn, BAND, axis=0)
            maps.append(drawn.mean(0))
            scores.append(ranked_probability_score(drawn, truth[frame]).mean())
            covered.append(coverage(lower, upper, truth[frame]))
        chain = self.evaluations or self.system.config.num_steps
        return Answers(
            np.stack(maps),
            float(np.mean(scores)),
            float(np.mean(covered)),
            2 * chain * self.samples,
        )


def baselines(profile: Profile) -> dict[str, Method]:
    """The methods that need no network."""
    n = profile.magnification
    return {
        "historical-share": Plain(HistoricalShare(profile)),
        "historical-mean": Plain(HistoricalMean(profile)),
        "nearest": Plain(NearestFill(n)),
        "bicubic": Plain(Bicubic(n)),
    }


def compare(
    series: FlowSeries,
    methods: Mapping[str, Method],
    masks: Sequence[str],
    seed: int,
    every: int = 1,
) -> Iterator[tuple[str, str, Row]]:
    """Every method on every mask.

    Args:
        series: the truth; nothing before its beginning is known.
        methods: by name.
        masks: names of mask patterns.
        seed: of masks and samples.
        every: score each ``every``-th frame; the others are still history.

    Yields:
        mask, method and its row: mae, rmse and crps in counts, coverage90 as a share (None
        without bands), seconds for all frames, evaluations per frame.
    """
    starts = series.regular_starts()
    truth = series.frames(starts[::every])
    for mask in masks:
        drawn = named_masks(mask, len(starts), series.coarse_shape, seed)
        for name, method in methods.items():
            seen = observe_in_order(series, drawn, method.lags, every)
            started = time.perf_counter()
            answers = method.answer(seen, truth, seed)
            seconds = time.perf_counter() - started
            yield mask, name, _row(answers, truth, seconds)


def _row(answers: Answers, truth: Maps, seconds: float) -> Row:
    mae = mean_absolute_error(answers.estimate, truth)
    return {
        "mae": mae,
        "rmse": root_mean_square_error(answers.estimate, truth),
        "crps": mae if answers.scores is None else answers.scores,
        "coverage90": answers.covered,
        "seconds": seconds,
        "evaluations": float(answers.evaluations),
    }


def first_frames(series: FlowSeries, count: int) -> FlowSeries:
    """The first frames of a series, for a quick look."""
    return series.part(0, count * series.window)
