"""Whole trips from pieces: each is continued region by region until it is as long as planned.

A trip's first piece is a window around a random point of the trip, in a region drawn by p(r):
points of trips are then spread as the map says. From there it is *outpainted* in both directions:
the next region lies around the last point, and the last points are given to the network.

Shapes: N pieces, L points of a piece, U regions, S cells a side of a map.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.models.tddpm.conditions import Conditions, describe_pieces
from engine.models.tddpm.frames import MAP_SIZE, Frames
from engine.models.tddpm.occupancy import CityMap, frames_of_slices, slice_map
from engine.models.tddpm.pieces import hold_outside
from engine.models.tddpm.plans import TripPlan
from engine.models.tddpm.tracks import UNKNOWN, Floats, Indices, Tracks

MARGIN = 0.95
"""A piece is used up to here in canonical coordinates: beyond, points may already be held."""
KNOWN_SHARE = 0.25
"""Part of a piece that is handed on from the one before it."""
MAX_PIECES = 60
"""Pieces of one trip; a trip that is not complete by then stays shorter."""
MAX_STALLS = 2
"""Pieces in a row that add no point before a trip ends where it is."""
SNAP = 16
"""Regions of further pieces begin at multiples of this many cells, so that trips share them."""


@dataclass(frozen=True, eq=False)
class PieceRequest:
    """N pieces to be sampled, in U different regions.

    Args:
        place: (U, 2) first raster row and column of each region.
        counts: (U, S, S) maps of the regions.
        region: (N,) the region of each piece.
        points: (N, L, 2) float32, canonical; the given points.
        valid: (N, L) bool.
        known: (N, L) bool.
        conditions: N rows.
    """

    place: Indices
    counts: Floats
    region: Indices
    points: NDArray[np.float32]
    valid: NDArray[np.bool_]
    known: NDArray[np.bool_]
    conditions: Conditions


PieceSampler = Callable[[PieceRequest], NDArray[np.float32]]
"""(N, L, 2) canonical points for a request; the network, its sampler and its noise are in it."""


@dataclass(frozen=True, eq=False)
class _Windows:
    """Pieces as windows of trips, and the regions that they are drawn in.

    Args:
        trip: (N,) row of the plan.
        start: (N,) first point of the window.
        length: (N,) points of the window.
        known_from: (N,) first given point, counted in the window.
        num_known: (N,) number of given points.
        row: (N,) first raster row of the region.
        col: (N,) first raster column.
    """

    trip: Indices
    start: Indices
    length: Indices
    known_from: Indices
    num_known: Indices
    row: Indices
    col: Indices


class TripBuilder:
    """Builds trips on a city's map.

    Args:
        city: the fine raster.
        sample: draws pieces.
        piece_points: L.
        step_s: time between two points, seconds.
    """

    def __init__(
        self, city: CityMap, sample: PieceSampler, piece_points: int, step_s: float
    ) -> None:
        self._city = city
        self._sample = sample
        self._piece_points = piece_points
        self._step_s = step_s

    def build(self, plan: TripPlan) -> Tracks:
        """All trips of a plan, in its order.

        A trip that leaves the city, or that the network leads nowhere, ends there: it may have
        fewer points than planned, but at least one.
        """
        growth = _Growth(plan)
        self._begin(plan, growth)
        for _ in range(MAX_PIECES):
            windows, ahead = self._next_windows(plan, growth)
            if not len(windows.trip):
                break
            points_m, usable = self._draw(plan, growth, windows)
            for i in range(len(windows.trip)):
                growth.extend(
                    windows.trip[i],
                    bool(ahead[i]),
                    windows.start[i],
                    points_m[i],
                    usable[i, : windows.length[i]],
                )
        return growth.collect(plan, self._step_s)

    def _begin(self, plan: TripPlan, growth: "_Growth") -> None:
        num = len(plan)
        length = np.minimum(plan.num_points, self._piece_points)
        none = np.zeros(num, np.int64)
        windows = _Windows(np.arange(num), plan.begin, length, none, none, plan.row, plan.col)
        points_m, usable = self._draw(plan, growth, windows)
        for trip in range(num):
            growth.begin(trip, plan.begin[trip], points_m[trip], usable[trip, : length[trip]])

    def _next_windows(
        self, plan: TripPlan, growth: "_Growth"
    ) -> tuple[_Windows, NDArray[np.bool_]]:
        """One further piece for each unfinished trip: at its end first, then at its beginning.

        Returns:
            The windows, and (N,) True where a trip is continued at its end.
        """
        forward = growth.high < growth.end
        trip = np.flatnonzero(forward | (growth.low > growth.first))
        ahead = forward[trip]
        low, high, size = growth.low[trip], growth.high[trip], self._piece_points
        num_known = np.minimum(high - low, max(1, int(KNOWN_SHARE * size)))
        start = np.where(ahead, high - num_known, np.maximum(low + num_known - size, 0))
        stop = np.where(ahead, np.minimum(start + size, plan.num_points[trip]), low + num_known)
        known_from = np.where(ahead, 0, low - start)
        edge = growth.points_m[trip, np.where(ahead, high - 1, low)].astype(np.float64)
        rows, cols = self._city.shape
        row = _snap(self._city.north_m - edge[:, 1], self._city.cell_m, rows)
        col = _snap(edge[:, 0] - self._city.west_m, self._city.cell_m, cols)
        return _Windows(trip, start, stop - start, known_from, num_known, row, col), ahead

    def _draw(
        self, plan: TripPlan, growth: "_Growth", windows: _Windows
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """(N, L, 2) metres of the windows' pieces, and (N, L) which of them may be used."""
        frames = frames_of_slices(self._city, windows.row, windows.col)
        request = self._request(plan, growth, windows, frames)
        canonical = self._sample(request)
        regions = np.broadcast_to(np.arange(len(canonical))[:, None], canonical.shape[:2])
        points_m = frames.to_plane(canonical, regions)
        inside = np.abs(canonical).max(axis=-1) <= MARGIN
        return points_m, inside & (self._city.cell_of(points_m) >= 0)

    def _request(
        self, plan: TripPlan, growth: "_Growth", windows: _Windows, frames: Frames
    ) -> PieceRequest:
        num, size = len(windows.trip), self._piece_points
        corners = np.stack([windows.row, windows.col], axis=1)
        place, region = np.unique(corners, axis=0, return_inverse=True)
        slices = [slice_map(self._city, int(row), int(col)) for row, col in place]
        index = np.arange(size)
        valid = index < windows.length[:, None]
        until = windows.known_from + windows.num_known
        known = (index >= windows.known_from[:, None]) & (index < until[:, None])
        points = np.zeros((num, size, 2), np.float32)
        for i in np.flatnonzero(windows.num_known):
            points[i, known[i]] = self._given_points(growth, windows, frames, int(i))
        trips = plan.select(windows.trip)
        conditions = describe_pieces(
            begins=windows.start == 0,
            ends=windows.start + windows.length == trips.num_points,
            duration_s=trips.num_points * self._step_s,
            start_s=trips.start_s,
            purpose=trips.purpose,
            length_m=_lengths_m(trips, windows.length, self._step_s),
        )
        return PieceRequest(
            place, np.stack(slices), region.ravel(), points, valid, known, conditions
        )

    def _given_points(self, growth: "_Growth", windows: _Windows, frames: Frames, i: int) -> Floats:
        """The given points of one piece, held where they left the region, as in training."""
        trip, first = windows.trip[i], windows.start[i] + windows.known_from[i]
        given_m = growth.points_m[trip, first : first + windows.num_known[i]]
        edge = 0 if windows.known_from[i] > 0 else len(given_m) - 1
        return hold_outside(frames.to_canonical(given_m, i), edge)


