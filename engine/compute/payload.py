"""What may travel between the server and its workers, and in which form.

Only plain data travels: a tensor in a result would make the server import torch, and an object of
a library would tie the server to the worker's version of it.
"""

import datetime
import enum
import logging
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

import engine.errors
from engine.compute.jobs import Array
from engine.errors import EngineError, JobFailedError

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 32 * 2**20
MAX_RESULT_BYTES = 256 * 2**20
MAX_ESTIMATE_BYTES = 2**20
_MAX_DEPTH = 24
_ATOM_BYTES = 16
_ATOMS = (
    bool | int | float | complex | None,
    datetime.date | datetime.time | datetime.timedelta | datetime.tzinfo,
    enum.Enum | PurePath | np.generic,
)


def measure_payload(value: object, where: str, depth: int = 0) -> int:
    """Size of plain data in bytes, about.

    Args:
        value: what is to travel.
        where: name of it, for the error.
        depth: levels of nesting above it.

    Raises:
        TypeError: something in it is not plain (a programming mistake, not a user's).
    """
    if depth > _MAX_DEPTH:
        raise TypeError(f"{where} is nested too deeply")
    if isinstance(value, np.ndarray):
        return _measure_array(value, where)
    if isinstance(value, str | bytes):
        return _ATOM_BYTES + len(value)
    if isinstance(value, _ATOMS):
        return _ATOM_BYTES
    return sum(
        measure_payload(part, f"{where}{name}", depth + 1) for name, part in _parts(value, where)
    )


def _measure_array(array: Array, where: str) -> int:
    if array.dtype.hasobject:
        raise TypeError(f"{where} is an array of Python objects, which cannot travel")
    return _ATOM_BYTES + int(array.nbytes)


def _parts(value: object, where: str) -> Iterable[tuple[str, object]]:
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", part) for key, kept in value.items() for part in (key, kept)]
    if isinstance(value, list | tuple | set | frozenset):
        return [(f"[{n}]", part) for n, part in enumerate(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return [(f".{own.name}", getattr(value, own.name)) for own in fields(value)]
    kind = type(value)
    raise TypeError(f"{where} is a {kind.__module__}.{kind.__qualname__}, which cannot travel")


def encode_estimate(estimate: Array | None) -> dict[str, Any] | None:
    """An intermediate answer as a message; None when it is too large to be sent at every step."""
    if estimate is None:
        return None
    values = np.ascontiguousarray(estimate)
    _measure_array(values, "estimate")
    if values.nbytes > MAX_ESTIMATE_BYTES:
        logger.warning("an estimate of %d bytes is too large to be shown", values.nbytes)
        return None
    return {"dtype": values.dtype.str, "shape": list(values.shape), "values": values.tobytes()}


def decode_estimate(message: Mapping[str, Any] | None) -> Array | None:
    """Back to a read-only array."""
    if message is None:
        return None
    values: Array = np.frombuffer(message["values"], dtype=np.dtype(message["dtype"]))
    return values.reshape(message["shape"])


def encode_error(error: EngineError) -> dict[str, str]:
    """An error for the user, as a message."""
    known = next(
        kind.__name__
        for kind in type(error).__mro__
        if getattr(engine.errors, kind.__name__, None) is kind
    )
    return {"type": known, "what": error.what, "where": error.where, "fix": error.fix}


def decode_error(message: Mapping[str, str]) -> EngineError:
    """The same error: class, what, where and fix."""
    kind = getattr(engine.errors, message["type"], None)
    if not (isinstance(kind, type) and issubclass(kind, EngineError)):
        kind = JobFailedError
    return kind(message["what"], message["where"], message["fix"])
