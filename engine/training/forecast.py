"""Training of forecasts: STID, our direct network, and HimNet by its published recipe.

Shapes: B windows, H horizon, N sensors.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.domain.sensors import UNKNOWN_WEEKDAY
from engine.models.forecast_windows import Forecaster, WindowBatch, WindowSet
from engine.models.himnet.direct import DirectNet
from engine.models.himnet.network import HimNet
from engine.models.himnet.objective import teacher_probability
from engine.models.himnet.streets import drop_edges
from engine.models.stid.network import STID
from engine.training.forecast_closures import Closure, draw_closures
from engine.training.forecast_usual import OtherDays
from engine.training.loop import SCORE, Trainer, TrainingConfig

OUTAGE_SENSORS = 0.15
"""At most so many of a window's sensors are silent."""
CLOSURE_EDGES = 0.3
"""At most so many of a window's edges are closed."""
VALIDATION_BATCH = 64


@dataclass(frozen=True)
class Disturbances:
    """In which share of the training windows something is taken away.

    What is never missing in training is not understood when it is; what is often missing costs
    accuracy where it is there.

    Args:
        unknown_weekdays: windows that do not say which weekday they belong to.
        outages: windows in which sensors are silent, for the direct network.
        closures: windows in which streets are closed, likewise.
    """

    unknown_weekdays: float = 0.3
    outages: float = 0.3
    closures: float = 0.5


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Windows, and what is random about them.

    Args:
        windows: the windows.
        streets_BNN: each sample's street network, for the direct network.
        feeds_H: after which steps the decoder is fed the truth, for HimNet.
        usual_BSN: usual values that hold nothing of these windows, for the direct network.
    """

    windows: WindowBatch
    streets_BNN: Tensor | None = None
    feeds_H: Tensor | None = None
    usual_BSN: Tensor | None = None

    def to(self, device: torch.device) -> "TrainingBatch":
        """The same batch on a device."""
        parts = (self.streets_BNN, self.feeds_H, self.usual_BSN)
        moved = (None if part is None else part.to(device) for part in parts)
        return TrainingBatch(self.windows.to(device), *moved)


class ForecastTask:
    """What the loop needs to know to train STID; the base of the other two tasks.

    Args:
        network: what is trained.
        train: the windows to train on.
        valid: later windows, not trained on, on which epochs are chosen.
        stride: every how many-th of them is looked at.
        disturbances: how often something is missing.
    """

    is_fixed = True

    def __init__(
        self,
        network: STID | DirectNet | HimNet,
        train: WindowSet,
        valid: WindowSet,
        stride: int = 1,
        disturbances: Disturbances = Disturbances(),
    ) -> None:
        self.network: nn.Module = network
        self.disturbances = disturbances
        self.train, self.valid, self.stride = train, valid, stride
        self.num_examples = len(train)

    def batch(
        self, examples: NDArray[np.int64], rngs: Sequence[np.random.Generator]
    ) -> TrainingBatch:
        """Windows; some do not know their weekday, since not every user's data do."""
        windows = self.train.batch(examples)
        forgets_B = torch.tensor(
            [rng.random() < self.disturbances.unknown_weekdays for rng in rngs]
        )
        weekday_BS = torch.where(forgets_B[:, None], UNKNOWN_WEEKDAY, windows.weekday_BS)
        return TrainingBatch(replace(windows, weekday_BS=weekday_BS))

    def to_device(self, batch: TrainingBatch, device: torch.device) -> TrainingBatch:
        """The batch on another device."""
        return batch.to(device)

    def loss(self, network: nn.Module, batch: TrainingBatch) -> Tensor:
        """Mean loss, in the data's unit."""
        assert isinstance(self.network, STID)
        output = network(*self.network.inputs(batch.windows))
        return self.network.objective(output, batch.windows)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Masked errors of the averaged network on the windows that choose the epoch."""
        assert isinstance(network, STID | DirectNet | HimNet)
        device = next(network.parameters()).device
        return masked_errors(network, self.valid, self.stride, device)


class StreetTask(ForecastTask):
    """Trains our direct network: with silent sensors and closed streets at random.

    Args:
        network: what is trained.
        train: the windows to train on.
        valid: later windows, not trained on.
        stride: every how many-th of them is looked at.
        closures: days on which streets were closed; some windows are taken from them.
        disturbances: how often something is missing.
    """

    def __init__(
        self,
        network: DirectNet,
        train: WindowSet,
        valid: WindowSet,
        stride: int = 1,
        closures: Sequence[Closure] = (),
        disturbances: Disturbances = Disturbances(),
    ) -> None:
        super().__init__(network, train, valid, stride, disturbances)
        self.closures = tuple(closures)
        # batches are made in processes that must not touch the network's device
        self._adjacency_NN = network.adjacency_NN.cpu()
        self._days = OtherDays.of(train)

    def batch(
        self, examples: NDArray[np.int64], rngs: Sequence[np.random.Generator]
    ) -> TrainingBatch:
        """Windows, some with outages, each with its own street network."""
        assert isinstance(self.network, DirectNet)
        windows = super().batch(examples, rngs).windows
        adjacency, usual_BSN = self._adjacency_NN, self._days.usual(windows)
        if self.closures:
            windows, adjacency, drawn_B = draw_closures(windows, adjacency, self.closures, rngs)
            all_days_BSN = self._days.all_days(windows)
            usual_BSN = torch.where(drawn_B[:, None, None], all_days_BSN, usual_BSN)
        n = self.train.num_sensors
        outages, cuts = self.disturbances.outages, self.disturbances.closures
        silent_BN = np.stack([rng.random(n) < _share(rng, outages, OUTAGE_SENSORS) for rng in rngs])
        heard_BTN = windows.history_valid_BTN & ~torch.from_numpy(silent_BN).unsqueeze(1)
        shares_B = torch.tensor([_share(rng, cuts, CLOSURE_EDGES) for rng in rngs])
        draws_BNN = torch.from_numpy(
            np.stack([rng.random((n, n), dtype=np.float32) for rng in rngs])
        )
        windows = replace(windows, history_valid_BTN=heard_BTN)
        if windows.earlier_valid_BPN is not None:
            before_BPN = windows.earlier_valid_BPN & ~torch.from_numpy(silent_BN).unsqueeze(1)
            windows = replace(windows, earlier_valid_BPN=before_BPN)
        streets_BNN = drop_edges(adjacency, draws_BNN, shares_B)
        return TrainingBatch(windows, streets_BNN, usual_BSN=usual_BSN)

    def loss(self, network: nn.Module, batch: TrainingBatch) -> Tensor:
        """Mean pinball loss, in the data's unit."""
        assert isinstance(self.network, DirectNet)
        given = self.network.inputs(batch.windows, batch.streets_BNN, batch.usual_BSN)
        output = network(*given)
        return self.network.objective(output, batch.windows)


