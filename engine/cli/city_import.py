"""``python -m engine city import``: gridded flows of other formats as a city."""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from engine.cities import Source
from engine.cities.importers.gridded import Bounds, Channel, GriddedImport, GriddedRules
from engine.cities.importers.gridded_archives import BIKENYC_P6, DIDI_CHENGDU, read_flow_archive
from engine.cities.importers.gridded_city import save_import, shape_import
from engine.cities.importers.gridded_stdata import BIKENYC, TAXIBJ, read_stdata
from engine.cities.importers.gridded_tables import TableColumns, TableTarget, read_grid_table
from engine.cities.importers.gridded_urbanfm import read_urbanfm
from engine.domain import Aggregation, Grid
from engine.errors import InputError

Reader = Callable[[argparse.Namespace, GriddedRules], GriddedImport]


def add_import(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``import`` with one command for each format."""
    parser = commands.add_parser("import", help="make a city of gridded flows of another format")
    formats = parser.add_subparsers(dest="format", metavar="FORMAT", required=True)
    for name, (purpose, read) in FORMATS.items():
        one = formats.add_parser(name, help=purpose, description=purpose)
        one.add_argument("path", type=Path, help="file or folder as its publisher wrote it")
        _add_common(one)
        if name in ("didi", "bikenyc-p6", "urbanfm"):
            one.add_argument("--first-day", type=_day, required=True, metavar="YYYY-MM-DD")
        if name == "table":
            _add_table(one)
        one.set_defaults(run=run_import, read=read)


def run_import(args: argparse.Namespace) -> int:
    """Read, shape and write; print what was put right."""
    rules = GriddedRules(
        args.bounds,
        1,
        not args.south_first,
        not args.refuse_gaps,
        args.keep_first,
        args.mark_bad,
    )
    imported: GriddedImport = args.read(args, rules)
    imported = shape_import(imported, args.rows, args.cols, args.magnification, args.merge)
    source = Source(args.source or args.format, args.terms)
    city = save_import(imported, args.id, args.title or args.id, source, args.replace)
    fields = {name: list(series.values.shape) for name, series in imported.fields.items()}
    if args.json:
        about = {"id": city.id, "folder": str(city.folder)}
        print(json.dumps(about | {"fields": fields, "notes": imported.notes}, indent=1))
        return 0
    for note in imported.notes:
        print(note, file=sys.stderr)
    for name, shape in fields.items():
        print(f"{name}: {shape[0]:,} steps of {shape[1]} x {shape[2]} cells")
    print(f"Imported as '{city.id}': {city.folder}")
    return 0


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--id", required=True, help="id of the new city: a-z, 0-9 and hyphens")
    parser.add_argument("--title", help="its name for people")
    parser.add_argument("--source", help="where the data came from")
    parser.add_argument("--terms", default="as its publisher says", help="on which terms")
    bounds = "of the whole grid; write --bounds=-74.1,40.5,-73.8,40.9"
    parser.add_argument("--bounds", type=_bounds, metavar="W,S,E,N", help=bounds)
    parser.add_argument("--rows", type=_span, metavar="A:B", help="only these rows")
    parser.add_argument("--cols", type=_span, metavar="A:B", help="only these columns")
    parser.add_argument("--merge", type=int, default=1, metavar="N", help="so many steps as one")
    parser.add_argument("--magnification", type=int, metavar="N", help="fine cells a coarse side")
    parser.add_argument("--south-first", action="store_true", help="the first row is the south")
    parser.add_argument("--refuse-gaps", action="store_true", help="no missing time steps")
    parser.add_argument("--keep-first", action="store_true", help="of frames of the same time")
    parser.add_argument("--mark-bad", action="store_true", help="negative and NaN as missing")
    parser.add_argument("--replace", action="store_true", help="a city of yours with this id")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def _add_table(parser: argparse.ArgumentParser) -> None:
    for name in ("time", "value", "lon", "lat"):
        parser.add_argument(f"--{name}", default=name, metavar="COLUMN")
    parser.add_argument("--station", metavar="COLUMN", help="with --stations")
    parser.add_argument("--stations", type=Path, metavar="FILE", help="table of their positions")
    parser.add_argument("--name", default="value", help="name of the field")
    parser.add_argument("--unit", required=True, help="such as vehicles or µg/m³")
    parser.add_argument("--aggregation", choices=[a.value for a in Aggregation], required=True)
    parser.add_argument("--timezone", required=True, help="such as Asia/Shanghai")
    parser.add_argument("--step-minutes", type=float, help="else the smallest distance of times")
    parser.add_argument("--grid", type=_shape, metavar="RxC", help="lay rows on it; with --bounds")
    parser.add_argument("--absent-is-zero", action="store_true", help="no row counts as zero")


def _read_table(args: argparse.Namespace, rules: GriddedRules) -> GriddedImport:
    grid = None
    if args.grid is not None:
        if args.bounds is None:
            raise InputError("A grid needs its bounds.", "--grid", "Give --bounds W,S,E,N.")
        grid = Grid(*args.bounds, *args.grid)
    step = None if args.step_minutes is None else timedelta(minutes=args.step_minutes)
    channel = Channel(args.name, args.name, args.unit, Aggregation(args.aggregation))
    columns = TableColumns(args.time, args.value, args.lon, args.lat, args.station)
    target = TableTarget(channel, args.timezone, step, grid, args.absent_is_zero)
    return read_grid_table(args.path, columns, target, rules, args.stations)


FORMATS: dict[str, tuple[str, Reader]] = {
    "didi": (
        "DiDi Chengdu: .npz with flow (days, 144, rows, columns, 3)",
        lambda args, rules: read_flow_archive(args.path, DIDI_CHENGDU, args.first_day, rules),
    ),
    "bikenyc-p6": (
        "BikeNYC (P6): .npz with flow (hours, 2, rows, columns)",
        lambda args, rules: read_flow_archive(args.path, BIKENYC_P6, args.first_day, rules),
    ),
    "taxibj": (
        "TaxiBJ: BJ13_M32x32_T30_InOut.h5 and its sisters",
        lambda args, rules: read_stdata(args.path, TAXIBJ, rules),
    ),
    "bikenyc": (
        "BikeNYC: NYC14_M16x8_T60_NewEnd.h5",
        lambda args, rules: read_stdata(args.path, BIKENYC, rules),
    ),
    "urbanfm": (
        "UrbanFM: a folder with X.npy, Y.npy and ext.npy",
        lambda args, rules: read_urbanfm(args.path, args.first_day, rules),
    ),
    "table": ("CSV or Parquet with a row for each time and cell or station", _read_table),
}


def _bounds(text: str) -> Bounds:
    west, south, east, north = (float(part) for part in text.split(","))
    return west, south, east, north


def _span(text: str) -> tuple[int, int]:
    first, last = (int(part) for part in text.split(":"))
    return first, last


def _shape(text: str) -> tuple[int, int]:
    rows, cols = (int(part) for part in text.lower().split("x"))
    return rows, cols


def _day(text: str) -> date:
    return date.fromisoformat(text)
