"""What the weights' card says of days kept aside, for the mask at hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from engine import api
from engine.models.masks import fixed_mask, quarter_mask


def row(mae, covered=None):
    return {"mae": mae, "rmse": 2 * mae, "crps": mae, "coverage90": covered}


def masks(shift):
    return {
        name: {
            "ours": row(ours + shift, 0.9 + shift / 10),
            "historical-share": row(ours + 1),
            "nearest": row(ours + 5),
        }
        for name, ours in (("fix20", 1.0), ("fix60", 2.0), ("random40", 9.0), ("quarter", 3.0))
    }


def model(**card):
    return SimpleNamespace(weights=SimpleNamespace(card=card))


CARD = model(benchmark={"0": {"every": 1, "masks": masks(0.0)}, "1": {"masks": masks(0.2)}})


@pytest.mark.parametrize(
    ("mask", "missing", "mae"),
    [
        (fixed_mask((8, 8), 0.25), 0.2, 1.1),
        (fixed_mask((8, 8), 0.55), 0.6, 2.1),
        (fixed_mask((8, 8), 0.25, seed=4), 0.2, 1.1),
        (quarter_mask((8, 8)), 0.25, 3.1),
    ],
)
def test_figures_are_those_of_the_mask_most_alike(mask, missing, mae):
    found = api.errors_kept_aside(CARD, mask, "vehicles")
    assert found.missing == missing
    assert found.draws == 2
    assert found.mae["ours"] == pytest.approx(mae)
    assert found.mae["historical-share"] == pytest.approx(mae + 0.9)
    assert found.coverage90 == pytest.approx(0.91)
    assert f"off by {mae:.2f} vehicles in a cell on average" in found.text
    assert f"simple method by {mae + 0.9:.2f}" in found.text


@pytest.mark.parametrize("benchmark", [None, {}, [], {"0": {}}, {"0": {"masks": {"odd": {}}}}])
def test_a_card_without_figures_says_nothing(benchmark):
    card = {} if benchmark is None else {"benchmark": benchmark}
    assert api.errors_kept_aside(model(**card), np.ones((8, 8), bool)) is None