class _Growth:
    """Trips under construction: of each, points ``low`` to ``high`` are there.

    ``first`` and ``end`` are the points it shall have; they move in when a trip cannot go on.
    """

    def __init__(self, plan: TripPlan) -> None:
        self.points_m = np.zeros((len(plan), int(plan.num_points.max()), 2), np.float32)
        self.low = plan.begin.copy()
        self.high = plan.begin.copy()
        self.first = np.zeros(len(plan), np.int64)
        self.end = plan.num_points.copy()
        self._stalls = np.zeros(len(plan), np.int64)

    def begin(self, trip: int, start: int, points_m: Floats, usable: NDArray[np.bool_]) -> None:
        """Take over the longest usable run of the first piece; failing that, one point of it."""
        low, high = _longest_run(usable)
        self.points_m[trip, start + low : start + high] = points_m[low:high]
        self.low[trip], self.high[trip] = start + low, start + high

    def extend(
        self, trip: int, ahead: bool, start: int, points_m: Floats, usable: NDArray[np.bool_]
    ) -> None:
        """Take over the new points of a piece up to the first that cannot be used."""
        if ahead:
            fresh = int(self.high[trip] - start)
            stop = fresh + _num_leading(usable[fresh:])
            self.points_m[trip, start + fresh : start + stop] = points_m[fresh:stop]
            self.high[trip] = start + stop
            added = stop - fresh
        else:
            fresh = int(self.low[trip] - start)
            begin = fresh - _num_leading(usable[:fresh][::-1])
            self.points_m[trip, start + begin : start + fresh] = points_m[begin:fresh]
            self.low[trip] = start + begin
            added = fresh - begin
        self._stalls[trip] = 0 if added else self._stalls[trip] + 1
        if self._stalls[trip] >= MAX_STALLS:
            self._stalls[trip] = 0
            if ahead:
                self.end[trip] = self.high[trip]
            else:
                self.first[trip] = self.low[trip]

    def collect(self, plan: TripPlan, step_s: float) -> Tracks:
        """The trips as far as they came."""
        counts = self.high - self.low
        column = np.arange(self.points_m.shape[1])
        there = (column >= self.low[:, None]) & (column < self.high[:, None])
        return Tracks(
            self.points_m[there],
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            plan.start_s + self.low * step_s,
            np.full(len(plan), UNKNOWN, np.int32),
            plan.purpose,
            step_s,
        )


def _lengths_m(trips: TripPlan, num_points: Indices, step_s: float) -> Floats | None:
    """Lengths that windows of so many points have at their trips' mean speed."""
    if trips.speed_m_s is None:
        return None
    return np.asarray(trips.speed_m_s * (num_points - 1) * step_s)


def _snap(distance_m: Floats, cell_m: float, length: int) -> Indices:
    """First raster row or column of the region around a place, on a grid of :data:`SNAP`.

    A raster that one region holds has only that region.
    """
    if length <= MAP_SIZE:
        return np.full(len(distance_m), -((MAP_SIZE - length) // 2), np.int64)
    middle = distance_m / cell_m - MAP_SIZE / 2
    return np.round(middle / SNAP).astype(np.int64) * SNAP


def _num_leading(flags: NDArray[np.bool_]) -> int:
    """Number of True values before the first False."""
    missing = np.flatnonzero(~flags)
    return int(missing[0]) if len(missing) else len(flags)


def _longest_run(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """First and last + 1 of the longest run of True values; one element when there is none."""
    padded = np.concatenate([[False], flags, [False]])
    change = np.flatnonzero(padded[1:] != padded[:-1])
    begins, ends = change[::2], change[1::2]
    if not len(begins):
        return 0, 1
    best = int(np.argmax(ends - begins))
    return int(begins[best]), int(ends[best])
