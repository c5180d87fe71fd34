"""A day with edits beside the same day without: the truth of a what-if, with its figures."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from queue import Empty, Queue

import numpy as np
from numpy.typing import NDArray

from engine.domain import Edit
from engine.errors import JobCancelledError
from engine.simulation.day import Progress, SimulatedDay, never, simulate_day
from engine.simulation.model import TrafficModel


@dataclass(frozen=True)
class StreetChange:
    """What happened on a street with sensors.

    Args:
        street_id: the street.
        name: its name.
        before: vehicles at its sensors, untouched.
        after: the same with the edits.
    """

    street_id: str
    name: str
    before: int
    after: int

    @property
    def change(self) -> int:
        """Vehicles more (or fewer)."""
        return self.after - self.before


@dataclass(frozen=True, eq=False)
class WhatIf:
    """Two versions of one day, with the same random numbers.

    Args:
        untouched: the day as it is.
        edited: the day with the edits.
    """

    untouched: SimulatedDay
    edited: SimulatedDay

    @property
    def occupancy_change(self) -> NDArray[np.int64]:
        """(R, C) points more or fewer in each cell over the counted hours."""
        before, after = (
            d.occupancy.values.astype(np.int64).sum(0) for d in (self.untouched, self.edited)
        )
        return np.asarray(after - before)

    @property
    def moved_share(self) -> float:
        """Half the absolute change over the untouched total: the share that is elsewhere now."""
        total = int(self.untouched.occupancy.values.sum(dtype=np.int64))
        return float(np.abs(self.occupancy_change).sum() / 2 / max(total, 1))

    def street_changes(self, model: TrafficModel) -> list[StreetChange]:
        """All streets with sensors, the largest change first."""
        names = {street.id: street.name for street in model.streets}
        counts: dict[str, list[int]] = {}
        for column, edge in enumerate(model.sensors):
            street = model.edges[model.edge_index[edge]].street
            sums = counts.setdefault(street, [0, 0])
            for side, day in enumerate((self.untouched, self.edited)):
                sums[side] += int(day.count[:, column].sum(dtype=np.int64))
        changes = [StreetChange(s, names[s], *sums) for s, sums in counts.items()]
        return sorted(changes, key=lambda c: (-abs(c.change), c.street_id))


def simulate_what_if(
    model: TrafficModel,
    day: date,
    edits: tuple[Edit, ...],
    hours: tuple[float, float] = (0, 24),
    seed: int = 0,
    should_cancel: Callable[[], bool] = never,
) -> Iterator[Progress | WhatIf]:
    """Simulate a day, or some hours of it, with and without edits, side by side.

    Arguments and errors as :func:`engine.simulation.day.simulate_day`.

    Yields:
        Progress, and last the two days.
    """
    stop = threading.Event()
    steps: Queue[tuple[int, Progress | None]] = Queue()

    def run(side: int, version: tuple[Edit, ...]) -> SimulatedDay:
        try:
            for step in simulate_day(model, day, version, hours, seed, stop.is_set):
                if isinstance(step, SimulatedDay):
                    return step
                steps.put((side, step))
        except BaseException:
            stop.set()
            raise
        finally:
            steps.put((side, None))
        raise JobCancelledError("The simulation was cancelled.")

    with ThreadPoolExecutor(2) as pool:
        try:
            futures = [pool.submit(run, side, edit) for side, edit in enumerate(((), edits))]
            yield from _merged(steps, stop, should_cancel)
        finally:
            stop.set()
    errors = [error for future in futures if (error := future.exception())]
    for error in sorted(errors, key=lambda e: isinstance(e, JobCancelledError)):
        raise error
    yield WhatIf(futures[0].result(), futures[1].result())


def _merged(
    steps: "Queue[tuple[int, Progress | None]]",
    stop: threading.Event,
    should_cancel: Callable[[], bool],
) -> Iterator[Progress]:
    """Progress of both sides until both have ended."""
    shares, ended = [0.0, 0.0], 0
    while ended < 2:
        if should_cancel():
            stop.set()
        try:
            side, step = steps.get(timeout=0.1)
        except Empty:
            continue
        if step is None:
            ended += 1
        else:
            shares[side] = step.share
            yield Progress(sum(shares) / 2, step.message)
