"""Where the next sensor helps, and which one would be missed: on a small city, untrained."""

import dataclasses

import numpy as np
import pytest

from engine.errors import InputError
from engine.models.baselines.profile import fit_profile
from engine.models.diffrecon.ours.config import Config
from engine.models.diffrecon.ours.objective import build_networks
from engine.models.diffrecon.ours.sensors import (
    CARD_KEY,
    DEFAULT_SPREAD,
    hidden_spread,
    place_sensors,
    rank_sensors,
)
from engine.models.diffrecon.ours.system import Reconstructor
from engine.models.masks import named_masks
from engine.models.observations import observe_in_order
from tests.engine.models.small_flows import small_series

CONFIG = Config(
    4, 4, 2, 12, 1, (0, 1), 1, (1, 12), width=16, blocks=1, heads=2, latents=3, residual_width=16
)
SERIES = small_series()
PROFILE = fit_profile(SERIES)
SYSTEM = Reconstructor(CONFIG, PROFILE.step_means(0), [build_networks(CONFIG, 0)])
MASKS = named_masks("fix60", len(SERIES.regular_starts()), SERIES.coarse_shape, 1)
SEEN = observe_in_order(SERIES, MASKS, CONFIG.lags)[16:17]
*_, ANSWER = SYSTEM.reconstruct(SEEN, 0, 8, 2)
MISSING = {(int(r), int(c)) for r, c in np.argwhere(~SEEN.observed[0])}
WORKING = {(int(r), int(c)) for r, c in np.argwhere(SEEN.observed[0])}


def last(steps):
    *_, answer = steps
    return answer


def test_chosen_cells_are_missing_ones_and_the_curve_falls():
    placement = last(place_sensors(SYSTEM, SEEN, ANSWER, 4))
    assert len(set(placement.cells)) == 4
    assert set(placement.cells) <= MISSING
    assert (np.diff(placement.widths) < 0).all()
    assert placement.share == 1
    first = place_sensors(SYSTEM, SEEN, ANSWER, 1)
    assert last(first).cells == placement.cells[:1]


def test_the_first_width_is_that_of_the_answer():
    placement = next(place_sensors(SYSTEM, SEEN, ANSWER, 1))
    width = (ANSWER.upper - ANSWER.lower).sum(dtype=np.float64)
    assert placement.widths[0] == pytest.approx(width, rel=0.01)


def test_gains_are_known_where_no_sensor_is_and_the_best_is_chosen():
    *_, before, after = place_sensors(SYSTEM, SEEN, ANSWER, 1)
    assert {tuple(c) for c in np.argwhere(~np.isnan(before.gains)).tolist()} <= MISSING
    (chosen,) = after.cells
    assert np.isnan(after.gains[chosen])
    rest = [after.gains[cell] for cell in MISSING - {chosen}]
    assert after.widths[0] - after.widths[1] >= max(rest)
    assert min(rest) >= 0


def test_a_cell_without_traffic_is_chosen_last():
    """Nothing is expected there, so nothing can be learnt."""
    means = PROFILE.step_means(0).copy()
    dead = sorted(MISSING)[0]
    rows, cols = (slice(2 * i, 2 * i + 2) for i in dead)
    means[:, rows, cols] = 0
    system = Reconstructor(CONFIG, means, [build_networks(CONFIG, 0)])
    *_, answer = system.reconstruct(SEEN, 0, 8, 2)
    assert last(place_sensors(system, SEEN, answer, len(MISSING))).cells[-1] == dead


def test_more_than_is_missing_takes_all_that_is():
    placement = last(place_sensors(SYSTEM, SEEN, ANSWER, 32))
    assert set(placement.cells) == MISSING


def test_every_sensor_is_left_out_once():
    importance = last(rank_sensors(SYSTEM, SEEN, ANSWER))
    assert set(importance.ranking()) == WORKING
    assert len(importance.ranking()) == len(WORKING)
    values = [importance.widening[cell] for cell in importance.ranking()]
    assert values == sorted(values, reverse=True)
    assert np.isnan(importance.change[~SEEN.observed[0]]).all()


def test_the_change_is_that_of_the_map_without_the_sensor():
    importance = last(rank_sensors(SYSTEM, SEEN, ANSWER))
    row, col = importance.ranking()[0]
    observed, past = SEEN.observed.copy(), SEEN.past_observed.copy()
    observed[:, row, col] = past[:, :, row, col] = False
    blind = dataclasses.replace(SEEN, observed=observed, past_observed=past)
    change = np.abs(SYSTEM.estimate(blind)[0] - ANSWER.estimate).sum()
    assert importance.change[row, col] == pytest.approx(change, rel=1e-4)


def test_progress_grows_and_the_work_can_be_left_at_any_step():
    for steps in (place_sensors(SYSTEM, SEEN, ANSWER, 3), rank_sensors(SYSTEM, SEEN, ANSWER)):
        shares = [step.share for step in steps]
        assert shares == sorted(shares)
        assert shares[-1] == 1
        assert all(0 < share <= 1 for share in shares)
    steps = place_sensors(SYSTEM, SEEN, ANSWER, 3)
    next(steps)
    steps.close()


def test_the_spread_is_the_cards():
    assert hidden_spread(SYSTEM) == DEFAULT_SPREAD
    card = {CARD_KEY: [2.0, 0.0]}
    sure = Reconstructor(CONFIG, PROFILE.step_means(0), SYSTEM.members, card=card)
    assert hidden_spread(sure) == (2.0, 0.0)
    gains = [next(place_sensors(s, SEEN, ANSWER, 1)).gains for s in (SYSTEM, sure)]
    assert np.nansum(gains[1]) > np.nansum(gains[0])


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="no place"):
        next(place_sensors(SYSTEM, SEEN, ANSWER, 0))
    with pytest.raises(InputError, match="no place"):
        next(place_sensors(SYSTEM, SEEN, ANSWER, 33))
    whole = dataclasses.replace(SEEN, observed=np.ones_like(SEEN.observed))
    with pytest.raises(InputError, match="no place"):
        next(place_sensors(SYSTEM, whole, ANSWER, 1))
    with pytest.raises(InputError, match="samples"):
        next(rank_sensors(SYSTEM, SEEN, next(SYSTEM.reconstruct(SEEN))))
    one = np.zeros_like(SEEN.observed)
    one[0, 1, 1] = True
    with pytest.raises(InputError, match="Only one sensor"):
        next(rank_sensors(SYSTEM, dataclasses.replace(SEEN, observed=one), ANSWER))
    two = observe_in_order(SERIES, MASKS, CONFIG.lags)[:2]
    with pytest.raises(InputError, match="one frame at a time"):
        next(place_sensors(SYSTEM, two, ANSWER, 1))
