import numpy as np
import pytest

from engine.evaluation.trajectories_bench import BenchData, bench_trajectories, our_maker
from engine.models.tddpm.generation import GenerationConfig, TrajectoryModel
from engine.models.tddpm.network import NetworkConfig
from engine.models.tddpm.prior import count_trips
from engine.models.tddpm.sampling import SamplerConfig
from engine.models.tddpm.task import straight_training
from engine.models.tddpm.tracks import tracks_from_trips

SMALL = NetworkConfig(
    channels=16, layers=1, heads=2, map_layers=1, map_patch=16, feature_channels=4
)


def streets(seed, num):
    """Trips along the lines of a grid of streets 500 m apart."""
    rng = np.random.default_rng(seed)
    trips = []
    for _ in range(num):
        n = int(rng.integers(70, 140))
        along = rng.uniform(0, 3_000) + np.cumsum(np.abs(rng.normal(20, 5, n)))
        line = np.stack([along % 6_000, np.full(n, 500.0 * rng.integers(12))], axis=1)
        keep = np.concatenate([[True], np.diff(line[:, 0]) > 0]).cumprod().astype(bool)
        line = line[keep][:, :: rng.choice([-1, 1])]
        trips.append(line + rng.normal(0, 2, line.shape))
    return tracks_from_trips([t for t in trips if len(t) > 16], 5.0)


def test_every_method_is_measured_alike():
    training, real = streets(0, 120), streets(1, 120)
    network = straight_training(SMALL, 0).network
    model = TrajectoryModel(network, count_trips(training), 32, 5.0, 3_000.0)
    config = GenerationConfig(SamplerConfig(1), tries=1)
    names = []
    data = BenchData(real, training, streets_m=real.points_m[::3], max_trips=40)
    results = bench_trajectories({"ours": our_maker(model, config)}, data, 0, names.append)
    assert names == ["ours", "markov-walk", "shortest-paths", "resampling"]
    assert set(results) == {"real-halves", *names}
    assert len({frozenset(m) for m in results.values()}) == 1
    assert all(m["num_trips"] == 40 for m in results.values())
    floor = results["real-halves"]
    assert 0 < floor["js"] < results["ours"]["js"]  # an untrained network
    assert floor["on_streets"] > 0.9 > results["ours"]["on_streets"]
    assert results["ours"]["evaluations"] == 1
    assert results["resampling"]["closest_training_p5_m"] == pytest.approx(0, abs=0.1)
    # resampled trips and walks follow the same map
    for name in ("markov-walk", "resampling", "shortest-paths"):
        assert results[name]["density"] < 0.45  # 0.69 where nothing overlaps, 0.25 for A


def test_without_training_trips_there_is_no_copy_test():
    results = bench_trajectories({}, BenchData(streets(1, 60)), 0)
    assert set(results) == {"real-halves", "markov-walk", "shortest-paths"}
    assert results["markov-walk"]["closest_training_p5_m"] is None
    assert results["markov-walk"]["on_streets"] is None


def test_where_nobody_trained_nothing_is_resampled():
    real, elsewhere = streets(1, 60), streets(0, 60)
    elsewhere.points_m[:] += np.array([20_000, 0], np.float32)
    results = bench_trajectories({}, BenchData(real, elsewhere), 0)
    assert set(results) == {"real-halves", "markov-walk", "shortest-paths"}
    assert results["markov-walk"]["closest_training_p5_m"] > 1_000
