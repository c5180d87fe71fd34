from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.errors import InputError, OccupancyError, ScenarioError
from engine.models.tddpm.closed_loop import Fence, OccupancyLedger, touches
from engine.models.tddpm.conditions import NUM_FEATURES, NUM_GROUPS
from engine.models.tddpm.generation import (
    GenerationConfig,
    MapCache,
    TrajectoryModel,
    generate_trips,
)
from engine.models.tddpm.network import MapReader, NetworkConfig, PieceInput
from engine.models.tddpm.objective import (
    StraightObjective,
    draw_straight,
    hide_conditions,
    straight_loss,
)
from engine.models.tddpm.occupancy import CityMap, RegionGrid, cut_regions
from engine.models.tddpm.plans import (
    TripPlan,
    TripWishes,
    assign_regions,
    busy_length_correlation,
)
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.sampling import SamplerConfig, sample_pieces
from engine.models.tddpm.settling import SettlingConfig
from engine.models.tddpm.tracks import join_tracks, tracks_from_trips

SMALL = NetworkConfig(
    channels=16, layers=1, heads=2, map_layers=1, map_patch=16, feature_channels=4
)


def inputs(regions=2, pieces=3, length=16):
    g = torch.Generator().manual_seed(1)
    valid = torch.ones(regions, pieces, length, dtype=torch.bool)
    valid[0, 0, 9:] = False
    known = torch.zeros_like(valid)
    known[1, 1, :5] = True
    points = torch.randn(regions, pieces, length, 2, generator=g) * 0.5
    conditions = torch.randn(regions, pieces, NUM_FEATURES + NUM_GROUPS, generator=g)
    return torch.rand(regions, 64, 64, generator=g), PieceInput(valid, known, points, conditions)


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        made = MapReader(SMALL)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return made.eval()


@torch.no_grad()
def test_what_is_given_or_beyond_the_end_does_not_matter(network):
    maps, given = inputs()
    seen, time = network.encode(maps), torch.full((2, 3), 0.5)
    x = torch.randn(2, 3, 16, 2)
    other = x.clone()
    other[0, 0, 12:] += 5  # beyond the end, in tokens that hold no valid point
    other[1, 1, :5] -= 3  # given
    first, second = network(x, time, given, seen), network(other, time, given, seen)
    torch.testing.assert_close(first[given.valid], second[given.valid])


@torch.no_grad()
def test_the_map_matters_until_it_is_dropped(network):
    maps, given = inputs()
    x, time = torch.randn(2, 3, 16, 2), torch.full((2, 3), 0.3)
    drop = torch.zeros(2, dtype=torch.bool)
    seen = [network(x, time, given, network.encode(m)) for m in (maps, maps.flip(1))]
    blind = [network(x, time, given, network.encode(m, drop)) for m in (maps, maps.flip(1))]
    assert (seen[0] - seen[1]).abs().max() > 1e-4
    torch.testing.assert_close(blind[0], blind[1])


@torch.no_grad()
def test_pieces_of_a_call_do_not_see_each_other(network):
    maps, given = inputs()
    x, time = torch.randn(2, 3, 16, 2), torch.full((2, 3), 0.3)
    whole = network(x, time, given, network.encode(maps))
    one = PieceInput(
        *(getattr(given, n)[1:, 2:] for n in ("valid", "known", "points", "conditions"))
    )
    alone = network(x[1:, 2:], time[1:, 2:], one, network.encode(maps[1:]))
    torch.testing.assert_close(whole[1:, 2:], alone, atol=1e-5, rtol=1e-4)


def test_loss_ignores_what_is_given_and_beyond(network):
    maps, given = inputs()
    objective = StraightObjective(map_drop=0, condition_drop=0)
    draws = draw_straight(given, objective, torch.Generator().manual_seed(0))
    loss = straight_loss(network, maps, given, draws)
    far = given.points.clone()
    far[0, 0, 12:] = 99
    other = PieceInput(given.valid, given.known, far, given.conditions)
    again = straight_loss(network, maps, other, draws)
    torch.testing.assert_close(loss, again)


