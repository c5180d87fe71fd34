"""``python -m engine reconstruct`` and ``bench reconstruct``: fine maps from coarse ones."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from engine.errors import InputError

if TYPE_CHECKING:
    import torch

    from engine.api import AnswerLayout, History, Model
    from engine.api.reconstruction_stream import StreamedFrame
    from engine.models.diffrecon.ours.system import Reconstructor
    from engine.models.flows import FlowSeries
    from engine.models.masks import Mask

BENCHMARK = "fix20,fix40,fix60,fix80,random20,random40,random60,random80,quarter"


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``reconstruct``."""
    command = subparsers.add_parser(
        "reconstruct", help="the complete fine maps of a field whose sensors are partly gone"
    )
    command.add_argument("--city", help="a city with weights; the answers are those of the page")
    command.add_argument("--field", help="with --city its field's name, else frames, .npz")
    command.add_argument("--weights", help="name or file; a city's own by default")
    command.add_argument(
        "--mask", default="fix40", help="fixNN, randomNN, blocksNN, quarter ..., or .json, .csv"
    )
    command.add_argument(
        "--frames", default="0", help="numbers, as 7, 3:9 or all; with --city a day or a time too"
    )
    command.add_argument("--history", default="never", help="with --city: never, until-now or none")
    add_sampling(command)
    command.add_argument(
        "--out", type=Path, required=True, help=".npz; with --city .nc, .csv and .parquet too"
    )
    command.add_argument("--json", action="store_true", help="print a summary")
    command.set_defaults(run=run_reconstruct)


def add_sampling(command: argparse.ArgumentParser) -> None:
    """Register seed, samples, steps, threads and device."""
    command.add_argument("--seed", type=int, default=0, help="of masks and samples")
    command.add_argument("--samples", type=int, default=16)
    command.add_argument("--steps", type=int, default=8, help="sampler steps")
    command.add_argument("--threads", type=int, default=1, help="CPU threads")
    add_device(command)


def add_device(command: argparse.ArgumentParser) -> None:
    """Register device."""
    command.add_argument(
        "--device",
        default="cpu",
        help="cpu, cuda or mps; samples are the same for a seed, but for rounding",
    )


def load_system(name: str, threads: int, device: str = "cpu") -> "Reconstructor":
    """Installed weights by name, or those of a file.

    Raises:
        InputError: torch cannot compute on that device here.
    """
    import torch

    from engine.models.diffrecon.ours.system import load_reconstructor
    from engine.models.installed import find_weights

    torch.set_num_threads(threads)
    return load_reconstructor(find_weights(name), torch_device(device))


def torch_device(name: str) -> "torch.device":
    """The device of that name.

    Raises:
        InputError: torch cannot compute on it here.
    """
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"There is no device '{name}' to compute on.",
            str(error).partition("\n")[0],
            "Use cpu, or cuda where torch finds an NVIDIA device.",
        ) from error
    return torch.device(name)


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
    """Reconstruct frames one by one, write their maps as they come, and sum up."""
    from engine.cli.reconstruct_output import Tally, check_output, write_maps

    check_output(args.out, bool(args.city))
    work = _city_work(args) if args.city else _file_work(args)
    began_s, tally, console = time.perf_counter(), Tally(), Console(file=sys.stderr)

    def counted() -> "Iterator[StreamedFrame]":
        shown = track(work.frames, "reconstructing", total=work.count, console=console)
        for frame in shown:
            tally.add(frame)
            yield frame

    write_maps(args.out, work.layout, counted())
    if args.json:
        seconds = round(time.perf_counter() - began_s, 3)
        summary = {"out": str(args.out), "weights": work.weights, "seed": args.seed}
        print(json.dumps({**summary, **tally.figures(), "seconds": seconds}, indent=2))
    return 0


@dataclass(frozen=True, eq=False)
class _Work:
    """Frames to come: how many, what they share, and the weights that answer."""

    frames: "Iterator[StreamedFrame]"
    count: int
    layout: "AnswerLayout | None"
    weights: str


