"""What every forecast has to beat: the last value, and the historical mean.

Shapes: B windows, T history, H horizon, N sensors, S slots of the day.
"""

# ruff: noqa: N815 - fields carry shape suffixes like all tensors here

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.models.forecast_windows import Forecast, WindowBatch, WindowSet


@dataclass(frozen=True, eq=False)
class HistoricalMean:
    """The mean of the training data at that time of day, sensor by sensor.

    Args:
        mean_SN: in the data's unit; no value is missing.
    """

    mean_SN: Tensor

    @classmethod
    def fit(cls, windows: WindowSet) -> "HistoricalMean":
        """Average a training set.

        A slot that a sensor lacks gets the sensor's mean, a sensor without any value the mean
        of all.
        """
        slots = windows.axis.steps_per_day
        total_SN = np.zeros((slots, windows.num_sensors))
        count_SN = np.zeros((slots, windows.num_sensors))
        known_TN = np.where(windows.valid_TN, windows.values_TN, 0).astype(np.float64)
        np.add.at(total_SN, windows.axis.slot_T, known_TN)
        np.add.at(count_SN, windows.axis.slot_T, windows.valid_TN)
        overall = total_SN.sum() / max(1, count_SN.sum())
        sensor_N = np.where(
            count_SN.any(axis=0), total_SN.sum(0) / count_SN.sum(0).clip(1), overall
        )
        mean_SN = np.where(count_SN > 0, total_SN / count_SN.clip(1), sensor_N)
        return cls(torch.from_numpy(mean_SN.astype(np.float32)))

    def profile(self, batch: WindowBatch) -> Tensor:
        """The mean at all T + H steps of each window."""
        return self.mean_SN[batch.slot_BS]

    def forecast(self, batch: WindowBatch) -> Forecast:
        """The mean at the steps to forecast; what was just measured has no say."""
        return Forecast(self.profile(batch)[:, batch.history_BTN.shape[1] :])


@dataclass(frozen=True, eq=False)
class LastValue:
    """The last valid value of the history, at every step of the horizon.

    Args:
        fallback: what to say of a sensor whose whole history is missing.
    """

    fallback: HistoricalMean

    def forecast(self, batch: WindowBatch) -> Forecast:
        """The last value, repeated."""
        history, horizon = batch.history_BTN.shape[1], batch.truth_BHN.shape[1]
        steps_T1 = torch.arange(1, history + 1, device=batch.history_BTN.device).unsqueeze(-1)
        newest_BN = (batch.history_valid_BTN * steps_T1).max(dim=1).values
        index_B1N = (newest_BN - 1).clamp(min=0).unsqueeze(1)
        last_B1N = batch.history_BTN.gather(1, index_B1N)
        usual_BHN = self.fallback.forecast(batch).middle_BHN
        is_dead_B1N = (newest_BN == 0).unsqueeze(1)
        return Forecast(torch.where(is_dead_B1N, usual_BHN, last_B1N.expand(-1, horizon, -1)))
