import numpy as np
import pytest

from engine.domain import Grid
from engine.errors import InputError
from engine.render.palettes import ColorScale
from engine.render.panels import WARNING, Panel, draw_panels

GRID = Grid(13.5, 52.4, 13.54, 52.42, 8, 8)
SCALE = ColorScale(0.0, 9.0, "Traffic", "vehicles")


def test_warned_cells_carry_a_sign_where_they_are():
    warned = np.zeros((4, 4), bool)
    warned[1, 3] = warned[2, 0] = True
    values = np.arange(64.0).reshape(8, 8)
    panels = [Panel("Most likely", values, SCALE, warned=warned), Panel("Truth", values, SCALE)]
    figure = draw_panels(GRID, panels, np.zeros((4, 4), bool))
    (signs,) = figure.select_traces({"type": "scatter", "mode": "markers"})
    assert signs.marker.color == WARNING
    assert sorted(zip(signs.x, signs.y, strict=True)) == [(0.125, 0.625), (0.875, 0.375)]
    assert signs.xaxis == "x"  # on the first panel alone


def test_without_warnings_there_is_no_sign():
    panel = Panel("Most likely", np.zeros((8, 8)), SCALE, warned=np.zeros((4, 4), bool))
    figure = draw_panels(GRID, [panel], np.ones((4, 4), bool))
    assert not list(figure.select_traces({"type": "scatter", "mode": "markers"}))


def test_a_panel_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        draw_panels(GRID, [Panel("Wrong", np.zeros((3, 8)), SCALE)], np.ones((4, 4), bool))
