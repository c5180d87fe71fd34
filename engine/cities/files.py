"""The files of one city on disk: opened only if they are what ``city.json`` says.

A file's checksum is compared when it is first read; as long as the file keeps its size, time and
place on the disk it is not computed again.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO

from engine.cities.format import MAX_METADATA_BYTES, METADATA_NAME
from engine.cities.metadata import CityMetadata, FileEntry, parse_metadata
from engine.errors import CityDamagedError, CityNotFoundError, CityReplacedError

_FIX = "Restore the file, or import or simulate the city again."
_OPEN_TRIES = 5
_MAX_VERIFIED = 100_000

_parse = lru_cache(maxsize=32)(parse_metadata)

_Verified = tuple[int, int, int, int, str]
_verified: set[_Verified] = set()
_verified_lock = threading.Lock()


class CityFiles:
    """A folder and its ``city.json``, as they were when opened.

    Args:
        folder: the city's folder.
        whole: refuse the folder when any file is missing or has another size; otherwise each
            file is looked at only when it is opened.

    Raises:
        CityNotFoundError: no folder, or no ``city.json`` in it.
        CityDamagedError: the description is damaged, or a file is missing or has another size.
        CityVersionError: an unknown version.
    """

    def __init__(self, folder: Path, whole: bool = True) -> None:
        self.folder = folder
        for attempt in range(_OPEN_TRIES):
            content = read_metadata_bytes(folder)
            self.digest = hashlib.sha256(content).hexdigest()
            self.metadata: CityMetadata = _parse(content)
            if not whole:
                return
            plain = dict(_plain_files(folder))
            try:
                for name, entry in self.metadata.files.items():
                    status = plain.get(name) or _stat(self._locate(name), name)
                    self._check_size(name, entry, status)
            except CityReplacedError:  # swapped between the two looks: look again
                if attempt == _OPEN_TRIES - 1:
                    raise
            else:
                return

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a listed file whose size and checksum fit.

        Args:
            name: as in the files table.

        Raises:
            CityDamagedError: missing, truncated, edited, or leading out of the folder.
            CityReplacedError: the city was written anew since it was opened.
        """
        entry = self.entry(name)
        try:
            file = self._locate(name).open("rb")
        except FileNotFoundError as error:
            raise self._damaged("A file of the city is missing", name) from error
        except OSError as error:
            raise self._damaged("A file of the city cannot be opened", name) from error
        with file:
            self._verify(file, name, entry)
            yield file

    def entry(self, name: str) -> FileEntry:
        """What ``city.json`` says about a file.

        Raises:
            CityDamagedError: it is not listed.
        """
        entry = self.metadata.files.get(name)
        if entry is None:
            raise CityDamagedError("The city does not list this file.", f"{self._where(name)}")
        return entry

    def verify(self, name: str) -> None:
        """Compare size and checksum of a listed file.

        Raises:
            CityDamagedError: they do not fit.
        """
        with self.open(name):
            pass

    def _verify(self, file: IO[bytes], name: str, entry: FileEntry) -> None:
        status = os.fstat(file.fileno())
        self._check_size(name, entry, status)
        mark = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, entry.sha256)
        with _verified_lock:
            if mark in _verified:
                return
        if _sha256(file) != entry.sha256:
            raise self._damaged("A file of the city was edited after it was written", name)
        file.seek(0)
        with _verified_lock:
            if len(_verified) >= _MAX_VERIFIED:
                _verified.clear()
            _verified.add(mark)

    def _check_size(self, name: str, entry: FileEntry, status: os.stat_result | None) -> None:
        if status is None:
            raise self._damaged("A file of the city is missing", name)
        if not stat.S_ISREG(status.st_mode):
            raise self._damaged("A file of the city is no plain file", name)
        if status.st_size != entry.num_bytes:
            short = status.st_size < entry.num_bytes
            what = "A file of the city is truncated" if short else "A file of the city was edited"
            raise self._damaged(what, name)

    def _locate(self, name: str) -> Path:
        """The file's path with links resolved, if that is still inside the folder."""
        path = self.folder / name
        resolved = path.resolve()
        if not resolved.is_relative_to(self.folder.resolve()):
            raise CityDamagedError("A link leads out of the city's folder.", self._where(name))
        return resolved

    def _damaged(self, what: str, name: str) -> CityDamagedError | CityReplacedError:
        """The error to raise: damage, unless the whole city has been replaced meanwhile."""
        try:
            now = hashlib.sha256(read_metadata_bytes(self.folder)).hexdigest()
        except (CityNotFoundError, CityDamagedError):
            now = ""
        if now != self.digest:
            return CityReplacedError(
                "The city was replaced or removed while it was open.",
                self.folder.name,
                "Open it again.",
            )
        return CityDamagedError(f"{what}.", self._where(name), _FIX)

    def _where(self, name: str) -> str:
        return f"{self.folder.name}/{name}"


def _plain_files(folder: Path, above: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """The files that are reached from the folder without any link: relative name, status."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _plain_files(folder / entry.name, f"{above}{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    yield f"{above}{entry.name}", entry.stat(follow_symlinks=False)
    except OSError:
        return  # what is missing here is looked at, and named, one by one


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(2**20):
        digest.update(chunk)
    return digest.hexdigest()


def read_metadata_bytes(folder: Path) -> bytes:
    """The bytes of ``city.json``, at most :data:`MAX_METADATA_BYTES` of them.

    Raises:
        CityNotFoundError: there is none.
        CityDamagedError: too large, a link, or not readable.
    """
    path = folder / METADATA_NAME
    where = f"{folder.name}/{METADATA_NAME}"
    status = _stat(path, METADATA_NAME, follow=False)
    if status is None:
        raise CityNotFoundError(
            "There is no city in this folder.", where, "Choose a folder that holds a city.json."
        )
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_METADATA_BYTES:
        raise CityDamagedError("The city's description is no plain file or too large.", where, _FIX)
    try:
        with path.open("rb") as file:
            return file.read(MAX_METADATA_BYTES + 1)[: MAX_METADATA_BYTES + 1]
    except FileNotFoundError as error:
        raise CityNotFoundError("There is no city in this folder.", where) from error
    except OSError as error:
        raise CityDamagedError("The city's description cannot be read.", where) from error


def _stat(path: Path, name: str, follow: bool = True) -> os.stat_result | None:
    try:
        return path.stat(follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CityDamagedError("A file of the city cannot be looked at.", name) from error