class PublishedTask(ForecastTask):
    """Trains HimNet as published: weekdays known, scheduled sampling.

    ``teacher_probability`` is set by :class:`PublishedTrainer` before each step.
    """

    teacher_probability: float = 1.0

    def batch(
        self, examples: NDArray[np.int64], rngs: Sequence[np.random.Generator]
    ) -> TrainingBatch:
        """Windows, and the steps after which the decoder is fed the truth."""
        draws_H = rngs[0].random(self.train.horizon)
        feeds_H = torch.from_numpy(draws_H < self.teacher_probability)
        return TrainingBatch(self.train.batch(examples), feeds_H=feeds_H)

    def loss(self, network: nn.Module, batch: TrainingBatch) -> Tensor:
        """Masked mean absolute error under scheduled sampling, in the data's unit."""
        assert isinstance(self.network, HimNet) and batch.feeds_H is not None
        teacher = self.network.teacher(batch.windows, batch.feeds_H)
        output = network(*self.network.inputs(batch.windows), teacher=teacher)
        return self.network.objective(output, batch.windows)


@dataclass(frozen=True)
class PublishedRecipe:
    """How HimNet was trained in the reference run.

    Args:
        weight_decay: of Adam, added to the gradient.
        eps: of Adam.
        milestones: epochs, or parts of one, after which the learning rate is cut to a tenth.
        sampling: k of scheduled sampling.
    """

    weight_decay: float = 1e-4
    eps: float = 1e-3
    milestones: tuple[float, ...] = (30, 50)
    sampling: float = 6000.0


