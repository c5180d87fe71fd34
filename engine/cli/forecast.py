"""``python -m engine forecast`` and ``bench forecast``: the next hour, sensor by sensor."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from engine.cli.forecast_merge import add_merge
from engine.errors import InputError, JobCancelledError, SensorError

if TYPE_CHECKING:
    from engine.cli.forecast_city import TrainingData
    from engine.domain.sensors import SensorSeries
    from engine.models.forecast_bundle import ForecastBundle, SeriesFacts
    from engine.training.forecast_recipe import ForecastRecipe
    from engine.training.loop import Trainer

METHODS = ("paper", "ours", "stid", "last-value", "historical-mean")
UNKNOWN = -1
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``forecast`` and its commands."""
    forecast = subparsers.add_parser("forecast", help="the next hour at every sensor")
    commands = forecast.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="forecast what follows a series")
    _add_series(run)
    run.add_argument("--method", default="ours", choices=METHODS)
    run.add_argument("--out", type=Path, required=True, help="forecast to write, .npz")
    run.set_defaults(run=run_forecast)

    add_merge(commands)
    assess = commands.add_parser(
        "assess", help="measure all methods on a city's last days and write it on the weights' card"
    )
    assess.add_argument("--weights", required=True, help="installed weights, or a file")
    assess.add_argument("--city", required=True, help="the city that they were trained on")
    assess.add_argument("--stride", type=int, default=6, help="take each n-th window")
    assess.add_argument("--threads", type=int, default=1, help="CPU threads")
    assess.set_defaults(run=run_assess)

    train = commands.add_parser("train", help="train a method; continues where it was stopped")
    train.add_argument("--config", type=Path, required=True, help="recipe, a TOML file")
    train.add_argument("--method", required=True, choices=METHODS[:3])
    train.add_argument("--series", type=Path, help="readings, .npz")
    train.add_argument("--city", help="instead: an installed city's street sensors")
    train.add_argument("--distances", type=Path, help="square .csv in metres, for the streets")
    train.add_argument("--out", type=Path, required=True, help="weights to write or to add to")
    train.add_argument("--checkpoints", type=Path, help="folder of resumable checkpoints")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--prefetch", type=int, default=0, help="processes that prepare batches")
    train.add_argument("--threads", type=int, default=1, help="CPU threads")
    train.set_defaults(run=run_train)


