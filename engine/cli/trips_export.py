"""``python -m engine trips export``: a city's recorded trips as a table of GPS points."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.cities.importers.gps import GpsPoints
    from engine.cities.trajectories import TrajectoryBatch


def add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``trips export``."""
    export = commands.add_parser(
        "export", help="a city's trips as points, for the commands of 'trajectories'"
    )
    export.add_argument("--city", required=True, help="id of a city with trips")
    export.add_argument(
        "--days",
        choices=("held-out", "training"),
        required=True,
        help="the days kept for measuring, or the others; without days that were changed",
    )
    export.add_argument("--out", type=Path, required=True, help="table to write, .parquet")
    export.set_defaults(run=run_export)


def run_export(args: argparse.Namespace) -> int:
    """Write the points; each trip stands under a number of its own, nobody's name is in it."""
    from engine.cities.importers.gps_store import write_points
    from engine.cities.registry import open_city
    from engine.models.tddpm.city_trips import split_days

    city = open_city(args.city)
    training, held_out = split_days(list(city.trajectories()), city)
    chosen = held_out if args.days == "held-out" else training
    num = write_points(args.out, anonymous_points(chosen))
    print(f"{args.out}: {sum(len(batch) for batch in chosen):,} trips, {num:,} points")
    return 0


def anonymous_points(batches: "Iterable[TrajectoryBatch]") -> "Iterator[GpsPoints]":
    """Points of trips that are numbered from 0 on; a trip's person is its number."""
    from engine.cities.importers.gps import GpsPoints

    first = 0
    for batch in batches:
        trip = np.repeat(np.arange(first, first + len(batch)), batch.num_points)
        first += len(batch)
        time_s = batch.times.astype("datetime64[ms]").astype(np.int64) / 1e3
        yield GpsPoints(trip, trip, time_s, batch.lon_deg, batch.lat_deg)
