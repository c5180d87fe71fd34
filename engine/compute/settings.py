"""How jobs are computed here: on this computer, or on a cluster named by one setting.

==========================  ==================================================================
``CITYBRUSH_SCHEDULER``     address of an existing dask scheduler, ``tls://host:8786``; without
                            it, workers are started on this computer
``CITYBRUSH_TLS_CA``        files for ``tls://``: the certificate authority,
``CITYBRUSH_TLS_CERT``      this client's certificate,
``CITYBRUSH_TLS_KEY``       and its key
``CITYBRUSH_DEVICE``        ``auto``, ``cpu``, ``cuda`` or ``mps``
``CITYBRUSH_WORKERS``       worker processes on the CPU of this computer
``CITYBRUSH_WORKER_MEMORY`` memory limit of each, such as ``4GiB``
==========================  ==================================================================
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.compute.jobs import Device
from engine.errors import InputError

MIB = 2**20
GIB = 2**30
MIN_WORKER_MEMORY_BYTES = 384 * MIB
_UNITS = {"": 1, "b": 1, "mib": MIB, "gib": GIB, "mb": 10**6, "gb": 10**9, "m": MIB, "g": GIB}


@dataclass(frozen=True)
class TlsFiles:
    """Certificates for an existing cluster."""

    ca: Path
    cert: Path
    key: Path

    def __post_init__(self) -> None:
        for path in (self.ca, self.cert, self.key):
            if not path.is_file():
                raise InputError("A certificate file of the compute cluster is missing.", str(path))


@dataclass(frozen=True)
class ComputeSettings:
    """Where jobs run, and how many at once.

    Args:
        scheduler: address of an existing scheduler; empty for workers on this computer.
        tls: certificates for it, with ``tls://``.
        device: where jobs run that do not choose; AUTO is the best there is.
        num_workers: CPU workers on this computer; None chooses.
        worker_memory_bytes: memory limit of each worker on this computer; None chooses.
        max_queued: how many jobs may wait.
        max_per_session: how many jobs of one session may wait or run.
        cancel_grace_s: a job that has not stopped this long after it was cancelled is stopped by
            ending its worker.
        time_limit_s: a job that runs longer is stopped and fails.
        connect_timeout_s: how long to wait for the scheduler.
        start_timeout_s: how long the workers on this computer may take to start; a busy computer
            takes many times what an idle one does.
    """

    scheduler: str = ""
    tls: TlsFiles | None = None
    device: Device = Device.AUTO
    num_workers: int | None = None
    worker_memory_bytes: int | None = None
    max_queued: int = 32
    max_per_session: int = 4
    cancel_grace_s: float = 1.5
    time_limit_s: float = 3600.0
    connect_timeout_s: float = 15.0
    start_timeout_s: float = 120.0

    def __post_init__(self) -> None:
        if self.scheduler and not re.fullmatch(r"(tls|tcp)://[^\s/]+:\d{1,5}", self.scheduler):
            raise InputError(
                "The compute cluster's address is not understood.",
                f"CITYBRUSH_SCHEDULER={self.scheduler[:80]}",
                "Give it as tls://host:port or tcp://host:port.",
            )
        if self.scheduler.startswith("tls://") and self.tls is None:
            raise InputError(
                "A tls:// compute cluster needs certificates.",
                "CITYBRUSH_SCHEDULER",
                "Set CITYBRUSH_TLS_CA, CITYBRUSH_TLS_CERT and CITYBRUSH_TLS_KEY.",
            )
        if self.num_workers is not None and not 1 <= self.num_workers <= 64:
            raise InputError(
                "The number of workers must lie between 1 and 64.",
                f"CITYBRUSH_WORKERS={self.num_workers}",
            )
        limit = self.worker_memory_bytes
        if limit is not None and limit < MIN_WORKER_MEMORY_BYTES:
            raise InputError(
                "A worker needs at least 384 MiB of memory.",
                f"CITYBRUSH_WORKER_MEMORY is {limit / MIB:.0f} MiB",
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "ComputeSettings":
        """Read the settings of the table above.

        Raises:
            InputError: a setting that is not understood, with its name.
        """
        memory = environ.get("CITYBRUSH_WORKER_MEMORY", "")
        workers = environ.get("CITYBRUSH_WORKERS", "")
        if workers and not workers.isdecimal():
            raise InputError("The number of workers is not a number.", "CITYBRUSH_WORKERS")
        return cls(
            scheduler=environ.get("CITYBRUSH_SCHEDULER", ""),
            tls=_read_tls(environ),
            device=parse_device(environ.get("CITYBRUSH_DEVICE") or "auto", "CITYBRUSH_DEVICE"),
            num_workers=int(workers) if workers else None,
            worker_memory_bytes=(
                parse_memory(memory, "CITYBRUSH_WORKER_MEMORY") if memory else None
            ),
        )


def _read_tls(environ: Mapping[str, str]) -> TlsFiles | None:
    names = ("CITYBRUSH_TLS_CA", "CITYBRUSH_TLS_CERT", "CITYBRUSH_TLS_KEY")
    paths = [environ.get(name, "") for name in names]
    if not any(paths):
        return None
    if not all(paths):
        missing = ", ".join(name for name, path in zip(names, paths, strict=True) if not path)
        raise InputError("The certificates of the compute cluster are incomplete.", missing)
    return TlsFiles(*(Path(path) for path in paths))


def parse_device(text: str, where: str) -> Device:
    """``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: another word.
    """
    try:
        return Device(text.strip().lower())
    except ValueError:
        raise InputError(
            f"There is no device {text[:40]!r}.", where, "Choose auto, cpu, cuda or mps."
        ) from None


def parse_memory(text: str, where: str) -> int:
    """Bytes of ``4GiB``, ``800 MiB`` or ``4000000000``.

    Raises:
        InputError: not an amount of memory.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    if not match or match[2].lower() not in _UNITS:
        raise InputError(f"{text[:40]!r} is not an amount of memory.", where, "Write it as 4GiB.")
    return int(float(match[1]) * _UNITS[match[2].lower()])
