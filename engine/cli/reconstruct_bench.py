"""``python -m engine bench reconstruct``: our system and all baselines on the same masks."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track
from rich.table import Table

from engine.cli.reconstruct import BENCHMARK, add_sampling, load_system, read_series
from engine.errors import InputError, WeightsError

if TYPE_CHECKING:
    from engine.evaluation.reconstruction import Method, Row
    from engine.models.diffrecon.ours.system import Reconstructor
    from engine.models.flows import FlowSeries

PAPER_SAMPLES, PAPER_STEPS = 8, 8
EPOCHS = 10


def add_bench(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``bench reconstruct``."""
    command = subparsers.add_parser(
        "reconstruct", help="errors of our system and of all baselines on the same masks"
    )
    command.add_argument("--weights", required=True, help="name of installed weights, or a file")
    command.add_argument("--field", help="frames, .npz with key flow; with --city its field's name")
    command.add_argument("--city", help="the held-out last days of this city instead of a file")
    add_sampling(command)
    command.add_argument("--masks", default=BENCHMARK, help="names, separated by commas")
    command.add_argument("--paper", help="the paper's system; NAME-paper by default")
    command.add_argument("--paper-steps", type=int, default=PAPER_STEPS, help="0 takes all steps")
    command.add_argument("--paper-samples", type=int, default=PAPER_SAMPLES)
    command.add_argument("--urbanfm", help="weights of UrbanFM; NAME-urbanfm by default")
    command.add_argument("--imputers", default="", help="csdi,imputeformer; needs pypots")
    command.add_argument("--train", type=Path, help="frames that imputers are trained on, .npz")
    command.add_argument("--epochs", type=int, default=EPOCHS, help="of the imputers")
    command.add_argument("--num-frames", type=int, help="only the first frames, for a quick look")
    command.add_argument(
        "--every",
        type=int,
        default=1,
        help="score each such frame only; a factor of the frames a day would see the same hours",
    )
    command.add_argument("--json", type=Path, help="file to write the figures to")
    command.add_argument(
        "--card", action="store_true", help="keep the figures on the weights' card, by seed"
    )
    command.add_argument("--plot", type=Path, help="picture to draw, .png, .svg or .pdf")
    command.set_defaults(run=run_bench)


def run_bench(args: argparse.Namespace) -> int:
    """Compare all methods, print a table, write the figures."""
    from engine.evaluation.plots import plot_errors
    from engine.evaluation.reconstruction import compare, first_frames
    from engine.models.weights import write_atomically

    if args.every < 1:
        raise InputError("Frames are taken each so many.", str(args.every), "Give 1 or more.")
    system = load_system(args.weights, args.threads, args.device)
    series = _read_frames(args, system)
    if args.num_frames:
        series = first_frames(series, args.num_frames)
    methods = _methods(args, system)
    masks = args.masks.split(",")
    figures: dict[str, dict[str, Row]] = {}
    rows = compare(series, methods, masks, args.seed, args.every)
    console = Console(file=sys.stderr)
    for mask, method, row in track(
        rows, "comparing", total=len(masks) * len(methods), console=console
    ):
        figures.setdefault(mask, {})[method] = row
        if args.json:
            write_atomically(args.json, json.dumps(figures, indent=2).encode())
    if args.card:
        _keep_on_card(args, figures)
    if args.plot:
        plot_errors(figures, args.plot)
    Console().print(_table(figures))
    return 0


def _keep_on_card(args: argparse.Namespace, figures: "dict[str, dict[str, Row]]") -> None:
    from engine.api.reconstruction_benchmark import CARD_KEY
    from engine.models.installed import open_installed
    from engine.models.weights import write_atomically

    found = open_installed(args.weights)
    kept = {**found.card.get(CARD_KEY, {}), str(args.seed): {"every": args.every, "masks": figures}}
    text = json.dumps({**found.card, CARD_KEY: kept}, indent=2)
    write_atomically(found.path.with_suffix(".json"), f"{text}\n".encode())


def _read_frames(args: argparse.Namespace, system: "Reconstructor") -> "FlowSeries":
    if args.city:
        from engine.cli.train import city_flows

        return city_flows(args.city, args.field or "flow")[1]
    if not args.field:
        raise InputError("There are no frames to compare on.", "", "Give --field or --city.")
    return read_series(Path(args.field), system)


def _methods(args: argparse.Namespace, system: "Reconstructor") -> "dict[str, Method]":
    from engine.evaluation.reconstruction import PaperSampled, Plain, Sampled, baselines
    from engine.models.baselines.urbanfm import UrbanFMFill, load_urbanfm
    from engine.models.diffrecon.paper.system import load_paper

    methods: dict[str, Method] = {"ours": Sampled(system, args.samples, args.steps)}
    paper = _companion(args.paper, args.weights, "paper")
    if paper:
        steps = args.paper_steps or None
        methods["paper"] = PaperSampled(load_paper(paper, system.device), args.paper_samples, steps)
    methods |= baselines(system.profile)
    urbanfm = _companion(args.urbanfm, args.weights, "urbanfm")
    if urbanfm:
        methods["urbanfm"] = Plain(UrbanFMFill(load_urbanfm(urbanfm)), 1)
    return methods | _imputers(args, system)


def _companion(given: str | None, weights: str, kind: str) -> Path | None:
    """Weights of another method for the same data, if they are installed."""
    from engine.models.installed import find_weights

    if given:
        return find_weights(given)
    try:
        return find_weights(f"{Path(weights).stem}-{kind}")
    except WeightsError:
        return None


def _imputers(args: argparse.Namespace, system: "Reconstructor") -> "dict[str, Method]":
    from engine.evaluation.reconstruction import Plain
    from engine.models.baselines.imputation import Imputer, train_imputer

    names = [name for name in args.imputers.split(",") if name]
    if not names:
        return {}
    if args.city:
        from engine.cli.train import city_flows

        series = city_flows(args.city, args.field or "flow")[0]
    elif args.train:
        series = read_series(args.train, system)
    else:
        raise InputError("Imputers have to be trained.", "", "Give --train FILE.npz.")
    if unknown := set(names) - set(Imputer):
        raise InputError("There is no such imputer.", ", ".join(sorted(unknown)))
    trained = [train_imputer(Imputer(name), series, args.epochs, args.seed) for name in names]
    return {str(each.name): Plain(each, 1, each.lags) for each in trained}


def _table(figures: "dict[str, dict[str, Row]]") -> Table:
    table = Table("mask", "method", "MAE", "RMSE", "CRPS", "in 90 % band", "s", box=None)
    for mask, methods in figures.items():
        for method, row in methods.items():
            covered = row["coverage90"]
            table.add_row(
                mask,
                method,
                *(f"{row[name]:.3f}" for name in ("mae", "rmse", "crps")),
                "-" if covered is None else f"{100 * covered:.1f} %",
                f"{row['seconds']:.1f}",
            )
    return table