def test_training_lowers_the_loss():
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        network = MapReader(SMALL)
    maps, given = inputs(2, 8)
    given = replace(given, points=torch.full_like(given.points, 0.7))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)

    def loss(seed):
        draws = draw_straight(given, StraightObjective(), torch.Generator().manual_seed(seed))
        return straight_loss(network, maps, given, draws)

    before = loss(99).item()
    for step in range(20):
        optimiser.zero_grad()
        loss(step).backward()
        optimiser.step()
    assert loss(99).item() < 0.8 * before


def test_conditions_are_hidden_by_groups():
    full = torch.ones(1, 4_000, NUM_FEATURES + NUM_GROUPS)
    hidden = hide_conditions(full, 0.3, torch.Generator().manual_seed(0))
    assert hidden[..., -NUM_GROUPS:].mean() == pytest.approx(0.7, abs=0.02)
    torch.testing.assert_close(hidden[..., 0], hidden[..., NUM_FEATURES])
    torch.testing.assert_close(hidden[..., 1], hidden[..., NUM_FEATURES])


class Oracle(MapReader):
    """The exact velocity when all data are one known point set."""

    target: torch.Tensor

    def forward(self, x_t, time_R, *_):
        return (x_t - self.target) / time_R[..., None, None]


@pytest.mark.parametrize("evaluations", [1, 7])
def test_sampler_reaches_a_single_target(evaluations):
    oracle = Oracle(SMALL)
    maps, given = inputs()
    oracle.target = torch.randn(2, 3, 16, 2)
    steps = list(
        sample_pieces(
            oracle, oracle.encode(maps), given, SamplerConfig(evaluations), torch.Generator()
        )
    )
    assert [s.evaluations for s in steps] == list(range(1, evaluations + 1))
    free = ~given.known
    torch.testing.assert_close(steps[-1].estimate[free], oracle.target[free], atol=1e-5, rtol=0)
    torch.testing.assert_close(steps[-1].estimate[given.known], given.points[given.known])


@torch.no_grad()
def test_nothing_is_what_a_dropped_map_is(network):
    maps, _ = inputs()
    seen = network.encode(maps, torch.zeros(2, dtype=torch.bool))
    nothing = network.encode_nothing(network.encode(maps))
    for name in ("tokens", "fine", "coarse"):
        torch.testing.assert_close(getattr(seen, name), getattr(nothing, name))


