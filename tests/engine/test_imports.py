"""What importing the engine must not bring along. Each case is a fresh interpreter."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "streamlit", "libsumo", "sumolib", "traci", "accelerate")


@pytest.mark.parametrize("module", ["engine", "engine.api", "engine.cli", "engine.domain"])
def test_import_stays_light(module):
    code = f"import sys, {module}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
