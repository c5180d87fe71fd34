"""The line in front of the workers: bounded, with a quota per session, taking turns.

Sessions take turns, so one that asks for twenty jobs does not keep another waiting for its
first. Within a session the order is that of asking.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from engine.errors import QueueFullError

Entry = TypeVar("Entry")


class Line(Generic[Entry]):
    """Who is next. Not thread-safe: its owner holds a lock.

    Args:
        max_queued: how many may wait in all.
        max_per_session: how many of one session may wait or run.
    """

    def __init__(self, max_queued: int, max_per_session: int) -> None:
        self.max_queued = max_queued
        self.max_per_session = max_per_session
        self._first: deque[tuple[str, Entry]] = deque()
        self._sessions: OrderedDict[str, deque[Entry]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._first) + sum(len(own) for own in self._sessions.values())

    def count(self, session: str) -> int:
        """How many of one session wait."""
        again = sum(1 for owner, _ in self._first if owner == session)
        return again + len(self._sessions.get(session, ()))

    def add(self, session: str, entry: Entry, num_running: int) -> None:
        """Stand in line.

        Args:
            session: who asks.
            entry: what waits.
            num_running: jobs of this session that already run; they count towards its quota.

        Raises:
            QueueFullError: the session's quota is used up, or the line is full.
        """
        if self.count(session) + num_running >= self.max_per_session:
            raise QueueFullError(
                f"You already have {self.max_per_session} jobs waiting or running.",
                fix="Wait for one to finish, or cancel one.",
            )
        if len(self) >= self.max_queued:
            raise QueueFullError(
                f"All {self.max_queued} places in line are taken.", fix="Try again in a moment."
            )
        self._sessions.setdefault(session, deque()).append(entry)

    def add_first(self, session: str, entry: Entry) -> None:
        """Stand at the head of the line, to run once more; never refused."""
        self._first.append((session, entry))

    def remove(self, entry: Entry) -> bool:
        """Leave the line; False when it was not in it."""
        for place, (_, again) in enumerate(self._first):
            if again == entry:
                del self._first[place]
                return True
        for session, own in self._sessions.items():
            if entry in own:
                self._drop(session, entry)
                return True
        return False

    def take(self, accepts: Callable[[Entry], bool]) -> Entry | None:
        """The next entry that ``accepts`` allows, taken out of the line; None if there is none."""
        for place, (_, again) in enumerate(self._first):
            if accepts(again):
                del self._first[place]
                return again
        for session, own in self._sessions.items():
            entry = next((waiting for waiting in own if accepts(waiting)), None)
            if entry is not None:
                self._drop(session, entry)
                if session in self._sessions:
                    self._sessions.move_to_end(session)
                return entry
        return None

    def place(self, entry: Entry) -> int:
        """Place in line, from 1; 0 when it is not in it."""
        return next((n for n, waiting in enumerate(self, start=1) if waiting == entry), 0)

    def __iter__(self) -> Iterator[Entry]:
        """In the order in which they will be taken, if any worker can take any entry."""
        yield from (entry for _, entry in self._first)
        waiting = [iter(own) for own in self._sessions.values()]
        while waiting:
            still = []
            for own in waiting:
                entry = next(own, None)
                if entry is not None:
                    yield entry
                    still.append(own)
            waiting = still

    def _drop(self, session: str, entry: Entry) -> None:
        rest = deque(waiting for waiting in self._sessions[session] if waiting != entry)
        if rest:
            self._sessions[session] = rest
        else:
            del self._sessions[session]
