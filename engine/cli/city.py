"""``python -m engine city``: which cities there are, what they hold, what is wrong."""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from engine.cities import City, CityMetadata, FileKind
from engine.cities.inspection import Problem, check_city
from engine.cities.registry import CityListing, find_city, list_cities
from engine.cli.city_import import add_import
from engine.errors import EngineError
from engine.geo.cells import cell_size_m

_WIDTH = 160
_QUIET_S = 2.0
"""Work shorter than this shows no bar."""


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``city`` and its commands."""
    city = subparsers.add_parser("city", help="list, show, check and import cities")
    commands = city.add_subparsers(dest="command", metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="all cities; exit code 1 when one is damaged")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    listing.set_defaults(run=run_list)

    show = commands.add_parser("show", help="what a city holds")
    show.add_argument("city", help="id of a city, or its folder")
    show.add_argument("--json", action="store_true", help="one JSON document")
    show.set_defaults(run=run_show)

    check = commands.add_parser("check", help="read all of it; exit code 1 when problems are found")
    check.add_argument("cities", nargs="*", metavar="city", help="ids or folders; all when none")
    check.add_argument("--json", action="store_true", help="one JSON document")
    check.set_defaults(run=run_check)

    add_import(commands)


def run_list(args: argparse.Namespace) -> int:
    """Print all cities."""
    listings = list_cities()
    if args.json:
        _print_json({"cities": [_listing_json(listing) for listing in listings]})
    else:
        table = Table("id", "title", "from", "files", "MB", "state", box=None)
        for listing in listings:
            table.add_row(*map(_plain, _listing_row(listing)))
        _console().print(table if listings else "No city is installed.")
    return 0 if all(listing.is_usable for listing in listings) else 1


def run_show(args: argparse.Namespace) -> int:
    """Print what one city holds."""
    city = City(_folder(args.city))
    if args.json:
        _print_json(_city_json(city))
        return 0
    console = _console()
    for name, value in _facts(city):
        if value:
            console.print(Text.assemble((f"{name:12}", "bold"), _plain(value)))
    table = Table("file", "kind", "shape", "unit", "step", "from", "KB", box=None)
    table.columns[0].overflow = table.columns[5].overflow = "fold"
    for name, entry in city.metadata.files.items():
        table.add_row(
            _plain(name),
            entry.kind.value,
            " x ".join(map(str, entry.shape)),
            entry.unit or "",
            f"{entry.step_s:g} s" if entry.step_s else "",
            entry.start.isoformat() if entry.start else "",
            f"{entry.num_bytes / 1000:,.0f}",
        )
    console.print(table)
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Read whole cities and print what is wrong."""
    folders = [_folder(name) for name in args.cities] or [c.folder for c in list_cities()]
    found: dict[str, tuple[Problem, ...]] = {}
    for folder in folders:
        with LateProgress(f"Checking {folder.name}") as progress:
            found[str(folder)] = check_city(folder, progress.report)
    if args.json:
        _print_json(
            {
                "cities": [
                    {"folder": folder, "problems": [vars(problem) for problem in problems]}
                    for folder, problems in found.items()
                ]
            }
        )
    else:
        _print_problems(found)
    return 1 if any(found.values()) else 0


class LateProgress:
    """A bar on stderr that appears only once the work has taken two seconds.

    Args:
        title: what is being done.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._begin = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def report(self, done: int, total: int, current: str) -> None:
        """Take note of one more step."""
        if self._bar is None and time.monotonic() - self._begin > _QUIET_S:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[current]}", markup=False),
                console=Console(file=sys.stderr),
            )
            self._task = self._bar.add_task(self._title, total=total, current=current)
            self._bar.start()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, current=current)

    def __enter__(self) -> Self:
        """The bar itself, not shown yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


