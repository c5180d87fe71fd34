"""Arrays in ``.npz`` files: read with every declared size checked first, written byte for byte.

An archive states the size of each array twice, in the zip directory and in the array's header.
Both are compared with each other and with a cap before anything is allocated; objects (pickles)
are never read.
"""

import contextlib
import io
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from math import prod
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from engine.cities.format import MAX_ARRAY_BYTES
from engine.errors import CityDamagedError

Array = NDArray[np.generic]
Header = tuple[tuple[int, ...], np.dtype[np.generic]]

_MAX_MEMBERS: Final = 64
_MAX_HEADER_BYTES: Final = 4_096
_MAX_DIMENSIONS: Final = 6
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_BROKEN: Final = (
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
    *(ValueError, EOFError, OSError, KeyError),
)
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_arrays(
    file: IO[bytes],
    where: str,
    keys: Collection[str] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    max_bytes: int = MAX_ARRAY_BYTES,
) -> dict[str, Array]:
    """Read arrays of an archive, none of them before its size is known to fit.

    Args:
        file: the archive, seekable.
        where: its name, for messages.
        keys: the arrays wanted; all when None.
        shapes: the shapes that arrays must have, by key.
        max_bytes: cap on all wanted arrays together, unpacked.

    Returns:
        Arrays by key, read-only.

    Raises:
        CityDamagedError: no archive, truncated, an array is missing, its header lies, it holds
            objects, or it is too large.
    """
    with _damage(where), zipfile.ZipFile(file) as archive:
        members = _members(archive, where, keys)
        total = sum(member.file_size for member in members.values())
        if total > max_bytes:
            raise _damaged(f"Its arrays take {total:,} bytes; at most {max_bytes:,} fit", where)
        return {
            key: _read_member(archive, member, f"{where}: {key}", (shapes or {}).get(key))
            for key, member in members.items()
        }


def read_array(file: IO[bytes], where: str, max_bytes: int = MAX_ARRAY_BYTES) -> Array:
    """Read a bare ``.npy`` file, its declared size checked first.

    Raises:
        CityDamagedError: no array, truncated, its header lies, it holds objects, or too large.
    """
    with _damage(where):
        num_bytes = file.seek(0, io.SEEK_END)
        file.seek(0)
        if num_bytes > max_bytes:
            raise _damaged(f"It takes {num_bytes:,} bytes; at most {max_bytes:,} fit", where)
        return _read_stream(file, num_bytes, where, None)


def read_headers(file: IO[bytes], where: str) -> dict[str, Header]:
    """Shape and type of each array, without reading the arrays.

    Raises:
        CityDamagedError: no archive, truncated, or a header that does not fit.
    """
    headers = {}
    with _damage(where), zipfile.ZipFile(file) as archive:
        for key, member in _members(archive, where, None).items():
            with archive.open(member) as stream:
                shape, dtype, _ = _read_header(stream, member.file_size, f"{where}: {key}")
            headers[key] = shape, dtype
    return headers


def pack_arrays(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of an ``.npz``: sorted keys, fixed times, so equal arrays give equal bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for key in sorted(arrays):
            array = np.asarray(arrays[key], order="C")
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            info = zipfile.ZipInfo(f"{key}.npy", _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=little.nbytes >= 2**31) as stream:
                np.lib.format.write_array(stream, little, version=(1, 0), allow_pickle=False)
    return target.getvalue()


def _members(
    archive: zipfile.ZipFile, where: str, keys: Collection[str] | None
) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise _damaged(f"It holds {len(infos):,} arrays; at most {_MAX_MEMBERS} fit", where)
    members = {info.filename.removesuffix(".npy"): info for info in infos}
    if len(members) != len(infos):
        raise _damaged("It holds an array twice", where)
    for info in infos:
        if info.compress_type not in _METHODS or info.flag_bits & 1:
            raise _damaged("It is packed in an unknown way", f"{where}: {info.filename}")
    if keys is None:
        return members
    missing = sorted(set(keys) - set(members))
    if missing:
        found = ", ".join(sorted(members)) or "none"
        raise _damaged(f"It lacks the array '{missing[0]}'", f"{where}; arrays: {found[:200]}")
    return {key: members[key] for key in keys}


def _read_member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    where: str,
    expected: tuple[int, ...] | None,
) -> Array:
    with archive.open(member) as stream:
        return _read_stream(stream, member.file_size, where, expected)


def _read_stream(
    stream: IO[bytes], num_bytes: int, where: str, expected: tuple[int, ...] | None
) -> Array:
    shape, dtype, fortran = _read_header(stream, num_bytes, where)
    if expected is not None and shape != expected:
        raise _damaged("An array has another shape than it should", f"{where}: {shape}")
    flat = np.empty(prod(shape), dtype)
    _read_into(stream, flat, where)
    if stream.read(1):
        raise _damaged("An array is longer than it declares", where)
    array = flat.reshape(shape, order="F" if fortran else "C")
    array = np.asarray(array.astype(dtype.newbyteorder("="), copy=False), order="C")
    array.setflags(write=False)
    return array


def _read_header(
    stream: IO[bytes], num_bytes: int, where: str
) -> tuple[tuple[int, ...], np.dtype[np.generic], bool]:
    """Shape, type and order, if the array that they declare is as long as its file."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        header = np.lib.format.read_array_header_1_0(stream, max_header_size=_MAX_HEADER_BYTES)
    elif version == (2, 0):
        header = np.lib.format.read_array_header_2_0(stream, max_header_size=_MAX_HEADER_BYTES)
    else:
        raise _damaged(f"An array is written in version {version} of its format", where)
    shape, fortran, dtype = header
    if dtype.hasobject or dtype.kind not in "fiubMSU":
        raise _damaged("An array holds something else than numbers", f"{where}: {dtype}")
    if len(shape) > _MAX_DIMENSIONS or any(n < 0 for n in shape):
        raise _damaged("An array has an impossible shape", f"{where}: {shape}")
    declared = prod(int(n) for n in shape) * dtype.itemsize
    if stream.tell() + declared != num_bytes:
        raise _damaged(
            "An array declares another size than it has",
            f"{where}: {shape} of {dtype} in {num_bytes:,} bytes",
        )
    return shape, dtype, fortran


def _read_into(stream: IO[bytes], flat: Array, where: str) -> None:
    view = flat.view(np.uint8)
    done = 0
    while done < len(view):
        chunk = stream.read(min(2**20, len(view) - done))
        if not chunk:
            raise _damaged("An array is shorter than it declares", where)
        view[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)


@contextlib.contextmanager
def _damage(where: str) -> Iterator[None]:
    """Turn what zip and array readers say about broken bytes into a CityDamagedError."""
    try:
        yield
    except _BROKEN as error:
        raise _damaged("It is no readable archive of arrays", where) from error


def _damaged(what: str, where: str) -> CityDamagedError:
    return CityDamagedError(
        f"{what}.", where, "Restore the file, or import or simulate the city again."
    )