def _city_work(args: argparse.Namespace) -> _Work:
    from engine import api
    from engine.api.reconstruction_stream import reconstruct_steps

    city, name = api.open_city(args.city), args.field or "flow"
    model = api.find_model(city, name, args.weights or "")
    steps = _city_steps(args.frames, model)
    masks = _masks(args, len(model.field), model.coarse.shape)
    scenario = api.reconstruct_scenario(
        city.id,
        model.field.time_of(steps[0]),
        masks[steps[0]],
        sampling=api.Sampling(args.samples, args.steps, args.seed),
        history=_history(args.history),
        field=name,
        weights=args.weights or "",
    )
    has_truth = ("truth",) if model.has_truth else ()
    layout = api.AnswerLayout(
        model.fine,
        ("estimate", "lower", "upper", *has_truth),
        api.unit_text(model.field),
        model.field.step,
        api.provenance_of(city.metadata, scenario, model.weights.card),
    )
    frames = reconstruct_steps(scenario, steps, lambda step: masks[step])
    return _Work(frames, len(steps), layout, model.weights.name)


def _history(text: str) -> "History":
    from engine.api import History

    try:
        return History(text)
    except ValueError as error:
        raise InputError(
            "The kind of history is not known.", text, f"Use {', '.join(History)}."
        ) from error


def _city_steps(text: str, model: "Model") -> range:
    """Steps of a city's field: by number, of a local day, or the one that holds a moment."""
    from engine.api import day_steps

    if "-" not in text:
        return _frame_numbers(text, len(model.field))
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            "The frames cannot be read.", text, "Use 7, 3:9, all, a date, or a date and time."
        ) from error
    if len(text) > len("2025-06-20"):
        step = model.field.index_of(when.replace(tzinfo=when.tzinfo or model.field.start.tzinfo))
        return range(step, step + 1)
    found = day_steps(model, when.date())
    if not found:
        raise InputError("The field has no such day.", text)
    return range(found[0][0], found[-1][0] + 1)


def _masks(args: argparse.Namespace, count: int, shape: tuple[int, int]) -> "Mask":
    """One mask per frame, by its pattern's name or from a file."""
    import numpy as np

    from engine.api import read_mask
    from engine.models.masks import named_masks

    path = Path(args.mask)
    if path.suffix.lower() not in (".json", ".csv"):
        return named_masks(args.mask, count, shape, args.seed)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError("The mask file cannot be read.", str(path)) from error
    return np.broadcast_to(read_mask(content, path.name, shape), (count, *shape))


def _file_work(args: argparse.Namespace) -> _Work:
    from engine.api.reconstruction_case import check_mask

    if not args.weights or not args.field:
        raise InputError(
            "There is nothing to reconstruct.", "", "Give --city, or --weights and --field FILE."
        )
    system = load_system(args.weights, args.threads, args.device)
    series = read_series(Path(args.field), system)
    count = len(series.regular_starts())
    chosen = _frame_numbers(args.frames, count)
    masks = _masks(args, count, series.coarse_shape)
    for frame in chosen:
        check_mask(masks[frame])
    frames = _file_frames(args, system, series, masks, chosen)
    return _Work(frames, len(chosen), None, str(system.card.get("name", args.weights)))


def _file_frames(
    args: argparse.Namespace,
    system: "Reconstructor",
    series: "FlowSeries",
    masks: "Mask",
    chosen: range,
) -> "Iterator[StreamedFrame]":
    import numpy as np

    from engine.api.reconstruction_stream import StreamedFrame
    from engine.models.observations import observe

    starts, lags = series.regular_starts(), system.config.lags
    back = np.asarray([0, *lags], dtype=np.int64) // series.window
    for frame in chosen:
        start = starts[frame : frame + 1]
        seen = observe(series, start, masks[np.maximum(frame - back, 0)][None], lags)
        *_, answer = system.reconstruct(seen, args.seed, args.samples, args.steps)
        yield StreamedFrame(
            frame,
            None,
            masks[frame],
            answer.estimate,
            answer.lower,
            answer.upper,
            answer.coarse,
            series.frames(start)[0],
            answer.conservation,
        )


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