def _console() -> Console:
    """Standard output: as wide as the terminal, and wide enough where there is none."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def _folder(name: str) -> Path:
    """The folder of a city given by id or by path."""
    path = Path(name)
    return path if len(path.parts) > 1 or path.is_dir() else find_city(name).folder


def _print_problems(found: dict[str, tuple[Problem, ...]]) -> None:
    console = _console()
    for folder, problems in found.items():
        name = _plain(Path(folder).name)
        if not problems:
            console.print(Text.assemble(name, ": ", ("sound", "green")))
            continue
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        console.print(Text.assemble(name, ": ", (count, "red")))
        for problem in problems:
            text = " ".join(part for part in (problem.what, problem.fix) if part)
            console.print(Text(f"  {problem.where}: {text}".translate(_CONTROLS)), soft_wrap=True)


def _listing_row(listing: CityListing) -> Iterable[str]:
    metadata = listing.metadata
    yield listing.id
    yield listing.title
    yield listing.origin.value
    yield str(len(metadata.files)) if metadata else ""
    yield f"{metadata.num_bytes / 1e6:.1f}" if metadata else ""
    yield f"damaged: {listing.problem}" if listing.problem else "ok"


def _listing_json(listing: CityListing) -> dict[str, Any]:
    return {
        "id": listing.id,
        "title": listing.title,
        "origin": listing.origin.value,
        "folder": str(listing.folder),
        "simulated": listing.metadata.simulated if listing.metadata else None,
        "bytes": listing.metadata.num_bytes if listing.metadata else None,
        "problem": _error_json(listing.problem),
    }


def _error_json(error: EngineError | None) -> dict[str, str] | None:
    if error is None:
        return None
    kind = type(error).__name__
    return {"kind": kind, "what": error.what, "where": error.where, "fix": error.fix}


def _city_json(city: City) -> dict[str, Any]:
    return city.metadata.to_json() | {
        "folder": str(city.folder),
        "digest": city.digest,
        "cell_size_m": cell_size_m(city.grid, city.metadata.crs_metric),
        "fields_present": city.field_names,
        "num_trajectories": city.num_trajectories,
        "interventions": [
            {"id": i.spec.id, "title": i.spec.title, "split": i.spec.split.value}
            for i in city.interventions()
        ],
    }


def _facts(city: City) -> Iterable[tuple[str, str]]:
    metadata: CityMetadata = city.metadata
    grid = metadata.grid
    width_m, height_m = cell_size_m(grid, metadata.crs_metric)
    yield "city", f"{metadata.title} ({metadata.id})"
    yield "", metadata.description
    yield "notice", metadata.notice
    yield "attribution", metadata.attribution
    yield "folder", str(city.folder)
    yield "size", f"{metadata.num_bytes / 1e6:.1f} MB in {len(metadata.files)} files"
    yield "area", "west {}, south {}, east {}, north {}".format(*grid.bounds)
    yield (
        "grid",
        f"{grid.rows} x {grid.cols} cells of {width_m:.0f} x {height_m:.0f} m, "
        f"magnification {grid.magnification}",
    )
    yield "time zone", metadata.timezone
    if city.has(FileKind.STREETS):
        yield "streets", f"{len(city.streets()):,}"
    if city.has(FileKind.TRAJECTORIES):
        yield "trips", f"{city.num_trajectories:,}"
    interventions = city.interventions()
    tests = sum(i.spec.split.value == "test" for i in interventions)
    yield "what-ifs", f"{len(interventions)}, {tests} of them for tests" if interventions else ""
    for source in metadata.sources:
        yield "source", " - ".join(part for part in (source.name, source.terms, source.url) if part)


_CONTROLS = dict.fromkeys([*range(32), 127, *range(128, 160)], "\N{REPLACEMENT CHARACTER}")


def _plain(text: str) -> Text:
    """Text of a city's own files, which may hold anything, as text and nothing else."""
    return Text(text.translate(_CONTROLS))


def _print_json(data: dict[str, Any]) -> None:
    print(json.dumps(data, indent=1, ensure_ascii=False, default=str))
