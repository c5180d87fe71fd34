"""What a job function is given beside its request: its device, its randomness, its stop sign."""

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import JobCancelledError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class WorkerContext:
    """The context of one job in its worker.

    Args:
        job_id: the job's.
        seed: of the job's own generators.
        device: torch's name of the device, such as ``cpu`` or ``cuda:0``.
        stop: set when the job was cancelled.
    """

    job_id: str
    seed: int
    device: str
    stop: threading.Event

    def cancelled(self) -> bool:
        """Whether the job should stop; for work between two yields."""
        return self.stop.is_set()

    def raise_if_cancelled(self) -> None:
        """Stop here if the job was cancelled.

        Raises:
            JobCancelledError: it was.
        """
        if self.stop.is_set():
            raise JobCancelledError("The job was cancelled.")

    def generator(self, device: str = "cpu", stream: str = "") -> "torch.Generator":
        """A new generator of this job's seed: the same numbers on every call, run and machine.

        Draw on the CPU and move the noise to the device, as the default suggests: the numbers of
        a CUDA generator differ from those of the CPU, and a scenario's answer must not depend on
        where it was computed.

        Args:
            device: where the generator lives.
            stream: a name; each has its own independent numbers.
        """
        import torch

        return torch.Generator(device).manual_seed(self._stream_seed(stream))

    def numpy_generator(self, stream: str = "") -> np.random.Generator:
        """A new NumPy generator of this job's seed; ``stream`` as above."""
        return np.random.default_rng(self._stream_seed(stream))

    def _stream_seed(self, stream: str) -> int:
        if not stream:
            return self.seed
        digest = hashlib.sha256(f"{self.seed}/{stream}".encode()).digest()
        return int.from_bytes(digest[:8], "little") >> 1
