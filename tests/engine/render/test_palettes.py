"""Differences can be seen on either paper, and their sign by colour-blind eyes."""

import numpy as np
import pytest

from engine.render.basemap import THEMES
from engine.render.palettes import ColorScale, ScaleKind, cell_colors

CHANGE = ColorScale(-1.0, 1.0, "Change", kind=ScaleKind.DIVERGING)
# Machado, Oliveira & Fernandes (2009), severity 1.0, of linear RGB
BLIND = {
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}


def linear(rgb):
    share = np.asarray(rgb, dtype=np.float64) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def on_paper(values, theme):
    """Linear RGB of values as they are seen on the map's background."""
    colors = cell_colors(np.asarray(values), CHANGE, theme).astype(np.float64)
    alpha = colors[..., 3:] / 255
    return linear(colors[..., :3] * alpha + np.array(THEMES[theme]["background"][:3]) * (1 - alpha))


def luminance(rgb):
    return rgb @ [0.2126, 0.7152, 0.0722]


def contrast(theme, value):
    seen, paper = luminance(on_paper([value, 0.0], theme))
    return max((seen + 0.05) / (paper + 0.05), (paper + 0.05) / (seen + 0.05))


@pytest.mark.parametrize("sign", [-1, 1])
def test_small_changes_are_seen_on_dark_paper_and_none_is_not(sign):
    assert contrast("dark", 0.0) == 1.0
    assert contrast("dark", 0.1 * sign) > 1.15
    assert contrast("dark", 0.2 * sign) > 1.8
    assert contrast("dark", 0.4 * sign) > 2.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_larger_change_stands_out_more(theme, sign):
    steps = [contrast(theme, sign * size) for size in np.linspace(0, 1, 11)]
    assert (np.diff(steps) > 0).all()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", BLIND)
def test_less_and_more_differ_for_colour_blind_eyes(theme, kind):
    for size in (0.2, 0.5, 1.0):
        less, more = on_paper([-size, size], theme) @ np.transpose(BLIND[kind])
        assert np.linalg.norm(np.clip(less, 0, 1) ** 0.45 - np.clip(more, 0, 1) ** 0.45) > 0.12
