"""``python -m engine trajectories``: train on GPS points, make trips; and its benchmark."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import InputError
from engine.models.installed import CITY_FAMILY

if TYPE_CHECKING:
    from engine.evaluation.trajectories_bench import Maker, Measures
    from engine.models.tddpm.checkpoint import AnyModel
    from engine.models.tddpm.generation import GenerationConfig
    from engine.models.tddpm.tracks import LocalPlane, Tracks

HELD_OUT = 0.2
SPLIT_SEED = 0
"""The rule by which people are held out, the same in training and in the benchmark."""

SHIPPED = f"by default '{CITY_FAMILY}', which knows no place and works in any"


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``trajectories`` and its commands."""
    from engine.cli.trajectories_train import add_train

    area = subparsers.add_parser("trajectories", help="trips that fit an occupancy map")
    commands = area.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_train(commands)
    sample = commands.add_parser("sample", help="make trips for the map of a file of GPS points")
    sample.add_argument("--weights", default=CITY_FAMILY, help=f"name or file; {SHIPPED}")
    sample.add_argument("--points", type=Path, required=True, help="points whose map is followed")
    sample.add_argument("--trips", type=int, default=256)
    sample.add_argument("--out", type=Path, required=True, help="table to write, .csv or .parquet")
    _add_survey(sample)
    _add_sampler(sample)
    sample.set_defaults(run=run_sample)
    _add_import(commands)


