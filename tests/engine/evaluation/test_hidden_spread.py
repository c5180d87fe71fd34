"""How wrong hidden totals are: the fit on known spreads, and on a small city."""

import numpy as np
import pytest

from engine.evaluation.calibration import LEAST_SPREAD, fit_spread, measure_hidden_spread
from engine.models.baselines.profile import fit_profile
from engine.models.diffrecon.ours.config import Config
from engine.models.diffrecon.ours.objective import build_networks
from engine.models.diffrecon.ours.system import Reconstructor
from tests.engine.models.small_flows import small_series


@pytest.mark.parametrize(("floor", "growth"), [(1.5, 0.2), (0.6, 0.05), (3.0, 0.0)])
def test_a_known_spread_is_found(floor, growth):
    rng = np.random.default_rng(0)
    expected = rng.gamma(2, 400, 40_000) + 100
    size = np.sqrt(floor**2 + growth**2 * expected)
    values = (np.sqrt(expected) + size * rng.standard_normal(len(expected))).clip(0) ** 2
    assert fit_spread(values, expected) == pytest.approx((floor, growth), rel=0.1, abs=0.03)


def test_no_spread_is_less_than_poissons():
    assert fit_spread(np.full(9, 4.0), np.full(9, 4.0))[0] == LEAST_SPREAD


def test_hidden_totals_of_a_poisson_city_are_poisson_counts():
    """Historical share knows a city without surprises: what is left is the counts' own noise."""
    series = small_series(days=40)
    config = Config(4, 4, 2, 12, 1, (0,), 0, (1,), width=16, blocks=1, heads=2, latents=3)
    system = Reconstructor(config, fit_profile(series).step_means(0), [build_networks(config, 0)])
    floor, growth = measure_hidden_spread(system, small_series(days=12, seed=5))
    assert floor == pytest.approx(0.5, abs=0.12)
    assert growth < 0.08
