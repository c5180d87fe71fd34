"""How weights are trained, as a TOML file that stands beside them.

::

    [data]                       name, description and terms, for the card
    [field]                      which part of a field file is meant; without it, a city's field
    [network]                    sizes of the networks
    [training]                   the loop's settings
    seeds = [0, 1, 2]            one member each
    system = "ours"              or "paper", or "urbanfm"
    phases = ["joint"]           of the paper's system; pretraining, then joint, if not given
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from engine.errors import InputError
from engine.models.diffrecon.paper.objective import Phase
from engine.models.fieldfiles import FieldRecipe
from engine.models.flows import FlowSeries
from engine.training.loop import TrainingConfig


class System(StrEnum):
    """What can be trained."""

    OURS = "ours"
    PAPER = "paper"
    URBANFM = "urbanfm"


@dataclass(frozen=True)
class Recipe:
    """One TOML file.

    Args:
        name: of the weights, the file's stem.
        data: name, description and terms of the data.
        field: which part of a field file is meant; None for a city's field.
        network: sizes of the networks.
        training: settings of the loop.
        seeds: one member each; the paper's system and UrbanFM use the first.
        system: which system is trained.
        phases: of the paper's system, in order.
    """

    name: str
    data: Mapping[str, Any]
    field: FieldRecipe | None
    network: Mapping[str, Any]
    training: Mapping[str, Any]
    seeds: tuple[int, ...]
    system: System = System.OURS
    phases: tuple[Phase, ...] = (Phase.PRETRAINING, Phase.JOINT)

    def network_settings(self, series: FlowSeries) -> dict[str, Any]:
        """Sizes of the networks for a series: its own, and those of the recipe."""
        rows, cols = series.coarse_shape
        own = {
            "rows": rows,
            "cols": cols,
            "magnification": series.magnification,
            "slots_per_day": series.slots_per_day,
            "window": series.window,
        }
        return {**own, **self.network}

    def training_config(self, seed: int) -> TrainingConfig:
        """Settings of the loop for one member.

        Raises:
            InputError: a setting is unknown.
        """
        try:
            return TrainingConfig(**{**self.training, "seed": seed})
        except TypeError as error:
            raise InputError("The recipe has an unknown training setting.", str(error)) from error


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file.

    Raises:
        InputError: the file is missing or incomplete.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        field = FieldRecipe.from_json(data["field"]) if "field" in data else None
        return Recipe(
            path.stem,
            dict(data["data"]),
            field,
            dict(data["network"]),
            dict(data["training"]),
            tuple(int(seed) for seed in data["seeds"]),
            System(data.get("system", System.OURS)),
            tuple(Phase(phase) for phase in data.get("phases", list(Phase))),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError("The training recipe cannot be read.", f"{path.name}: {error}") from error
