"""Frames as NumPy's ``.npz``, one at a time: arrays gather in files of their own until the end."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import FieldError


def write_npz(file: IO[bytes], frames: Iterable[Mapping[str, NDArray[np.generic]]]) -> None:
    """Stack the arrays of all frames, by name, into one compressed archive.

    Args:
        file: empty, open for writing, seekable.
        frames: at least one; each with the same names, shapes and types.

    Raises:
        FieldError: there are no frames, or one differs from the first.
    """
    with ExitStack() as stack:
        heads: dict[str, tuple[str, tuple[int, ...]]] = {}
        parts: dict[str, IO[bytes]] = {}
        count = 0
        for frame in frames:
            arrays = {name: np.asarray(array) for name, array in frame.items()}
            found = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
            if not count:
                heads = found
                parts = {n: stack.enter_context(tempfile.TemporaryFile()) for n in heads}
            if found != heads:
                raise FieldError("A frame has other maps than the first one.", str(found))
            for name, array in arrays.items():
                parts[name].write(array.tobytes())
            count += 1
        if not count:
            raise FieldError("There are no frames to write.")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, (kind, shape) in heads.items():
                head: dict[str, Any] = {"descr": kind, "fortran_order": False}
                with archive.open(f"{name}.npy", "w", force_zip64=True) as target:
                    np.lib.format.write_array_header_1_0(target, {**head, "shape": (count, *shape)})
                    parts[name].seek(0)
                    shutil.copyfileobj(parts[name], target)
