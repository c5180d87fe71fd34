"""A trained forecast method, calibrated and added to its city's weight file."""

import resource
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from engine.models.forecast_bands import Banded, calibrate
from engine.models.forecast_baselines import HistoricalMean
from engine.models.forecast_bundle import (
    BASELINES,
    ForecastBundle,
    Network,
    load_bundle,
    make_baseline,
    save_bundle,
)
from engine.models.forecast_calendar import WeekdayProfile
from engine.models.forecast_windows import WindowSet
from engine.training.cards import training_card
from engine.training.forecast import masked_errors
from engine.training.forecast_recipe import ForecastRecipe
from engine.training.loop import SCORE, Trainer, TrainingConfig

CALIBRATION_WINDOWS = 800
"""At least so many windows calibrate a band; of a longer series each n-th is taken."""


def after_choice(settings: TrainingConfig, chosen: Trainer, num_examples: int) -> TrainingConfig:
    """Settings of the training on all data: as many epochs as were best without its end.

    Args:
        settings: for all data, with the recipe's number of epochs.
        chosen: the training without the end; its curve says which validation was best.
        num_examples: windows of all data.
    """
    per_epoch = max(1, chosen.task.num_examples // settings.batch_size)
    best = min(chosen.curve, key=lambda row: row[SCORE], default={"step": chosen.config.steps})
    epochs = max(1, round(best["step"] / per_epoch))
    steps = epochs * max(1, num_examples // settings.batch_size)
    return replace(settings, steps=steps, patience=steps)


def add_method(
    path: Path,
    recipe: ForecastRecipe,
    method: str,
    trainers: Sequence[Trainer],
    train: WindowSet,
    held_out: WindowSet,
    sensors: tuple[str, ...],
) -> None:
    """Calibrate a trained method and add it to a weight file, or begin one.

    Args:
        path: the weight file.
        recipe: names data and series.
        method: ``paper``, ``ours`` or ``stid``; one of that name is replaced.
        trainers: the training without the series' end and, unless the recipe does without, the
            one on all of it; all have ended. The last one's network is kept, with the first
            one's margins.
        train: all of the series; gives the baselines their usual day.
        held_out: the series' end.
        sensors: names, in order.

    Raises:
        WeightsError: the file holds something else.
        StorageError: writing failed.
    """
    chosen = trainers[0].best.cpu().eval()
    final = trainers[-1].averaged.cpu().eval() if len(trainers) > 1 else chosen
    stride = max(1, len(held_out) // CALIBRATION_WINDOWS)
    if not isinstance(chosen, Network) or not isinstance(final, Network):
        raise TypeError(type(final).__name__)
    before = load_bundle(path) if path.exists() else None
    profile = before.profile if before else HistoricalMean.fit(train)
    methods: dict[str, Banded] = dict(before.methods) if before else {}
    methods[method] = Banded(final, calibrate(chosen, held_out, stride=stride).margin_2HN)
    for name in BASELINES:
        methods.setdefault(name, calibrate(make_baseline(name, profile), held_out))
    entry = _describe(
        recipe, trainers, masked_errors(chosen, held_out, stride, torch.device("cpu"))
    )
    trainings: dict[str, Any] = dict(before.card.get("training", {})) if before else {}
    card = {
        "name": recipe.name,
        "data": dict(recipe.data),
        "training": {**trainings, method: entry},
    }
    facts = recipe.facts(sensors)
    calendar = before.calendar if before else WeekdayProfile.fit(train, facts.days)
    save_bundle(path, ForecastBundle(facts, profile, calendar, methods, card))


def _describe(
    recipe: ForecastRecipe, trainers: Sequence[Trainer], figures: dict[str, float]
) -> dict[str, Any]:
    """What the card says about one method's training."""
    chosen, last = trainers[0], trainers[-1]
    seconds = sum(trainer.seconds for trainer in trainers)
    settings, seeds = asdict(last.config), [last.config.seed]
    rounded = {name: round(value, 4) for name, value in figures.items()}
    card = training_card(recipe.name, recipe.data, settings, seeds, seconds, rounded)
    return {
        "curve": [{key: round(value, 4) for key, value in row.items()} for row in chosen.curve],
        "steps_done": last.step,
        "parameters": sum(p.numel() for p in last.averaged.parameters()),
        "metrics_held_out": card["metrics"],
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **card["training"],
    }
