from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.errors import InputError
from engine.models.tddpm.closed_loop import OccupancyLedger
from engine.models.tddpm.conditions import column_of
from engine.models.tddpm.generation import GenerationConfig, TrajectoryModel, generate_trips
from engine.models.tddpm.network import MapReader, NetworkConfig
from engine.models.tddpm.occupancy import CityMap, cut_regions
from engine.models.tddpm.plans import TripPlan
from engine.models.tddpm.prior import SPEED_EDGES_M_S, TripPrior, count_trips
from engine.models.tddpm.sampling import SamplerConfig
from engine.models.tddpm.tracks import path_lengths_m, tracks_from_trips
from engine.models.tddpm.trip_lengths import MOST, LengthLoop
from engine.models.walk_baselines.resampling import resample_trips
from engine.models.walk_baselines.shortest_paths import graph_of_map, path_trips

SMALL = NetworkConfig(
    channels=16, layers=1, heads=2, map_layers=1, map_patch=16, feature_channels=4
)
HALF_M = 1_500.0


class Timid(MapReader):
    """Pieces straight to the east, half as long as they are told to be."""

    def forward(self, x_t, time_R, given, _):
        column = column_of("length")
        length_m = torch.exp(given.conditions[..., column] * 1.5 + 6.5)
        step = length_m / 2 / HALF_M / (given.valid.sum(dim=2) - 1).clamp_min(1)
        along = (torch.arange(x_t.shape[2]) - 10) * step[..., None]
        target = torch.stack([along, torch.zeros_like(along)], dim=-1)
        return (x_t - target) / time_R[..., None, None]


def straight(lengths_m, num_points):
    x = [np.linspace(0, length, num_points) for length in lengths_m]
    return tracks_from_trips([np.stack([part, 0 * part], axis=1) for part in x], 5.0)


def plan_of(speed_m_s, num_points):
    num = len(speed_m_s)
    zero = np.zeros(num, np.int64)
    points = np.full(num, num_points)
    return TripPlan(points, zero * 1.0, zero.astype(np.int16), zero, zero, zero, speed_m_s)


def test_trips_of_a_timid_network_soon_have_their_lengths():
    counted = np.zeros((1, len(SPEED_EDGES_M_S) - 1))
    counted[0, np.searchsorted(SPEED_EDGES_M_S, 3.0) - 1] = 1
    prior = TripPrior(np.array([21.0, 22.0]), np.ones((1, 24)), counted)
    model = TrajectoryModel(Timid(SMALL), prior, 32, 5.0, 2 * HALF_M)
    city = CityMap(np.ones((200, 400)), -9_375.0, 4_687.5, 2 * HALF_M / 64)
    config = GenerationConfig(SamplerConfig(2, eta=0.0), tries=1)

    def speeds(config):
        chunks = generate_trips(model, city, 800, 0, config)
        return [path_lengths_m(chunk.tracks).mean() / (20 * 5.0) for chunk in chunks]

    means = speeds(config)
    assert means[0] == pytest.approx(1.5, rel=0.1)
    assert means[-1] == pytest.approx(3.0, rel=0.1)
    # a wish that is of other cities is not insisted on
    assert speeds(replace(config, holds_lengths=False))[-1] == pytest.approx(1.5, rel=0.1)


def test_what_is_told_moves_against_what_came_out_class_by_class():
    loop = LengthLoop(5.0)
    plan = plan_of(np.repeat([1.0, 20.0], 30), 21)  # 100 m and 2 km
    short, long = np.full(30, 100.0), np.full(30, 500.0)
    misfit = loop.note(plan, straight([*short, *long], 21))
    np.testing.assert_allclose(misfit[:30], 0, atol=1e-6)
    np.testing.assert_allclose(misfit[30:], np.log(2_020 / 520), rtol=1e-3)
    factors = loop.factors(np.array([100.0, 2_000.0]))
    assert factors[0] == pytest.approx(1, abs=0.05)
    assert 2 < factors[1] < 4
    np.testing.assert_allclose(
        loop.told(plan).speed_m_s, plan.speed_m_s * np.repeat(factors, 30), rtol=1e-6
    )
    for _ in range(20):
        loop.note(plan, straight([*short, *np.full(30, 1.0)], 21))
    assert 5 < loop.factors(np.array([2_000.0]))[0] <= MOST


def test_few_trips_tell_little_and_no_speed_tells_nothing():
    loop = LengthLoop(5.0)
    loop.note(plan_of(np.full(3, 20.0), 21), straight(np.full(3, 100.0), 21))
    np.testing.assert_array_equal(loop.factors(np.geomspace(1, 1e5, 50)), 1)
    unknown = TripPlan(*([np.zeros(1, np.int64)] * 6))
    assert loop.told(unknown) is unknown
    assert loop.note(unknown, straight([5.0], 2)) is None


def test_of_two_tries_the_one_of_the_right_length_is_kept():
    city = CityMap(np.ones((64, 64)), -HALF_M, HALF_M, 2 * HALF_M / 64)
    tries = straight([400.0, 400.0], 21)
    slot, allowed = np.zeros(2, np.int64), np.ones(2, bool)
    for misfit, kept in (((0.0, 1.0), 0), ((1.0, 0.0), 1)):
        ledger = OccupancyLedger(city, cut_regions(city))
        assert ledger.choose(tries, slot, allowed, np.array(misfit)).tolist() == [kept]


def test_a_survey_gives_baselines_its_durations():
    rng = np.random.default_rng(0)
    training = tracks_from_trips(
        [np.cumsum(rng.normal(0, 20, (n, 2)), axis=0) for n in rng.integers(10, 120, 200)], 5.0
    )
    short = training.select(training.num_points < 30)
    city = CityMap(np.ones((40, 40)), -1_000.0, 1_000.0, 50.0)
    survey = count_trips(short)
    left = resample_trips(training, city, 300, rng)
    told = resample_trips(training, city, 300, rng, survey=survey)
    assert np.median(left.num_points) > 30
    assert told.num_points.max() < 30
    assert told.num_points.mean() == pytest.approx(short.num_points.mean(), rel=0.1)
    with pytest.raises(InputError, match="as long and as fast"):
        resample_trips(training.select(training.num_points > 60), city, 9, rng, survey=survey)
    graph = graph_of_map(city, 5.0)
    free = path_trips(graph, city, 200, 5.0, np.random.default_rng(1))
    lasting = np.median(short.num_points)
    wished = path_trips(graph, city, 200, 5.0, np.random.default_rng(1), survey)
    assert abs(np.median(wished.num_points) - lasting) < abs(np.median(free.num_points) - lasting)