def add_bench(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``bench forecast``."""
    command = subparsers.add_parser(
        "forecast", help="errors, coverage and speed of all methods on the same windows"
    )
    _add_series(command, required=False)
    command.add_argument("--methods", default=",".join(METHODS), help="names with commas between")
    command.add_argument("--stride", type=int, default=1, help="take each n-th window")
    command.add_argument("--json", type=Path, help="file to write the figures to")
    command.add_argument(
        "--kernels",
        action="store_true",
        help="instead: a training step of the decoder with weights made anew at every step, "
        "hoisted, and re-associated",
    )
    command.add_argument("--batch", type=int, default=8, help="with --kernels: samples a batch")
    command.add_argument("--sensors", type=int, default=228, help="with --kernels: sensors")
    command.set_defaults(run=run_bench)


def _add_series(command: argparse.ArgumentParser, *, required: bool = True) -> None:
    command.add_argument("--weights", required=required, help="installed weights, or a file")
    command.add_argument("--series", type=Path, help="readings, .npz")
    command.add_argument("--city", help="instead: the last days of an installed city")
    command.add_argument(
        "--start-step", type=int, default=0, help="number of the first step in its day"
    )
    command.add_argument(
        "--start-weekday",
        type=int,
        default=UNKNOWN,
        help="0 Monday ... 6 Sunday; else read off the readings, where they are clear",
    )
    command.add_argument("--threads", type=int, default=1, help="CPU threads")


def run_forecast(args: argparse.Namespace) -> int:
    """Forecast the steps that follow the series' last ones; write values and band."""
    import numpy as np
    import torch

    from engine.models.forecast_windows import WindowSet

    torch.set_num_threads(args.threads)
    bundle = _load(args.weights)
    facts = bundle.facts
    series = _read_known(args, bundle)
    windows = WindowSet.ahead_of(series, facts.history, facts.horizon, facts.earlier)
    with torch.no_grad():
        answer = bundle.method(args.method).forecast(windows.last())
    if answer.lower_BHN is None or answer.upper_BHN is None:
        raise InputError("This method has no band.", args.method)
    arrays = {
        "middle": answer.middle_BHN[0].numpy(),
        "lower": answer.lower_BHN[0].numpy(),
        "upper": answer.upper_BHN[0].numpy(),
        "sensors": np.array(facts.sensors),
    }
    from engine.cities.archives import pack_arrays
    from engine.models.weights import write_atomically

    write_atomically(args.out, pack_arrays(arrays))
    return 0


def run_train(args: argparse.Namespace) -> int:
    """Train one method, calibrate its band, and add it to the weight file.

    Twice: without the series' end, on which the number of steps is chosen and the band is
    calibrated, and then for so many steps on all of it. The second training is what is kept;
    a recipe with ``refit = false`` does without it.
    """
    import torch
    from platformdirs import user_cache_path

    from engine.cli.train import _show, _stop_requests
    from engine.models.forecast_windows import WindowSet
    from engine.training.forecast_cards import add_method, after_choice
    from engine.training.forecast_recipe import (
        Extras,
        build_network,
        build_trainer,
        read_forecast_recipe,
    )

    torch.set_num_threads(args.threads)
    recipe = read_forecast_recipe(args.config)
    data = _training_data(args, recipe)
    series, streets = data.series, data.streets_NN
    cut, earlier = len(series) - recipe.held_out_steps(args.method), recipe.earlier
    held_out = WindowSet.of(series.part(cut, len(series)), earlier=earlier)
    parts = {"choose": WindowSet.of(series.part(0, cut), earlier=earlier)}
    if recipe.is_refitted(args.method):
        parts["refit"] = WindowSet.of(series, earlier=earlier)
    folder = args.checkpoints or user_cache_path("citybrush") / "training" / recipe.name
    trainers: list[Trainer] = []
    with _stop_requests() as should_stop:
        for name, train in parts.items():
            network = build_network(
                args.method, train, args.seed, streets, recipe.sizes(args.method)
            )
            settings = recipe.settings(args.method, len(train), args.seed)
            if trainers:
                settings = after_choice(settings, trainers[0], len(train))
            place = folder / f"{args.method}-{args.seed}-{name}"
            trainer = build_trainer(
                network,
                train,
                held_out,
                settings,
                place,
                should_stop.is_set,
                Extras(
                    recipe.published(args.method),
                    data.closures,
                    args.prefetch,
                    recipe.disturbances(args.method),
                ),
            )
            _show(trainer, f"{recipe.name}, {args.method}, seed {args.seed}, {name}")
            if should_stop.is_set():
                raise JobCancelledError("Training was stopped; the same command continues it.")
            trainers.append(trainer)
    fitted = parts.get("refit", parts["choose"])
    add_method(args.out, recipe, args.method, trainers, fitted, held_out, series.sensors)
    return 0


def _training_data(args: argparse.Namespace, recipe: "ForecastRecipe") -> "TrainingData":
    """From a city, or from a file with distances beside it."""
    from engine.cli.forecast_city import TrainingData, city_training_data

    if (args.city is None) == (args.series is None):
        raise InputError("Give either --series or --city.")
    if args.city is None:
        series = read_series(args.series, recipe.facts(()), *recipe.start)
        return TrainingData(series, _read_streets(args.distances, recipe))
    from engine.cities.registry import open_city

    return city_training_data(open_city(args.city), recipe)


def run_assess(args: argparse.Namespace) -> int:
    """Errors by horizon and hour on the days kept aside, and closures beside the simulator's."""
    import torch

    from engine.cli.forecast_city import assess_city
    from engine.models.forecast_bundle import save_bundle
    from engine.models.installed import find_weights

    torch.set_num_threads(args.threads)
    path = find_weights(args.weights)
    save_bundle(path, assess_city(args.city, _load(args.weights), args.stride))
    return 0


def run_bench(args: argparse.Namespace) -> int:
    """Print and write the figures of all methods that the weights hold."""
    import torch

    torch.set_num_threads(args.threads)
    if args.kernels:
        return _bench_kernels(args)
    if not args.weights or (args.series is None) == (args.city is None):
        raise InputError("Give --weights and --series, or --weights and --city, or --kernels.")
    from engine.evaluation.forecast import evaluate_methods
    from engine.models.forecast_windows import WindowSet

    bundle = _load(args.weights)
    facts = bundle.facts
    series = _read_known(args, bundle)
    wanted = [name for name in args.methods.split(",") if name]
    if unknown := [name for name in wanted if name not in METHODS]:
        raise InputError(f"There is no method '{unknown[0]}'.", "", f"Use {', '.join(METHODS)}.")
    for name in wanted:
        if name not in bundle.methods:
            print(f"Left out: these weights hold no method '{name}'.", file=sys.stderr)
    methods = {name: bundle.methods[name] for name in wanted if name in bundle.methods}
    windows = WindowSet.of(series, facts.history, facts.horizon, facts.earlier)
    figures = evaluate_methods(methods, windows, 1440 / facts.steps_per_day, args.stride)
    if args.json:
        from engine.models.weights import write_atomically

        write_atomically(args.json, f"{json.dumps(figures, indent=2)}\n".encode())
    _print_figures(figures, facts.unit)
    return 0


def read_series(
    path: Path, facts: "SeriesFacts", start_step: int, start_weekday: int
) -> "SensorSeries":
    """The readings of a file, as the weights' card says; a constant sensor is kept.

    Raises:
        SensorError: the file does not fit, or has other sensors.
    """
    from engine.cities.importers.sensors import SensorRules
    from engine.cities.importers.sensors_benchmarks import Clock, read_array_series

    clock = Clock(start_step, start_weekday, facts.steps_per_day, facts.days)
    rules = SensorRules(unit=facts.unit, missing=facts.missing, keep_constant=True)
    series = read_array_series(path, facts.key, clock, rules)
    if facts.sensors and len(series.sensors) != len(facts.sensors):
        raise SensorError(
            "The sensor set has changed.",
            f"{path.name}: {len(series.sensors)} sensors, the weights know {len(facts.sensors)}",
            "Use readings of the sensors that the weights were trained on, in their order.",
        )
    return series.select(facts.sensors) if facts.sensors else series


def _read_known(args: argparse.Namespace, bundle: "ForecastBundle") -> "SensorSeries":
    """The readings with the weekday that was given, or that they show; a city knows its own."""
    facts, weekday = bundle.facts, args.start_weekday
    if args.city is not None:
        from engine.cli.forecast_city import city_test_series

        return city_test_series(args.city, facts)
    if args.series is None:
        raise InputError("Give --series or --city.")
    series = read_series(args.series, facts, args.start_step, weekday)
    if weekday != UNKNOWN:
        return series
    found = bundle.calendar.find_start(series.values_TN, args.start_step, facts.steps_per_day)
    name = WEEKDAYS[found] if found != UNKNOWN else "unknown; the networks average over weekdays"
    print(f"First day, read off the readings: {name}.", file=sys.stderr)
    return read_series(args.series, facts, args.start_step, found)


def _load(name: str) -> "ForecastBundle":
    from engine.models.forecast_bundle import load_bundle
    from engine.models.installed import find_weights

    return load_bundle(find_weights(name))


def _read_streets(path: Path | None, recipe: "ForecastRecipe") -> Any:  # noqa: ANN401 - a tensor
    """Nearness of sensors from their distances; None without a file."""
    import numpy as np
    import torch

    from engine.cities.importers.sensors_graphs import read_distances, weigh_distances

    if path is None:
        return None
    streets = recipe.streets
    near_NN = weigh_distances(read_distances(path), streets["threshold"], streets["scale_m"])
    np.fill_diagonal(near_NN, 0)  # a sensor hears itself anyway
    return torch.from_numpy(near_NN)


def _print_figures(figures: Mapping[str, Mapping[str, Any]], unit: str) -> None:
    table = Table("method", "min", f"MAE {unit}", f"RMSE {unit}", "MAPE %", "in band", box=None)
    for name, rows in figures.items():
        for label, row in rows.items():
            if isinstance(row, dict):
                values = (row["mae"], row["rmse"], row["mape"], row["coverage90"])
                table.add_row(name, label, *("–" if v is None else f"{v:.3f}" for v in values))
        table.add_row(name, "ms a window", f"{1000 * rows['seconds_per_window']:.1f}")
    Console().print(table)


def _bench_kernels(args: argparse.Namespace) -> int:
    from engine.evaluation.forecast_kernels import time_decoder

    figures = time_decoder(args.batch, args.sensors)
    if args.json:
        from engine.models.weights import write_atomically

        write_atomically(args.json, f"{json.dumps(figures, indent=2)}\n".encode())
    table = Table("decoder", "s a training step", "times faster", "largest difference", box=None)
    for name, row in figures.items():
        table.add_row(
            name, f"{row['seconds']:.3f}", f"{row['speedup']:.1f}", f"{row['difference']:.1e}"
        )
    Console().print(table)
    return 0
