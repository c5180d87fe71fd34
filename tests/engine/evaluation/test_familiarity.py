"""Ordinary and absurd questions to the embedded city, on days that set no limit."""

import dataclasses
import json

import numpy as np
import pytest

from engine.cities.registry import open_city
from engine.errors import InputError, WeightsError
from engine.evaluation import absurdities, familiarity_limits
from engine.evaluation.absurdities import ABSURDITIES, absurd_cases, ordinary_cases, with_totals
from engine.evaluation.familiarity import (
    CARD_KEY,
    Familiarity,
    familiarity_of,
    score_familiarity,
)
from engine.evaluation.familiarity_limits import ORDINARY, flag_cases, measure_familiarity
from engine.models.baselines.profile import fit_profile
from engine.models.diffrecon.ours.config import Config
from engine.models.diffrecon.ours.objective import build_networks
from engine.models.diffrecon.ours.system import Reconstructor, load_reconstructor
from engine.models.flows import flows_of_field
from engine.models.installed import find_weights
from engine.models.moments import RAIN, TEMPERATURE, WEATHER

DAY = 48
TRAINED, LIMITS_SET = 73 * DAY, 82 * DAY
"""Days before the first are trained on, those up to the second set the limits."""


@pytest.fixture(scope="module")
def city_days():
    city = open_city("adlershof")
    series = flows_of_field(city.field("flow"), city.context())
    return series.part(0, TRAINED), series.part(TRAINED, LIMITS_SET), series.part(LIMITS_SET)


@pytest.fixture(scope="module")
def system(city_days):
    train = city_days[0]
    sizes = {"width": 16, "blocks": 1, "heads": 2, "latents": 3, "residual_width": 16}
    config = Config(8, 8, 4, DAY, 1, (1,), 0, (1,), day_kinds=train.num_day_kinds, **sizes)
    means = fit_profile(train).step_means(0)
    return Reconstructor(config, means, [build_networks(config, 0)])


@pytest.fixture(scope="module")
def known(system, city_days):
    return measure_familiarity(system, *city_days[:2])


def at(series, slot, count=40):
    """Ordinary frames at one slot of the first working day."""
    start = np.full(count, slot + DAY)
    return ordinary_cases(series, start, np.random.default_rng(0))


def whole(series, slot):
    seen = at(series, slot, 1)
    return dataclasses.replace(
        seen, observed=np.ones_like(seen.observed), coarse=at_totals(series, slot)
    )


def at_totals(series, slot):
    frames = series.frames(np.array([slot + DAY]))
    return frames.reshape(1, 8, 4, 8, 4).sum((2, 4))


@pytest.mark.thorough
def test_few_ordinary_and_nearly_all_absurd_questions_are_flagged(system, known, city_days):
    """The promise, on nine days that neither the mean day nor the limits have seen."""
    tested = city_days[2]
    starts = tested.regular_starts()[::3]
    rates = {
        name: float(np.mean(flags)) for name, flags in flag_cases(system, known, tested, starts, 9)
    }
    assert rates.pop(ORDINARY) <= 0.05
    assert len(rates) == len(ABSURDITIES) + 4
    assert {name: rate for name, rate in rates.items() if rate < 0.95} == {}


@pytest.mark.thorough
def test_the_card_tells_rates_of_days_that_set_no_limits(known):
    rates = dict(known.rates)
    assert 0 < rates.pop(ORDINARY) <= 0.06
    assert min(rates.values()) >= 0.95


def test_another_citys_maps_are_flagged(system, known, city_days):
    tested = city_days[2]
    starts = tested.regular_starts()[::3]
    seen = ordinary_cases(tested, starts, np.random.default_rng(4))
    other = load_reconstructor(find_weights("didi-chengdu")).usual
    slots = seen.slots % DAY * len(other) // DAY
    odd = with_totals(seen, other[slots])
    assert np.mean([v.is_unfamiliar for v in score_familiarity(system, odd, known)]) >= 0.95


def test_every_frame_stands_alone(system, known, city_days):
    seen = at(city_days[2], 16, 6)
    together = score_familiarity(system, seen, known)
    alone = score_familiarity(system, seen[4:5], known)[0]
    assert together[4].overall == alone.overall
    assert np.array_equal(together[4].cells, alone.cells)


