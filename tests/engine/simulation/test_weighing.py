from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from engine.cities.registry import open_city
from engine.errors import ScenarioError
from engine.models.installed import find_weights
from engine.simulation.assignment import load_day
from engine.simulation.day import make_clock, plan_trips
from engine.simulation.habits import ObservedDay, load_habits
from engine.simulation.model import load_model
from engine.simulation.weighing import weigh_times

DAY = date(2025, 5, 28)


@pytest.fixture(scope="module")
def seen():
    """The trips of two morning hours, driven as if one street were far slower than it looks."""
    city = open_city("adlershof")
    model = load_model(city.folder)
    habits = load_habits(find_weights("adlershof-streets"))
    plan, _ = plan_trips(model, DAY, (), make_clock(model, DAY, (0, 24)), 1)
    depart_s = plan.trips["depart_s"]
    plan = replace(plan, trips=plan.trips[(depart_s >= 7 * 3_600) & (depart_s < 9 * 3_600)])
    volume = load_day(model, habits, plan)
    for busy in np.argsort(-volume[1])[:30]:
        disliked = habits.seen_s.copy()
        disliked[..., busy] *= 4
        moved = load_day(model, replace(habits, seen_s=disliked), plan)
        if moved[1, busy] < 0.5 * volume[1, busy]:
            return model, ObservedDay(habits, moved, plan), int(busy)
    raise AssertionError("No busy street can be avoided.")


def test_weighed_times_put_the_traffic_where_it_was_seen(seen):
    model, day, busy = seen
    weighed = weigh_times(model, [day], day)
    assert weighed.still_misplaced < 0.5 * weighed.misplaced
    loaded = [load_day(model, habits, day.plan) for habits in (day.habits, weighed.habits)]
    true = day.volume[1, busy]
    before, after = (abs(volume[1, busy] - true) for volume in loaded)
    assert before > 0.3 * true
    assert after < 0.5 * before
    assert (weighed.habits.seen_s[1, :, busy] > 1.1 * day.habits.seen_s[1, :, busy]).all()


@pytest.mark.thorough
def test_what_was_seen_stays_as_it_was(seen):
    model, day, _ = seen
    same = replace(day, volume=load_day(model, day.habits, day.plan))
    weighed = weigh_times(model, [same, same], same)
    assert weighed.misplaced == 0
    np.testing.assert_array_equal(weighed.habits.seen_s, day.habits.seen_s)
    np.testing.assert_array_equal(weighed.habits.dwell_s, day.habits.dwell_s)


def test_no_day_is_refused(seen):
    model, day, _ = seen
    with pytest.raises(ScenarioError, match="at least one"):
        weigh_times(model, [], day)