def test_cached_maps_are_those_of_their_region(network):
    counts = np.random.default_rng(0).random((3, 64, 64))
    place = np.array([[0, 0], [0, 16], [16, 0]])
    cache = MapCache(network, most=2)
    cpu = torch.device("cpu")
    first = cache.encode(place, counts, cpu)
    order = np.array([2, 0])
    again = cache.encode(place[order], counts[order], cpu)
    torch.testing.assert_close(again.fine, first.fine[order], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(again.tokens, first.tokens[order], atol=1e-5, rtol=1e-4)


def test_guidance_of_one_is_none(network):
    maps, given = inputs()

    def last(guidance):
        g = torch.Generator().manual_seed(3)
        config = SamplerConfig(3, guidance=guidance)
        with torch.no_grad():
            return list(sample_pieces(network, network.encode(maps), given, config, g))[-1]

    plain, strong = last(1.0).estimate, last(3.0).estimate
    torch.testing.assert_close(plain, last(1.0).estimate)
    assert (plain - strong).abs().max() > 1e-4


@pytest.mark.parametrize(
    "bad",
    [
        {"evaluations": 0},
        {"evaluations": 1_001},
        {"guidance": 0.5},
        {"eta": -1},
        {"correction": 1.5},
    ],
)
def test_sampler_limits(bad):
    with pytest.raises(InputError):
        SamplerConfig(**bad)


class Wanderer(MapReader):
    """Straight-path velocity of slow random walks around the middle: exact, map ignored."""

    def forward(self, x_t, time_R, given, _):
        smooth = torch.cumsum(x_t, dim=2) * 0.004 / time_R.clamp_min(0.05)[..., None, None]
        start = given.points[:, :, :1] * given.known[:, :, :1, None]
        return (x_t - smooth - start) / time_R.clamp_min(1e-3)[..., None, None]


@pytest.fixture(scope="module")
def model():
    prior = TripPrior(np.array([16.0, 40.0, 64.0]), np.ones((2, 24)))
    return TrajectoryModel(Wanderer(SMALL), prior, piece_points=32, step_s=5.0, side_m=3_000.0)


@pytest.fixture(scope="module")
def city():
    rng = np.random.default_rng(0)
    return CityMap(rng.gamma(0.3, 10, (150, 130)), -3_000.0, 3_500.0, 3_000 / 64)


FEW = GenerationConfig(SamplerConfig(2), tries=2)


def made(model, city, num, seed, config=FEW, blocked=None):
    fences = () if blocked is None else (Fence.on_raster(city, blocked),)
    return list(generate_trips(model, city, num, seed, config, fences))


def test_trips_come_in_a_stream_and_belong_to_their_seed(model, city):
    chunks = made(model, city, 60, 4)
    assert [c.done for c in chunks] == [32, 60]
    trips = join_tracks([c.tracks for c in chunks])
    assert len(trips) == 60
    again = join_tracks([c.tracks for c in made(model, city, 60, 4)])
    np.testing.assert_array_equal(trips.points_m, again.points_m)
    # asking for fewer gives the same first ones
    np.testing.assert_array_equal(
        made(model, city, 32, 4)[0].tracks.points_m, chunks[0].tracks.points_m
    )
    assert not np.array_equal(
        made(model, city, 32, 5)[0].tracks.points_m, chunks[0].tracks.points_m
    )


class Straight(MapReader):
    """Pieces that go on east by 50 m a step from what is given: exact velocity, map ignored."""

    def forward(self, x_t, time_R, given, _):
        index = torch.arange(x_t.shape[2])
        known = given.known.any(dim=2)
        first = torch.where(known, given.known.int().argmax(dim=2), 0)
        start = given.points.gather(2, first[..., None, None].expand(-1, -1, 1, 2))
        along = (index - first[..., None]) * 50.0 / 1_500
        target = torch.stack([along, torch.zeros_like(along)], dim=-1) + start
        return (x_t - target) / time_R[..., None, None]


def test_trips_go_on_from_region_to_region_without_a_jump():
    prior = TripPrior(np.array([100.0, 101.0]), np.ones((1, 24)))
    model = TrajectoryModel(Straight(SMALL), prior, piece_points=32, step_s=5.0, side_m=3_000.0)
    city = CityMap(np.ones((200, 400)), -9_375.0, 4_687.5, 3_000 / 64)
    trips = join_tracks([c.tracks for c in made(model, city, 40, 1)])
    # 5 km in pieces of 1.6 km, each cut at the border of a region of 3 km
    assert (trips.num_points == 100).mean() > 0.5
    for i in range(len(trips)):
        moves = np.diff(trips.trip(i), axis=0)
        np.testing.assert_allclose(moves, np.broadcast_to([50, 0], moves.shape), atol=0.02)
    # those that are shorter ended at the border of the city
    short = trips.select(trips.num_points < 100)
    ends = np.stack([e[:, 0] for e in short.ends_m()])
    assert ((ends[0] < -9_300) | (ends[1] > 9_300)).all()


def test_no_blocked_cell_is_entered(model, city):
    blocked = np.zeros(city.shape, bool)
    blocked[60:80, 50:70] = True
    edited = city.with_counts(np.where(blocked, 0, city.counts))
    trips = join_tracks([c.tracks for c in made(model, edited, 50, 2, blocked=blocked)])
    assert len(trips) == 50
    assert not touches(trips, city, blocked).any()
    assert touches(join_tracks([c.tracks for c in made(model, city, 50, 2)]), city, blocked).any()


def test_blocking_every_place_is_an_error(model, city):
    with pytest.raises(OccupancyError, match="leave no way"):
        made(model, city, 4, 0, blocked=np.ones(city.shape, bool))


class Lost(MapReader):
    """Leads every point far away."""

    def forward(self, x_t, time_R, *_):
        return (x_t - 99) / time_R[..., None, None]


def test_a_network_that_leads_nowhere_is_an_error(model, city):
    lost = replace(model, network=Lost(SMALL))
    with pytest.raises(OccupancyError, match="make no trips"):
        made(lost, city, 4, 0, GenerationConfig(SamplerConfig(1), tries=1))


def test_wishes_are_kept(model, city):
    wishes = TripWishes(purpose=2, begin_s=3_600, end_s=7_200, num_points=20)
    config = GenerationConfig(SamplerConfig(1), tries=1, wishes=wishes)
    trips = made(model, city, 20, 0, config)[0].tracks
    assert (trips.purpose == 2).all()
    assert (trips.num_points <= 20).all()
    assert ((trips.start_s >= 3_600) & (trips.start_s < 7_300)).all()


@pytest.mark.parametrize(
    "bad",
    [
        {"purpose": 8},
        {"begin_s": 5.0},
        {"begin_s": 9.0, "end_s": 5.0},
        {"num_points": 1},
        {"num_points": 1_025},
    ],
)
def test_impossible_wishes(bad):
    with pytest.raises(ScenarioError):
        TripWishes(**bad)


class Scattered(MapReader):
    """Trips that stand still, at a place that the noise of their first point says."""

    def forward(self, x_t, time_R, given, _):
        place = torch.where(given.known[:, :, :1, None], given.points[:, :, :1], x_t[:, :, :1] / 2)
        return (x_t - place) / time_R[..., None, None]


def test_the_closed_loop_comes_closer_to_the_map():
    prior = TripPrior(np.array([16.0, 17.0]), np.ones((1, 24)))
    model = TrajectoryModel(Scattered(SMALL), prior, piece_points=16, step_s=5.0, side_m=3_000.0)
    counts = np.zeros((64, 64))
    counts[:32, 32:] = 1  # a quarter of the city is where people want to be
    city = CityMap(counts, 0.0, 3_000.0, 3_000 / 64)
    open_loop = GenerationConfig(SamplerConfig(1), tries=1, follow=False)
    closed = GenerationConfig(SamplerConfig(1), tries=4)
    settled = replace(closed, settling=SettlingConfig())
    distances = [made(model, city, 96, 0, c)[-1].distance for c in (settled, closed, open_loop)]
    assert distances[1] < 0.85 * distances[2]
    assert distances[0] < 0.92 * distances[1]  # most tries lie beyond its reach


@pytest.mark.parametrize("num", [0, -1, 10**9])
def test_impossible_numbers_of_trips(model, city, num):
    with pytest.raises(ScenarioError):
        made(model, city, num, 0)


def test_progress_can_cancel(model, city):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(generate_trips(model, city, 4, 0, FEW, listen=stop))


def test_segments_are_seen_between_points():
    city = CityMap(np.ones((10, 10)), 0.0, 100.0, 10.0)
    wall = np.zeros((10, 10), bool)
    wall[:, 5] = True
    trips = tracks_from_trips(
        [
            np.array([[5.0, 50], [95, 50]]),
            np.array([[5.0, 50], [45, 50]]),
            np.array([[95.0, 5], [61, 5]]),
        ],
        5,
    )
    # the second trip ends left of the wall and the third begins right of it: neither crosses
    assert touches(trips, city, wall).tolist() == [True, False, False]


def test_the_ledger_keeps_what_fits_the_map():
    city = CityMap(np.repeat([[9.0, 1.0]], 6, axis=0).repeat(3, axis=1), 0.0, 60.0, 10.0)
    ledger = OccupancyLedger(city, cut_regions(city))
    left, right = np.full((5, 2), [5.0, 30]), np.full((5, 2), [45.0, 30])
    tries = tracks_from_trips([left, right] * 40, 5.0)
    slot = np.repeat(np.arange(40), 2)
    kept = ledger.choose(tries, slot, np.ones(80, bool))
    assert len(kept) == 40
    assert (kept % 2).mean() == pytest.approx(0.1, abs=0.06)
    # both rows of match cells want points, all trips are in the lower one
    assert ledger.distance == pytest.approx(0.5, abs=0.05)
    assert ledger.num_points == 200


def test_a_slot_without_an_allowed_try_stays_open():
    city = CityMap(np.ones((6, 6)), 0.0, 60.0, 10.0)
    ledger = OccupancyLedger(city, cut_regions(city))
    tries = tracks_from_trips([np.full((3, 2), 20.0)] * 4, 5.0)
    kept = ledger.choose(tries, np.array([0, 0, 1, 1]), np.array([False, True, False, False]))
    assert kept.tolist() == [1]


def test_ancestral_steps_reach_the_target_by_another_way():
    oracle = Oracle(SMALL)
    maps, given = inputs()
    oracle.target = torch.randn(2, 3, 16, 2)
    paths = []
    for eta, correction in ((3.0, 0.0), (1.0, 0.5), (0.0, 1.0), (0.0, 0.0)):
        config = SamplerConfig(8, eta=eta, correction=correction)
        seen, noise = oracle.encode(maps), torch.Generator().manual_seed(0)
        paths.append(list(sample_pieces(oracle, seen, given, config, noise)))
    free = ~given.known
    for steps in paths:
        torch.testing.assert_close(steps[-1].estimate[free], oracle.target[free], atol=1e-5, rtol=0)


class Gaussian(MapReader):
    """The exact velocity of normal data."""

    def forward(self, x_t, time_R, *_):
        t = time_R[..., None, None]
        x_0 = 0.3**2 * (1 - t) / (0.3**2 * (1 - t) ** 2 + t**2) * x_t
        return (x_t - x_0) / t


def test_the_correction_brings_few_steps_closer_to_many():
    network = Gaussian(SMALL)
    maps, given = inputs()
    free = ~given.known

    def end(evaluations, correction):
        config = SamplerConfig(evaluations, eta=0, correction=correction)
        noise = torch.Generator().manual_seed(0)
        *_, last = sample_pieces(network, network.encode(maps), given, config, noise)
        return last.estimate[free]

    true = end(400, 0.0)
    errors = [(end(10, correction) - true).abs().mean().item() for correction in (0, 0.5, 1)]
    assert errors[0] > 1.5 * errors[1] > 1.5 * errors[2]


def test_long_trips_are_begun_in_quiet_regions_where_training_says_so():
    rng = np.random.default_rng(0)
    weight = np.array([0.1, 0.2, 0.3, 0.4])
    regions = RegionGrid(np.arange(4), np.arange(4), weight)
    zero = np.zeros(4_000, np.int64)
    kinds = np.full(4_000, -1, np.int16)
    speed = rng.gamma(2, 2, 4_000)
    plan = TripPlan(zero + 50, zero * 1.0, kinds, zero, zero, zero, speed)
    tied = assign_regions(rng, plan, regions, weight, -0.5)
    free = assign_regions(rng, plan, regions, weight)
    for placed in (tied, free):
        np.testing.assert_allclose(np.bincount(placed.row) / 4_000, weight, atol=1e-3)
    means = [tied.speed_m_s[tied.row == region].mean() for region in range(4)]
    assert means == sorted(means, reverse=True)
    assert means[0] > 1.5 * means[3]
    assert np.corrcoef(free.row, speed)[0, 1] == pytest.approx(0, abs=0.05)


def test_the_tie_of_busyness_and_length_is_found_in_trips():
    rng = np.random.default_rng(0)
    centre = [rng.normal(0, 5, (20, 2)).cumsum(axis=0) for _ in range(300)]
    quiet = rng.uniform(-9_000, 9_000, (100, 2))
    outside = [start + rng.normal(0, 60, (20, 2)).cumsum(axis=0) for start in quiet]
    assert busy_length_correlation(tracks_from_trips(centre + outside, 5.0), 2_000) < -0.5
    assert abs(busy_length_correlation(tracks_from_trips(centre, 5.0), 2_000)) < 0.3
