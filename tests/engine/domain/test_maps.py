import numpy as np
import pytest

from engine.domain import Grid, OccupancyMap, SensorMask
from engine.errors import MaskError, OccupancyError

GRID = Grid(13.51, 52.42, 13.55, 52.46, 4, 4)


def test_mask_counts_what_is_missing():
    observed = np.ones((4, 4), dtype=bool)
    observed[0, :3] = False
    assert SensorMask(observed, GRID).num_missing == 3


@pytest.mark.parametrize("observed", [np.ones((4, 4)), np.ones((4, 5), dtype=bool)])
def test_bad_masks_are_refused(observed):
    with pytest.raises(MaskError):
        SensorMask(observed, GRID)


def test_occupancy_normalises_to_one():
    occupancy = OccupancyMap(np.arange(16.0).reshape(4, 4), GRID)
    assert occupancy.total == 120
    assert occupancy.normalised().sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "values",
    [np.zeros((4, 4)), -np.ones((4, 4)), np.full((4, 4), np.nan), np.ones((5, 4))],
)
def test_bad_occupancy_is_refused(values):
    with pytest.raises(OccupancyError):
        OccupancyMap(values, GRID)


def test_the_bad_cell_is_named():
    values = np.ones((4, 4))
    values[2, 3] = np.nan
    with pytest.raises(OccupancyError, match="row 2, column 3"):
        OccupancyMap(values, GRID)
