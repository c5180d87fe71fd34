import numpy as np
import pytest
import torch

from engine.errors import WeightsError
from engine.models.tddpm.checkpoint import load_model, save_model
from engine.models.tddpm.generation import TrajectoryModel
from engine.models.tddpm.network import NetworkConfig
from engine.models.tddpm.prior import TripPrior, count_trips
from engine.models.tddpm.task import straight_training
from engine.models.tddpm.tracks import tracks_from_trips
from engine.models.weights import load_weights, save_weights

SIZES = NetworkConfig(
    channels=16, layers=1, heads=2, map_layers=1, map_patch=16, feature_channels=4
)


@pytest.fixture
def model():
    rng = np.random.default_rng(0)
    walks = [rng.normal(0, 9, (int(n), 2)).cumsum(axis=0) for n in rng.integers(16, 90, 50)]
    prior = count_trips(tracks_from_trips(walks, 5.0))
    return TrajectoryModel(straight_training(SIZES, 0).network, prior, 32, 5.0, 2_300.0)


def test_a_model_comes_back_as_it_was(model, tmp_path):
    path = tmp_path / "a.safetensors"
    save_model(path, model, {"name": "a"})
    found, card = load_model(path)
    for name, value in model.network.state_dict().items():
        torch.testing.assert_close(found.network.state_dict()[name], value, atol=0, rtol=0)
    for name in ("edges", "counts", "speeds"):
        np.testing.assert_array_equal(getattr(found.prior, name), getattr(model.prior, name))
    assert (found.piece_points, found.step_s, found.side_m) == (32, 5.0, 2_300.0)
    assert card["name"] == "a"


def test_half_precision_halves_the_file_and_leaves_the_counts(model, tmp_path):
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_model(whole, model, {})
    save_model(half, model, {}, half=True)
    assert half.stat().st_size < 0.7 * whole.stat().st_size
    found, _ = load_model(half)
    np.testing.assert_array_equal(found.prior.speeds, model.prior.speeds)
    for name, value in model.network.state_dict().items():
        assert found.network.state_dict()[name].dtype == torch.float32
        torch.testing.assert_close(found.network.state_dict()[name], value, atol=1e-4, rtol=1e-3)


def test_weights_without_speeds_leave_lengths_to_the_network(model, tmp_path):
    path = tmp_path / "old.safetensors"
    bare = TripPrior(model.prior.edges, model.prior.counts)
    save_model(path, TrajectoryModel(model.network, bare, 32, 5.0, 2_300.0), {})
    assert load_model(path)[0].prior.speeds is None


def test_counts_of_speeds_that_do_not_fit_are_refused(model, tmp_path):
    path = tmp_path / "bad.safetensors"
    save_model(path, model, {})
    tensors, card = load_weights(path)
    tensors["prior.speeds"] = tensors["prior.speeds"][:, :3]
    save_weights(path, tensors, card)
    with pytest.raises(WeightsError, match="impossible values"):
        load_model(path)
