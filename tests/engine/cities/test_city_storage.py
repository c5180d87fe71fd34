"""A crash, a kill, a full disk or a second writer: the old city or the new one, always whole."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from engine.cities import City, CityWriter, storage
from engine.cities.inspection import check_city
from engine.cities.registry import list_cities, open_city
from engine.errors import CityNotFoundError, CityReplacedError, StorageError
from tests.engine.cities.demo_city import GRID, describe, field, write_city

NOISE = np.random.default_rng(0).integers(0, 60_000, (20, *GRID.shape)).astype(np.uint16)


def write_version(root, version):
    """A city whose description and every field say the same version."""
    with CityWriter(root, describe(description=str(version))) as writer:
        for name in ("a", "b", "c"):
            values = NOISE.copy()
            values[0] = version
            writer.add_field(name, field(values=values))


def read_version(folder):
    """The version that the whole city says; fails when it is of two minds."""
    city = City(folder)
    versions = {int(city.field(name).values[0, 0, 0]) for name in city.field_names}
    assert len(versions) == 1
    assert city.metadata.description == str(versions.copy().pop())
    return versions.pop()


def leftovers(root):
    return [p.name for p in root.iterdir() if p.name.startswith((".tmp-", ".old-"))]


def exchange_is_missing(*_):
    return False


@pytest.mark.thorough
@pytest.mark.parametrize("exchange", [storage._exchange, exchange_is_missing])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
@pytest.mark.parametrize("num_kills", [20, pytest.param(400, marks=pytest.mark.slow)])
def test_killed_at_any_moment(tmp_path, monkeypatch, exchange, num_kills):
    monkeypatch.setattr(storage, "_exchange", exchange)
    begin = time.perf_counter()
    write_version(tmp_path, 1)
    reach_s = time.perf_counter() - begin
    version, seen = 1, []
    rng = np.random.default_rng(1)
    for _ in range(num_kills):
        child = os.fork()
        if child == 0:
            try:
                write_version(tmp_path, version + 1)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0, reach_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        storage.recover_if_needed(tmp_path)
        found = read_version(tmp_path / "demo")
        assert found in (version, version + 1)
        assert check_city(tmp_path / "demo") == ()
        seen.append(found - version)
        reach_s *= 0.7 if found > version else 1.4  # about as many kills early as late
        version = found
    assert {0, 1} == set(seen), "some kills came before the exchange and some after it"
    write_version(tmp_path, 0)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("moment", ["after the old one is moved", "after both are moved"])
def test_crash_between_two_renames_is_put_right(data_root, moment):
    root = data_root / "cities"
    write_version(root, 1)
    (root / "demo").rename(root / ".old-demo-abcd1234")
    if moment == "after both are moved":
        write_version(root / "other", 2)
        (root / "other" / "demo").rename(root / "demo")
        (root / "other" / ".lock").unlink()
        (root / "other").rmdir()
    expected = 2 if moment == "after both are moved" else 1
    assert [listing.is_usable for listing in list_cities()] == [True]
    assert read_version(root / "demo") == expected
    write_version(root, 3)
    assert leftovers(root) == []


def fail_at(monkeypatch, name, number, code=errno.ENOSPC):
    """Let the call of this number to ``os.NAME`` fail."""
    calls = iter(range(10_000))
    original = getattr(os, name)

    def failing(*args, **kwargs):
        if next(calls) == number:
            raise OSError(code, os.strerror(code))
        return original(*args, **kwargs)

    monkeypatch.setattr(os, name, failing)
    return calls


@pytest.mark.parametrize("exchange", [storage._exchange, exchange_is_missing])
@pytest.mark.parametrize("call", ["fsync", "mkdir", "rename"])
def test_every_call_to_the_disk_may_fail(tmp_path, monkeypatch, exchange, call):
    monkeypatch.setattr(storage, "_exchange", exchange)
    write_version(tmp_path, 1)
    for number in range(100):
        with monkeypatch.context() as patch:
            calls = fail_at(patch, call, number)
            try:
                write_version(tmp_path, number + 2)
            except StorageError as error:
                assert "full" in error.what
                assert error.fix
                assert read_version(tmp_path / "demo") in (1, number + 2)
            if next(calls) <= number:
                break  # the writer makes fewer calls than that
        assert check_city(tmp_path / "demo") == ()
        write_version(tmp_path, 1)
        assert leftovers(tmp_path) == []
    assert number < 99


def test_each_write_may_fill_the_disk(tmp_path, monkeypatch):
    write_version(tmp_path, 1)
    original = Path.open

    for number in range(4):  # three fields and the description
        opened = iter(range(100))

        def full(self, mode="r", *args, _opened=opened, _number=number, **kwargs):
            file = original(self, mode, *args, **kwargs)
            if "w" in mode and next(_opened) == _number:
                file.close()
                return original(Path("/dev/full"), "wb")  # accepts nothing: ENOSPC
            return file

        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", full)
            with pytest.raises(StorageError, match="full"):
                write_version(tmp_path, 2)
        assert read_version(tmp_path / "demo") == 1
        assert leftovers(tmp_path) == []


def test_full_disk_for_real(tmp_path):
    """A disk of 256 KB that holds the old city but not the new one beside it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("no right to mount a small disk; the tests above stand in for it")
    try:
        with CityWriter(disk, describe(description="1")) as writer:
            writer.add_field("a", field(values=np.ones((4, 8, 8), np.uint16)))
        large = np.random.default_rng(0).integers(0, 60_000, (3_000, 8, 8)).astype(np.uint16)
        with (
            pytest.raises(StorageError, match="full"),
            CityWriter(disk, describe(description="2")) as writer,
        ):
            writer.add_field("a", field(values=large))
        assert read_version(disk / "demo") == 1
        assert leftovers(disk) == []
        write_version(disk, 3)
        assert read_version(disk / "demo") == 3
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_no_right_to_write(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="right"):
        write_version(tmp_path, 1)


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "cities").write_text("in the way")
    with pytest.raises(StorageError):
        write_version(tmp_path / "cities", 1)


