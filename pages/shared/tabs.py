"""What each browser tab was doing, kept by the server so that a reload loses nothing.

A random token in the address names it. Whoever has the address can go on from there, so the token
cannot be guessed, is never logged, and one that this server did not make itself means nothing.

A reload is told from a copied address by who is connected: a browser closes a tab's connection
before the reloaded page opens its own. If nobody holds what a token names (a reload, a tab that
was restored or woke up), the new session takes it over, with what still runs. If somebody does (a
colleague got the address, a tab was duplicated), the new session begins from the same work under a
token of its own, and what runs stays with the first. A connection that broke without the server's
notice is taken for an open one: then edits and answers are there again, but not what still ran.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MAX_TABS = 64
MAX_AGE_S = 24 * 3600.0
ORPHAN_S = 600.0
"""A tab that is gone for so long does not come back for its running jobs."""

CLOSING_S = 0.5
"""So long after a reload the connection before it may still look open."""

Memory = Mapping[str, object]
_POLL_S = 0.05
_TOKEN_BYTES = 24


@dataclass(frozen=True, eq=False)
class Kept:
    """A tab at rest.

    Args:
        session: the Streamlit session that holds it.
        memory: what it was doing, by key; never changed.
        seen_s: when it was last kept.
        is_orphan: whether its running jobs were given up.
    """

    session: str
    memory: Memory
    seen_s: float
    is_orphan: bool = False


@dataclass(frozen=True, eq=False)
class Taken:
    """What a session goes on from.

    Args:
        memory: what the tab was doing.
        is_copy: whether another session goes on with the same, under the same token.
    """

    memory: Memory
    is_copy: bool


class Tabs:
    """The tabs of this server, least recently used first; safe to use from any thread.

    Args:
        is_open: whether a Streamlit session has its browser connected.
        give_up: stops what still runs for a tab that does not come back.
        now_s: the clock.
    """

    def __init__(
        self,
        is_open: Callable[[str], bool],
        give_up: Callable[[Memory], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_open = is_open
        self._give_up = give_up
        self._now_s = now_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self, session: str, memory: Memory) -> str:
        """Keep a new tab; its token."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.keep(token, session, memory)
        return token

    def keep(self, token: str, session: str, memory: Memory) -> bool:
        """Keep a tab as it is now; false if another session took it over meanwhile.

        Args:
            token: that was given to this session.
            session: the Streamlit session.
            memory: what the tab is doing.
        """
        with self._lock:
            before = self._kept.get(token)
            if before is not None and before.session != session:
                return False
            self._kept[token] = Kept(session, memory, self._now_s())
            self._kept.move_to_end(token)
            left = self._sweep()
        for gone in left:
            self._give_up(gone)
        return True

    def take(self, token: str, session: str) -> Taken | None:
        """What a token names, for a new session; None if it names nothing (any more).

        Args:
            token: from the address: anything.
            session: the Streamlit session that asks.
        """
        self._wait_until_closed(token, session)
        with self._lock:
            self._forget_old()
            found = self._kept.get(token)
            if found is None:
                return None
            is_copy = self._is_held(found, session)
            if not is_copy:
                self._kept[token] = Kept(session, found.memory, self._now_s())
                self._kept.move_to_end(token)
            return Taken(found.memory, is_copy)

    def _wait_until_closed(self, token: str, session: str) -> None:
        deadline_s = time.monotonic() + CLOSING_S
        while time.monotonic() < deadline_s:
            found = self._kept.get(token)
            if found is None or not self._is_held(found, session):
                return
            time.sleep(_POLL_S)

    def _is_held(self, kept: Kept, session: str) -> bool:
        """Whether another session holds a tab."""
        return kept.session != session and self._is_open(kept.session)

    def _forget_old(self) -> None:
        oldest_s = self._now_s() - MAX_AGE_S
        for token in [token for token, kept in self._kept.items() if kept.seen_s < oldest_s]:
            del self._kept[token]

    def _sweep(self) -> list[Memory]:
        """Forget what is too old or too much; the tabs whose jobs nobody waits for any more."""
        self._forget_old()
        left: list[Memory] = []
        while len(self._kept) > MAX_TABS:
            _, gone = self._kept.popitem(last=False)
            if not gone.is_orphan and not self._is_open(gone.session):
                left.append(gone.memory)
        long_ago_s = self._now_s() - ORPHAN_S
        for token, kept in self._kept.items():
            if kept.is_orphan or kept.seen_s >= long_ago_s or self._is_open(kept.session):
                continue
            self._kept[token] = Kept(kept.session, kept.memory, kept.seen_s, is_orphan=True)
            left.append(kept.memory)
        return left
