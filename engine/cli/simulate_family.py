"""``python -m engine simulate family``: many random cities as one table of GPS points."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.simulate import cancelling, checked_seed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.cities.importers.gps import GpsPoints
    from engine.simulation.family import FamilyCity


def add_family(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``simulate family``."""
    family = commands.add_parser(
        "family", help="random cities with rivers, as points to train trajectory models on"
    )
    family.add_argument("--out", type=Path, required=True, help="table to write, .parquet")
    family.add_argument("--cities", type=int, default=36)
    family.add_argument("--seed", type=int, default=0, help="city i depends on it and i alone")
    family.add_argument("--workers", type=int, default=2, help="simulators at a time")
    family.set_defaults(run=run_family)


def run_family(args: argparse.Namespace) -> int:
    """Simulate the cities and write their trips; what was not driven is counted and printed."""
    from engine.cities.importers.gps_store import write_points
    from engine.simulation.family import make_family

    seed = checked_seed(args.seed)
    totals = _Totals(args.cities)
    with cancelling() as cancelled:
        cities = make_family(args.cities, seed, args.workers, cancelled)
        write_points(args.out, totals.points_of(cities))
    print(totals.summary(args.out))
    return 0


class _Totals:
    """Counts over the cities while their points pass through."""

    def __init__(self, num: int) -> None:
        self._num = num
        self._planned = self._made = self._unfinished = self._teleports = 0
        self._sizes: list[int] = []

    def points_of(self, cities: "Iterator[FamilyCity]") -> "Iterator[GpsPoints]":
        for city in cities:
            sizes = city.num_points.tolist()
            self._sizes += sizes
            self._planned += city.planned
            self._made += len(sizes)
            self._unfinished += city.unfinished
            self._teleports += city.teleports
            river = f"river, {city.streets.bridge.sum()} bridges" if city.streets.river else "dry"
            print(
                f"{city.number + 1:>3} of {self._num}: {city.streets.kind:<6} {river:<17}"
                f" {len(city.streets)} streets, {len(sizes):,} of {city.planned:,} trips,"
                f" {city.unfinished} unfinished, {city.teleports} teleports",
                file=sys.stderr,
                flush=True,
            )
            yield city.points()

    def summary(self, path: Path) -> str:
        from statistics import median

        from engine.simulation.inputs import POINT_STEP_S

        return (
            f"{path}: {path.stat().st_size / 1e6:.2f} MB, {self._num} cities,"
            f" {self._made:,} of {self._planned:,} planned trips, {sum(self._sizes):,} points,"
            f" median trip {POINT_STEP_S * (median(self._sizes) - 1):.0f} s,"
            f" {self._unfinished} unfinished, teleports {self._teleports / self._made:.2%}"
        )
