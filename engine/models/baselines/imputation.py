"""Completion of the coarse map by published imputation networks, then historical shares.

CSDI (arXiv 2107.03502) and ImputeFormer (arXiv 2312.01728) come from the ``pypots`` package, an
optional extra: ``pip install pypots``. They fill the missing cells of a window of coarse maps; how
a coarse total is split is not their subject, and is taken from history.

Shapes: B frames, L earlier frames, I x J coarse cells, P = I * J.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.models.baselines.historical import split_by_share, usual_frames
from engine.models.baselines.profile import Profile, fit_profile
from engine.models.flows import FlowSeries, Maps, coarsen
from engine.models.masks import mixture_mask
from engine.models.observations import Observations

EARLIER = 11
"""Earlier frames in a window, one frame apart."""

WINDOWS_PER_EPOCH = 2000
SAMPLES = 8
"""Of CSDI, whose mean is taken."""


class Imputer(StrEnum):
    """The networks that can complete a coarse map."""

    CSDI = "csdi"
    IMPUTEFORMER = "imputeformer"


class Network(Protocol):
    """What is used of a pypots model."""

    def fit(self, train_set: Mapping[str, NDArray[np.float32]]) -> None:
        """Train on windows, (windows, steps, features), NaN where missing."""
        ...

    def predict(
        self, test_set: Mapping[str, NDArray[np.float32]], **settings: int
    ) -> Mapping[str, NDArray[np.float32]]:
        """The filled windows under ``imputation``; with an axis of samples before the steps."""
        ...


@dataclass(frozen=True, eq=False)
class ImputedShare:
    """A trained imputation network with the history that splits its totals.

    Args:
        name: which network.
        network: a pypots model.
        profile: mean day of the training data.
        scale: mean and deviation of the square roots of coarse totals.
    """

    name: Imputer
    network: Network
    profile: Profile
    scale: tuple[float, float]

    @property
    def lags(self) -> tuple[int, ...]:
        """Base steps back to each earlier frame of a window."""
        return window_lags(self.profile.window)

    def estimate(self, seen: Observations) -> Maps:
        """(B, R, C) counts per frame; observed totals are kept."""
        windows = _windows(seen, self.scale)
        extra = {"n_sampling_times": SAMPLES} if self.name is Imputer.CSDI else {}
        filled = np.asarray(self.network.predict({"X": windows}, **extra)["imputation"])
        if filled.ndim == 4:
            filled = filled.mean(1)
        mean, deviation = self.scale
        roots = np.maximum(filled[:, -1] * deviation + mean, 0)
        totals = (roots**2).reshape(seen.coarse.shape).astype(np.float32)
        means = usual_frames(self.profile)[seen.slots]
        kept = np.where(seen.observed, seen.coarse, totals)
        return split_by_share(kept, means, self.profile.magnification)


def window_lags(window: int) -> tuple[int, ...]:
    """Base steps back to the earlier frames, the oldest first."""
    return tuple(window * back for back in range(EARLIER, 0, -1))


def train_imputer(name: Imputer, series: FlowSeries, epochs: int, seed: int = 0) -> ImputedShare:
    """Train a network on windows of a series whose maps have gaps of every shape.

    Args:
        name: which network.
        series: days to train on.
        epochs: passes over :data:`WINDOWS_PER_EPOCH` windows.
        seed: of the windows, the gaps and the initial weights.

    Raises:
        InputError: pypots is not installed, or the series is shorter than a window.
    """
    rng = np.random.default_rng(seed)
    lags = np.array([*window_lags(series.window), 0])
    choices = np.arange(int(lags[0]), series.num_starts)
    if not len(choices):
        raise InputError("The series is shorter than a window.", f"{len(lags)} frames")
    starts = rng.choice(choices, WINDOWS_PER_EPOCH)
    frames = series.frames((starts[:, None] - lags).ravel())
    totals = coarsen(frames, series.magnification).reshape(len(starts), len(lags), -1)
    roots = np.sqrt(totals)
    scale = float(roots.mean()), float(roots.std())
    values = ((roots - scale[0]) / scale[1]).astype(np.float32)
    for row in values:
        row[:, ~mixture_mask(series.coarse_shape, rng).ravel()] = np.nan
    network = _build(name, len(lags), values.shape[-1], epochs, seed)
    network.fit({"X": values})
    return ImputedShare(name, network, fit_profile(series), scale)


def _windows(seen: Observations, scale: tuple[float, float]) -> NDArray[np.float32]:
    totals = np.concatenate([seen.past, seen.coarse[:, None]], axis=1)
    known = np.concatenate([seen.past_observed, seen.observed[:, None]], axis=1)
    roots = (np.sqrt(totals) - scale[0]) / scale[1]
    windows = np.where(known, roots, np.nan).astype(np.float32)
    return windows.reshape(*windows.shape[:2], -1)


def _build(name: Imputer, steps: int, features: int, epochs: int, seed: int) -> Network:
    try:
        from pypots.imputation import CSDI, ImputeFormer
        from pypots.utils.random import set_random_seed
    except ImportError as error:
        raise InputError(
            "CSDI and ImputeFormer need an extra package.", "", "pip install pypots"
        ) from error
    set_random_seed(seed)
    shared: dict[str, Any] = {
        "epochs": epochs,
        "verbose": False,
        "device": "cpu",
        "model_saving_strategy": None,
    }
    if name is Imputer.CSDI:
        return cast(Network, CSDI(steps, features, 2, 4, 32, 64, 16, 64, **shared))
    return cast(Network, ImputeFormer(steps, features, 2, 32, 32, 16, 64, 4, **shared))
