"""Square regions and their canonical frame: every region becomes the square [-1, 1]².

A frame is a translation, a rotation and a scale. In the canonical frame x grows to the right and
y upwards; a region's map has row 0 at y = 1 and column 0 at x = -1.

Shapes: R regions, P points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.models.tddpm.tracks import Floats, Indices

MAP_SIZE = 64
"""Rows and columns of a region's map."""


@dataclass(frozen=True, eq=False)
class Frames:
    """The canonical frames of R square regions.

    Source: [TDDPM], canonical frame.

    Args:
        center_m: (R, 2) float64, middle of each region, metres.
        half_m: half of a side, metres; common to all.
        angle_rad: (R,) float64, the region's rotation against east, counter-clockwise.

    Raises:
        InputError: the arrays do not fit each other, or the side is not positive.
    """

    center_m: Floats
    half_m: float
    angle_rad: Floats

    def __post_init__(self) -> None:
        if self.center_m.shape != (len(self.angle_rad), 2) or not self.half_m > 0:
            raise InputError("The regions' centres, angles and size do not fit.")

    def __len__(self) -> int:
        return len(self.angle_rad)

    def _axes(self, region: Indices | int) -> tuple[Floats, Floats]:
        angle = self.angle_rad[region]
        return np.cos(angle)[..., None], np.sin(angle)[..., None]

    def to_canonical(self, points_m: NDArray[np.floating], region: Indices | int) -> Floats:
        """Points in the frame of their region.

        Args:
            points_m: (..., 2) metres.
            region: the region of each leading index of ``points_m``, or one for all.

        Returns:
            (..., 2) float64; inside the region when both are in [-1, 1].
        """
        cos, sin = self._axes(region)
        moved = np.asarray(points_m, dtype=np.float64) - self.center_m[region]
        x, y = moved[..., :1], moved[..., 1:]
        return np.concatenate([cos * x + sin * y, cos * y - sin * x], axis=-1) / self.half_m

    def to_plane(self, canonical: NDArray[np.floating], region: Indices | int) -> Floats:
        """Metres of canonical points; the inverse of :meth:`to_canonical`."""
        cos, sin = self._axes(region)
        scaled = np.asarray(canonical, dtype=np.float64) * self.half_m
        x, y = scaled[..., :1], scaled[..., 1:]
        turned = np.concatenate([cos * x - sin * y, cos * y + sin * x], axis=-1)
        return turned + self.center_m[region]


def is_inside(canonical: NDArray[np.floating]) -> NDArray[np.bool_]:
    """True where (..., 2) canonical points lie in the region."""
    return np.asarray(np.abs(canonical).max(axis=-1) <= 1)


def count_map(canonical: NDArray[np.floating], size: int = MAP_SIZE) -> Floats:
    """(size, size) number of (P, 2) canonical points in each cell; those outside are left out."""
    inside = canonical[is_inside(canonical)]
    col = np.minimum(((inside[:, 0] + 1) * (size / 2)).astype(np.int64), size - 1)
    row = np.minimum(((1 - inside[:, 1]) * (size / 2)).astype(np.int64), size - 1)
    counts = np.bincount(row * size + col, minlength=size * size)
    return counts.reshape(size, size).astype(np.float64)


class PointIndex:
    """Finds the points near a region without looking at all of them.

    Points are sorted into square buckets once; a region then reads only the buckets that its
    outer circle touches. Memory: one int32 per point and one per bucket.

    Args:
        points_m: (P, 2) metres.
        bucket_m: side of a bucket, metres.
    """

    def __init__(self, points_m: NDArray[np.float32], bucket_m: float = 500.0) -> None:
        if not len(points_m):
            raise InputError("There are no points to look up.")
        self._bucket_m = bucket_m
        self._origin = points_m.min(axis=0).astype(np.float64)
        cells = ((points_m - self._origin) / bucket_m).astype(np.int32)
        self._cols, self._rows = (int(n) + 1 for n in cells.max(axis=0))
        bucket = cells[:, 1] * self._cols + cells[:, 0]
        self._order = np.argsort(bucket, kind="stable").astype(np.int32)
        counts = np.bincount(bucket, minlength=self._rows * self._cols)
        self._offsets = np.concatenate([[0], np.cumsum(counts)])

    def near(self, center_m: Floats, radius_m: float) -> NDArray[np.int32]:
        """Indices of all points within ``radius_m`` (and some beyond), ascending."""
        low = np.floor((center_m - radius_m - self._origin) / self._bucket_m).astype(int)
        high = np.floor((center_m + radius_m - self._origin) / self._bucket_m).astype(int)
        first_col, last_col = max(low[0], 0), min(high[0], self._cols - 1)
        rows = range(max(low[1], 0), min(high[1], self._rows - 1) + 1)
        if first_col > last_col or not rows:
            return np.zeros(0, np.int32)
        found = [
            self._order[
                self._offsets[row * self._cols + first_col] : self._offsets[
                    row * self._cols + last_col + 1
                ]
            ]
            for row in rows
        ]
        return np.sort(np.concatenate(found))
