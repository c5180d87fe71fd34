"""``python -m engine trajectories train``: on a table of GPS points, resumably."""

import argparse
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.trajectories import (
    HELD_OUT,
    SPLIT_SEED,
    Bar,
    add_box,
    read_tracks,
    side_of,
    without,
)
from engine.errors import InputError, JobCancelledError

if TYPE_CHECKING:
    from torch import nn

    from engine.models.tddpm.checkpoint import AnyModel
    from engine.models.tddpm.pieces import PieceConfig, RegionExample
    from engine.models.tddpm.task import NoiseTraining, StraightTraining
    from engine.models.tddpm.tracks import Tracks

DEFAULT_REGIONS = 2_000


def add_train(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Register ``trajectories train``."""
    train = commands.add_parser("train", help="train on a table of GPS points, resumably")
    train.add_argument("--points", type=Path, required=True, help="table of GPS points")
    train.add_argument("--out", type=Path, required=True, help="weights to write, .safetensors")
    train.add_argument("--checkpoints", type=Path, required=True, help="folder for resuming")
    train.add_argument("--data-name", required=True, help="name of the data, for the card")
    train.add_argument("--data-terms", required=True, help="terms of the data, for the card")
    train.add_argument("--paper", action="store_true", help="the paper's variant")
    train.add_argument("--steps", type=int, default=20_000)
    train.add_argument("--batch-regions", type=int, default=8)
    train.add_argument("--regions", type=int, default=DEFAULT_REGIONS, help="drawn once")
    train.add_argument("--side", type=float, help="of a region, metres; from the extent if none")
    train.add_argument("--workers", type=int, default=1, help="processes that draw regions")
    train.add_argument("--prefetch", type=int, default=0, help="processes that prepare batches")
    add_box(train, "--leave-out", "no point in this rectangle is trained on, degrees")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--channels", type=int, default=128)
    train.add_argument("--layers", type=int, default=6)
    train.add_argument("--learning-rate", type=float, default=1e-3)
    train.set_defaults(run=run_train)


def run_train(args: argparse.Namespace) -> int:
    """Train until the last step, or until it is stopped; the same command goes on."""
    from engine.models.tddpm.checkpoint import save_model
    from engine.models.tddpm.drawing import draw_examples
    from engine.models.tddpm.people import hold_out_people
    from engine.models.tddpm.pieces import RegionSampler
    from engine.models.tddpm.task import PieceTask
    from engine.training.cards import training_card
    from engine.training.loop import Trainer, TrainingConfig

    tracks, plane = read_tracks(args.points)
    training, _ = hold_out_people(tracks, HELD_OUT, SPLIT_SEED)
    training = without(training, args.leave_out, plane)
    pieces = _piece_config(args, _checked_side(args.side) or side_of(tracks))
    del tracks
    config = TrainingConfig(
        steps=args.steps,
        batch_size=args.batch_regions,
        learning_rate=args.learning_rate,
        weight_decay=0.01,
        seed=args.seed,
        # the score is that of a small sample: its noise ends nothing
        patience=args.steps,
    )
    with Bar("drawing regions", args.regions) as advance:
        sampler = RegionSampler(training, pieces)
        examples = draw_examples(
            sampler, args.regions, args.seed, lambda _: advance(1), args.workers
        )
    del sampler
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    task = PieceTask(examples, _training(args))
    trainer = Trainer(task, config, args.checkpoints, stopped.is_set, args.prefetch)
    with Bar("training", args.steps) as advance:
        for progress in trainer.run():
            advance(progress.step, absolute=True)
    if stopped.is_set():
        raise JobCancelledError("Training was stopped; the same command continues it.")
    data: dict[str, Any] = {
        "name": args.data_name,
        "terms": args.data_terms,
        "people_held_out": f"{HELD_OUT:g} by seed {SPLIT_SEED}",
    }
    if args.leave_out:
        data["left_out"] = args.leave_out
    settings = {"steps": args.steps, "batch_regions": args.batch_regions, "regions": args.regions}
    metrics = {"validation_loss": trainer.best_score}
    card = training_card(args.out.stem, data, settings, [args.seed], trainer.seconds, metrics)
    save_model(args.out, _trained(trainer.best, examples, training, pieces), card)
    return 0


def _checked_side(side_m: float | None) -> float | None:
    if side_m is not None and not 100 <= side_m <= 20_000:
        raise InputError("The side of a region must be 100 m to 20 km.", f"{side_m:g} m")
    return side_m


def _piece_config(args: argparse.Namespace, side_m: float) -> "PieceConfig":
    from engine.models.tddpm.pieces import PieceConfig

    if args.paper:
        return PieceConfig(
            side_m, pieces_per_region=32, hold=False, known_share=0.0, subset_share=0.0
        )
    return PieceConfig(side_m, pieces_per_region=32)


def _training(args: argparse.Namespace) -> "StraightTraining | NoiseTraining":
    from engine.models.tddpm.network import NetworkConfig
    from engine.models.tddpm.paper import JointConfig
    from engine.models.tddpm.task import noise_training, straight_training

    if args.paper:
        return noise_training(JointConfig(args.channels, args.layers), args.seed)
    return straight_training(NetworkConfig(channels=args.channels, layers=args.layers), args.seed)


def _trained(
    best: "nn.Module", examples: "list[RegionExample]", training: "Tracks", pieces: "PieceConfig"
) -> "AnyModel":
    """The trained network with what its variant needs beside it."""
    import numpy as np

    from engine.models.tddpm.generation import TrajectoryModel
    from engine.models.tddpm.paper import PaperModel, count_lengths
    from engine.models.tddpm.plans import busy_length_correlation
    from engine.models.tddpm.prior import count_trips
    from engine.models.tddpm.task import NoiseTraining, StraightTraining
    from engine.models.tddpm.trip_ends import fit_ends_rule

    if isinstance(best, NoiseTraining):
        lengths = count_lengths(np.concatenate([example.valid for example in examples]))
        return PaperModel(best.network, lengths, training.step_s, pieces.side_m)
    if not isinstance(best, StraightTraining):
        raise TypeError(type(best).__name__)
    return TrajectoryModel(
        best.network,
        count_trips(training),
        pieces.num_points,
        training.step_s,
        pieces.side_m,
        busy_length=busy_length_correlation(training, pieces.side_m),
        ends=fit_ends_rule(training, pieces.side_m),
    )
