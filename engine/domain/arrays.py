"""Read-only arrays and their content hash."""

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray


def frozen(values: ArrayLike, dtype: type | None = None) -> NDArray[np.generic]:
    """A C-ordered, read-only copy, so that no caller can change a domain object from outside."""
    array: NDArray[np.generic] = np.array(values, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array


def array_digest(array: NDArray[np.generic]) -> str:
    """SHA-256 of type, shape and content, the same on every platform (little-endian)."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    head = f"{little.dtype.str}{little.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(little).tobytes()).hexdigest()
