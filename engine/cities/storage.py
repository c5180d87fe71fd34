"""Folders that change all at once or not at all.

A new folder is built under a temporary name beside the old one, flushed to the disk, and the two
names are exchanged. Whoever reads sees the old folder or the new one, whole, whatever happens in
between: a crash, a kill, a full disk.

Names in the parent folder: ``.tmp-ID-XXXX`` is being built (its builder holds a lock on it) or is
left over, ``.old-ID-XXXX`` is the old folder where names cannot be exchanged in one step, and
``.lock`` orders those who write.
"""

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.errors import StorageError

try:
    import fcntl
except ImportError:  # no locks on Windows; leftovers are then told by their age
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = ".tmp-"
_REPLACED = ".old-"
_LOCK_NAME = ".lock"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def storage_errors(where: Path) -> Iterator[None]:
    """Turn what the operating system says into a sentence.

    Raises:
        StorageError: an OSError came up inside.
    """
    try:
        yield
    except OSError as error:
        reason = {
            errno.ENOSPC: "The disk is full.",
            errno.EDQUOT: "The disk quota is used up.",
            errno.EACCES: "There is no right to write here.",
            errno.EPERM: "There is no right to write here.",
            errno.EROFS: "The disk is read-only.",
        }.get(error.errno or 0, f"Writing failed: {error.strerror or error}.")
        raise StorageError(
            reason, str(where), "What was stored before is untouched; make room and try again."
        ) from error


class FolderTransaction:
    """Builds the folder ``root/name`` anew.

    Args:
        root: the parent folder; made if missing.
        name: the folder's name, already checked.

    Raises:
        StorageError: nothing can be written here.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.final = root / name
        self._lock_fd: int | None = None
        with storage_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            with _locked(root):
                recover(root)
                self.folder = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{name}-", dir=root))
                self.folder.chmod(0o755)
                self._lock_fd = _hold(self.folder)

    def write(self, name: str, content: bytes) -> None:
        """Write one file of the new folder and flush it to the disk.

        Raises:
            StorageError: a full disk, missing rights.
        """
        path = self.folder / name
        with storage_errors(self.final / name):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

    def keep(self, name: str) -> None:
        """Carry a file or folder of the old city over, if it is there.

        Raises:
            StorageError: a full disk, missing rights.
        """
        old = self.final / name
        with storage_errors(old):
            for path in sorted(old.rglob("*")) if old.is_dir() else [old]:
                if path.is_file() and not path.is_symlink():
                    self.write(path.relative_to(self.final).as_posix(), path.read_bytes())

    def commit(self) -> None:
        """Put the new folder in the old one's place.

        Raises:
            StorageError: the disk refuses; the old folder is still in place.
        """
        with storage_errors(self.final):
            for folder in [self.folder, *(p for p in self.folder.rglob("*") if p.is_dir())]:
                _sync_folder(folder)
            with _locked(self.root):
                leftover = _swap(self.folder, self.final)
                _sync_folder(self.root)
            if leftover is not None:
                shutil.rmtree(leftover, ignore_errors=True)
        self._release()

    def abort(self) -> None:
        """Throw the new folder away."""
        self._release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _release(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def write_file(path: Path, content: bytes) -> None:
    """Write one file under a temporary name, flush it, and put it in place.

    Raises:
        StorageError: a full disk, missing rights; the old file is untouched.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def remove_folder(root: Path, name: str) -> None:
    """Remove ``root/name``: it vanishes at once, its files a moment later.

    Raises:
        StorageError: missing rights.
    """
    with storage_errors(root / name), _locked(root):
        leftover = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{name}-", dir=root))
        (root / name).rename(leftover / name)
        _sync_folder(root)
    shutil.rmtree(leftover, ignore_errors=True)


def recover(root: Path) -> None:
    """Put back what a crash left half exchanged, and remove what was never finished.

    The caller holds the lock of ``root``.
    """
    for old in root.glob(f"{_REPLACED}*"):
        final = root / old.name.removeprefix(_REPLACED).rpartition("-")[0]
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(final)
    for leftover in root.glob(f"{_TEMPORARY}*"):
        if leftover.is_dir() and _is_abandoned(leftover):
            shutil.rmtree(leftover, ignore_errors=True)


def recover_if_needed(root: Path) -> None:
    """:func:`recover` where a crash left a city without its name; needs the right to write."""
    if any(root.glob(f"{_REPLACED}*")):
        with contextlib.suppress(OSError), _locked(root):
            recover(root)


def _swap(new: Path, final: Path) -> Path | None:
    """Give ``new`` the name ``final``; return the path that now holds the old folder."""
    if not final.exists():
        new.rename(final)
        return None
    if _exchange(new, final):
        return new
    old = final.with_name(f"{_REPLACED}{new.name.removeprefix(_TEMPORARY)}")
    final.rename(old)
    try:
        new.rename(final)
    except OSError:
        old.rename(final)
        raise
    return old


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one step; False where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    paths = os.fsencode(first), os.fsencode(second)
    if renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(second))


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hold(folder: Path) -> int | None:
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _is_abandoned(folder: Path) -> bool:
    """Whether nobody is building this folder any more."""
    if fcntl is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the lock of a root; it ends with the process, so no crash leaves it behind."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(root / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
