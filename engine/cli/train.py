"""``python -m engine train``: train a model of the product, resumably."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from engine.errors import InputError, JobCancelledError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.models.flows import FlowSeries
    from engine.training.loop import Task, Trainer
    from engine.training.recipes import Recipe


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``train`` and its models."""
    train = subparsers.add_parser("train", help="train a model; continues where it was stopped")
    models = train.add_subparsers(dest="model", metavar="MODEL", required=True)
    command = models.add_parser("reconstruct", help="from coarse maps with gaps to fine ones")
    command.add_argument("--config", type=Path, required=True, help="recipe, a TOML file")
    command.add_argument("--city", help="train on a field of this city")
    command.add_argument("--field", help="with --city its field's name, else a .npz to train on")
    command.add_argument("--valid", type=Path, help="a .npz to validate on, without --city")
    command.add_argument("--out", type=Path, required=True, help="weights to write, .safetensors")
    command.add_argument("--checkpoints", type=Path, help="folder of resumable checkpoints")
    command.add_argument("--threads", type=int, default=1, help="CPU threads")
    command.add_argument("--prefetch", type=int, default=0, help="processes that prepare batches")
    command.add_argument("--json", action="store_true", help="print the card")
    command.set_defaults(run=run_reconstruct)


def run_reconstruct(args: argparse.Namespace) -> int:
    """Train what the recipe names; write weights and card."""
    import torch

    from engine.training.recipes import System, read_recipe

    torch.set_num_threads(args.threads)
    recipe = read_recipe(args.config)
    train, valid = _read_data(args, recipe)
    folder = args.checkpoints or user_cache_path("citybrush") / "training" / recipe.name
    trainings = {
        System.OURS: _train_ours,
        System.PAPER: _train_paper,
        System.URBANFM: _train_urbanfm,
    }
    with _stop_requests() as should_stop:
        source = {"city": args.city, "field": args.field} if args.city else {}
        session = _Session(recipe, train, valid, folder, should_stop, source, args.prefetch)
        trainings[recipe.system](session, args.out)
    if args.json and session.is_main:
        print(args.out.with_suffix(".json").read_text("utf-8"))
    return 0


@dataclass
class _Session:
    """One run of the command: data, recipe, and the time spent so far.

    With several processes (``accelerate launch -m engine train ...``), each trains its part of
    every batch and only the main one writes weights.
    """

    recipe: "Recipe"
    train: "FlowSeries"
    valid: "FlowSeries"
    folder: Path
    should_stop: threading.Event
    source: dict[str, str]
    prefetch: int = 0
    seconds: float = 0.0
    is_main: bool = True

    def fit(self, task: "Task[Any]", seed: int, name: str) -> "Trainer":
        """Train one task to its end.

        Raises:
            JobCancelledError: a stop was asked for; the state is saved.
        """
        from engine.training.loop import Trainer

        settings = self.recipe.training_config(seed)
        place = self.folder / name
        trainer = Trainer(task, settings, place, self.should_stop.is_set, self.prefetch)
        _show(trainer, f"{self.recipe.name}, {name}")
        if self.should_stop.is_set():
            raise JobCancelledError("Training was stopped; the same command continues it.")
        self.seconds += trainer.seconds
        self.is_main = trainer.accelerator.is_main_process
        return trainer

    def card(self, metrics: "Mapping[str, float]") -> dict[str, Any]:
        """The card of what was trained."""
        from engine.training.cards import training_card

        recipe = self.recipe
        card = training_card(
            recipe.name,
            {**recipe.data, **self.source},
            recipe.training,
            recipe.seeds,
            self.seconds,
            metrics,
        )
        return {**card, "field": recipe.field.to_json()} if recipe.field else card


def _train_ours(session: _Session, out: Path) -> None:
    from engine.evaluation.calibration import measure_bands
    from engine.evaluation.correction import measure_correction
    from engine.evaluation.familiarity_limits import card_figures
    from engine.models.diffrecon.ours.config import Config
    from engine.models.diffrecon.ours.objective import Networks
    from engine.models.diffrecon.ours.system import save_reconstructor
    from engine.training.reconstruction import ReconstructionTask

    kinds = {"day_kinds": session.train.num_day_kinds}
    config = Config.from_json({**kinds, **session.recipe.network_settings(session.train)})
    members = []
    for seed in session.recipe.seeds:
        task = ReconstructionTask(session.train, session.valid, config, seed)
        best = session.fit(task, seed, f"seed-{seed}").best
        members.append(cast(Networks, best))
    if not session.is_main:
        return
    system = task.system(members)
    system.correction = measure_correction(system, session.valid)
    system.bands = measure_bands(system, session.valid)
    figures = card_figures(system, session.train, session.valid)
    system.card = {**session.card(task.figures(system)), **figures}
    save_reconstructor(out, system, half=True)


