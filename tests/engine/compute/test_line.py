import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compute.line import Line
from engine.errors import QueueFullError


def _take_all(line):
    taken = []
    while (entry := line.take(lambda _: True)) is not None:
        taken.append(entry)
    return taken


def test_sessions_take_turns_and_places_tell_the_order():
    line = Line(max_queued=10, max_per_session=10)
    for entry in ("a1", "a2", "a3", "b1", "c1", "b2"):
        line.add(entry[0], entry, 0)
    assert [line.place(entry) for entry in ("a1", "b1", "c1", "a2", "b2", "a3")] == [
        1, 2, 3, 4, 5, 6,
    ]  # fmt: skip
    assert _take_all(line) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert line.place("a1") == 0


def test_a_session_that_was_served_goes_behind_the_others():
    line = Line(max_queued=10, max_per_session=10)
    for entry in ("a1", "a2", "b1"):
        line.add(entry[0], entry, 0)
    assert line.take(lambda _: True) == "a1"
    line.add("c", "c1", 0)
    assert _take_all(line) == ["b1", "a2", "c1"]


def test_an_entry_that_cannot_go_does_not_hold_up_the_rest():
    line = Line(max_queued=10, max_per_session=10)
    for entry in ("a1", "a2", "b1"):
        line.add(entry[0], entry, 0)
    assert line.take(lambda entry: entry != "a1") == "a2"
    assert line.take(lambda entry: entry == "nobody") is None
    assert _take_all(line) == ["b1", "a1"]


def test_one_that_runs_again_is_first_and_never_refused():
    line = Line(max_queued=1, max_per_session=1)
    line.add("a", "a1", 0)
    line.add_first("b", "b0")
    assert line.place("b0") == 1
    assert line.count("b") == 1
    assert line.remove("b0")
    line.add_first("b", "b0")
    assert _take_all(line) == ["b0", "a1"]


def test_quota_counts_what_waits_and_what_runs():
    line = Line(max_queued=10, max_per_session=2)
    line.add("a", "a1", 1)
    with pytest.raises(QueueFullError, match="already have 2 jobs"):
        line.add("a", "a2", 1)
    line.add("b", "b1", 0)


def test_the_line_is_bounded_whoever_asks():
    line = Line(max_queued=3, max_per_session=2)
    for session in "abc":
        line.add(session, session, 0)
    with pytest.raises(QueueFullError, match="All 3 places"):
        line.add("d", "d", 0)
    assert line.remove("b")
    assert not line.remove("b")
    line.add("d", "d", 0)
    assert len(line) == 3


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=40))
def test_nothing_is_lost_and_no_session_waits_for_two_turns_of_another(steps):
    line = Line(max_queued=100, max_per_session=100)
    added, taken = [], []
    for number, (session, takes) in enumerate(steps):
        entry = (session, number)
        line.add(session, entry, 0)
        added.append(entry)
        if takes:
            expected = next(iter(line))
            taken.append(line.take(lambda _: True))
            assert taken[-1] == expected
    waiting = {session for session, _ in line}
    turn = [line.take(lambda _: True) for _ in range(len(waiting))]
    assert {session for session, _ in turn} == waiting
    assert sorted(taken + turn + _take_all(line)) == sorted(added)
