from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.domain import Aggregation, FieldSeries, Grid
from engine.errors import FieldError

GRID = Grid(13.51, 52.42, 13.55, 52.46, 4, 4, 2)
START = datetime(2024, 10, 26, 0, 0, tzinfo=ZoneInfo("Europe/Berlin"))
STEP = timedelta(minutes=30)


def series(values=None, **changes):
    if values is None:
        values = np.arange(96 * 16, dtype=np.uint16).reshape(96, 4, 4)
    given = {
        "name": "vehicles entering",
        "values": values,
        "grid": GRID,
        "start": START,
        "step": STEP,
        "unit": "vehicles",
        "aggregation": Aggregation.SUM,
    }
    return FieldSeries(**{**given, **changes})


def test_sums_and_means_coarsen_differently():
    values = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    summed = series(values).coarsen().values
    mean = series(values, aggregation="mean", unit="km/h").coarsen().values
    assert summed.tolist() == [[[10, 18], [42, 50]]]
    assert mean.tolist() == [[[2.5, 4.5], [10.5, 12.5]]]


def test_small_integers_do_not_overflow_when_summed():
    values = np.full((1, 4, 4), 60_000, dtype=np.uint16)
    assert series(values).coarsen().values.tolist() == [[[240_000, 240_000], [240_000, 240_000]]]


def test_time_runs_through_the_end_of_daylight_saving():
    field = series()
    assert field.time_of(56).isoformat() == "2024-10-27T03:00:00+01:00"
    assert field.time_of(54).isoformat() == "2024-10-27T02:00:00+01:00"
    assert field.time_of(53).isoformat() == "2024-10-27T02:30:00+02:00"
    for index in (0, 51, 52, 53, 54, 55, 95):
        assert field.index_of(field.time_of(index)) == index
        assert field.index_of(field.time_of(index).astimezone(UTC)) == index


@pytest.mark.parametrize("when", [START - timedelta(seconds=1), START + timedelta(days=2, hours=1)])
def test_times_outside_are_refused(when):
    with pytest.raises(FieldError, match="outside"):
        series().index_of(when)


def test_values_cannot_be_changed_afterwards():
    values = np.ones((1, 4, 4))
    field = series(values)
    values[:] = 7
    assert field.values.max() == 1
    with pytest.raises(ValueError, match="read-only"):
        field.values[:] = 2


@pytest.mark.parametrize(
    "changes",
    [
        {"values": np.ones((2, 4, 5))},
        {"values": np.ones((4, 4))},
        {"values": np.ones((0, 4, 4))},
        {"values": -np.ones((1, 4, 4))},
        {"values": np.full((1, 4, 4), np.inf)},
        {"values": np.full((1, 4, 4), "a")},
        {"start": datetime(2024, 1, 1)},
        {"step": timedelta(0)},
        {"unit": "parsecs"},
    ],
)
def test_bad_fields_are_refused(changes):
    with pytest.raises(FieldError):
        series(**changes)
