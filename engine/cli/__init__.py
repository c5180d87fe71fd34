"""The command line: ``python -m engine AREA COMMAND``.

Each area has one module here that registers its commands (``add_commands``) and, where it has
figures to show, its benchmark (``add_bench``). Modules are imported only when their area is
asked for, so that ``--help`` stays quick.

Exit codes: 0 done, 1 a check found problems, 2 bad input or an answer that could not be given,
130 cancelled by the user.
"""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from engine import __version__
from engine.errors import EngineError, JobCancelledError

AREAS = {
    "city": "list, show and check the cities on this machine",
    "simulate": "simulate traffic: the embedded city, or one what-if day",
    "compute": "serve, inspect and check the compute cluster",
    "train": "train a model, resumably",
    "reconstruct": "from coarse maps with gaps to fine ones",
    "trajectories": "trips that fit an occupancy map",
    "trips": "trips of a city after its map was changed",
    "forecast": "the next hour at every sensor",
}
"""Each area's module in this package and what it is for."""

BENCH_MODULES = {"reconstruct": "reconstruct_bench"}
"""Benchmarks that have a module of their own."""

BENCHES = ("simulate", "compute", "reconstruct", "sample", "trajectories", "trips", "forecast")
"""Areas with figures of their own under ``bench``."""


def _build_parser(wanted: str | None, bench: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine",
        description="Citybrush: paint a what-if onto a city, and see what follows.",
    )
    parser.add_argument("--version", action="version", version=f"citybrush {__version__}")
    parser.add_argument("--verbose", action="store_true", help="write the log to stderr")
    areas = parser.add_subparsers(dest="area", metavar="AREA", required=True)
    for area, purpose in AREAS.items():
        if area == wanted:
            importlib.import_module(f"engine.cli.{area}").add_commands(areas)
        else:
            areas.add_parser(area, help=purpose)
    benches = areas.add_parser("bench", help="measure speed, memory and accuracy")
    commands = benches.add_subparsers(dest="bench", metavar="WHAT", required=True)
    for area in BENCHES:
        if wanted == "bench" and area == bench:
            module = BENCH_MODULES.get(area, area)
            importlib.import_module(f"engine.cli.{module}").add_bench(commands)
        else:
            commands.add_parser(area, help=f"figures of {area}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    plain = [word for word in words if not word.startswith("-")]
    wanted = plain[0] if plain else None
    bench = plain[1] if len(plain) > 1 else None
    args = _build_parser(wanted, bench).parse_args(words)
    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING, stream=sys.stderr)
    try:
        return int(args.run(args))
    except (KeyboardInterrupt, JobCancelledError):
        print("Cancelled.", file=sys.stderr)
        return 130
    except EngineError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