def test_leftovers_are_removed_but_not_those_in_use(tmp_path):
    (tmp_path / ".tmp-demo-left").mkdir()
    (tmp_path / ".tmp-demo-left" / "x.npz").write_bytes(b"x")
    busy = CityWriter(tmp_path, describe())  # another one, still building
    write_version(tmp_path, 1)
    assert leftovers(tmp_path) == [busy._folder.folder.name]
    values = np.full((20, 8, 8), 9, np.uint16)
    busy.add_field("a", field(values=values))
    busy.commit()
    assert City(tmp_path / "demo").field_names == ("a",)
    assert leftovers(tmp_path) == []


READER = """
import sys
from pathlib import Path
from engine.cities import City
from engine.errors import CityReplacedError
folder, good, replaced = Path(sys.argv[1]), 0, 0
print("ready", flush=True)
while good == 0 or not (folder.parent / "stop").exists():
    try:
        city = City(folder)
        said = {int(city.field(n).values[0, 0, 0]) for n in city.field_names}
    except CityReplacedError:
        replaced += 1
        continue
    assert said == {int(city.metadata.description)}, (said, city.metadata.description)
    good += 1
print(good, replaced)
"""


def test_readers_while_a_writer_swaps(tmp_path):
    """Threads and another process read one version or the other, or are told to look again."""
    write_version(tmp_path, 0)
    folder = tmp_path / "demo"
    child = subprocess.Popen(
        [sys.executable, "-c", READER, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert child.stdout.readline() == "ready\n"  # before that the child has seen no swap
    stop, wrong, good = threading.Event(), [], []

    def read():
        while not stop.is_set():
            try:
                good.append(read_version(folder))
            except CityReplacedError:
                continue
            except Exception as error:  # noqa: BLE001 - any other is what this test looks for
                wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(1)]
    for thread in threads:
        thread.start()
    try:
        for version in range(1, 15):
            write_version(tmp_path, version)
        deadline = time.monotonic() + 60
        while len(set(good)) < 2 and time.monotonic() < deadline:
            write_version(tmp_path, 60)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        (tmp_path / "stop").touch()
        output, _ = child.communicate(timeout=60)
    assert wrong == []
    assert len(set(good)) > 1
    assert child.returncode == 0
    assert int(output.split()[0]) > 0


def test_an_open_city_is_told_that_it_was_replaced(tmp_path):
    write_version(tmp_path, 1)
    city = City(tmp_path / "demo")
    city.field("a")
    write_version(tmp_path, 2)
    with pytest.raises(CityReplacedError, match="Open it again"):
        city.field("b")
    assert int(city.field("a").values[0, 0, 0]) == 1, "what was read stays"
    assert read_version(tmp_path / "demo") == 2


def test_an_open_city_is_told_that_it_was_removed(data_root):
    root = data_root / "cities"
    write_version(root, 1)
    city = open_city("demo")
    storage.remove_folder(root, "demo")
    with pytest.raises(CityReplacedError):
        city.field("a")
    with pytest.raises(CityNotFoundError):
        open_city("demo")
    assert leftovers(root) == []


def test_two_writers_at_once(tmp_path):
    def write(seed):
        for _ in range(2):
            write_city(tmp_path, seed=seed)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert check_city(tmp_path / "demo") == ()
    assert leftovers(tmp_path) == []


def test_one_file_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "card.json"
    storage.write_file(path, b"old")
    with monkeypatch.context() as patch:
        fail_at(patch, "fsync", 0)
        with pytest.raises(StorageError, match="full"):
            storage.write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    storage.write_file(path, b"new")
    assert path.read_bytes() == b"new"
