"""``python -m engine bench sample``: how fast maps and samples are on this machine."""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.cli.reconstruct import add_device, load_system, read_series
from engine.errors import InputError


def add_bench(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``bench sample``."""
    command = subparsers.add_parser("sample", help="speed of the preview and of samples")
    command.add_argument("--weights", required=True, help="name of installed weights, or a file")
    command.add_argument("--field", type=Path, required=True, help="frames, .npz with key flow")
    command.add_argument("--steps", type=int, default=8, help="sampler steps")
    command.add_argument("--ancestral-steps", type=int, default=1000, help="of the yardstick")
    command.add_argument("--compared-frames", type=int, default=4)
    command.add_argument("--threads", type=int, default=2, help="CPU threads")
    command.add_argument(
        "--sweep",
        default="",
        help="batch sizes with commas between, as 8,64,512: samples a second of each, in float32 "
        "and, on an NVIDIA device, in bf16 and as a recorded graph",
    )
    add_device(command)
    command.add_argument("--json", action="store_true", help="one JSON document")
    command.set_defaults(run=run_bench)


def run_bench(args: argparse.Namespace) -> int:
    """Measure and print."""
    from engine.evaluation.sampling import measure_speed, middle_frame
    from engine.evaluation.sampling_sweep import sweep_batches

    system = load_system(args.weights, args.threads, args.device)
    series = read_series(args.field, system)
    report = measure_speed(
        system, series, args.steps, args.ancestral_steps, args.compared_frames
    ).to_json()
    sizes = _sizes(args.sweep)
    one = middle_frame(system, series)
    rows = [row.to_json() for row in sweep_batches(system, one, args.steps, sizes)]
    if args.json:
        print(json.dumps({**report, "sweep": rows} if rows else report, indent=2))
        return 0
    table = Table("figure", "value", box=None)
    for name, value in report.items():
        table.add_row(name, f"{value:,.4g}")
    Console().print(table)
    if rows:
        Console().print(_sweep_table(rows))
    return 0


def _sizes(text: str) -> list[int]:
    try:
        return [int(size) for size in text.split(",") if size]
    except ValueError as error:
        raise InputError("Batch sizes are whole numbers.", text, "Use as 8,64,512.") from error


def _sweep_table(rows: list[dict[str, float | int | str | None]]) -> Table:
    table = Table(*(name.replace("_", " ") for name in rows[0]), box=None)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,.4g}"
