import subprocess
import sys

import pytest

SCRIPT = """
from engine.models.memory import return_freed_memory

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

blocks = [bytearray(b"x" * 100_000) for _ in range(2_000)]
kept = blocks[::100]
del blocks
before = resident_mb()
return_freed_memory()
print(before - resident_mb())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")
def test_gaps_between_blocks_in_use_go_back_to_the_system():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert float(run.stdout) > 100