def add_bench(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``bench trajectories``."""
    bench = subparsers.add_parser(
        "trajectories", help="all methods given the same map, against real trips"
    )
    bench.add_argument("--weights", required=True, help="name of shipped weights, or a file")
    bench.add_argument("--paper", help="weights of the paper's variant")
    bench.add_argument(
        "--beside", nargs="*", default=(), help="further weights, measured under their names"
    )
    bench.add_argument("--points", type=Path, required=True, help="table of GPS points")
    bench.add_argument(
        "--hold-out",
        action="store_true",
        help="compare with the people that training held out; the others are the training trips",
    )
    add_box(bench, "--inside", "measure only the parts of trips in this rectangle, degrees")
    add_box(bench, "--leave-out", "training did not see this rectangle; nor do the baselines")
    bench.add_argument("--trip-points", type=int, help="points of every trip that models make")
    bench.add_argument(
        "--ancestral",
        type=int,
        default=0,
        metavar="STEPS",
        help="measure the same network with so many ancestral steps as well",
    )
    _add_survey(bench)
    bench.add_argument("--max-trips", type=int, default=5_000, help="trips of each method")
    bench.add_argument("--seeds", type=int, default=3, help="sampling seeds; mean and spread")
    bench.add_argument("--json", type=Path, help="file for the figures; standard output if none")
    _add_sampler(bench)
    bench.set_defaults(run=run_bench)


def _add_import(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    command = commands.add_parser("import", help="GPS points of other formats as our own table")
    command.add_argument("source", type=Path, help="a file, or Geolife's folder Data")
    command.add_argument("--format", required=True, choices=("geolife", "gpx", "porto", "table"))
    command.add_argument("--out", type=Path, required=True, help="table to write, .parquet")
    command.add_argument("--bounds", type=float, nargs=4, metavar=("W", "S", "E", "N"))
    for column in ("trip", "time", "lon", "lat", "person"):
        command.add_argument(f"--{column}", help=f"name of the {column} column of a table")
    command.add_argument("--crs", help="coordinate system of a table, such as EPSG:32650")
    command.add_argument("--scale", type=float, help="factor on a table's positions, such as 1e-6")
    command.add_argument("--time-zone", help="of a table's times that name none")
    command.set_defaults(run=run_import)


def run_import(args: argparse.Namespace) -> int:
    """Convert a file in bounded memory."""
    from engine.cities.importers.gps import check_area
    from engine.cities.importers.gps_gpx import read_gpx_points
    from engine.cities.importers.gps_plt import read_plt_points
    from engine.cities.importers.gps_porto import read_porto_points
    from engine.cities.importers.gps_store import write_points
    from engine.cities.importers.gps_table import ColumnMapping, read_table_points

    if args.format == "table":
        names = ("trip", "time", "lon", "lat", "person", "crs", "scale", "time_zone")
        given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
        chunks = read_table_points(args.source, ColumnMapping(**given))
    else:
        readers = {"geolife": read_plt_points, "gpx": read_gpx_points, "porto": read_porto_points}
        chunks = readers[args.format](args.source)
    if args.bounds:
        chunks = check_area(chunks, tuple(args.bounds), args.source.name)
    num = write_points(args.out, chunks)
    _tell(f"{num:,} points")
    return 0


def _add_survey(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--survey",
        action="store_true",
        help="trips are as long and as fast as those of the points, by counts of them, "
        "as a travel survey tells; otherwise as in training",
    )


def _add_sampler(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluations", type=int, help="steps from noise to trips")
    parser.add_argument("--time-power", type=float, help="finer times near the data")
    parser.add_argument("--eta", type=float, help="fresh noise; 0 for none, 1 is ancestral")
    parser.add_argument("--correction", type=float, help="of second order, 0 to 1")
    parser.add_argument("--guidance", type=float, help="above 1 the map counts for more")
    parser.add_argument(
        "--tries",
        type=int,
        help="of each trip; the best is kept. By default 3 where trips are moved onto the map, "
        "otherwise 2",
    )
    parser.add_argument(
        "--as-sampled", action="store_true", help="do not move trips onto the map's busy places"
    )


def run_sample(args: argparse.Namespace) -> int:
    """Make trips and write them as a table, chunk by chunk."""
    from engine.evaluation.trajectories import bounds_of
    from engine.evaluation.trajectories_bench import city_of, ground_of
    from engine.models.tddpm.generation import generate_trips
    from engine.models.tddpm.paper import PaperModel, generate_pieces
    from engine.models.tddpm.prior import count_trips
    from engine.models.tddpm.tracks import join_tracks

    model = load_named(args.weights)
    tracks, plane = read_tracks(args.points)
    if args.survey and not isinstance(model, PaperModel):
        model = replace(model, prior=count_trips(tracks))
    bounds = bounds_of(tracks)
    city = city_of(tracks, bounds, model.side_m)
    if isinstance(model, PaperModel):
        chunks = generate_pieces(model, city, args.trips, args.seed)
    else:
        config = _generation(args, is_settled=not args.as_sampled).on_ground(
            ground_of(tracks, bounds, model.side_m)
        )
        config = replace(config, holds_lengths=args.survey or model.is_of_one_place)
        made = generate_trips(model, city, args.trips, args.seed, config)
        chunks = (chunk.tracks for chunk in made)
    parts = []
    with Bar("trips", args.trips) as advance:
        for chunk in chunks:
            parts.append(chunk)
            advance(len(chunk))
    write_trips(args.out, join_tracks(parts), plane)
    return 0


def run_bench(args: argparse.Namespace) -> int:
    """Print or write ``{method: {measure: value}}``, means over the sampling seeds."""
    from engine.evaluation.trajectories_bench import BenchData, bench_trajectories
    from engine.models.tddpm.clipping import DegreeBox, cut_inside
    from engine.models.tddpm.people import drop_twins, hold_out_people

    if args.leave_out and not args.hold_out:
        raise InputError("Leaving out a rectangle of the training trips needs --hold-out.")
    if args.seeds < 1:
        raise InputError("The benchmark needs at least one seed.", str(args.seeds))
    named = {"ours": args.weights, **({"paper": args.paper} if args.paper else {})}
    named |= {Path(name).stem: name for name in args.beside}
    models = {method: _maker(name, args) for method, name in named.items()}
    if args.ancestral:
        models["ancestral"] = _maker(args.weights, args, ancestral=args.ancestral)
    real, plane = read_tracks(args.points, _common_plane(models))
    training: Tracks | None = None
    if args.hold_out:
        training, real = hold_out_people(real, HELD_OUT, SPLIT_SEED)
        training = without(training, args.leave_out, plane)
    else:
        real = drop_twins(real)
    if args.inside:
        real = cut_inside(real, DegreeBox(*args.inside), plane)
    data = BenchData(real, training, max_trips=args.max_trips, survey=args.survey)
    runs = []
    for seed in range(args.seed, args.seed + args.seeds):
        runs.append(bench_trajectories(models, data, seed, _tell))
    text = json.dumps(summarise(runs), indent=2, allow_nan=False)
    if args.json is None:
        print(text)
    else:
        from engine.models.weights import write_atomically

        write_atomically(args.json, f"{text}\n".encode())
    return 0


def summarise(runs: "list[dict[str, Measures]]") -> "dict[str, Measures]":
    """Means over the runs; with several, the spread of each figure as ``NAME_sd`` beside it."""
    import numpy as np

    out: dict[str, dict[str, float | int | None]] = {}
    for method, first in runs[0].items():
        out[method] = {}
        for name, value in first.items():
            values = [run[method][name] for run in runs]
            numbers = [float(v) for v in values if v is not None]
            if len(numbers) < len(values):
                out[method][name] = None
                continue
            out[method][name] = value if len(set(numbers)) == 1 else float(np.mean(numbers))
            if len(runs) > 1 and name not in ("num_trips", "num_points", "evaluations"):
                out[method][f"{name}_sd"] = float(np.std(numbers, ddof=1))
    return out


def _common_plane(models: "Mapping[str, Maker]") -> "LocalPlane | None":
    """The plane of the one city that some of the models know; None if all know any place."""
    planes = {maker.frame.plane for maker in models.values() if maker.frame is not None}
    if len(planes) > 1:
        raise InputError("These weights know different cities.", ", ".join(models))
    return planes.pop() if planes else None


def read_tracks(path: Path, plane: "LocalPlane | None" = None) -> "tuple[Tracks, LocalPlane]":
    """Prepared trips of a table of GPS points, and the plane they lie on.

    Args:
        path: a table in our own layout.
        plane: to lay them on; by default one in the middle of the points.
    """
    from engine.cities.importers.gps import join_points
    from engine.cities.importers.gps_table import MICRODEGREE_COLUMNS, read_table_points
    from engine.models.tddpm.preparation import prepare_tracks
    from engine.models.tddpm.tracks import LocalPlane

    points = join_points(read_table_points(path, MICRODEGREE_COLUMNS))
    lon, lat = points.position
    middle = float(lon.min() + lon.max()) / 2, float(lat.min() + lat.max()) / 2
    plane = plane or LocalPlane(*middle)
    return prepare_tracks(points, plane), plane


def add_box(parser: argparse.ArgumentParser, name: str, purpose: str) -> None:
    """Add an option that takes a rectangle in degrees."""
    parser.add_argument(name, type=float, nargs=4, metavar=("W", "S", "E", "N"), help=purpose)


def without(tracks: "Tracks", box: list[float] | None, plane: "LocalPlane") -> "Tracks":
    """The trips outside a rectangle of degrees; all of them where there is none."""
    from engine.models.tddpm.clipping import DegreeBox, cut_outside

    return cut_outside(tracks, DegreeBox(*box), plane) if box else tracks


def side_of(tracks: "Tracks") -> float:
    """Side of a region for the city of these trips, metres."""
    from engine.evaluation.trajectories import bounds_of
    from engine.models.tddpm.occupancy import region_side_m

    box = bounds_of(tracks)
    return region_side_m(box.east_m - box.west_m, box.north_m - box.south_m)


def write_trips(path: Path, tracks: "Tracks", plane: "LocalPlane") -> None:
    """Columns traj, time, lat_udeg, lon_udeg as CSV or Parquet; nobody's number is in it."""
    import io

    import numpy as np
    import pyarrow as pa
    from pyarrow import csv, parquet

    from engine.models.weights import write_atomically

    lon, lat = plane.to_degrees(tracks.points_m)
    trip = tracks.trip_of_point()
    within = np.arange(len(trip)) - tracks.offsets[:-1][trip]
    time_ms = np.rint((tracks.start_s[trip] + within * tracks.step_s) * 1e3).astype(np.int64)
    table = pa.table(
        {
            "traj": pa.array(trip),
            "time": pa.array(time_ms).cast(pa.timestamp("ms")),
            "lat_udeg": pa.array(np.rint(lat * 1e6).astype(np.int32)),
            "lon_udeg": pa.array(np.rint(lon * 1e6).astype(np.int32)),
        }
    )
    content = io.BytesIO()
    if path.suffix.lower() == ".csv":
        csv.write_csv(table, content)
    elif path.suffix.lower() == ".parquet":
        parquet.write_table(table, content, compression="zstd")
    else:
        raise InputError("Trips are written as .csv or .parquet.", path.name)
    write_atomically(path, content.getvalue())


def load_named(name: str) -> "AnyModel":
    """Weights of a file, or shipped ones by name."""
    from engine.models.installed import find_weights
    from engine.models.tddpm.checkpoint import load_model

    return load_model(find_weights(name))[0]


def _maker(name: str, args: argparse.Namespace, ancestral: int = 0) -> "Maker":
    from engine.cities.registry import open_city
    from engine.evaluation.trajectories_bench import our_maker, paper_maker
    from engine.models.installed import find_weights
    from engine.models.tddpm.checkpoint import load_model
    from engine.models.tddpm.city_trips import city_frame
    from engine.models.tddpm.paper import PaperModel

    model, card = load_model(find_weights(name))
    if isinstance(model, PaperModel):
        return paper_maker(model)
    frame = None
    if model.usual is not None:
        # it knows its streets better than the map's cells do
        frame = city_frame(open_city(str(card.get("data", {}).get("city", ""))).grid)
    config = _generation(args, is_settled=frame is None and not args.as_sampled)
    if ancestral:
        sampler = replace(config.sampler, evaluations=ancestral, eta=1.0, correction=0.0)
        config = replace(config, sampler=sampler)
    return our_maker(model, config, frame)


def _generation(args: argparse.Namespace, *, is_settled: bool) -> "GenerationConfig":
    """How trips are made: as asked, and as usual where nothing is."""
    from engine.models.tddpm.generation import GenerationConfig
    from engine.models.tddpm.plans import TripWishes
    from engine.models.tddpm.sampling import FOR_SETTLING, SamplerConfig
    from engine.models.tddpm.settling import SettlingConfig

    wishes = TripWishes(num_points=getattr(args, "trip_points", None))
    names = ("evaluations", "time_power", "eta", "correction", "guidance")
    asked = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    sampler = replace(FOR_SETTLING if is_settled else SamplerConfig(), **asked)
    settling = SettlingConfig() if is_settled else None
    tries = args.tries if args.tries is not None else (3 if is_settled else 2)
    return GenerationConfig(sampler, tries=tries, wishes=wishes, settling=settling)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Bar:
    """A progress bar on stderr as a context; gives a function that moves it."""

    def __init__(self, title: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(stderr=True))
        self._task = self._progress.add_task(title, total=total)

    def __enter__(self) -> Callable[..., None]:
        self._progress.start()
        return self._move

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _move(self, amount: int, absolute: bool = False) -> None:
        if absolute:
            self._progress.update(self._task, completed=amount)
        else:
            self._progress.advance(self._task, amount)
