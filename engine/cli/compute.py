"""``python -m engine compute``: serve, inspect and check the compute cluster; ``bench compute``."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar
from rich.table import Table

from engine.compute.jobs import Device
from engine.compute.settings import MIB, ComputeSettings, parse_memory


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``compute serve``, ``status`` and ``check``."""
    area = subparsers.add_parser("compute", help="serve, inspect and check the compute cluster")
    commands = area.add_subparsers(dest="command", metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="the cluster on this computer (started by the app)")
    serve.add_argument("--device", type=Device, default=Device.AUTO, choices=list(Device))
    serve.add_argument("--workers", type=int, default=None, help="CPU workers")
    serve.add_argument("--memory", default="", help="memory limit of each worker, such as 4GiB")
    serve.set_defaults(run=_serve)
    status = commands.add_parser("status", help="the workers and their devices")
    status.add_argument("--json", action="store_true", help="one JSON document")
    status.set_defaults(run=_status)
    check = commands.add_parser("check", help="whether the cluster computes, reports and stops")
    check.add_argument("--json", action="store_true", help="one JSON document")
    check.set_defaults(run=_check)


def add_bench(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``bench compute``."""
    bench = subparsers.add_parser("compute", help="overhead, cancellation, restart, throughput")
    bench.add_argument("--json", action="store_true", help="one JSON document")
    bench.add_argument("--tries", type=int, default=100, help="cancellations to time")
    bench.add_argument("--seed", type=int, default=1, help="of the random moments")
    bench.set_defaults(run=_bench)


def _serve(args: argparse.Namespace) -> int:
    from engine.compute.serving import serve

    memory_bytes = parse_memory(args.memory, "--memory") if args.memory else None
    return serve(args.device, args.workers, memory_bytes)


def _status(args: argparse.Namespace) -> int:
    from engine.compute.measuring import wait_ready
    from engine.compute.service import ComputeService

    with ComputeService() as service:
        wait_ready(service)
        status = service.status(measure=True)
    if args.json:
        print(json.dumps({"place": status.place, "workers": [asdict(w) for w in status.workers]}))
        return 0
    table = Table(title=f"Compute on {status.place}")
    for heading in ("worker", "state", "device", "", "memory", "used"):
        table.add_column(heading)
    for one in status.workers:
        memory = (one.memory_bytes, one.memory_used_bytes)
        sizes = [f"{size / MIB:,.0f} MiB" for size in memory]
        table.add_row(one.name, one.state.value, one.device.value, one.device_name, *sizes)
    Console().print(table)
    return 0


def _check(args: argparse.Namespace) -> int:
    from engine.compute.measuring import check_cluster
    from engine.compute.service import ComputeService

    findings = []
    with ComputeService() as service, Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Checking", total=5)
        for finding in check_cluster(service, lambda text: bar.update(task, description=text)):
            bar.advance(task)
            findings.append(finding)
    if args.json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.passed else 'FAIL'}  {finding.name:<12}{finding.text}")
    return 0 if all(finding.passed for finding in findings) else 1


def _bench(args: argparse.Namespace) -> int:
    figures = _measure(args.tries, args.seed)
    if args.json:
        print(json.dumps(figures))
        return 0
    for name, value in figures.items():
        print(f"{name:<40}{value:,.3f}" if isinstance(value, float) else f"{name:<40}{value}")
    return 0


def _measure(num_tries: int, seed: int) -> dict[str, Any]:
    import numpy as np

    from engine.compute import measuring

    settings = ComputeSettings.from_environment()
    figures: dict[str, Any] = {}
    embedded = not settings.scheduler
    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("Starting the workers", total=num_tries)
        with measuring.open_service(settings, 2) as service:
            startup = measuring.measure_startup(service)
            figures |= asdict(startup)
            bar.update(task, description="Timing empty jobs")
            figures |= _named("overhead", measuring.measure_overhead(service, 100))
            figures |= _named("progress", measuring.measure_progress(service))
            bar.update(task, description="Cancelling at random moments")
            times_s = []
            generator = np.random.default_rng(seed)
            for took_s in measuring.measure_cancellation(service, num_tries, generator):
                times_s.append(took_s)
                bar.advance(task)
            figures |= _named("cancel", measuring.Spread.of(times_s))
            figures["cancel_within_2_s"] = sum(took_s <= 2.0 for took_s in times_s)
            if embedded:
                bar.update(task, description="Killing a worker")
                figures["restart_s"] = measuring.measure_restart(service)
                measuring.wait_ready(service)
        for num_workers in (1, 2) if embedded else ():
            bar.update(task, description=f"Sampling with {num_workers} workers")
            with measuring.open_service(settings, num_workers) as service:
                measuring.wait_ready(service)
                measuring.measure_throughput(service, num_workers, 10)  # loads torch
                rate = measuring.measure_throughput(service, 12, 300)
            figures[f"samplers_per_s_{num_workers}_workers"] = rate
    return figures


def _named(name: str, spread: object) -> dict[str, Any]:
    return {f"{name}_{key}": value for key, value in vars(spread).items()}
