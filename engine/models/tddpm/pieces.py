"""Training examples: a region's map and pieces of trips in its canonical frame.

A region lies around a random point of a random trip, turned at random. Its map is the histogram
of all training points in it; the pieces are windows of trips around random points of it.

Differs from paper: (1) for the map and the pieces of one region only the trips of a random part
of the people are used, so that the network also learns maps of a few people, such as those of
held-out ones. (2) A piece is not cut where it leaves the region: its points are *held* where they
left. The number of points is then independent of speed, and a trip can be continued in the next
region (:func:`hold_outside`). The paper's pieces, cut at the border, are ``hold=False``.

Shapes: K pieces of a region, L points of a piece, S cells a side of a map.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.models.tddpm.conditions import NUM_FEATURES, NUM_GROUPS, column_of, describe_trips
from engine.models.tddpm.conditions import scale_length as scale_length_m
from engine.models.tddpm.frames import MAP_SIZE, Frames, PointIndex, count_map, is_inside
from engine.models.tddpm.tracks import Floats, Indices, Tracks

HELD_LIMIT = 1.5
"""Farthest canonical coordinate of a held point: a jump of the receiver goes no farther."""


@dataclass(frozen=True)
class PieceConfig:
    """How training examples are drawn.

    Args:
        side_m: side of a region, metres.
        num_points: L, points of a piece.
        pieces_per_region: K.
        min_points: shorter pieces are not used.
        hold: hold points outside the region; otherwise cut the piece at the border.
        known_share: part of the pieces whose beginning or end is given.
        subset_share: part of the regions that are built from a random part of the people.
        min_people_share: smallest such part.
    """

    side_m: float = 3_000.0
    num_points: int = 128
    pieces_per_region: int = 16
    min_points: int = 8
    hold: bool = True
    known_share: float = 0.4
    subset_share: float = 0.7
    min_people_share: float = 0.03


@dataclass(frozen=True, eq=False)
class RegionExample:
    """One region and K pieces of trips in it.

    Args:
        counts: (S, S) float32, the region's histogram.
        points: (K, L, 2) float32, canonical; rows beyond a piece's end repeat its last point.
        valid: (K, L) bool, False beyond the piece's end.
        known: (K, L) bool, True for points that are given to the network.
        features: (K, F) float32 and
        features_known: (K, G) bool, as in :class:`engine.models.tddpm.conditions.Conditions`.
    """

    counts: NDArray[np.float32]
    points: NDArray[np.float32]
    valid: NDArray[np.bool_]
    known: NDArray[np.bool_]
    features: NDArray[np.float32]
    features_known: NDArray[np.bool_]


def hold_outside(canonical: Floats, anchor: int) -> Floats:
    """Freeze a piece where it leaves the region, going out from a point inside.

    Args:
        canonical: (n, 2) points.
        anchor: index of a point inside the region.

    Returns:
        (n, 2): every point after the first exit is that exit's point, and every point before the
        last entry is that entry's, both limited to :data:`HELD_LIMIT`.
    """
    outside = np.flatnonzero(~is_inside(canonical))
    after, before = outside[outside > anchor], outside[outside < anchor]
    first = before[-1] if len(before) else 0
    last = after[0] if len(after) else len(canonical) - 1
    held = canonical[np.clip(np.arange(len(canonical)), first, last)]
    return np.clip(held, -HELD_LIMIT, HELD_LIMIT)


class RegionSampler:
    """Draws training examples from a set of trips; an example depends on its seed alone.

    Args:
        tracks: the training trips.
        config: how to draw.
    """

    def __init__(self, tracks: Tracks, config: PieceConfig) -> None:
        if not len(tracks):
            raise InputError("There are no trips to train on.")
        self._tracks = tracks
        self._config = config
        self._trip_of_point = tracks.trip_of_point()
        self._index = PointIndex(tracks.points_m)
        self._trips = describe_trips(tracks)
        self._people, self._person = np.unique(tracks.person, return_inverse=True)

    def draw(self, seed: tuple[int, ...]) -> RegionExample:
        """The example of a seed: a region that at least one piece lies in."""
        rng = np.random.default_rng(seed)
        while True:
            chosen = self._draw_people(rng)
            frames = self._draw_frame(rng, chosen)
            near = self._index.near(frames.center_m[0], frames.half_m * 2**0.5)
            near = near[chosen[self._person[self._trip_of_point[near]]]]
            canonical = frames.to_canonical(self._tracks.points_m[near], 0)
            inside = is_inside(canonical)
            counts = count_map(canonical[inside])
            pieces = self._cut_pieces(rng, frames, near[inside])
            if pieces:
                return self._stack(counts, pieces)

    def _draw_people(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """(number of people,) who is taken into account; at least one."""
        share = 1.0
        if rng.random() < self._config.subset_share:
            share = float(np.exp(rng.uniform(np.log(self._config.min_people_share), 0)))
        chosen = rng.random(len(self._people)) < share
        chosen[rng.integers(len(chosen))] = True
        return chosen

    def _draw_frame(self, rng: np.random.Generator, chosen: NDArray[np.bool_]) -> Frames:
        trips = np.flatnonzero(chosen[self._person])
        # by points, as p(r) is: long trips more often
        ends = np.cumsum(self._tracks.num_points[trips])
        pick = rng.integers(ends[-1])
        trip = trips[np.searchsorted(ends, pick, side="right")]
        point = self._tracks.offsets[trip] + rng.integers(self._tracks.num_points[trip])
        half_m = self._config.side_m / 2
        shift = rng.uniform(-half_m, half_m, 2)
        center = self._tracks.points_m[point].astype(np.float64) + shift
        return Frames(center[None], half_m, rng.uniform(0, 2 * np.pi, 1))

    def _cut_pieces(
        self, rng: np.random.Generator, frames: Frames, inside: NDArray[np.int32]
    ) -> list["_Piece"]:
        if not len(inside):
            return []
        anchors = rng.choice(inside, self._config.pieces_per_region)
        found = (self._cut_piece(rng, frames, int(anchor)) for anchor in anchors)
        return [piece for piece in found if piece is not None]

    def _cut_piece(self, rng: np.random.Generator, frames: Frames, anchor: int) -> "_Piece | None":
        trip = int(self._trip_of_point[anchor])
        begin, end = (int(n) for n in self._tracks.offsets[trip : trip + 2])
        if not self._config.hold:
            begin, end = self._inside_run(frames, anchor, begin, end)
        length = min(self._config.num_points, end - begin)
        if length < self._config.min_points:
            return None
        lowest = max(begin, anchor - length + 1)
        first = int(rng.integers(lowest, min(anchor, end - length) + 1))
        points_m = self._tracks.points_m[first : first + length]
        canonical = frames.to_canonical(points_m, 0)
        if self._config.hold:
            canonical = hold_outside(canonical, anchor - first)
        offsets = self._tracks.offsets
        ends = first == offsets[trip], first + length == offsets[trip + 1]
        length_m = float(np.linalg.norm(np.diff(points_m, axis=0), axis=1).sum())
        known = self._draw_known(rng, length, anchor - first)
        return _Piece(canonical, trip, ends, length_m, known)

    def _inside_run(self, frames: Frames, anchor: int, begin: int, end: int) -> tuple[int, int]:
        """First and last + 1 of the points around the anchor that lie in the region."""
        outside = np.flatnonzero(
            ~is_inside(frames.to_canonical(self._tracks.points_m[begin:end], 0))
        )
        outside = outside + begin
        before, after = outside[outside < anchor], outside[outside > anchor]
        return (int(before[-1]) + 1 if len(before) else begin), (
            int(after[0]) if len(after) else end
        )

    def _draw_known(self, rng: np.random.Generator, length: int, anchor: int) -> NDArray[np.bool_]:
        """Which points are given: none, those up to the anchor, or those from it on."""
        index = np.arange(length)
        kind = rng.random() / max(self._config.known_share, 1e-9)
        if kind < 0.5:
            return index <= anchor
        return (index >= anchor) if kind < 1 else np.zeros(length, dtype=bool)

    def _stack(self, counts: Floats, pieces: list["_Piece"]) -> RegionExample:
        num, size = len(pieces), self._config.num_points
        points = np.zeros((num, size, 2), np.float32)
        valid, known = np.zeros((2, num, size), dtype=bool)
        features = np.zeros((num, NUM_FEATURES), np.float32)
        flags = np.zeros((num, NUM_GROUPS), dtype=bool)
        ends, length = column_of("ends"), column_of("length")
        for row, piece in enumerate(pieces):
            n = len(piece.canonical)
            points[row, :n], points[row, n:] = piece.canonical, piece.canonical[-1]
            valid[row, :n], known[row, :n] = True, piece.known
            features[row] = self._trips.features[piece.trip]
            features[row, ends : ends + 2] = piece.ends
            features[row, length] = scale_length_m(np.array([piece.length_m]))[0]
            flags[row] = self._trips.known[piece.trip]
        return RegionExample(counts.astype(np.float32), points, valid, known, features, flags)


@dataclass(frozen=True, eq=False)
class _Piece:
    canonical: Floats
    trip: int
    ends: tuple[bool, bool]
    length_m: float
    known: NDArray[np.bool_]


def stack_examples(
    examples: list[RegionExample], size: int = MAP_SIZE
) -> tuple[RegionExample, Indices]:
    """Several regions as one: maps (R, S, S), pieces of all, and the region of each piece."""
    counts = np.stack([example.counts for example in examples]).reshape(-1, size, size)
    region = np.repeat(np.arange(len(examples)), [len(e.points) for e in examples])
    names = ("points", "valid", "known", "features", "features_known")
    arrays = {name: np.concatenate([getattr(e, name) for e in examples]) for name in names}
    return RegionExample(counts, **arrays), region
