"""Broken and hostile Parquet: refused in Python, before Arrow can end the process."""

import hashlib
import io
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.cities.footers import read_footer
from engine.cities.trajectories import pack_trajectories
from engine.errors import CityDamagedError
from tests.engine.cities.demo_city import trips


@pytest.fixture(scope="module")
def content():
    return pack_trajectories(trips(num_trips=4_500))


def test_says_what_arrow_says(content):
    ours, theirs = read_footer(io.BytesIO(content), "x"), pq.read_metadata(io.BytesIO(content))
    assert ours.num_rows == theirs.num_rows == 4_500
    assert len(ours.row_groups) == theirs.num_row_groups == 3
    for i, group in enumerate(ours.row_groups):
        other = theirs.row_group(i)
        assert (group.num_rows, group.num_bytes) == (other.num_rows, other.total_byte_size)
        for k, column in enumerate(group.columns):
            chunk = other.column(k)
            assert ".".join(column.path) == chunk.path_in_schema
            assert column.num_values == chunk.num_values
            assert column.num_bytes == chunk.total_uncompressed_size
        first = np.datetime64(int.from_bytes(group.columns[2].minimum, "little"), "ms")
        assert first == np.datetime64(other.column(2).statistics.min.replace(tzinfo=None), "ms")


def test_other_writers_files():
    table = pa.table({"a": [1.5, None], "b": ["x", "y"], "c": [True, False], "d": [[1], [2, 3]]})
    for options in ({}, {"version": "1.0"}, {"compression": "none"}, {"write_statistics": False}):
        buffer = io.BytesIO()
        pq.write_table(table, buffer, **options)
        footer = read_footer(buffer, "x")
        assert footer.num_rows == 2
        assert footer.row_groups[0].columns[3].num_values == 3


def test_position_is_left_at_the_beginning(content):
    file = io.BytesIO(content)
    read_footer(file, "x")
    assert file.tell() == 0


def test_truncated_at_every_length(content):
    tail = content[-4_000:]
    for length in range(0, len(tail), 7):
        with pytest.raises(CityDamagedError):
            read_footer(io.BytesIO(tail[:length]), "x")


def test_flipped_anywhere(content):
    """No flip in the footer raises anything but damage."""
    rng = random.Random(0)
    size = int.from_bytes(content[-8:-4], "little")
    survived = 0
    for _ in range(500):
        broken = bytearray(content[-size - 12 :])
        broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            read_footer(io.BytesIO(broken), "x")
            survived += 1
        except CityDamagedError:
            pass
    assert 0 < survived < 500


@pytest.mark.parametrize(
    "footer",
    [
        b"\x1c" * 1_000,  # structs in structs
        b"\x19" * 1_000,  # lists in lists
        b"\x19\xfc\xff\xff\xff\xff\x0f",  # a list of four billion structs
        b"\x18\xff\xff\xff\xff\x0f",  # a text of four gigabytes
        b"\xff" * 100,
        b"",
    ],
)
def test_hostile_footers(footer):
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(CityDamagedError):
        read_footer(io.BytesIO(content), "x")


CHILD = """
import random, sys
from pathlib import Path
from tests.engine.cities.test_city_footers import break_city
break_city(Path(sys.argv[1]), random.Random(int(sys.argv[2])), int(sys.argv[3]))
print("survived")
"""


def break_city(folder, rng, num_times):
    """Break files again and again, list them as if they were sound, and read them."""
    from engine.cities import City
    from tests.engine.cities.test_city_damage import READERS

    description = json.loads((folder / "city.json").read_text())
    description.pop("checksum")
    names = sorted(set(READERS) - {"network/osm.net.xml", "trajectories/part-00.parquet"})
    for _ in range(num_times):
        name = rng.choice(names)
        sound = (folder / name).read_bytes()
        broken = bytearray(sound)
        for _ in range(rng.choice([1, 1, 2, 8])):
            from_end = rng.randrange(min(len(broken), rng.choice([600, len(broken)])))
            broken[-1 - from_end] = rng.randrange(256)
        (folder / name).write_bytes(broken)
        entry = description["files"][name]
        listed = {**entry, "bytes": len(broken), "sha256": hashlib.sha256(broken).hexdigest()}
        changed = {**description, "files": {**description["files"], name: listed}}
        (folder / "city.json").write_text(json.dumps(changed))
        try:
            READERS[name](City(folder))
        except CityDamagedError:
            continue
        finally:
            (folder / name).write_bytes(sound)


@pytest.mark.parametrize("num_times", [100, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_broken_file_ends_the_process(city_folder, num_times):
    here = Path(__file__)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(city_folder), "0", str(num_times)],
        cwd=here.parent,
        env={"PYTHONPATH": str(here.parents[3]), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "survived\n", done.stderr
