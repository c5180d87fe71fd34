"""The store of what tabs were doing: who gets it, for how long, and what becomes of jobs."""

import pytest

from pages.shared import tabs as module
from pages.shared.tabs import MAX_AGE_S, MAX_TABS, ORPHAN_S, Tabs


class World:
    """A clock and connections under the test's control."""

    def __init__(self):
        self.now_s = 1_000.0
        self.open = set()
        self.given_up = []
        self.tabs = Tabs(self.open.__contains__, self.given_up.append, lambda: self.now_s)


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(module, "CLOSING_S", 0.0)
    return World()


def test_a_reload_takes_over_and_the_session_before_may_keep_no_more(world):
    token = world.tabs.begin("first", {"seed": 3})
    taken = world.tabs.take(token, "second")
    assert taken.memory == {"seed": 3}
    assert not taken.is_copy
    assert not world.tabs.keep(token, "first", {"seed": 4})
    assert world.tabs.keep(token, "second", {"seed": 5})
    assert world.tabs.take(token, "second").memory == {"seed": 5}


def test_a_copied_address_begins_from_the_same_and_does_not_take_it_away(world):
    world.open.add("first")
    token = world.tabs.begin("first", {"seed": 3})
    taken = world.tabs.take(token, "second")
    assert taken.is_copy
    assert taken.memory == {"seed": 3}
    assert world.tabs.keep(token, "first", {"seed": 4})
    assert not world.tabs.keep(token, "second", {"seed": 9})


def test_a_connection_that_closes_a_moment_late_is_a_reload_all_the_same(world, monkeypatch):
    monkeypatch.setattr(module, "CLOSING_S", 5.0)
    asked = []

    def is_open(session):
        asked.append(session)
        return len(asked) < 3

    tabs = Tabs(is_open, world.given_up.append)
    token = tabs.begin("first", {})
    assert not tabs.take(token, "second").is_copy


@pytest.mark.parametrize("token", ["", "nonsense", "../../etc/passwd", "\0", "x" * 100_000, "💥"])
def test_a_token_that_was_not_given_out_names_nothing(world, token):
    world.tabs.begin("first", {})
    assert world.tabs.take(token, "second") is None
    assert len(world.tabs) == 1


def test_tokens_cannot_be_guessed(world):
    tokens = {world.tabs.begin("first", {}) for _ in range(20)}
    assert len(tokens) == 20
    assert min(len(token) for token in tokens) >= 32


def test_the_least_recently_used_is_forgotten_first(world):
    first, second = (world.tabs.begin("one", {"n": n}) for n in range(2))
    for n in range(MAX_TABS - 2):
        world.tabs.begin("one", {"n": n})
    world.tabs.keep(first, "one", {"n": "again"})
    world.tabs.begin("one", {})
    assert len(world.tabs) == MAX_TABS
    assert world.tabs.take(second, "two") is None
    assert world.tabs.take(first, "two").memory == {"n": "again"}
    assert world.given_up == [{"n": 1}]


def test_a_tab_is_forgotten_after_a_day(world):
    token = world.tabs.begin("first", {})
    world.now_s += MAX_AGE_S + 1
    assert world.tabs.take(token, "second") is None


def test_jobs_end_once_when_the_tab_does_not_come_back(world):
    token = world.tabs.begin("gone", {"job": 1})
    world.open.add("here")
    other = world.tabs.begin("here", {"job": 2})
    world.now_s += ORPHAN_S - 1
    world.tabs.keep(other, "here", {"job": 2})
    assert world.given_up == []
    world.now_s += 2
    for _ in range(2):
        world.tabs.keep(other, "here", {"job": 2})
    assert world.given_up == [{"job": 1}]
    # the work itself is still there
    assert world.tabs.take(token, "back").memory == {"job": 1}


def test_an_open_tab_that_is_quiet_keeps_its_jobs(world):
    world.open |= {"quiet", "here"}
    world.tabs.begin("quiet", {"job": 1})
    other = world.tabs.begin("here", {})
    world.now_s += ORPHAN_S + 1
    world.tabs.keep(other, "here", {})
    assert world.given_up == []