class MilestoneAdam(torch.optim.Adam):
    """Adam that cuts its own rate to a tenth at milestones, whatever rate the loop sets.

    Args:
        network: what is trained.
        learning_rate: the highest.
        recipe: the published settings.
        steps_per_epoch: what the milestones are counted in.
    """

    def __init__(
        self,
        network: nn.Module,
        learning_rate: float,
        recipe: PublishedRecipe,
        steps_per_epoch: int,
    ) -> None:
        super().__init__(
            network.parameters(),
            lr=learning_rate,
            eps=recipe.eps,
            weight_decay=recipe.weight_decay,
        )
        self._highest, self._recipe, self._per_epoch = learning_rate, recipe, steps_per_epoch
        self.next_step = 0

    def step(self, closure: Any = None) -> Any:  # noqa: ANN401 - as torch declares it
        """One step of Adam at the published rate."""
        epoch = self.next_step / self._per_epoch
        cuts = sum(epoch >= milestone for milestone in self._recipe.milestones)
        for group in self.param_groups:
            group["lr"] = self._highest * 0.1**cuts
        return super().step(closure)


class PublishedTrainer(Trainer):
    """The product's loop with HimNet's own optimiser and schedule, and no averaged weights.

    Args:
        task: HimNet's task.
        config: of the loop; its weight decay and EMA do not count.
        recipe: the published settings.
        folder: for checkpoints.
        should_stop: asked after every step.
    """

    def __init__(
        self,
        task: PublishedTask,
        config: TrainingConfig,
        recipe: PublishedRecipe,
        folder: Path | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(task, replace(config, ema=0.0), folder, should_stop)
        self._recipe, self._published = recipe, task
        per_epoch = max(1, task.num_examples // config.batch_size)
        self._adam = MilestoneAdam(self.network, config.learning_rate, recipe, per_epoch)
        self.optimiser = self.accelerator.prepare(self._adam)

    def _train_step(self) -> float:
        self._adam.next_step = self.step
        self._published.teacher_probability = teacher_probability(self.step, self._recipe.sampling)
        return super()._train_step()


def _share(rng: np.random.Generator, how_often: float, at_most: float) -> float:
    """A random share up to ``at_most``, or none at all."""
    share = float(rng.random()) * at_most
    return share if rng.random() < how_often else 0.0


@torch.no_grad()
def masked_errors(
    method: Forecaster, windows: WindowSet, stride: int, device: torch.device
) -> dict[str, float]:
    """MAE over all steps (the score), RMSE, and MAE at each quarter of the horizon."""
    absolute_H, count_H = torch.zeros(windows.horizon), torch.zeros(windows.horizon)
    squared = 0.0
    for batch in windows.batches(VALIDATION_BATCH, stride):
        forecast_BHN = method.forecast(batch.to(device)).middle_BHN.cpu()
        error_BHN = torch.where(batch.truth_valid_BHN, forecast_BHN - batch.truth_BHN, 0.0)
        absolute_H += error_BHN.abs().sum((0, 2))
        count_H += batch.truth_valid_BHN.sum((0, 2))
        squared += float(error_BHN.square().sum())
    num = max(1.0, float(count_H.sum()))
    by_step = absolute_H / count_H.clamp(min=1)
    quarters = {f"mae_step_{h}": float(by_step[h - 1]) for h in (3, 6, 12) if h <= windows.horizon}
    return {SCORE: float(absolute_H.sum()) / num, "rmse": (squared / num) ** 0.5, **quarters}
