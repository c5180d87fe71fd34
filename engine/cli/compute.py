"""``python -m engine compute``: serve, inspect and check the compute cluster; ``bench compute``."""

import argparse

from engine.compute.jobs import Device
from engine.compute.settings import parse_memory


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``compute serve``, ``status`` and ``check``."""
    area = subparsers.add_parser("compute", help="serve, inspect and check the compute cluster")
    commands = area.add_subparsers(dest="command", metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="the cluster on this computer (started by the app)")
    serve.add_argument("--device", type=Device, default=Device.AUTO, choices=list(Device))
    serve.add_argument("--workers", type=int, default=None, help="CPU workers")
    serve.add_argument("--memory", default="", help="memory limit of each worker, such as 4GiB")
    serve.set_defaults(run=_serve)


def _serve(args: argparse.Namespace) -> int:
    from engine.compute.serving import serve

    memory_bytes = parse_memory(args.memory, "--memory") if args.memory else None
    return serve(args.device, args.workers, memory_bytes)
