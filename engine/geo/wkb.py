"""Geometries as bytes (WKB), checked before GEOS sees them.

Broken or hostile geometry can crash the process inside GEOS. So each one is walked through here
first: known types, little nesting, counts that fit the bytes, finite coordinates on Earth.
"""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.errors import InputError

POINT, LINE, POLYGON, MULTI_POINT, MULTI_LINE, MULTI_POLYGON, COLLECTION = range(1, 8)
_KNOWN: Final = frozenset(range(POINT, COLLECTION + 1))
_PART_OF: Final = {MULTI_POINT: POINT, MULTI_LINE: LINE, MULTI_POLYGON: POLYGON}
_MIN_POINTS: Final = {LINE: 2, POLYGON: 4}


@dataclass(frozen=True)
class GeometryLimits:
    """What one geometry may be.

    Args:
        max_depth: levels of nesting; a multi-polygon has two.
        max_parts: parts and rings together.
        max_vertices: vertices of all parts together.
    """

    max_depth: int = 3
    max_parts: int = 10_000
    max_vertices: int = 200_000


DEFAULT_LIMITS: Final = GeometryLimits()


def check_wkb(content: bytes, limits: GeometryLimits = DEFAULT_LIMITS) -> int:
    """Walk through one two-dimensional geometry in longitude and latitude.

    Args:
        content: its well-known bytes.
        limits: what it may be.

    Returns:
        Number of vertices.

    Raises:
        InputError: the bytes are no geometry, or one beyond the limits.
    """
    walk = _Walk(content, limits)
    try:
        walk.geometry(None, 1)
    except struct.error as error:
        raise InputError("A geometry is truncated.", f"{len(content)} bytes") from error
    if walk.offset != len(content):
        raise InputError("A geometry is longer than it declares.", f"{len(content)} bytes")
    return walk.num_vertices


class _Walk:
    """A cursor over the bytes of one geometry, counting as it goes."""

    def __init__(self, content: bytes, limits: GeometryLimits) -> None:
        self.content = content
        self.limits = limits
        self.offset = 0
        self.num_parts = 0
        self.num_vertices = 0

    def geometry(self, expected: int | None, depth: int) -> None:
        """One geometry, and those inside of it."""
        if depth > self.limits.max_depth:
            raise InputError(f"A geometry is nested deeper than {self.limits.max_depth} levels.")
        order, kind = self._start()
        if kind not in _KNOWN or (expected is not None and kind != expected):
            raise InputError("A geometry is of a kind that is not read here.", f"kind {kind}")
        if kind == POINT:
            self._vertices(order, 1, kind)
        elif kind == LINE:
            self._vertices(order, self._count(order, 16), kind)
        elif kind == POLYGON:
            for _ in range(self._parts(order, 4)):
                self._vertices(order, self._count(order, 16), kind)
        else:
            for _ in range(self._parts(order, 5)):
                self.geometry(_PART_OF.get(kind), depth + 1)

    def _start(self) -> tuple[str, int]:
        (flag,) = struct.unpack_from("B", self.content, self.offset)
        if flag not in (0, 1):
            raise InputError("A geometry begins with an unknown byte order.", str(flag))
        order = "<" if flag else ">"
        (kind,) = struct.unpack_from(f"{order}I", self.content, self.offset + 1)
        self.offset += 5
        return order, kind

    def _count(self, order: str, min_bytes_each: int) -> int:
        (count,) = struct.unpack_from(f"{order}I", self.content, self.offset)
        self.offset += 4
        if count * min_bytes_each > len(self.content) - self.offset:
            raise InputError("A geometry declares more than it holds.", f"{count:,} items")
        return int(count)

    def _parts(self, order: str, min_bytes_each: int) -> int:
        count = self._count(order, min_bytes_each)
        self.num_parts += count
        if self.num_parts > self.limits.max_parts:
            raise InputError(f"A geometry has more than {self.limits.max_parts:,} parts.")
        return count

    def _vertices(self, order: str, count: int, kind: int) -> None:
        self.num_vertices += count
        if self.num_vertices > self.limits.max_vertices:
            raise InputError(f"A geometry has more than {self.limits.max_vertices:,} vertices.")
        if 0 < count < _MIN_POINTS.get(kind, 1):
            raise InputError("A line or a ring has too few vertices.", str(count))
        try:
            xy = np.frombuffer(self.content, f"{order}f8", 2 * count, self.offset).reshape(-1, 2)
        except ValueError as error:
            raise InputError("A geometry is truncated.", f"{len(self.content)} bytes") from error
        self.offset += 16 * count
        if not (np.isfinite(xy).all() and (np.abs(xy) <= (180.0, 90.0)).all()):
            raise InputError("A geometry has coordinates that are not on Earth.")
        if kind == POLYGON and count and (xy[0] != xy[-1]).any():
            raise InputError("A polygon's ring is not closed.")
