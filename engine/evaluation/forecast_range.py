"""How unusual a forecast's input is, held against all that the models were trained on.

Shapes: W windows, T history, N sensors, S slots of the day.
"""

# ruff: noqa: N815 - fields carry shape suffixes like the arrays elsewhere

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.domain.sensors import SensorSeries

Values = NDArray[np.float64]
STRIDE = 3
"""Every third window of the training series is looked at: neighbours are nearly the same."""
SMALLEST_SPREAD = 1e-3


@dataclass(frozen=True)
class RangeScore:
    """Shares of the training windows that were less unusual, 0 to 1.

    Args:
        overall: over all sensors together.
        worst: at the sensor that is furthest from its usual.
    """

    overall: float
    worst: float


@dataclass(frozen=True, eq=False)
class HistoryRange:
    """What histories were like in training: their mean departure from the usual, by sensor.

    Args:
        usual_SN: the usual day of each sensor, in the data's unit.
        spread_N: typical size of a window's mean departure from it.
        overall_W: root mean square over the sensors of the departures in spreads, sorted.
        worst_W: the largest of them, sorted.
    """

    usual_SN: Values
    spread_N: Values
    overall_W: Values
    worst_W: Values

    @classmethod
    def fit(cls, series: SensorSeries, usual_SN: Values, history: int) -> "HistoryRange":
        """Measure a training series.

        Args:
            series: what the models were trained on.
            usual_SN: the usual day of each sensor.
            history: T.
        """
        residual_TN = series.values_TN - usual_SN[series.axis.slot_T]
        known_TN = np.isfinite(residual_TN)
        sums = _rolling(np.where(known_TN, residual_TN, 0.0), history)
        counts = _rolling(known_TN.astype(np.float64), history)
        with np.errstate(invalid="ignore"):
            mean_WN = (sums / np.where(counts > 0, counts, np.nan))[::STRIDE]
        seen_N = np.isfinite(mean_WN).sum(axis=0).clip(1)
        spread_N = np.sqrt(np.nansum(mean_WN**2, axis=0) / seen_N).clip(SMALLEST_SPREAD)
        overall_W, worst_W = _sizes(mean_WN / spread_N)
        return cls(usual_SN, spread_N, np.sort(overall_W), np.sort(worst_W))

    def score(
        self,
        history_TN: NDArray[np.floating],
        valid_TN: NDArray[np.bool_],
        slot_T: NDArray[np.int64],
    ) -> RangeScore:
        """Where a history lies among those of training."""
        residual_TN = np.where(valid_TN, history_TN - self.usual_SN[slot_T], 0.0)
        counts_N = valid_TN.sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean_N = residual_TN.sum(axis=0) / np.where(counts_N > 0, counts_N, np.nan)
        overall, worst = _sizes((mean_N / self.spread_N)[None])
        return RangeScore(_rank(self.overall_W, overall[0]), _rank(self.worst_W, worst[0]))


def _rolling(values_TN: Values, length: int) -> Values:
    """Sums over ``length`` rows that follow each other."""
    total = np.cumsum(np.vstack([np.zeros((1, values_TN.shape[1])), values_TN]), axis=0)
    sums: Values = total[length:] - total[:-length]
    return sums


def _sizes(departure_WN: Values) -> tuple[Values, Values]:
    """Root mean square and largest size over the sensors; zero where nothing is known."""
    size_WN = np.where(np.isfinite(departure_WN), np.abs(departure_WN), 0.0)
    known_W = np.isfinite(departure_WN).sum(axis=1).clip(1)
    return np.sqrt((size_WN**2).sum(axis=1) / known_W), size_WN.max(axis=1)


def _rank(sorted_W: Values, value: float) -> float:
    return float(np.searchsorted(sorted_W, value) / max(1, len(sorted_W)))