def test_what_is_hidden_does_not_count(system, known, city_days):
    seen = at(city_days[2], 16)
    loud = dataclasses.replace(seen, coarse=seen.coarse + 1e6 * ~seen.observed)
    values = [[v.overall for v in score_familiarity(system, s, known)] for s in (seen, loud)]
    assert values[0] == values[1]


def test_an_odd_sensor_is_found_and_named(system, known, city_days):
    seen = whole(city_days[2], 16)
    coarse = seen.coarse.copy()
    coarse[0, 6, 2] *= 6
    (verdict,) = score_familiarity(system, dataclasses.replace(seen, coarse=coarse), known)
    assert np.unravel_index(verdict.cells.argmax(), (8, 8)) == (6, 2)
    assert verdict.cells[6, 2] > 1
    assert (verdict.cells > 1).sum() <= 3
    named = [reason for reason in verdict.reasons if "row 7, column 3" in reason]
    assert f"{coarse[0, 6, 2]:,.0f}" in named[0]


def test_the_level_is_told_in_plain_numbers(system, known, city_days):
    seen = whole(city_days[2], 16)
    (usual,) = score_familiarity(system, seen, known)
    assert (usual.reasons, usual.is_unfamiliar) == ((), False)
    tenfold = dataclasses.replace(seen, coarse=10 * seen.coarse)
    (verdict,) = score_familiarity(system, tenfold, known)
    assert any("times what they usually do" in reason for reason in verdict.reasons)
    assert (verdict.cells > 1).all()


def test_weather_beyond_what_was_trained_on(system, known, city_days):
    seen = whole(city_days[2], 16)
    for column, value, words in (
        (TEMPERATURE, 41, "41 °C"),
        (TEMPERATURE, -20, "-20 °C"),
        (RAIN, 80, "80 mm/h"),
        (WEATHER, 3, "snow"),
    ):
        conditions = seen.conditions.copy()
        conditions[0, column] = value
        (verdict,) = score_familiarity(
            system, dataclasses.replace(seen, conditions=conditions), known
        )
        assert verdict.is_unfamiliar
        assert words in verdict.reasons[0]
    unknown = dataclasses.replace(seen, conditions=np.full_like(seen.conditions, np.nan))
    assert not score_familiarity(system, unknown, known)[0].is_unfamiliar


def test_hardly_a_sensor_left_is_said_so(system, known, city_days):
    *_, (name, odd), (_, _) = absurd_cases(city_days[2], np.arange(3), np.random.default_rng(0))
    assert name == "hardly a sensor left"
    verdicts = score_familiarity(system, odd, known)
    assert all("sensors are missing" in " ".join(verdict.reasons) for verdict in verdicts)


def test_the_yardstick_travels_with_the_card(system, known, city_days):
    seen = at(city_days[2], 16, 2)
    assert score_familiarity(system, seen) == ()
    data = json.loads(json.dumps(known.to_json(), allow_nan=False))
    assert Familiarity.from_json(data) == known
    card = {CARD_KEY: data}
    carded = Reconstructor(system.config, system.profile.sums, system.members, card=card)
    assert familiarity_of(carded) == known
    assert score_familiarity(carded, seen)[1].overall == pytest.approx(
        score_familiarity(system, seen, known)[1].overall
    )
    with pytest.raises(WeightsError, match="familiarity"):
        Familiarity.from_json({**data, "limits": {}})


def test_one_day_is_too_few(system, city_days):
    with pytest.raises(InputError, match="single day"):
        measure_familiarity(system, city_days[0], city_days[1].part(0, DAY))


@pytest.mark.thorough
def test_limits_do_not_change_from_run_to_run(system, city_days, monkeypatch):
    monkeypatch.setattr(familiarity_limits, "CASES", 200)
    monkeypatch.setattr(absurdities, "POOL", 40)
    short = city_days[1].part(0, 2 * DAY)
    first, again = (measure_familiarity(system, city_days[0], short) for _ in range(2))
    assert first == again
