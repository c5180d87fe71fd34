import numpy as np
import pytest

from engine.errors import InputError
from engine.models.tddpm.clipping import DegreeBox, cut_inside, cut_outside, keep_points
from engine.models.tddpm.pieces import PieceConfig, RegionSampler
from engine.models.tddpm.tracks import LocalPlane, tracks_from_trips

PLANE = LocalPlane(13.5, 52.4)


def box_m(west, south, east, north):
    lon, lat = PLANE.to_degrees(np.array([[west, south], [east, north]], dtype=float))
    return DegreeBox(lon[0], lat[0], lon[1], lat[1])


def walk(seed=0, num=60):
    rng = np.random.default_rng(seed)
    trips = [
        rng.uniform(-1_000, 1_000, 2) + np.cumsum(rng.normal(0, 40, (150, 2)), axis=0)
        for _ in range(num)
    ]
    tracks = tracks_from_trips(trips, 5.0, rng.uniform(0, 1e5, num))
    tracks.person[:] = np.arange(num) % 12
    return tracks


class FrameKeeper(RegionSampler):
    """Remembers where the last example lies."""

    def _draw_frame(self, rng, chosen):
        self.frames = super()._draw_frame(rng, chosen)
        return self.frames


def strictly_inside(points_m, margin_m):
    low, high = np.array([-200, -200]) + margin_m, np.array([900, 700]) - margin_m
    return ((points_m > low) & (points_m < high)).all(axis=-1)


def test_a_line_is_cut_where_it_crosses():
    line = np.stack([np.arange(100) * 10.0, np.zeros(100)], axis=1)
    tracks = tracks_from_trips([line, line + np.array([0, 5_000])], 5.0, np.array([100.0, 900.0]))
    tracks.person[:] = 4, 7
    parts = cut_outside(tracks, box_m(305, -50, 595, 50), PLANE)
    assert parts.num_points.tolist() == [31, 40, 100]
    assert parts.start_s.tolist() == [100.0, 400.0, 900.0]
    assert parts.person.tolist() == [4, 4, 7]
    np.testing.assert_array_equal(parts.trip(1), tracks.trip(0)[60:])
    inside = cut_inside(tracks, box_m(305, -50, 595, 50), PLANE)
    assert inside.num_points.tolist() == [29]
    assert inside.start_s.tolist() == [255.0]


def test_short_parts_are_dropped_and_nothing_is_an_error():
    tracks = tracks_from_trips([np.zeros((20, 2))], 5.0)
    kept = np.ones(20, dtype=bool)
    kept[3] = False
    assert keep_points(tracks, kept).num_points.tolist() == [16]
    with pytest.raises(InputError, match="long enough"):
        keep_points(tracks, ~kept)


def test_what_is_left_out_is_in_no_map_and_no_piece():
    box = box_m(-200, -200, 900, 700)
    tracks = walk()
    parts = cut_outside(tracks, box, PLANE)
    assert not box.contains(parts, PLANE).any()
    lost = len(tracks.points_m) - len(parts.points_m)
    assert box.contains(tracks, PLANE).sum() <= lost < 0.8 * len(tracks.points_m)
    sampler = FrameKeeper(parts, PieceConfig(1_500.0, pieces_per_region=8))
    cell_m = 1_500 / 64
    overlapping = 0
    for seed in range(30):
        example = sampler.draw((0, seed))
        frames = sampler.frames
        row, col = np.nonzero(example.counts)
        middles = np.stack([(col + 0.5) / 32 - 1, 1 - (row + 0.5) / 32], axis=1)
        assert not strictly_inside(frames.to_plane(middles, 0), margin_m=cell_m).any()
        drawn = example.points[example.valid]
        drawn = drawn[np.abs(drawn).max(axis=1) < 1]
        assert not strictly_inside(frames.to_plane(drawn, 0), margin_m=0.1).any()
        grid = np.stack(np.meshgrid(np.linspace(-1, 1, 16), np.linspace(-1, 1, 16)), axis=-1)
        overlapping += bool(strictly_inside(frames.to_plane(grid, 0), margin_m=100).any())
    assert overlapping > 10


def test_wrong_rectangles_are_refused():
    for wrong in ((1, 2, 1, 3), (3, 0, 1, 2), (0, 5, 1, 2), (0, 0, 181, 2), (0, 0, np.nan, 2)):
        with pytest.raises(InputError, match="west, south, east, north"):
            DegreeBox(*wrong)
    with pytest.raises(InputError, match="None of the points"):
        cut_outside(walk(), DegreeBox(0, 0, 1, 1), PLANE)
    with pytest.raises(InputError, match="long enough"):
        cut_inside(walk(), DegreeBox(0, 0, 1, 1), PLANE)
