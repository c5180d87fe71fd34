"""How the forecasts of one city are trained, as a TOML file beside their weights.

::

    [data]             name, description and terms, for the card
    [series]           key, unit and clock of the file; how many last steps are kept aside to test
                       on, and how many before them choose epochs and calibrate bands; whether
                       to train once more with the latter (refit); how many steps before a
                       window's history a method may look at too (earlier)
    [streets]          scale_m and threshold of the kernel that turns distances into nearness
    [methods.NAME]     epochs and settings of the loop for paper, ours or stid; its own refit and
                       held_out_steps; tables of what differs from the usual: network, its
                       sizes, and disturbances, what is missing in training
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from engine.domain.sensors import UNKNOWN_WEEKDAY
from engine.errors import InputError
from engine.models.forecast_baselines import HistoricalMean
from engine.models.forecast_bundle import Network, SeriesFacts
from engine.models.forecast_windows import Scale, WindowSet
from engine.models.himnet.direct import DirectConfig, DirectNet
from engine.models.himnet.network import HimNet, HimNetConfig
from engine.models.stid.network import STID, STIDConfig
from engine.training.forecast import (
    Disturbances,
    ForecastTask,
    PublishedRecipe,
    PublishedTask,
    PublishedTrainer,
    StreetTask,
)
from engine.training.forecast_closures import Closure
from engine.training.loop import Trainer, TrainingConfig

VALIDATION_STRIDE = 3
VALIDATION_WINDOWS = 200
"""So many windows are looked at in a validation, spread over all; three steps apart at least."""
METHODS = ("paper", "ours", "stid")
OWN_SETTINGS = ("sampling", "milestones", "refit", "held_out_steps", "network", "disturbances")
"""What a method's table holds beside the settings of the loop."""


