import math

import pytest

from engine.domain import MAX_CELLS, Grid
from engine.errors import GridError

BOX = (13.51, 52.42, 13.55, 52.46)


def test_coarse_keeps_the_box():
    coarse = Grid(*BOX, 32, 32, 4).coarse()
    assert coarse == Grid(*BOX, 8, 8)
    assert coarse.num_cells == 64


@pytest.mark.parametrize(
    "values",
    [
        (*BOX, 0, 32),
        (*BOX, 1000, 1000),
        (*BOX, -4, 4),
        (*BOX, 4.0, 4),
        (*BOX, True, 4),
        (*BOX, 32, 32, 5),
        (*BOX, 32, 32, 0),
        (13.55, 52.42, 13.51, 52.46, 8, 8),
        (13.51, 52.46, 13.55, 52.42, 8, 8),
        (math.nan, 52.42, 13.55, 52.46, 8, 8),
        (13.51, 52.42, math.inf, 52.46, 8, 8),
        (13.51, 52.42, 13.55, 95.0, 8, 8),
    ],
)
def test_impossible_grids_are_refused(values):
    with pytest.raises(GridError) as caught:
        Grid(*values)
    assert str(caught.value)


def test_largest_grid_is_allowed():
    side = math.isqrt(MAX_CELLS)
    assert Grid(*BOX, side, side).num_cells == MAX_CELLS
