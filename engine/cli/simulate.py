"""``python -m engine simulate``: make the embedded city, or simulate one what-if day."""

import argparse
import json
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from engine.domain import AddAttraction, CloseStreets, Edit, ScaleDemand, edit_to_json
from engine.errors import InputError, ScenarioError

Steps = TypeVar("Steps")
HOUR_S = 3600
MOST_STREETS_SHOWN = 8
LOG_EVERY_S = 15.0
EXAMPLE_DAY = "2025-05-15"


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``simulate adlershof``, ``day``, ``family`` and ``figures``."""
    from engine.cli.simulate_family import add_family

    area = subparsers.add_parser("simulate", help="simulate traffic with SUMO")
    commands = area.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_adlershof(commands)
    _add_day(commands)
    add_family(commands)
    figures = commands.add_parser(
        "figures", help="draw the figures of a simulated city again, and fill in its README"
    )
    figures.add_argument("city", nargs="?", default="adlershof", help="id of a city, or its folder")
    figures.add_argument("--out", type=Path, help="folder; the city's own 'figures' when left out")
    figures.set_defaults(run=run_figures)


def _add_adlershof(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    build = commands.add_parser(
        "adlershof", help="make the embedded city; finished days are kept when it is stopped"
    )
    build.add_argument("--weeks", type=int, default=13, help="weeks from 31 March 2025 on")
    build.add_argument("--seed", type=int, help="of demand, weather and events")
    build.add_argument("--out", type=Path, help="folder of cities; the user's own when left out")
    build.add_argument("--work", type=Path, help="folder that keeps finished days")
    build.add_argument("--jobs", type=int, default=2, help="simulators at a time")
    build.set_defaults(run=run_adlershof)


def _add_day(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    day = commands.add_parser("day", help="one day, or some hours, with and without edits")
    day.add_argument("--city", default="adlershof", help="id of a city, or its folder")
    day.add_argument("--date", default=EXAMPLE_DAY, help=f"local day, such as {EXAMPLE_DAY}")
    day.add_argument("--close", nargs="+", default=[], metavar="STREET", help="ids of streets")
    day.add_argument("--scale-demand", nargs="+", default=[], metavar="ZONE=FACTOR")
    day.add_argument(
        "--attraction", nargs="+", default=[], metavar="ZONE=CARS@HH:MM-HH:MM", help="visitors"
    )
    day.add_argument("--hours", default="0-24", help="hours to simulate, such as 7-9")
    day.add_argument("--seed", type=int, default=0, help="0 is the day as the city has it")
    day.add_argument("--json", action="store_true", help="one JSON document")
    day.add_argument("--out", type=Path, help="folder for flow, occupancy and sensors (.npz)")
    day.set_defaults(run=run_day)


def add_bench(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``bench simulate``."""
    bench = subparsers.add_parser("simulate", help="speed, memory and cancellation latency")
    bench.add_argument("--city", default="adlershof", help="id of a city, or its folder")
    bench.add_argument("--tries", type=int, default=20, help="cancellations to time")
    bench.add_argument("--json", action="store_true", help="one JSON document")
    bench.set_defaults(run=run_bench)


def run_adlershof(args: argparse.Namespace) -> int:
    """Make the embedded city."""
    from platformdirs import user_cache_path

    from engine.cities.registry import user_root
    from engine.simulation.adlershof import SEED
    from engine.simulation.building import BuildOptions, build_city

    seed = SEED if args.seed is None else checked_seed(args.seed)
    work = args.work or user_cache_path("citybrush", appauthor=False) / f"simulate-{seed}"
    root = args.out or user_root()
    options = BuildOptions(root, work, args.weeks, seed, args.jobs)
    with cancelling() as cancelled:
        folder = _drive(build_city(options, cancelled))
    print(folder)
    return 0


def run_day(args: argparse.Namespace) -> int:
    """Simulate a day with and without edits and print the figures."""
    from engine.simulation import load_model, simulate_what_if

    model = load_model(_folder(args.city))
    edits = parse_edits(args)
    question = (parse_day(args.date), edits, parse_hours(args.hours), checked_seed(args.seed))
    with cancelling() as cancelled:
        answer = _drive(simulate_what_if(model, *question, cancelled))
    if args.out:
        _save(answer, args.out)
    document = _document(answer, model, args.city)
    if args.json:
        print(json.dumps(document, ensure_ascii=False))
    else:
        _show(document)
    return 0


def run_figures(args: argparse.Namespace) -> int:
    """Draw the figures of a city."""
    from engine.cities import City
    from engine.simulation.facts import update_readme
    from engine.simulation.figures import draw_figures

    folder = _folder(args.city)
    city = City(folder)
    for path in draw_figures(city, args.out or folder / "figures"):
        print(path)
    if args.out is None:
        update_readme(city, folder / "README.md")
    return 0


def run_bench(args: argparse.Namespace) -> int:
    """Print speed, memory and cancellation latency."""
    from engine.simulation.measuring import measure_simulation
    from engine.simulation.model import load_model

    model = load_model(_folder(args.city))
    figures = _drive(measure_simulation(model, args.tries))
    if args.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<40}{value:,.3f}" if isinstance(value, float) else f"{name:<40}{value}")
    return 0


