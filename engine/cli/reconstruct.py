"""``python -m engine reconstruct`` and ``bench reconstruct``: fine maps from coarse ones."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from engine.errors import InputError

if TYPE_CHECKING:
    from engine.evaluation.reconstruction import Method, Row
    from engine.models.diffrecon.ours.system import Reconstructor
    from engine.models.flows import FlowSeries

BENCHMARK = "fix20,fix40,fix60,fix80,random20,random40,random60,random80,quarter"


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``reconstruct``."""
    command = subparsers.add_parser(
        "reconstruct", help="the complete fine maps of a field whose sensors are partly gone"
    )
    _add_inputs(command)
    command.add_argument("--mask", default="fix40", help="fixNN, randomNN, blocksNN, quarter ...")
    command.add_argument("--frames", default="0", help="frame numbers, as 7, 3:9 or all")
    command.add_argument("--out", type=Path, required=True, help="maps to write, .npz")
    command.set_defaults(run=run_reconstruct)


def add_bench(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``bench reconstruct``."""
    command = subparsers.add_parser(
        "reconstruct", help="errors of our system and of all baselines on the same masks"
    )
    _add_inputs(command)
    command.add_argument("--masks", default=BENCHMARK, help="names, separated by commas")
    command.add_argument("--paper", help="weights of the paper's system, to compare")
    command.add_argument("--paper-steps", type=int, help="its sampler steps; all by default")
    command.add_argument("--urbanfm", help="weights of UrbanFM, to compare")
    command.add_argument("--num-frames", type=int, help="only the first frames, for a quick look")
    command.add_argument("--json", type=Path, help="file to write the figures to")
    command.add_argument("--plot", type=Path, help="picture to draw, .png, .svg or .pdf")
    command.set_defaults(run=run_bench)


def _add_inputs(command: argparse.ArgumentParser) -> None:
    command.add_argument("--weights", required=True, help="name of installed weights, or a file")
    command.add_argument("--field", type=Path, required=True, help="frames, .npz with key flow")
    command.add_argument("--seed", type=int, default=0, help="of masks and samples")
    command.add_argument("--samples", type=int, default=16)
    command.add_argument("--steps", type=int, default=8, help="sampler steps")
    command.add_argument("--threads", type=int, default=1, help="CPU threads")


def load_system(name: str, threads: int) -> "Reconstructor":
    """Installed weights by name, or those of a file."""
    import torch

    from engine.models.diffrecon.ours.system import load_reconstructor
    from engine.models.installed import find_weights

    torch.set_num_threads(threads)
    return load_reconstructor(find_weights(name))


def read_series(path: Path, system: "Reconstructor") -> "FlowSeries":
    """The frames of a field file, cropped and summed as the weights' card says."""
    from dataclasses import replace

    from engine.models.baselines.profile import find_clock
    from engine.models.fieldfiles import FieldRecipe, read_flows

    if "field" not in system.card:
        raise InputError("These weights do not say how to read a field file.", str(path.name))
    recipe = FieldRecipe.from_json(system.card["field"])
    series = read_flows(path, recipe)
    if recipe.first_slot is None:
        return replace(series, first_slot=find_clock(series, system.profile))
    return series


def run_reconstruct(args: argparse.Namespace) -> int:
    """Reconstruct frames one by one and write their maps."""
    import io

    import numpy as np

    from engine.models.masks import named_masks
    from engine.models.observations import observe_in_order
    from engine.models.weights import write_atomically

    system = load_system(args.weights, args.threads)
    series = read_series(args.field, system)
    count = len(series.regular_starts())
    seen = observe_in_order(
        series, named_masks(args.mask, count, series.coarse_shape, args.seed), system.config.lags
    )
    chosen = _frame_numbers(args.frames, count)
    console = Console(file=sys.stderr)
    columns: dict[str, list[Any]] = {"estimate": [], "lower": [], "upper": [], "coarse": []}
    for frame in track(chosen, "reconstructing", console=console):
        *_, answer = system.reconstruct(
            seen[frame : frame + 1], args.seed, args.samples, args.steps
        )
        for name, column in columns.items():
            column.append(getattr(answer, name))
    content = io.BytesIO()
    arrays: dict[str, Any] = {name: np.stack(column) for name, column in columns.items()}
    np.savez_compressed(content, frames=np.array(chosen), **arrays)
    write_atomically(args.out, content.getvalue())
    return 0


def _frame_numbers(text: str, count: int) -> range:
    try:
        if text == "all":
            return range(count)
        first, _, end = text.partition(":")
        chosen = range(int(first), int(end) if end else int(first) + 1)
    except ValueError as error:
        raise InputError("The frames cannot be read.", text, "Use 7, 3:9 or all.") from error
    if not len(chosen) or chosen[0] < 0 or chosen[-1] >= count:
        raise InputError("There are no such frames.", f"{text}; the file has {count}")
    return chosen


def run_bench(args: argparse.Namespace) -> int:
    """Compare all methods, print a table, write the figures."""
    from engine.evaluation.plots import plot_errors
    from engine.evaluation.reconstruction import (
        PaperSampled,
        Plain,
        Sampled,
        baselines,
        compare,
        first_frames,
    )
    from engine.models.baselines.urbanfm import UrbanFMFill, load_urbanfm
    from engine.models.diffrecon.paper.system import load_paper
    from engine.models.installed import find_weights
    from engine.models.weights import write_atomically

    system = load_system(args.weights, args.threads)
    series = read_series(args.field, system)
    if args.num_frames:
        series = first_frames(series, args.num_frames)
    methods: dict[str, Method] = {"ours": Sampled(system, args.samples, args.steps)}
    if args.paper:
        paper = load_paper(find_weights(args.paper))
        methods["paper"] = PaperSampled(paper, args.samples, args.paper_steps)
    methods |= baselines(system.profile)
    if args.urbanfm:
        methods["urbanfm"] = Plain(UrbanFMFill(load_urbanfm(find_weights(args.urbanfm))), 1)
    masks = args.masks.split(",")
    figures: dict[str, dict[str, Row]] = {}
    rows = compare(series, methods, masks, args.seed)
    console = Console(file=sys.stderr)
    for mask, method, row in track(
        rows, "comparing", total=len(masks) * len(methods), console=console
    ):
        figures.setdefault(mask, {})[method] = row
    if args.json:
        write_atomically(args.json, json.dumps(figures, indent=2).encode())
    if args.plot:
        plot_errors(figures, args.plot)
    Console().print(_table(figures))
    return 0


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
