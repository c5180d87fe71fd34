"""Real clusters of real processes; one is shared by all tests that leave it as it was."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.compute import ComputeService
from tests.engine.compute.drilling import READY_S, SETTINGS


@pytest.fixture(scope="session")
def service() -> Iterator[ComputeService]:
    """Two workers for jobs that behave."""
    with ComputeService(SETTINGS) as shared:
        assert shared.wait_ready(READY_S)
        yield shared


@pytest.fixture(scope="module")
def victim() -> Iterator[ComputeService]:
    """One worker of the module's own, with little memory, to be mistreated."""
    settings = replace(SETTINGS, num_workers=1, worker_memory_bytes=450 * 2**20)
    with ComputeService(settings) as own:
        assert own.wait_ready(READY_S)
        yield own