def parse_day(text: str) -> date:
    """A date given as YYYY-MM-DD.

    Raises:
        InputError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            "This is no date.", f"'{text[:40]}'", f"Write it like {EXAMPLE_DAY}."
        ) from error


def parse_hours(text: str) -> tuple[float, float]:
    """Hours given as BEGIN-END, such as ``7-9`` or ``16.5-18``.

    Raises:
        InputError: they are none; whether they fit into a day is checked later.
    """
    found = re.fullmatch(r"(\d+(?:\.5)?)-(\d+(?:\.5)?)", text)
    if not found:
        raise InputError("These are no hours.", f"'{text[:40]}'", "Write them like 7-9.")
    return float(found[1]), float(found[2])


def parse_edits(args: argparse.Namespace) -> tuple[Edit, ...]:
    """The edits of the command line, in the order close, scale, attract.

    Raises:
        ScenarioError: one does not fit.
    """
    edits: list[Edit] = [CloseStreets(tuple(args.close))] if args.close else []
    for text in args.scale_demand:
        found = re.fullmatch(r"([a-z0-9-]+)=(\d+(?:\.\d+)?)", text)
        if not found:
            raise ScenarioError("This is no scaled demand.", text[:60], "Write ZONE=0.5.")
        edits.append(ScaleDemand(found[1], float(found[2])))
    for text in args.attraction:
        found = re.fullmatch(r"([a-z0-9-]+)=(\d+)@(\d+):(\d\d)-(\d+):(\d\d)", text)
        if not found:
            raise ScenarioError("This is no attraction.", text[:60], "Write ZONE=2000@19:00-22:00.")
        begin_s, end_s = (int(found[i]) * HOUR_S + int(found[i + 1]) * 60 for i in (3, 5))
        edits.append(AddAttraction(found[1], int(found[2]), begin_s, end_s))
    return tuple(edits)


def checked_seed(seed: int) -> int:
    """The seed itself.

    Raises:
        InputError: it is negative, or too large for SUMO.
    """
    if not 0 <= seed < 2**31:
        raise InputError("The seed must be a whole number from 0 up.", str(seed))
    return seed


def _folder(city: str) -> Path:
    """The folder of a city given by id or by path."""
    from engine.cities.registry import find_city

    path = Path(city)
    return path if path.is_dir() else find_city(city).folder


@contextmanager
def cancelling() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask the simulation to stop, so that nothing is left behind."""
    event = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: event.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield event.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _drive(steps: Iterator[Any]) -> Any:  # noqa: ANN401 - whatever the iterator yields last
    """Show the progress of an iterator, as a bar or in a log, and return its last item."""
    last: Any = None
    logged_at = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Starting", total=1.0)
        for step in steps:
            if hasattr(step, "share") and hasattr(step, "message"):
                bar.update(task, completed=step.share, description=step.message)
                if not console.is_terminal and time.monotonic() - logged_at > LOG_EVERY_S:
                    logged_at = time.monotonic()
                    print(f"{step.share:4.0%} {step.message}", file=sys.stderr, flush=True)
            last = step
    return last


def _document(answer: Any, model: Any, city: str) -> dict[str, Any]:  # noqa: ANN401
    day = answer.edited
    return {
        "city": city,
        "date": day.date.isoformat(),
        "hours": list(day.hours),
        "edits": [edit_to_json(edit) for edit in day.edits],
        "notice": "simulated traffic on real streets, © OpenStreetMap contributors",
        "untouched": asdict(answer.untouched.summary),
        "edited": asdict(day.summary),
        "moved_share": round(answer.moved_share, 4),
        "streets": [
            {"id": c.street_id, "name": c.name, "before": c.before, "after": c.after}
            for c in answer.street_changes(model)
        ],
    }


def _show(document: dict[str, Any]) -> None:
    console = Console()
    table = Table(
        "", "untouched", "edited", box=None, title=f"{document['city']}, {document['date']}"
    )
    for name, before in document["untouched"].items():
        table.add_row(name.replace("_", " "), f"{before:,}", f"{document['edited'][name]:,}")
    console.print(table)
    console.print(f"{document['moved_share']:.1%} of the traffic is elsewhere.")
    streets = Table("street", "vehicles before", "after", "change", box=None)
    for row in document["streets"][:MOST_STREETS_SHOWN]:
        change = row["after"] - row["before"]
        streets.add_row(row["id"], f"{row['before']:,}", f"{row['after']:,}", f"{change:+,}")
    console.print(streets)
    console.print(document["notice"], style="dim")


def _save(answer: Any, folder: Path) -> None:  # noqa: ANN401
    """Write the arrays of both versions."""
    import numpy as np

    from engine.errors import StorageError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("untouched", "edited"):
            day = getattr(answer, name)
            scratch = folder / f"{name}.tmp"
            with scratch.open("wb") as file:
                np.savez_compressed(
                    file,
                    flow=day.flow.values,
                    occupancy=day.occupancy.values,
                    speed_kmh=day.speed_kmh,
                    count=day.count,
                    start=np.array(day.start.isoformat()),
                )
            scratch.replace(folder / f"{name}.npz")
    except OSError as error:
        raise StorageError("The result could not be written.", str(folder)) from error
