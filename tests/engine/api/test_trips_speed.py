"""The benchmark of speed, with few trips and without the simulator's minutes."""

import pytest

from engine import api
from engine.api import trips_speed


@pytest.mark.thorough
def test_each_part_has_its_seconds(monkeypatch):
    days = []
    monkeypatch.setattr(trips_speed, "SHORT_TRIPS", 40)
    monkeypatch.setattr(trips_speed, "ANSWER_TRIPS", 32)
    monkeypatch.setattr(trips_speed, "_simulate", lambda city, day, edits: days.append(edits))
    parts = dict(trips_speed.bench_speed(api.open_city("adlershof"), 33))
    assert list(parts) == ["short", "day", "answer", "simulator", "ratio"]
    short = parts["short"]
    assert 0 < short["first_s"] < short["wall_s"]
    assert short["trips"] == 40
    assert parts["day"]["trips"] == 33
    assert 0 <= parts["day"]["memory_growth_mb"] < 500
    assert parts["answer"]["cpu_s"] > 0
    # the day as it was, and with the closure
    assert [len(edits) for edits in days] == [0, 1]
    assert parts["ratio"]["wall_s"] < 1
