"""``python -m engine trips``: train on a city's own trips, and answer what-ifs."""

import argparse
import json
import signal
import sys
import threading
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import JobCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.cities import City
    from engine.models.tddpm.city_trips import CityFrame
    from engine.models.tddpm.pieces import RegionExample
    from engine.models.tddpm.task import PieceTask
    from engine.models.tddpm.tracks import Tracks
    from engine.training.loop import Progress, Trainer

PIECE_POINTS = 128
"""Points of a piece: 99 of 100 trips of the embedded city are one piece."""


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``trips`` and its commands."""
    from engine.cli.trips_export import add_export

    area = subparsers.add_parser("trips", help="trips of a city after its map was changed")
    commands = area.add_subparsers(dest="command", metavar="COMMAND", required=True)
    train = commands.add_parser("train", help="train on a small city's own trips, resumably")
    train.add_argument("--city", required=True, help="id of a city with trips")
    train.add_argument("--out", type=Path, required=True, help="weights to write, .safetensors")
    train.add_argument("--checkpoints", type=Path, required=True, help="folder for resuming")
    train.add_argument("--steps", type=int, default=4_000)
    train.add_argument("--regions", type=int, default=1_000, help="maps with pieces, drawn once")
    train.add_argument("--batch-regions", type=int, default=4)
    train.add_argument("--pieces", type=int, default=48, help="pieces of trips for each map")
    train.add_argument("--channels", type=int, default=96)
    train.add_argument("--layers", type=int, default=4)
    train.add_argument("--learning-rate", type=float, default=1.5e-3)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--workers", type=int, default=1, help="processes that draw regions")
    train.add_argument("--prefetch", type=int, default=0, help="processes that prepare batches")
    train.set_defaults(run=run_train)
    _add_make(commands)
    add_export(commands)
    observe = commands.add_parser("observe", help="simulate days to know how long streets take")
    observe.add_argument("--city", required=True, help="id of a simulated city")
    observe.add_argument(
        "--days", type=date.fromisoformat, nargs="+", required=True, help="YYYY-MM-DD, several"
    )
    observe.add_argument(
        "--check", type=date.fromisoformat, required=True, help="another day, to judge by"
    )
    observe.add_argument("--out", type=Path, required=True, help="file to write, .safetensors")
    observe.set_defaults(run=run_observe)


def _add_make(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    make = commands.add_parser("make", help="trips before and after an edit, as files")
    make.add_argument("--city", required=True, help="id of a city with trips")
    make.add_argument("--day", type=date.fromisoformat, required=True, help="YYYY-MM-DD")
    make.add_argument("--hours", type=float, nargs=2, default=(0.0, 24.0), metavar=("FROM", "TO"))
    make.add_argument("--close", nargs="*", default=(), help="ids of streets to close")
    make.add_argument("--as-painted", action="store_true", help="closed streets move nothing")
    make.add_argument("--method", choices=("model", "recorded"), default="model")
    make.add_argument("--trips", type=int, default=512, help="trips of either version")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--format", choices=("csv", "parquet", "gpx"), default="parquet")
    make.add_argument("--out", type=Path, required=True, help="folder for both files and figures")
    make.set_defaults(run=run_make)


def run_make(args: argparse.Namespace) -> int:
    """Make trips of both versions, and write them with the answer's figures."""
    from engine import api
    from engine.api.trips_bench import answer_here
    from engine.domain import CloseStreets
    from engine.models.weights import write_atomically

    scenario = api.trips_scenario(
        args.city,
        args.day,
        tuple(args.hours),
        (CloseStreets(tuple(args.close)),) if args.close else (),
        follow=api.Follow.PAINTED if args.as_painted else api.Follow.REASSIGNED,
        method=api.Method(args.method),
        num_trips=args.trips,
        seed=args.seed,
    )
    result = answer_here(scenario, lambda text: print(text, file=sys.stderr))
    kind = api.TripsFormat(args.format)
    for version in ("before", "after"):
        path = args.out / api.trips_file_name(result, version, kind)
        write_atomically(path, api.export_trips(result, version, kind))
        print(path)
    figures = {"scenario": scenario.to_json(), "metrics": dict(result.metrics)}
    path = args.out / "figures.json"
    write_atomically(path, f"{json.dumps(figures, indent=2)}\n".encode())
    print(path)
    return 0


