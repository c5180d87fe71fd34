"""The correction of the best map."""

import numpy as np
import pytest
import torch

from engine.errors import WeightsError
from engine.evaluation.correction import _helps_elsewhere, fit_factors, measure_correction
from engine.models.conservation import block_sums
from engine.models.diffrecon.ours.config import Config
from engine.models.diffrecon.ours.correction import KNOTS, Correction, corrected
from engine.models.masks import named_masks
from engine.models.observations import observe_in_order
from engine.training.reconstruction import ReconstructionTask, errors_of
from tests.engine.models.small_flows import small_series


def some_maps(count=40):
    rng = np.random.default_rng(0)
    rate = torch.from_numpy(rng.gamma(0.7, 6.0, (count, 8, 8)).astype(np.float32))
    truth = torch.from_numpy(rng.poisson(rate.numpy()).astype(np.float32))
    observed = torch.from_numpy(rng.random((count, 4, 4)) < 0.6)
    return rate, truth, observed, block_sums(truth, 2)


def test_no_correction_changes_only_what_breaks_totals():
    rate, _, observed, coarse = some_maps()
    kept = Correction().apply(rate, coarse, observed)
    sums = block_sums(kept, 2)
    assert torch.allclose(sums[observed], coarse[observed], rtol=1e-5)
    assert torch.allclose(sums[~observed], block_sums(rate, 2)[~observed], rtol=1e-5)


def test_factors_are_interpolated_between_knots_by_side():
    fine = torch.full((1, 2, 2), KNOTS[3] - 0.02)
    factors = torch.zeros(2, len(KNOTS))
    factors[1, 3] = 1.0
    total, missing = torch.ones(1, 1, 1), torch.zeros(1, 1, 1, dtype=torch.bool)
    assert torch.allclose(corrected(fine, total, missing, factors), fine * np.e, rtol=1e-4)
    assert torch.allclose(corrected(fine, total, ~missing, factors).sum(), total)


@pytest.mark.thorough
def test_a_known_bias_is_found_and_taken_back():
    rate, truth, observed, coarse = some_maps()
    too_low = torch.where(rate < 3, 0.5 * rate, rate)
    factors = fit_factors(too_low, coarse, observed, truth)
    before = errors_of(too_low.numpy(), truth.numpy())
    after = errors_of(corrected(too_low, coarse, observed, factors).numpy(), truth.numpy())
    assert after[0] < before[0]
    assert after[1] < before[1]


def test_totals_stay_and_nothing_is_negative():
    rate, _, observed, coarse = some_maps()
    factors = torch.from_numpy(np.random.default_rng(1).normal(0, 1, (2, len(KNOTS)))).float()
    maps = corrected(rate, coarse, observed, factors)
    assert (maps >= 0).all()
    assert torch.allclose(block_sums(maps, 2)[observed], coarse[observed], rtol=1e-5)


@pytest.mark.thorough
def test_a_system_gets_a_correction_where_it_is_biased_and_none_where_it_is_not():
    series = small_series(days=16)
    config = Config(4, 4, 2, 12, 1, (0, 1), 1, (1, 12), width=16, blocks=1, heads=2, latents=3)
    task = ReconstructionTask(series.part(0, 96), series.part(96), config, 0)
    system, days = task.system([task.network]), series.part(96)
    assert measure_correction(system, days, masks=("random60",), every=1) == Correction()
    with torch.no_grad():
        task.network.mean.leave.bias[-1] = 0.7  # doubles every missing total
    system.correction = measure_correction(system, days, masks=("random60",), every=1)
    assert max(system.correction.missing[2:6]) < 0
    seen = observe_in_order(days, named_masks("random60", 96, (4, 4), 7), config.lags)
    truth = days.frames(days.regular_starts())
    after = errors_of(system.estimate(seen), truth)
    system.correction = Correction()
    assert sum(after) < sum(errors_of(system.estimate(seen), truth))


def test_a_correction_that_does_not_carry_over_is_not_made():
    rate, truth, observed, coarse = some_maps()
    is_early = torch.arange(len(rate)) < len(rate) // 2
    # what helps one half is the opposite of what helps the other
    twisted = torch.where(is_early[:, None, None], 0.5 * rate, 2 * rate)
    everywhere = torch.zeros_like(observed)
    assert not _helps_elsewhere((twisted, coarse, everywhere, truth), is_early)
    assert _helps_elsewhere((0.5 * rate, coarse, everywhere, truth), is_early)


def test_plain_values_and_back():
    correction = Correction((0.1,) * len(KNOTS), (0.2,) * len(KNOTS))
    assert Correction.from_json(correction.to_json()) == correction
    for broken in ({}, {"observed": [1], "missing": [1]}, {"observed": 3, "missing": 3}):
        with pytest.raises(WeightsError):
            Correction.from_json(broken)
