"""The training loop: a generator that yields its progress and can stop after any step.

What is trained is a :class:`Task`. Everything random comes from (seed, epoch, step, place in the
batch), so that a resumed run, and a run on several devices, see exactly the data of an
uninterrupted one.
"""

import copy
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from engine.errors import WeightsError
from engine.models.dropout import seed_dropout
from engine.training.capture import CapturedStep
from engine.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    named_tensors,
    optimiser_tensors,
    part_of,
    restore_optimiser,
    save_checkpoint,
)

B = TypeVar("B")
_log = logging.getLogger(__name__)
SCORE = "score"
"""The name of the figure that early stopping watches; lower is better."""


class Task(Protocol[B]):
    """What the loop has to know of a model."""

    network: nn.Module
    num_examples: int
    is_fixed: bool
    """Whether a step's work never depends on its batch's values, so that it can be recorded."""

    def batch(self, examples: NDArray[np.int64], rngs: Sequence[np.random.Generator]) -> B:
        """The batch of these training examples; all that is random in row i is from rngs[i]."""
        ...

    def to_device(self, batch: B, device: torch.device) -> B:
        """The batch on another device."""
        ...

    def loss(self, network: nn.Module, batch: B) -> Tensor:
        """Mean loss of the batch, a scalar; ``network`` may be wrapped for several devices."""
        ...

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures on data that are not trained on, among them ``score``."""
        ...


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained.

    Args:
        steps: optimiser steps.
        batch_size: examples per step over all devices.
        learning_rate: the highest, after warming up; falls as half a cosine.
        warmup_steps: steps until then.
        weight_decay: of AdamW.
        ema: decay of the averaged weights.
        clip: largest norm of the gradient.
        seed: of everything random.
        validate_every: steps between validations.
        checkpoint_every: steps between checkpoints.
        patience: validations without a better score before stopping.
        half: bf16 where the device computes in it; on others it would only be slower.
        tf32: on a GPU, products of float32 with 10 bits of the fraction; several times faster.
    """

    steps: int = 1500
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.05
    ema: float = 0.998
    clip: float = 1.0
    seed: int = 0
    validate_every: int = 250
    checkpoint_every: int = 250
    patience: int = 6
    half: bool = True
    tf32: bool = False


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Args:
        step: steps done.
        steps: steps in all.
        loss: of the last step, mean over all devices.
        seconds: spent so far, resumed runs included.
        remaining_s: expected until the end.
        figures: of the last validation; empty between validations.
    """

    step: int
    steps: int
    loss: float
    seconds: float
    remaining_s: float
    figures: dict[str, float] = field(default_factory=dict)


def examples_of_step(
    num_examples: int, batch_size: int, seed: int, step: int
) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
    """Which examples a step sees, and the seeds of their randomness.

    Returns:
        (batch_size,) example numbers, and one (seed, epoch, step, place) each.
    """
    per_epoch = max(1, num_examples // batch_size)
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng((seed, epoch)).permutation(num_examples)
    chosen = np.resize(order, max(num_examples, batch_size))[place * batch_size :][:batch_size]
    return chosen, [(seed, epoch, step, row) for row in range(len(chosen))]


def computes_in_half(device: torch.device) -> bool:
    """Whether a device multiplies bf16 matrices itself; a CPU that emulates it is far slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def learning_rate_at(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to nothing."""
    rise = min(1.0, (step + 1) / max(1, config.warmup_steps))
    fall = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * rise * fall


class _Batches(Dataset):  # type: ignore[misc]
    """A task's batches by the number of their step; each depends on that number alone."""

    def __init__(self, task: Task[Any], config: TrainingConfig, own: slice) -> None:
        self.task, self.config, self.own = task, config, own

    def __getitem__(self, step: int) -> Any:  # noqa: ANN401 - the task's own
        examples, seeds = examples_of_step(
            self.task.num_examples, self.config.batch_size, self.config.seed, step
        )
        rngs = [np.random.default_rng(seed) for seed in seeds[self.own]]
        return self.task.batch(examples[self.own], rngs)


class Trainer:
    """Trains one task.

    Args:
        task: what is trained.
        config: how.
        folder: for checkpoints; None keeps nothing.
        should_stop: asked after every step; True saves a checkpoint and ends the loop.
        workers: processes that make batches ahead; 0 makes each when it is needed.
    """

    def __init__(
        self,
        task: Task[Any],
        config: TrainingConfig,
        folder: Path | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        workers: int = 0,
    ) -> None:
        self.task, self.config, self.folder, self.workers = task, config, folder, workers
        self.should_stop = should_stop
        self.accelerator = Accelerator()
        raw = torch.optim.AdamW(
            task.network.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.99),
        )
        self.network, self.optimiser = self.accelerator.prepare(task.network, raw)
        self.averaged = copy.deepcopy(self.accelerator.unwrap_model(self.network)).eval()
        self.best = copy.deepcopy(self.averaged)
        self.step, self.seconds, self.stale = 0, 0.0, 0
        self.best_score = math.inf
        self.curve: list[dict[str, float]] = []
        self._dropout = torch.Generator(self.accelerator.device)
        alone = self.accelerator.num_processes == 1
        self._records = self.accelerator.device.type == "cuda" and task.is_fixed and alone
        self._captured: CapturedStep[Any] | None = None
        self._batches: Iterator[Any] = iter(())
        if config.tf32:
            torch.set_float32_matmul_precision("high")

    def run(self) -> Iterator[Progress]:
        """Train until the last step, early stopping, or a request to stop.

        Yields:
            :class:`Progress` after every step.
        """
        self._resume()
        self._batches = self._prepare_batches()
        started = time.monotonic() - self.seconds
        while self.step < self.config.steps and self.stale < self.config.patience:
            loss = self._train_step()
            self.step += 1
            figures = self._validate() if self._is_due(self.config.validate_every) else {}
            self.seconds = time.monotonic() - started
            stopping = self._is_stopping()
            if stopping or self._is_due(self.config.checkpoint_every):
                self._save()
            pace = self.seconds / self.step
            remaining = pace * (self.config.steps - self.step)
            yield Progress(self.step, self.config.steps, loss, self.seconds, remaining, figures)
            if stopping:
                return

    def _is_stopping(self) -> bool:
        """Whether any process was asked to stop: all have to end after the same step."""
        asked = self.should_stop()
        if self.accelerator.num_processes == 1:
            return asked
        flag = torch.tensor(float(asked), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)

    def _is_due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.steps

    def _train_step(self) -> float:
        config = self.config
        batch = self.task.to_device(next(self._batches), self.accelerator.device)
        self._dropout.manual_seed(
            (config.seed * 1_000_003 + self.step) * 64 + self.accelerator.process_index
        )
        seed_dropout(self.network, self._dropout)
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(config, self.step)
        loss = self._loss_with_gradients(batch)
        self.accelerator.clip_grad_norm_(self.network.parameters(), config.clip)
        self.optimiser.step()
        self._average()
        return float(self.accelerator.reduce(loss.detach(), "mean"))

    def _prepare_batches(self) -> Iterator[Any]:
        """The batches from the present step on, made ahead by worker processes if there are any."""
        ranks, rank = self.accelerator.num_processes, self.accelerator.process_index
        batches = _Batches(self.task, self.config, slice(rank, None, ranks))
        loader = DataLoader(
            batches,
            batch_size=None,
            sampler=range(self.step, self.config.steps),
            num_workers=self.workers,
            generator=torch.Generator(),
        )
        return iter(loader)

    def _loss_with_gradients(self, batch: Any) -> Tensor:  # noqa: ANN401 - the task's own
        if self._records and self._captured is None:
            self._captured = self._record(batch)
            self._records = self._captured is not None
        if self._captured is not None:
            return self._captured(batch)
        loss = self._loss(batch)
        self.optimiser.zero_grad()
        self.accelerator.backward(loss)
        return loss

    def _record(self, batch: Any) -> CapturedStep[Any] | None:  # noqa: ANN401 - the task's own
        try:
            return CapturedStep(self._loss, self.network.parameters(), batch, self._dropout)
        except RuntimeError as error:
            _log.warning("The training step cannot be recorded, and is run as it is: %s", error)
            return None

    def _loss(self, batch: Any) -> Tensor:  # noqa: ANN401 - the task's own
        device = self.accelerator.device
        half = self.config.half and computes_in_half(device)
        # weights cast before a recording would stay as they were then
        cache = device.type != "cuda"
        with torch.autocast(device.type, torch.bfloat16, enabled=half, cache_enabled=cache):
            return self.task.loss(self.network, batch)

    @torch.no_grad()
    def _average(self) -> None:
        """Exponential moving average of the weights; shorter at the beginning."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        network = self.accelerator.unwrap_model(self.network)
        kept, new = list(self.averaged.parameters()), list(network.parameters())
        torch._foreach_lerp_(kept, new, 1 - decay)
        for own, now in zip(self.averaged.buffers(), network.buffers(), strict=True):
            own.copy_(now)

    def _validate(self) -> dict[str, float]:
        figures = self.task.validate(self.averaged)
        self.curve.append({"step": float(self.step), **figures})
        if figures[SCORE] < self.best_score:
            self.best_score, self.stale = figures[SCORE], 0
            self.best.load_state_dict(self.averaged.state_dict())
        else:
            self.stale += 1
        return figures

    def _save(self) -> None:
        if self.folder is None or not self.accelerator.is_main_process:
            return
        network = self.accelerator.unwrap_model(self.network)
        tensors = {
            **named_tensors("network", network),
            **named_tensors("averaged", self.averaged),
            **named_tensors("best", self.best),
            **optimiser_tensors(self.optimiser),
        }
        facts = {
            "step": self.step,
            "seconds": self.seconds,
            "stale": self.stale,
            "best_score": self.best_score if math.isfinite(self.best_score) else None,
            "curve": self.curve,
            "config": asdict(self.config),
        }
        save_checkpoint(self.folder, Checkpoint(tensors, facts))

    def _resume(self) -> None:
        checkpoint = load_checkpoint(self.folder) if self.folder else None
        if checkpoint is None:
            return
        facts, tensors = checkpoint.facts, checkpoint.tensors
        if facts["config"] != asdict(self.config):
            raise WeightsError(
                "The checkpoint was made with another training configuration.",
                str(self.folder),
                "Remove the folder to start anew.",
            )
        try:
            self.accelerator.unwrap_model(self.network).load_state_dict(part_of(tensors, "network"))
            self.averaged.load_state_dict(part_of(tensors, "averaged"))
            self.best.load_state_dict(part_of(tensors, "best"))
        except RuntimeError as error:
            raise WeightsError("The checkpoint is of another network.", str(self.folder)) from error
        restore_optimiser(self.optimiser, tensors)
        self.step, self.seconds = int(facts["step"]), float(facts["seconds"])
        self.stale, self.curve = int(facts["stale"]), list(facts["curve"])
        self.best_score = math.inf if facts["best_score"] is None else float(facts["best_score"])
