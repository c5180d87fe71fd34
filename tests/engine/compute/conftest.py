"""Real clusters of real processes; one is shared by all tests that leave it as it was."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.compute import ComputeService, ComputeSettings

SETTINGS = ComputeSettings(num_workers=2, worker_memory_bytes=2**30, cancel_grace_s=1.0)
READY_S = 60.0


@pytest.fixture(scope="session")
def service() -> Iterator[ComputeService]:
    """Two workers for jobs that behave."""
    with ComputeService(SETTINGS) as shared:
        assert shared.wait_ready(READY_S)
        yield shared


@pytest.fixture(scope="module")
def victim() -> Iterator[ComputeService]:
    """One worker of the module's own, with little memory, to be mistreated."""
    settings = replace(SETTINGS, num_workers=1, worker_memory_bytes=600 * 2**20)
    with ComputeService(settings) as own:
        assert own.wait_ready(READY_S)
        yield own