def _train_paper(session: _Session, out: Path) -> None:
    from engine.models.diffrecon.paper.config import Config
    from engine.models.diffrecon.paper.objective import Stages
    from engine.models.diffrecon.paper.system import save_paper
    from engine.training.paper import PaperTask

    recipe = session.recipe
    config = Config.from_json(recipe.network_settings(session.train))
    seed, stages = recipe.seeds[0], None
    for phase in recipe.phases:
        task = PaperTask(session.train, session.valid, config, seed, phase, stages)
        trainer = session.fit(task, seed, phase.value)
        stages = cast(Stages, trainer.best)
    if stages is None:
        raise InputError("The recipe names no phase to train.", recipe.name)
    if not session.is_main:
        return
    system = task.system(stages)
    system.card = {**session.card(trainer.curve[-1]), "phases": list(recipe.phases)}
    save_paper(out, system)


def _train_urbanfm(session: _Session, out: Path) -> None:
    from engine.models.baselines.urbanfm import Config, UrbanFM, save_urbanfm
    from engine.training.urbanfm import UrbanFMTask

    settings = session.recipe.network_settings(session.train)
    settings.pop("window")
    seed = session.recipe.seeds[0]
    task = UrbanFMTask(session.train, session.valid, Config(**settings), seed)
    trainer = session.fit(task, seed, f"seed-{seed}")
    if session.is_main:
        save_urbanfm(out, cast(UrbanFM, trainer.best), session.card(trainer.curve[-1]))


def _read_data(args: argparse.Namespace, recipe: "Recipe") -> tuple["FlowSeries", "FlowSeries"]:
    from engine.models.fieldfiles import read_flows

    if args.city:
        return city_flows(args.city, args.field or "")
    if not recipe.field or not args.field or not args.valid:
        raise InputError(
            "There is nothing to train on.",
            "",
            "Give --city with --field, or --field FILE and --valid FILE with a recipe that has "
            "a [field] table.",
        )
    train = read_flows(Path(args.field), recipe.field)
    return train, align_clock(read_flows(args.valid, recipe.field), train, recipe.field.first_slot)


def align_clock(series: "FlowSeries", known: "FlowSeries", first_slot: int | None) -> "FlowSeries":
    """The series with its clock found from its flow, where its file does not say the time."""
    from dataclasses import replace

    from engine.models.baselines.profile import find_clock, fit_profile

    if first_slot is not None:
        return series
    return replace(series, first_slot=find_clock(series, fit_profile(known)))


def city_flows(city: str, field: str) -> tuple["FlowSeries", "FlowSeries"]:
    """The days of a city's field that are trained on, and the last fifth, validated on.

    Raises:
        InputError: the field is too short for both.
    """
    from engine.cities.registry import open_city
    from engine.models.flows import first_held_out, flows_of_field

    opened = open_city(city)
    series = flows_of_field(opened.field(field), opened.context())
    cut = first_held_out(len(series.values), series.slots_per_day)
    if cut < series.slots_per_day:
        raise InputError("The city's field is too short to train on.", f"{city}, {field}")
    return series.part(0, cut), series.part(cut)


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, so that the loop can save and end by itself."""
    event = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        event.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(trainer: "Trainer", title: str) -> None:
    """Run a trainer under a progress bar on stderr; validations become lines."""
    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} loss {task.fields[loss]:.4f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        row = bar.add_task(title, total=trainer.config.steps, loss=float("nan"))
        for state in trainer.run():
            bar.update(row, completed=state.step, loss=state.loss)
            if state.figures:
                figures = {name: round(value, 4) for name, value in state.figures.items()}
                console.print(
                    f"step {state.step}, {state.seconds:.0f} s, {state.remaining_s:.0f} s left: "
                    f"{json.dumps(figures)}"
                )
