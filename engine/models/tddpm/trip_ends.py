"""Where trips begin and end, as far as an occupancy map tells.

A map of points says where people are, not where they set out. But trips are shorter where the map
is busy, so that busy places hold more ends than points: shares of ends go with a power a little
above one of shares of points. The power is read off the training trips and holds elsewhere.

Shapes: N trips, Q cells; two rows, first points and last points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

from engine.models.tddpm.occupancy import CityMap, map_of_points
from engine.models.tddpm.tracks import Floats, Indices, Tracks

CELLS_A_SIDE = 16
"""Of the training area's longer side; finer maps hold too few ends to tell."""
POWERS = np.round(np.arange(0.8, 1.501, 0.05), 2)
WORST_JS = 0.03
"""A map that tells the training trips' ends no better than this tells nothing, nats."""
PRIOR_ENDS = 0.5
"""Ends that a cell is expected to hold at least, so that rare cells do not rule."""
POINTS_OF_AN_END = 30.0
"""An end that is where the map wants it counts as much as so many points."""


@dataclass(frozen=True)
class EndsRule:
    """How a map tells where trips begin and end.

    Args:
        cell_m: side of the cells for which it does, metres.
        power: shares of ends go with this power of shares of points.
    """

    cell_m: float
    power: float

    def shares(self, points_Q: Floats) -> Floats:
        """Shares of ends, (Q,)."""
        raised = points_Q**self.power
        return np.asarray(raised / raised.sum())


def fit_ends_rule(tracks: Tracks, side_m: float) -> EndsRule | None:
    """The rule that tells training trips' ends best; None if their map does not tell them.

    Args:
        tracks: the training trips.
        side_m: side of a region, metres; trips from many cities have cells wider than that.
    """
    cell_m = float(np.ptp(tracks.points_m, axis=0).max()) / CELLS_A_SIDE
    if not 0 < cell_m <= side_m:
        return None
    city = map_of_points(tracks.points_m, cell_m)
    ends = [np.bincount(city.cell_of(end), minlength=city.counts.size) for end in tracks.ends_m()]
    rules = [EndsRule(cell_m, float(power)) for power in POWERS]
    misses = [
        np.mean([jensenshannon(rule.shares(city.counts.ravel()), e) ** 2 for e in ends])
        for rule in rules
    ]
    best = int(np.argmin(misses))
    return rules[best] if misses[best] <= WORST_JS else None


class EndsLedger:
    """Ends of the trips made so far, against what the map wants.

    Args:
        target: the edited city's raster.
        rule: how it tells ends.
    """

    def __init__(self, target: CityMap, rule: EndsRule) -> None:
        rows, cols = target.shape
        cells = max(1, round(rule.cell_m / target.cell_m))
        row, col = np.arange(rows) // cells, np.arange(cols) // cells
        self._place = (row[:, None] * (col[-1] + 1) + col).ravel()
        self._target = target
        points_Q = np.bincount(self._place, weights=target.counts.ravel()).astype(np.float64)
        self._share_Q = rule.shares(points_Q)
        self._have_2Q = np.zeros((2, len(self._share_Q)))

    def cells_of(self, tracks: Tracks) -> Indices:
        """(N, 2) cells of the first and last points; -1 outside the city."""
        raster = np.stack([self._target.cell_of(end) for end in tracks.ends_m()], axis=1)
        return np.where(raster >= 0, self._place[np.maximum(raster, 0)], -1)

    def add(self, cells_2: NDArray[np.int64], times: int) -> None:
        """Count a trip, or take it back."""
        for have_Q, cell in zip(self._have_2Q, cells_2, strict=True):
            if cell >= 0:
                have_Q[cell] += times

    def cost(self, cells_2: NDArray[np.int64], num_trips: float) -> float:
        """Change of the squared distance if this trip were kept, in points.

        Args:
            cells_2: its cells.
            num_trips: trips in all when those to be made now are there.
        """
        total = 0.0
        for have_Q, cell in zip(self._have_2Q, cells_2, strict=True):
            if cell >= 0:
                wanted = self._share_Q[cell] * num_trips
                total += (2 * (have_Q[cell] - wanted) + 1) / (wanted + PRIOR_ENDS)
        return POINTS_OF_AN_END * total

    @property
    def num_trips(self) -> int:
        """Trips counted so far."""
        return int(self._have_2Q[0].sum())
