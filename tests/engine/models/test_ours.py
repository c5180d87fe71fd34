"""Our reconstruction system on a small city, untrained: what must hold for any weights."""

import dataclasses

import numpy as np
import pytest
import torch

from engine.errors import InputError, MaskError, WeightsError
from engine.models.baselines.historical import complete_by_level, split_by_share
from engine.models.baselines.profile import fit_profile
from engine.models.diffrecon.ours.bands import EDGES, UNCALIBRATED, Bands, calibrate, spread_of
from engine.models.diffrecon.ours.condition import observed_level, to_map, to_points
from engine.models.diffrecon.ours.config import Config
from engine.models.diffrecon.ours.networks import project_residual
from engine.models.diffrecon.ours.objective import build_networks
from engine.models.diffrecon.ours.points import attention
from engine.models.diffrecon.ours.system import (
    Reconstructor,
    load_reconstructor,
    save_reconstructor,
)
from engine.models.flows import coarsen
from engine.models.masks import named_masks
from engine.models.observations import observe_in_order
from tests.engine.models.small_flows import small_series

CONFIG = Config(
    4, 4, 2, 12, 1, (0, 1), 1, (1, 12), width=16, blocks=1, heads=2, latents=3, residual_width=16
)
SERIES = small_series()


def shaken(config=CONFIG, seed=0):
    """Networks whose last layers are not zero, as if they had been trained on nonsense."""
    networks = build_networks(config, seed)
    g = torch.Generator()
    g.manual_seed(seed)
    with torch.no_grad():
        for parameter in networks.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=g)
    return networks


def system_of(*networks, config=CONFIG):
    return Reconstructor(config, fit_profile(SERIES).step_means(0), networks)


def seen_with(name="random40", series=SERIES, config=CONFIG):
    masks = named_masks(name, len(series.regular_starts()), series.coarse_shape, 1)
    return observe_in_order(series, masks, config.lags)


SYSTEM = system_of(shaken(), shaken(seed=1))
SEEN = seen_with()


def last(steps):
    *_, answer = steps
    return answer


def test_points_and_maps_are_inverse():
    fine = torch.arange(2 * 64.0).reshape(2, 1, 8, 8)
    points = to_points(fine, 2)
    assert points[0, 0].tolist() == [0, 1, 8, 9]
    assert torch.equal(to_map(points, 4, 4), fine[:, 0])


def test_attention_by_hand():
    query, key = torch.zeros(1, 1, 2), torch.zeros(1, 3, 2)
    value = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]]])
    known = torch.tensor([[True, True, False]])
    assert attention(query, key, value, 1, known).tolist() == [[[2.0, 3.0]]]


def test_untrained_networks_are_historical_share():
    system = system_of(build_networks(CONFIG, 0))
    usual = fit_profile(SERIES).frame_means(1)[SEEN.slots]
    totals = complete_by_level(SEEN.coarse, SEEN.observed.astype(np.float32), coarsen(usual, 2))
    # the network keeps a trace of probability in cells that history never used
    assert np.allclose(system.estimate(SEEN), split_by_share(totals, usual, 2), rtol=0.05, atol=0.3)


def test_totals_are_kept_in_estimate_and_every_sample():
    for frame in (0, 20):
        answer = last(SYSTEM.reconstruct(SEEN[frame : frame + 1], 0, samples=11, evaluations=3))
        assert answer.samples.shape == (11, 8, 8)
        assert answer.conservation < 1e-4
        assert min(answer.samples.min(), answer.estimate.min(), answer.lower.min()) >= 0
        known = SEEN.observed[frame]
        gap = np.abs(coarsen(answer.samples, 2) - SEEN.coarse[frame])[:, known]
        assert (gap <= 1e-4 * np.maximum(SEEN.coarse[frame][known], 1)).all()
        assert (answer.lower <= answer.estimate).all()
        assert (answer.estimate <= answer.upper).all()


def test_the_projection_is_where_totals_and_sign_come_from():
    condition = SYSTEM.condition(SEEN[:1])
    mean = SYSTEM.means(condition)[0]
    wild = 9 * torch.randn(1, 8, 8, generator=torch.Generator())
    once = project_residual(wild, mean, condition, 0.5)
    twice = project_residual(once, mean, condition, 0.5)
    assert not torch.allclose(once, wild, atol=0.1)
    assert torch.allclose(once, twice, atol=1e-3)


def test_preview_comes_first_and_costs_one_evaluation_a_member():
    steps = list(SYSTEM.reconstruct(SEEN[:1], samples=16, evaluations=2))
    assert [len(step.samples) for step in steps] == [0, 8, 16]
    assert steps[0].evaluations == 2
    assert steps[-1].evaluations == steps[-1].total_evaluations == 2 + 2 * 2
    assert np.array_equal(steps[0].estimate, steps[-1].estimate)


def test_a_sample_depends_on_seed_and_number_alone():
    few = last(SYSTEM.reconstruct(SEEN[3:4], 7, samples=3, evaluations=2)).samples
    many = last(SYSTEM.reconstruct(SEEN[3:4], 7, samples=12, evaluations=2)).samples
    assert np.array_equal(few, many[:3])
    other = last(SYSTEM.reconstruct(SEEN[3:4], 8, samples=3, evaluations=2)).samples
    assert not np.array_equal(few, other)
    assert len({sample.tobytes() for sample in many}) == 12


def test_company_does_not_change_a_frame():
    alone = SYSTEM.estimate(SEEN[5:6])[0]
    assert np.array_equal(alone, SYSTEM.estimate(SEEN[3:9])[2])


def test_hidden_totals_do_not_leak():
    mask = SEEN.observed[6]
    changed = dataclasses.replace(SEEN, coarse=SEEN.coarse + 50 * ~SEEN.observed)
    assert (~mask).any()
    assert np.array_equal(SYSTEM.estimate(SEEN[6:7]), SYSTEM.estimate(changed[6:7]))