@dataclass(frozen=True)
class ForecastRecipe:
    """One TOML file.

    Args:
        name: of the weights, the file's stem.
        data: name, description and terms of the data.
        series: key, unit, clock.
        streets: ``scale_m`` and ``threshold``.
        methods: settings by method.
    """

    name: str
    data: Mapping[str, Any]
    series: Mapping[str, Any]
    streets: Mapping[str, float]
    methods: Mapping[str, Mapping[str, Any]]

    @property
    def start(self) -> tuple[int, int]:
        """Number of the file's first step in its day, and its weekday."""
        weekday = int(self.series.get("start_weekday", UNKNOWN_WEEKDAY))
        return int(self.series.get("start_step", 0)), weekday

    @property
    def earlier(self) -> int:
        """Steps before a window's history that a method may look at too."""
        return int(self.series.get("earlier", 0))

    def held_out_steps(self, method: str) -> int:
        """Steps at the end of the file that choose a method's epochs and calibrate its band."""
        return int(self._of_method(method, "held_out_steps", 600))

    @property
    def test_steps(self) -> int:
        """Steps at the very end of a city's series that training never sees."""
        return int(self.series.get("test_steps", 0))

    def is_refitted(self, method: str) -> bool:
        """Whether the kept network is trained once more, with the steps that chose epochs."""
        return bool(self._of_method(method, "refit", default=True))

    def sizes(self, method: str) -> dict[str, Any]:
        """Sizes of a method's network that are not the usual ones."""
        return dict(self.methods.get(method, {}).get("network", {}))

    def disturbances(self, method: str) -> Disturbances:
        """How often something is missing in a method's training.

        Raises:
            InputError: the recipe names something else.
        """
        try:
            return Disturbances(**self.methods.get(method, {}).get("disturbances", {}))
        except TypeError as error:
            raise InputError("The recipe has an unknown disturbance.", str(error)) from error

    def _of_method(self, method: str, name: str, default: Any) -> Any:  # noqa: ANN401 - plain value
        """A method's own setting, else the series'."""
        return self.methods.get(method, {}).get(name, self.series.get(name, default))

    def published(self, method: str) -> PublishedRecipe:
        """HimNet's optimiser and schedule, as published where the recipe does not say otherwise."""
        own, usual = self.methods.get(method, {}), PublishedRecipe()
        return PublishedRecipe(
            milestones=tuple(own.get("milestones", usual.milestones)),
            sampling=float(own.get("sampling", usual.sampling)),
        )

    def facts(self, sensors: tuple[str, ...]) -> SeriesFacts:
        """What the card says about the series."""
        given = self.series
        return SeriesFacts(
            key=str(given["key"]),
            unit=str(given["unit"]),
            sensors=sensors,
            steps_per_day=int(given.get("steps_per_day", 288)),
            missing=tuple(given.get("missing", ())),
            days=tuple(given.get("days", range(7))),
            test_steps=self.test_steps,
            earlier=self.earlier,
        )

    def settings(self, method: str, num_examples: int, seed: int) -> TrainingConfig:
        """Settings of the loop; validation and checkpoints come once an epoch.

        Raises:
            InputError: the recipe lacks the method, or has an unknown setting.
        """
        if method not in self.methods:
            raise InputError(f"The recipe has no method '{method}'.", self.name)
        own = {k: v for k, v in self.methods[method].items() if k not in OWN_SETTINGS}
        per_epoch = max(1, num_examples // int(own.get("batch_size", 32)))
        own["steps"] = int(own.pop("epochs", 1) * per_epoch)
        defaults = {"clip": 5.0, "validate_every": per_epoch, "checkpoint_every": per_epoch}
        try:
            return TrainingConfig(**{**defaults, **own, "seed": seed})
        except TypeError as error:
            raise InputError("The recipe has an unknown training setting.", str(error)) from error


def read_forecast_recipe(path: Path) -> ForecastRecipe:
    """The recipe in a TOML file.

    Raises:
        InputError: the file is missing or incomplete.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        recipe = ForecastRecipe(
            path.stem,
            dict(data["data"]),
            dict(data["series"]),
            dict(data.get("streets", {})),
            dict(data["methods"]),
        )
        recipe.facts(())
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError("The training recipe cannot be read.", f"{path.name}: {error}") from error
    return recipe


def build_network(
    method: str,
    train: WindowSet,
    seed: int,
    streets_NN: Tensor | None = None,
    own_sizes: Mapping[str, Any] = MappingProxyType({}),
) -> Network:
    """A fresh network that knows the scale and, ours, the usual day and the streets.

    Args:
        method: ``paper``, ``ours`` or ``stid``.
        train: the windows to train on.
        seed: of the initial parameters.
        streets_NN: nearness of the sensors along the streets, 0 to 1.
        own_sizes: sizes of the network that are not the usual ones.

    Raises:
        InputError: the method or a size is unknown.
    """
    series = {
        "history": train.history,
        "horizon": train.horizon,
        "steps_per_day": train.axis.steps_per_day,
    }
    try:
        return _fresh_network(method, train, seed, streets_NN, {**series, **own_sizes})
    except TypeError as error:
        raise InputError("The recipe has an unknown size.", f"{method}: {error}") from error


def _fresh_network(
    method: str,
    train: WindowSet,
    seed: int,
    streets_NN: Tensor | None,
    sizes: Mapping[str, Any],
) -> Network:
    generator = torch.Generator().manual_seed(seed)
    n, scale = train.num_sensors, Scale.of(train)
    if method == "paper":
        published = HimNet(HimNetConfig(n, **sizes), generator)
        published.set_scale(scale)
        return published
    if method == "stid":
        plain = STID(STIDConfig(n, **sizes), generator)
        plain.set_scale(scale)
        return plain
    if method == "ours":
        streets_NN = torch.zeros(n, n) if streets_NN is None else streets_NN
        direct = DirectNet(DirectConfig(n, **sizes), streets_NN, generator)
        direct.set_scale(scale, HistoricalMean.fit(train).mean_SN)
        return direct
    raise InputError(f"There is no method '{method}'.", "", f"Use {', '.join(METHODS)}.")


@dataclass(frozen=True)
class Extras:
    """What only one of the networks needs.

    Args:
        published: HimNet's optimiser and schedule.
        closures: days with closed streets, which our network learns from.
        workers: processes that make batches ahead.
        disturbances: how often something is missing, for all but HimNet.
    """

    published: PublishedRecipe = field(default_factory=PublishedRecipe)
    closures: Sequence[Closure] = ()
    workers: int = 0
    disturbances: Disturbances = field(default_factory=Disturbances)


def build_trainer(
    network: Network,
    train: WindowSet,
    valid: WindowSet,
    settings: TrainingConfig,
    folder: Path | None = None,
    should_stop: Any = lambda: False,  # noqa: ANN401 - a callable, as the loop takes it
    extras: Extras | None = None,
) -> Trainer:
    """The loop with the task of this network.

    Args:
        network: what is trained.
        train: windows to train on.
        valid: later windows.
        settings: of the loop.
        folder: for checkpoints.
        should_stop: asked after every step.
        extras: what only one of the networks needs.
    """
    extras = extras or Extras()
    stride = max(VALIDATION_STRIDE, len(valid) // VALIDATION_WINDOWS)
    if isinstance(network, HimNet):
        task = PublishedTask(network, train, valid, stride)
        return PublishedTrainer(task, settings, extras.published, folder, should_stop)
    missing = extras.disturbances
    if isinstance(network, DirectNet):
        streets = StreetTask(network, train, valid, stride, extras.closures, missing)
        return Trainer(streets, settings, folder, should_stop, extras.workers)
    plain = ForecastTask(network, train, valid, stride, missing)
    return Trainer(plain, settings, folder, should_stop, extras.workers)
