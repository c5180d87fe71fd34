"""How drivers weigh the time on each street, so that assigned traffic is where traffic was seen.

Quickest ways by observed times load some streets several times too much: drivers know signals,
parked cars and narrow places that times do not show. What they reckon with is estimated from the
volumes of observed days, whose demand is known: a street with too much traffic is reckoned
slower, one with too little quicker, a little at a time (estimation of perceived costs from link
counts; Cascetta 2009, Transportation Systems Analysis, chapter 8).

Legend: T periods of the day, E edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.errors import ScenarioError
from engine.simulation.assignment import Floats, load_day
from engine.simulation.habits import ObservedDay, StreetHabits
from engine.simulation.interventions import Plan
from engine.simulation.model import TrafficModel

ROUNDS = 30
FIRST_STEP = 0.25
"""Part of the logarithm of the volumes' ratio that the first round makes up; later ones do less."""
SLOWING_ROUNDS = 12
FEW_VEHICLES = 20.0
"""Vehicles of a day's period beside those of a street: where few drive, ratios say little."""
QUICKEST, SLOWEST = -1.0, 2.0
"""Bounds of the logarithm of a weight."""


@dataclass(frozen=True, eq=False)
class Weighed:
    """Habits by which drivers' choices come out as observed.

    Args:
        habits: of the first day, with expected times as drivers weigh them.
        misplaced: vehicles too many or too few on the streets of another day, over all, with the
            times as seen.
        still_misplaced: the same with the weighed times.
    """

    habits: StreetHabits
    misplaced: float
    still_misplaced: float


def weigh_times(model: TrafficModel, seen: Sequence[ObservedDay], check: ObservedDay) -> Weighed:
    """Find the weights on observed days; a minute of a processor.

    Args:
        model: the city.
        seen: days without edits.
        check: another one, on which the weights are judged.

    Raises:
        ScenarioError: no day is given.
    """
    if not seen:
        raise ScenarioError("Weighing times needs at least one observed day.")
    plan = _all_trips(seen)
    observed_TE = np.sum([day.volume for day in seen], axis=0)
    few = FEW_VEHICLES * len(seen)
    seen_habits = habits = seen[0].habits
    weight_TE = np.zeros_like(observed_TE)
    for number in range(ROUNDS):
        ratio_TE = (load_day(model, habits, plan) + few) / (observed_TE + few)
        step = FIRST_STEP / (1 + number / SLOWING_ROUNDS)
        weight_TE = np.clip(weight_TE + step * np.log(ratio_TE), QUICKEST, SLOWEST)
        habits = replace(seen_habits, seen_s=seen_habits.seen_s * np.exp(weight_TE)[:, None])
    before, after = (_misplaced(model, each, check) for each in (seen_habits, habits))
    return Weighed(habits, before, after)


def _all_trips(days: Sequence[ObservedDay]) -> Plan:
    return replace(days[0].plan, trips=np.concatenate([day.plan.trips for day in days]))


def _misplaced(model: TrafficModel, habits: StreetHabits, day: ObservedDay) -> float:
    loaded: Floats = load_day(model, habits, day.plan)
    return float(np.abs(loaded - day.volume).sum() / day.volume.sum())
