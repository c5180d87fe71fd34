"""How fast the simulator is here, what it takes, and how soon it stops."""

import resource
import sys
import time
from collections.abc import Iterator
from datetime import date
from statistics import median
from typing import Any

import numpy as np

from engine.errors import JobCancelledError
from engine.simulation.day import Progress, SimulatedDay, simulate_day
from engine.simulation.model import TrafficModel

BENCH_DAY = date(2025, 5, 15)
BENCH_HOURS = ((11, 12), (7, 9))
MIB = 2**20


def measure_simulation(
    model: TrafficModel, num_tries: int, seed: int = 1
) -> Iterator[Progress | dict[str, Any]]:
    """Time quiet and busy hours, then cancel at random moments.

    Args:
        model: the city.
        num_tries: cancellations to time.
        seed: of the random moments.

    Yields:
        Progress, and last the figures by name.
    """
    figures: dict[str, Any] = {}
    for hours in BENCH_HOURS:
        yield Progress(0.1, f"Simulating {hours[0]}:00 to {hours[1]}:00")
        began = time.perf_counter()
        result = _finished(model, hours)
        took_s = time.perf_counter() - began
        head = f"hours_{hours[0]}_{hours[1]}"
        figures[f"{head}_vehicles"] = result.summary.trips_planned
        figures[f"{head}_s"] = took_s
        figures[f"{head}_sumo_s"] = result.summary.sumo_s
        figures[f"{head}_vehicles_per_s"] = result.summary.trips_planned / took_s
        figures[f"{head}_simulated_hours_per_s"] = (hours[1] - hours[0]) / took_s
    figures["sumo_memory_mib"] = _peak_mib(resource.RUSAGE_CHILDREN)
    figures["engine_memory_mib"] = _peak_mib(resource.RUSAGE_SELF)
    moments = np.random.default_rng(seed).uniform(0.0, figures["hours_7_9_s"], num_tries)
    times_s = []
    for number, moment_s in enumerate(moments):
        yield Progress(0.3 + 0.7 * number / num_tries, "Cancelling at random moments")
        times_s.append(_cancel_after(model, float(moment_s)))
    figures["cancel_median_s"] = median(times_s) if times_s else 0.0
    figures["cancel_worst_s"] = max(times_s, default=0.0)
    figures["cancel_within_2_s"] = sum(took_s <= 2 for took_s in times_s)
    figures["cancel_tries"] = num_tries
    yield figures


def _finished(model: TrafficModel, hours: tuple[float, float]) -> SimulatedDay:
    for step in simulate_day(model, BENCH_DAY, hours=hours):
        if isinstance(step, SimulatedDay):
            return step
    raise AssertionError("a simulation ended without a day")


def _cancel_after(model: TrafficModel, moment_s: float) -> float:
    """Seconds from the wish to cancel until the simulation has ended; 0 if it was done before."""
    wished_at = time.monotonic() + moment_s
    try:
        for _ in simulate_day(
            model, BENCH_DAY, hours=(7, 9), should_cancel=lambda: time.monotonic() >= wished_at
        ):
            pass
    except JobCancelledError:
        return time.monotonic() - wished_at
    return 0.0


def _peak_mib(who: int) -> float:
    """Largest resident memory so far of this process or of a child of it."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit / MIB