def add_bench(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``bench trips``."""
    bench = subparsers.add_parser("trips", help="test interventions against the simulator")
    bench.add_argument("--city", default="adlershof", help="id of a city with interventions")
    bench.add_argument("--trips", type=int, default=1_024, help="trips of either version")
    bench.add_argument("--seeds", type=int, default=1, help="sampling seeds")
    bench.add_argument("--json", type=Path, help="file for the figures; standard output if none")
    bench.add_argument("--closures", action="store_true", help="closed streets only")
    bench.add_argument(
        "--simulator",
        action="store_true",
        help="instead: the simulator against itself with other random numbers, the ceiling",
    )
    bench.add_argument("--card", action="store_true", help="keep the means in the weights' card")
    bench.add_argument("--speed", type=int, metavar="TRIPS", help="seconds and memory instead")
    bench.set_defaults(run=run_bench)


def run_bench(args: argparse.Namespace) -> int:
    """Print or write ``{seed: {intervention: {figure: value}}}``, or seconds by part."""
    from engine.api.trips_bench import bench_simulator, bench_what_if, mean_agreement
    from engine.api.trips_speed import bench_speed
    from engine.cities.registry import open_city

    city = open_city(args.city)

    def listen(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if args.speed:
        _write(args.json, dict(bench_speed(city, args.speed, listen)))
        return 0
    figures: dict[str, dict[str, Any]] = {}
    if args.simulator:
        for seed in range(1, args.seeds + 1):
            figures[str(seed)] = dict(
                bench_simulator(city, seed, listen, closures_only=args.closures)
            )
        _write(args.json, figures)
        return 0
    for seed in range(args.seeds):
        asked = bench_what_if(city, args.trips, seed, listen, closures_only=args.closures)
        figures[str(seed)] = dict(asked)
        # seeds take long: what is known stays if a later one is stopped
        if args.json is not None:
            _write(args.json, figures)
        if args.card:
            _keep_in_card(city.id, mean_agreement(list(figures.values()), args.trips))
    if args.json is None:
        _write(None, figures)
    return 0


def _write(path: Path | None, figures: dict[str, Any]) -> None:
    """To a file, or to standard output."""
    from engine.models.weights import write_atomically

    text = json.dumps(figures, indent=2, allow_nan=False)
    if path is None:
        print(text)
    else:
        write_atomically(path, f"{text}\n".encode())


def _keep_in_card(city_id: str, means: dict[str, Any]) -> None:
    from engine.api.trips_maps import trips_weights
    from engine.models.installed import open_installed
    from engine.models.weights import write_atomically

    found = open_installed(trips_weights(city_id))
    text = json.dumps({**found.card, "what_if": means}, indent=2, ensure_ascii=False)
    write_atomically(found.path.with_suffix(".json"), f"{text}\n".encode())


def run_observe(args: argparse.Namespace) -> int:
    """Simulated days without edits, for reassigning traffic later."""
    from engine.cities.registry import open_city
    from engine.simulation.habits import observe_streets, save_habits
    from engine.simulation.model import load_model
    from engine.simulation.weighing import weigh_times

    city = open_city(args.city)
    model = load_model(city.folder)
    days = []
    for day in (*args.days, args.check):
        print(f"Simulating {day}", file=sys.stderr, flush=True)
        days.append(observe_streets(model, day))
    print("Weighing streets", file=sys.stderr, flush=True)
    weighed = weigh_times(model, days[:-1], days[-1])
    figures = {"misplaced": weighed.misplaced, "still_misplaced": weighed.still_misplaced}
    save_habits(args.out, weighed.habits, city.id, args.days, figures)
    return 0


def run_train(args: argparse.Namespace) -> int:
    """Train until the last step, or until it is stopped; the same command goes on."""
    from engine.cities.registry import open_city
    from engine.models.tddpm.checkpoint import save_model
    from engine.models.tddpm.city_trips import (
        city_frame,
        edited_trips,
        most_moved,
        purposes_of,
        split_days,
        tracks_of,
    )
    from engine.models.tddpm.generation import TrajectoryModel
    from engine.models.tddpm.network import NetworkConfig
    from engine.models.tddpm.prior import count_trips
    from engine.models.tddpm.task import PieceTask, straight_training

    city = open_city(args.city)
    frame, batches = city_frame(city.grid), list(city.trajectories())
    purposes = purposes_of(batches)
    training = tracks_of(split_days(batches, city)[0], frame, purposes)
    del batches
    examples = _draw(args, [training, *edited_trips(city, frame, purposes)], frame)
    config = NetworkConfig(
        args.channels,
        args.layers,
        point_patch=8,
        feature_channels=16,
        octaves=6,
        point_channels=48,
    )
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    task = PieceTask(examples, straight_training(config, args.seed))
    trainer = _trainer(args, task, stopped.is_set)
    for progress in trainer.run():
        if progress.figures:
            _tell(progress)
    if stopped.is_set():
        raise JobCancelledError("Training was stopped; the same command continues it.")
    model = TrajectoryModel(
        trainer.best.network,
        count_trips(training),
        PIECE_POINTS,
        training.step_s,
        frame.side_m,
        frame.raster(training).counts,
        most_moved(city),
    )
    save_model(args.out, model, _card(args, city, purposes, trainer))
    return 0


def _draw(
    args: argparse.Namespace, groups: "list[Tracks]", frame: "CityFrame"
) -> "list[RegionExample]":
    from engine.models.tddpm.city_pieces import CitySampler
    from engine.models.tddpm.drawing import draw_examples
    from engine.models.tddpm.pieces import PieceConfig

    config = PieceConfig(frame.side_m, PIECE_POINTS, args.pieces, min_points=2, known_share=0.15)
    sampler = CitySampler(groups, config, frame.center_m)
    return draw_examples(sampler, args.regions, args.seed, None, args.workers)


def _trainer(
    args: argparse.Namespace, task: "PieceTask", should_stop: "Callable[[], bool]"
) -> "Trainer":
    import torch

    from engine.training.loop import Trainer, TrainingConfig

    config = TrainingConfig(
        steps=args.steps,
        batch_size=args.batch_regions,
        learning_rate=args.learning_rate,
        weight_decay=0.01,
        seed=args.seed,
        validate_every=200,
        checkpoint_every=200,
        # the score is that of a small sample: its noise ends nothing
        patience=args.steps,
        # processors without bf16 units are many times slower with it
        half=torch.cuda.is_available(),
    )
    return Trainer(task, config, args.checkpoints, should_stop, args.prefetch)


def _card(
    args: argparse.Namespace, city: "City", purposes: tuple[str, ...], trainer: "Trainer"
) -> dict[str, Any]:
    from engine.training.cards import training_card

    data = {
        "name": city.title,
        "city": city.id,
        "digest": city.digest,
        "description": "Trips of the city as it is and of its training interventions, without "
        "the last 14 days and the days of test interventions.",
        "terms": "As the city",
    }
    names = ("steps", "regions", "batch_regions", "pieces", "learning_rate")
    settings = {name: getattr(args, name) for name in names}
    metrics = {"validation_loss": trainer.best_score}
    card = training_card(args.out.stem, data, settings, [args.seed], trainer.seconds, metrics)
    return {**card, "purposes": list(purposes)}


def _tell(progress: "Progress") -> None:
    minutes = progress.remaining_s / 60
    score = progress.figures["score"]
    text = f"{progress.step:,} of {progress.steps:,}: {score:.4f}; {minutes:.0f} min left"
    print(text, file=sys.stderr, flush=True)
