"""Starts the cluster on this computer and holds its life (the server's side of ``serving``)."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.compute.payload import decode_error
from engine.compute.settings import ComputeSettings
from engine.errors import ComputeError

_ROOT = Path(__file__).parents[2]
_STOP_TIMEOUT_S = 4.0


@dataclass(frozen=True)
class PlannedWorker:
    """A worker that the cluster is starting."""

    name: str
    device: str
    memory_bytes: int


class EmbeddedCluster:
    """The child process that runs scheduler and workers; it ends when this object closes it.

    It also ends when this process does, in whatever way: its standard input closes then.

    Args:
        settings: how many workers, and on which device.
        on_exit: called once, in a thread of its own, when the process is gone unasked.

    Raises:
        DeviceError: the chosen device is not there.
        ComputeError: the cluster did not start.
    """

    def __init__(self, settings: ComputeSettings, on_exit: Callable[[], None]) -> None:
        self._closing = False
        self._process = subprocess.Popen(
            _command(settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            # Ctrl-C in the terminal is for the server, which then ends this process in order
            start_new_session=True,
        )
        greeting = self._read_greeting(settings.start_timeout_s)
        self.address: str = greeting["address"]
        self.tls: dict[str, str] = greeting["tls"]
        self.planned = tuple(
            PlannedWorker(plan["name"], plan["device"], plan["memory_bytes"])
            for plan in greeting["workers"]
        )
        threading.Thread(target=self._wait, args=(on_exit,), daemon=True).start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def close(self) -> None:
        """End the cluster and wait until it is gone."""
        self._closing = True
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read_greeting(self, timeout_s: float) -> dict[str, Any]:
        alarm = threading.Timer(timeout_s, self._process.kill)
        alarm.daemon = True
        alarm.start()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        alarm.cancel()
        try:
            greeting = json.loads(line)
        except ValueError:
            self.close()
            raise ComputeError(
                "The compute workers did not start.",
                f"exit code {self._process.returncode}",
                "The server's log says more.",
            ) from None
        if "error" in greeting:
            self.close()
            raise decode_error(greeting["error"])
        return dict(greeting)

    def _wait(self, on_exit: Callable[[], None]) -> None:
        self._process.wait()
        if not self._closing:
            on_exit()


def _command(settings: ComputeSettings) -> list[str]:
    # -P: a folder in which the app happens to be started must not shadow modules
    command = [sys.executable, "-P", "-m", "engine", "compute", "serve"]
    command += ["--device", settings.device.value]
    if settings.num_workers is not None:
        command += ["--workers", str(settings.num_workers)]
    if settings.worker_memory_bytes is not None:
        command += ["--memory", f"{settings.worker_memory_bytes}B"]
    return command


def _environment() -> dict[str, str]:
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
