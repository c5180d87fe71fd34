from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.models.tddpm import paper
from engine.models.tddpm.network import NetworkConfig
from engine.models.tddpm.occupancy import CityMap, cut_regions
from engine.models.tddpm.paper import (
    JointConfig,
    JointDenoiser,
    PaperModel,
    collect_pieces,
    count_lengths,
    draw_noise,
    noise_loss,
)
from engine.models.tddpm.task import noise_training, straight_training

SMALL = JointConfig(channels=16, layers=1, heads=2, map_patch=16, num_steps=4)


def inputs(num=3, length=12):
    g = torch.Generator().manual_seed(0)
    valid = torch.ones(num, length, dtype=torch.bool)
    valid[0, 7:] = False
    return torch.randn(num, length, 2, generator=g), torch.rand(num, 64, 64, generator=g), valid


@torch.no_grad()
def test_points_beyond_the_end_are_not_read():
    x, maps, valid = inputs()
    network = noise_training(SMALL, 0).network
    other = x.clone()
    other[0, 7:] += 9
    t = torch.tensor([1, 2, 4])
    first, second = (network(points, t, maps, valid) for points in (x, other))
    torch.testing.assert_close(first[valid], second[valid])


@torch.no_grad()
def test_map_and_step_are_read():
    x, maps, valid = inputs()
    network = noise_training(SMALL, 0).network
    t = torch.tensor([1, 2, 4])
    base = network(x, t, maps, valid)
    assert (base - network(x, t, maps.flip(1), valid)).abs().max() > 1e-4
    assert (base - network(x, t.flip(0), maps, valid)).abs().max() > 1e-4


def test_perfect_noise_estimate_has_no_loss():
    x, maps, valid = inputs()

    class Oracle(JointDenoiser):
        def forward(self, x_t, t_B, *_):
            bar = self.config.schedule().alpha_bars[t_B].float()[:, None, None]
            return (x_t - bar.sqrt() * x) / (1 - bar).sqrt()

    draws = draw_noise(x, SMALL.schedule(), torch.Generator().manual_seed(1))
    loss = noise_loss(Oracle(SMALL), maps, valid, draws)
    assert loss.item() == pytest.approx(0, abs=1e-8)


def test_chain_ends_in_noise_whatever_its_length():
    for steps in (50, 500, 1_000):
        assert JointConfig(num_steps=steps).schedule().alpha_bars[-1] < 0.01


def test_pieces_lie_in_regions_by_their_share():
    counts = np.zeros((150, 150))
    counts[:40, :40], counts[100:, 100:] = 1, 3
    city = CityMap(counts, 0.0, 7_500.0, 50.0)
    lengths = np.zeros(13)
    lengths[[5, 12]] = 1, 3

    class Still(JointDenoiser):
        """Noise estimates that lead to the middle of the region."""

        def forward(self, x_t, t_B, *_):
            bar = self.config.schedule().alpha_bars[t_B].float()[:, None, None]
            return x_t / (1 - bar).sqrt()

    model = PaperModel(Still(SMALL), lengths, 5.0, 3_200.0)
    trips = collect_pieces(model, city, 400, seed=1)
    assert set(trips.num_points) == {5, 12}
    assert (trips.num_points == 12).mean() == pytest.approx(0.75, abs=0.07)
    regions = cut_regions(city)
    start = trips.ends_m()[0]
    for row, col, weight in zip(regions.row, regions.col, regions.weight, strict=True):
        middle = np.array([(col + 32) * 50.0, 7_500.0 - (row + 32) * 50.0])
        here = np.linalg.norm(start - middle, axis=1) < 1
        assert here.mean() == pytest.approx(weight, abs=0.07)
    np.testing.assert_array_equal(trips.points_m, collect_pieces(model, city, 400, seed=1).points_m)


def test_pieces_do_not_depend_on_those_beside_them(monkeypatch):
    city = CityMap(np.ones((80, 80)), 0.0, 4_000.0, 50.0)
    lengths = np.arange(13.0)
    network = JointDenoiser(replace(SMALL, num_steps=10))
    model = PaperModel(network, lengths, 5.0, 3_200.0)
    made = []
    for rows in (1, 7, 400):
        monkeypatch.setattr(paper, "ROWS_AT_ONCE", rows)
        made.append(collect_pieces(model, city, 40, seed=1).points_m)
    np.testing.assert_allclose(made[0], made[2], atol=0.01)
    np.testing.assert_allclose(made[1], made[2], atol=0.01)


def test_lengths_are_counted():
    valid = np.array([[[1, 1, 0], [1, 1, 1]], [[1, 1, 0], [1, 0, 0]]], bool)
    assert count_lengths(valid).tolist() == [0, 1, 2, 1]


def test_initial_weights_depend_on_the_seed_alone():
    def first(training):
        return torch.cat([p.flatten() for p in training.parameters()])

    small = NetworkConfig(channels=16, layers=1, heads=2, map_layers=1, map_patch=16)
    torch.testing.assert_close(first(noise_training(SMALL, 1)), first(noise_training(SMALL, 1)))
    assert not torch.equal(first(noise_training(SMALL, 1)), first(noise_training(SMALL, 2)))
    torch.testing.assert_close(
        first(straight_training(small, 1)), first(straight_training(small, 1))
    )