def test_the_past_is_read_where_it_was_observed_and_only_there():
    base = SYSTEM.estimate(SEEN[30:31])
    louder = dataclasses.replace(SEEN, past=np.where(SEEN.past_observed, SEEN.past * 3 + 9, 0))
    assert not np.allclose(base, SYSTEM.estimate(louder[30:31]))
    blind = dataclasses.replace(SEEN, past_observed=np.zeros_like(SEEN.past_observed))
    deaf = system_of(shaken(dataclasses.replace(CONFIG, use_past=False)))
    for seen in (blind, louder):
        values = system_of(deaf.members[0], config=dataclasses.replace(CONFIG, use_past=False))
        assert np.isfinite(values.estimate(seen[30:31])).all()


def test_any_grid_size():
    series = small_series(size=24)
    config = dataclasses.replace(CONFIG, rows=12, cols=12)
    system = Reconstructor(config, fit_profile(series).step_means(0), [shaken(config)])
    assert system.estimate(seen_with(series=series, config=config)[:1]).shape == (1, 24, 24)


def test_64_by_64_coarse_cells_with_their_past():
    series = small_series(days=2, size=128)
    config = dataclasses.replace(CONFIG, rows=64, cols=64)
    system = Reconstructor(config, fit_profile(series).step_means(0), [shaken(config)])
    answer = last(
        system.reconstruct(seen_with(series=series, config=config)[13:14], samples=2, evaluations=1)
    )
    assert answer.samples.shape == (2, 128, 128)
    assert answer.conservation < 1e-4


@pytest.mark.parametrize(("samples", "evaluations"), [(-1, 4), (999, 4), (4, 0), (4, 999)])
def test_caps(samples, evaluations):
    with pytest.raises(InputError, match="out of range"):
        next(SYSTEM.reconstruct(SEEN[:1], 0, samples, evaluations))


def test_bad_masks_are_refused():
    blind = dataclasses.replace(SEEN, observed=np.zeros_like(SEEN.observed))
    with pytest.raises(MaskError, match="No sensor"):
        SYSTEM.estimate(blind[:1])
    with pytest.raises(MaskError, match="another shape"):
        SYSTEM.estimate(seen_with(series=small_series(size=4))[:1])
    with pytest.raises(InputError, match="One frame"):
        next(SYSTEM.reconstruct(SEEN[:2]))


@pytest.mark.parametrize("half", [False, True])
def test_weights_round_trip(tmp_path, half):
    path = tmp_path / "small.safetensors"
    bands = Bands(tuple(np.linspace(1, 2, len(EDGES) + 1)), (1.0,) * (len(EDGES) + 1))
    system = Reconstructor(
        CONFIG, fit_profile(SERIES).step_means(0), SYSTEM.members, bands, {"data": {"name": "x"}}
    )
    save_reconstructor(path, system, half)
    again = load_reconstructor(path)
    assert again.config == CONFIG
    assert again.bands == bands
    assert again.card["data"] == {"name": "x"}
    tolerance = 0.05 if half else 1e-6
    assert np.allclose(
        again.estimate(SEEN[:4]), system.estimate(SEEN[:4]), rtol=tolerance, atol=tolerance
    )


def test_damaged_and_foreign_weights_are_refused(tmp_path):
    path = tmp_path / "small.safetensors"
    with pytest.raises(WeightsError, match="no such"):
        load_reconstructor(path)
    save_reconstructor(path, SYSTEM, True)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        load_reconstructor(path)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(WeightsError, match="incomplete"):
        load_reconstructor(path)
    with pytest.raises(WeightsError, match="history"):
        Reconstructor(CONFIG, np.zeros((3, 8, 8), np.float32), SYSTEM.members)


def test_calibrated_bands_hold_nine_tenths_in_every_bin():
    rng = np.random.default_rng(0)
    truth_mean = rng.gamma(0.8, 20, (200, 8, 8)).astype(np.float32)
    observed = rng.random((200, 8, 8)) < 0.5
    truth = rng.poisson(truth_mean).astype(np.float32)
    spread = np.full_like(truth, 0.2)
    bands = calibrate(truth_mean, spread, observed, truth)
    lower, upper = bands.around(truth_mean, spread, observed)
    inside = (lower <= truth) & (truth <= upper)
    place = np.digitize(truth_mean, EDGES)
    for bin_ in range(1, len(EDGES) + 1):
        assert 0.88 <= inside[place == bin_].mean() <= 0.97
    assert Bands.from_json(bands.to_json()) == bands
    narrow, _ = UNCALIBRATED.around(truth_mean, spread, observed)
    assert (narrow >= lower - 1e-3)[place > 2].mean() > 0.9


def test_spread_is_the_distance_in_roots():
    samples = np.array([[[4.0]], [[16.0]]], dtype=np.float32)
    assert spread_of(samples, np.array([[9.0]], np.float32)).item() == pytest.approx(1, abs=0.01)


def test_a_few_counts_do_not_set_the_level_of_the_whole_city():
    usual = torch.full((1, 4, 4), 0.001)
    seen, observed = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    seen[0, 1, 2] = observed[0, 1, 2] = 1
    assert observed_level(seen, observed, usual).item() == pytest.approx(1000)
    assert observed_level(seen, observed, usual, 3.0).item() == pytest.approx(4 / 3, rel=1e-3)
    # many counts are believed as before
    busy = observed_level(2e4 * observed, observed, 1e4 * torch.ones(1, 4, 4), 3.0)
    assert busy.item() == pytest.approx(2, rel=1e-3)
    assert observed_level(seen, 0 * observed, usual).item() == 1
