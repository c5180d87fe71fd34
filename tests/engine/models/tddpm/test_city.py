import numpy as np
import pytest
import torch

from engine.domain import Grid
from engine.errors import InputError
from engine.models.tddpm.blocks import Packing
from engine.models.tddpm.city_pieces import CitySampler, VariationConfig
from engine.models.tddpm.city_trips import city_frame
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.generation import group_by_region
from engine.models.tddpm.network import MapReader, NetworkConfig, PieceInput
from engine.models.tddpm.pieces import PieceConfig
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.tracks import tracks_from_trips

SIDE_M = 2_000.0
CONFIG = PieceConfig(SIDE_M, num_points=32, pieces_per_region=6, min_points=2)
SMALL = NetworkConfig(16, 1, 2, 1, 8, 4, 4, 2, 8)


def trips(seed, num=300, x_m=0.0):
    rng = np.random.default_rng(seed)
    lines = [
        np.stack([np.full(n, x_m) + rng.normal(0, 5, n), np.linspace(-500, 500, n)], axis=1)
        for n in rng.integers(4, 60, num)
    ]
    return tracks_from_trips(lines, 5.0, start_s=rng.uniform(0, 86_400, num))


def sampler(**variation):
    groups = [trips(0), trips(1, x_m=400.0)]
    return CitySampler(groups, CONFIG, np.zeros(2), VariationConfig(**variation))


def test_an_example_depends_on_its_seed_alone():
    one, same, other = (sampler().draw((seed,)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.points, same.points)
    np.testing.assert_array_equal(one.counts, same.counts)
    assert not np.array_equal(one.counts, other.counts)


def test_map_and_pieces_are_of_the_same_day():
    drawn = sampler(edited_share=1.0, place_share=0.0)
    for seed in range(4):
        example = drawn.draw((seed,))
        east = np.flatnonzero(example.counts.sum(axis=0))
        # 400 m of 1,000 m to the east: column 44 of 64
        assert set(east) <= {43, 44, 45}
        assert example.points[example.valid][:, 0].min() > 0.35


def test_the_region_has_to_hold_the_city():
    with pytest.raises(InputError, match="does not hold"):
        CitySampler([trips(0, x_m=1_100.0)], CONFIG, np.zeros(2))


def test_the_frame_holds_the_grid_and_its_raster_the_points():
    frame = city_frame(Grid(13.5173, 52.4241, 13.5478, 52.4403, 32, 32))
    corner = frame.plane.to_metres(np.array([13.5478]), np.array([52.4403]))[0]
    assert np.abs(corner).max() / (frame.side_m / 2) == pytest.approx(1 / 1.08)
    tracks = trips(0)
    raster = frame.raster(tracks)
    assert raster.shape == (64, 64)
    assert raster.counts.sum() == len(tracks.points_m)
    again = frame.raster_of(raster.counts)
    np.testing.assert_array_equal(again.count(tracks.points_m), raster.counts)


def test_a_large_city_is_not_one_region():
    with pytest.raises(InputError, match="too large"):
        city_frame(Grid(13.0, 52.0, 13.5, 52.4, 32, 32))


def test_packing_forgets_only_what_is_not_there():
    mask = torch.tensor([[True, True, False], [True, False, False]])
    packing = Packing.of(mask)
    x = torch.arange(12.0).reshape(2, 3, 2)
    packed = packing.pack(x)
    assert packed.tolist() == [[0, 1], [2, 3], [6, 7]]
    assert packing.place.tolist() == [0, 1, 0]
    assert packing.spread(torch.tensor([5, 6])).tolist() == [5, 5, 6]
    torch.testing.assert_close(packing.unpack(packed), x * mask[..., None])


def test_computing_every_token_changes_nothing(monkeypatch):
    network = MapReader(SMALL).eval()
    network.out.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    seen = network.encode(torch.rand(1, 64, 64, generator=generator))
    x_t = torch.randn(1, 3, 16, 2, generator=generator) * 0.3
    valid = (torch.arange(16) < torch.tensor([16, 5, 9])[:, None])[None]
    given = PieceInput(valid, torch.zeros_like(valid), x_t, torch.zeros(1, 3, 19))
    time = torch.full((1, 3), 0.4)
    packed = network(x_t, time, given, seen)
    monkeypatch.setattr(Packing, "of", Packing.full)
    full = network(x_t, time, given, seen)
    torch.testing.assert_close(packed[valid], full[valid], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_length_of_other_pieces_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    network = MapReader(SMALL).eval()
    network.out.weight.normal_(generator=generator)
    seen = network.encode(torch.rand(1, 64, 64, generator=generator))
    x_t = torch.randn(1, 3, 16, 2, generator=generator) * 0.3
    valid = torch.arange(16) < torch.tensor([16, 5, 9])[:, None]
    given = PieceInput(
        valid[None], torch.zeros(1, 3, 16, dtype=torch.bool), x_t, torch.zeros(1, 3, 19)
    )
    time = torch.full((1, 3), 0.4)
    together = network(x_t, time, given, seen)[0, 1, :5]
    alone = PieceInput(
        given.valid[:, 1:2, :8],
        given.known[:, 1:2, :8],
        x_t[:, 1:2, :8],
        given.conditions[:, 1:2],
    )
    single = network(x_t[:, 1:2, :8], time[:, :1], alone, seen)[0, 0, :5]
    torch.testing.assert_close(together, single, atol=1e-5, rtol=1e-4)


def test_pieces_are_grouped_by_their_region():
    region = np.array([2, 0, 2, 2, 1, 2, 2])
    groups = group_by_region(region)
    held = groups[groups >= 0]
    assert sorted(held) == list(range(7))
    for row in groups:
        assert len(set(region[row[row >= 0]])) == 1
        assert row[0] >= 0


def test_a_trip_that_crosses_between_two_points_has_entered():
    cells = np.zeros((4, 4), bool)
    cells[1, 2] = True
    fence = Fence(0.0, 400.0, (100.0, 100.0), cells)
    crossing, beside = [np.array([[250.0, y], [250, y + 300]]) for y in (50.0, 450.0)]
    assert fence.entered(tracks_from_trips([crossing, beside], 5)).tolist() == [True, False]
    # the end of one trip and the beginning of the next are no leg
    apart = tracks_from_trips([np.array([[250.0, 50]]), np.array([[250.0, 390]])], 5)
    assert not fence.entered(apart).any()


def test_hours_past_midnight_are_drawn_as_asked():
    prior = TripPrior(np.array([4.0, 8.0]), np.r_[np.ones(12), np.zeros(12)][None] * 5)
    points, start_s = prior.draw(np.random.default_rng(0), 500, (22 * 3_600.0, 26 * 3_600.0))
    # nobody sets out between 22 and 24: all of them do so between 0 and 2
    assert ((start_s >= 0) & (start_s < 2 * 3_600)).all()
    assert ((points >= 4) & (points < 8)).all()
    _, empty = prior.draw(np.random.default_rng(0), 500, (13 * 3_600.0, 14 * 3_600.0))
    assert ((empty >= 13 * 3_600) & (empty < 14 * 3_600)).all()
