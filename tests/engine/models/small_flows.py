"""A small city of counts with a daily rhythm, for tests of reconstruction."""

import numpy as np

from engine.models.flows import FlowSeries


def small_series(days=4, seed=0, slots=12, window=1, size=8, magnification=2, kinds=1):
    """Poisson counts around a smooth mean day, (days * slots, size, size).

    With two kinds of days, every other day has its busy places elsewhere: coarse totals tell which
    kind it is, the mean day knows only their average.
    """
    rng = np.random.default_rng(0)
    busy = rng.gamma(0.7, 6.0, (size, size))
    rhythm = 1 + 0.8 * np.sin(np.arange(slots) * 2 * np.pi / slots)
    places = np.stack([busy if day % kinds == 0 else busy[::-1, ::-1] for day in range(days)])
    mean = np.tile(rhythm, days)[:, None, None] * np.repeat(places, slots, axis=0)
    counts = np.random.default_rng(seed).poisson(mean)
    return FlowSeries(counts.astype(np.float32), slots, window, magnification)
