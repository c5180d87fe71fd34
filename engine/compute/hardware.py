"""Which devices are there: guessed without torch where the cluster starts, certain in a worker."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from engine.compute.jobs import Device

_QUERY_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class DeviceFacts:
    """A worker's device.

    Args:
        kind: what it is.
        torch_name: torch's name of it.
        name: what the user calls it.
        memory_bytes: its own memory; 0 for the CPU, whose limit the worker knows.
    """

    kind: Device
    torch_name: str
    name: str
    memory_bytes: int = 0


def list_cuda_ids(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Ids for ``CUDA_VISIBLE_DEVICES``, one per NVIDIA device that this process may use."""
    allowed = environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        ids = [part.strip() for part in allowed.split(",")]
        return [part for part in ids if part and part != "-1"] if _query_cuda_ids() else []
    return _query_cuda_ids()


def _query_cuda_ids() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, "--query-gpu=index", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_QUERY_TIMEOUT_S,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip().isdecimal()]


def has_mps() -> bool:
    """Whether this is a Mac whose graphics torch can use."""
    return sys.platform == "darwin" and platform.machine() == "arm64"


def find_cpu() -> DeviceFacts:
    """The CPU, by its own name where the system tells it."""
    return DeviceFacts(Device.CPU, "cpu", platform.processor() or platform.machine() or "CPU")


def find_device(wanted: str) -> DeviceFacts:
    """The device that this worker computes on; imports torch unless it is the CPU.

    Args:
        wanted: kind that the worker was started for; empty where nobody said.

    Returns:
        The wanted kind if torch can use it, else the CPU.
    """
    if wanted == Device.CPU or (not wanted and not list_cuda_ids() and not has_mps()):
        return find_cpu()
    import torch

    if wanted in ("", Device.CUDA) and torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(0)
        return DeviceFacts(Device.CUDA, "cuda:0", facts.name, facts.total_memory)
    if wanted in ("", Device.MPS) and torch.backends.mps.is_available():
        memory_bytes = int(torch.mps.recommended_max_memory())
        return DeviceFacts(Device.MPS, "mps", "Apple graphics", memory_bytes)
    return find_cpu()
