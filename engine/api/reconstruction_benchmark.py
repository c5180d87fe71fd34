"""How wrong each method is in general: figures of the benchmark on days kept aside.

They lie on the weights' card (``python -m engine bench reconstruct … --card``), by seed of the
masks, and hold where a city does not know its fine map, too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.api.reconstruction_card import METHODS, SIMPLE
from engine.api.reconstruction_case import Model
from engine.models.masks import Mask, quarter_mask

CARD_KEY = "benchmark"


@dataclass(frozen=True)
class KeptAside:
    """Errors over all cells of many frames, for the benchmark's mask that is most like a mask.

    Args:
        missing: share of the sensors that are missing in that mask.
        draws: how many draws of missing sensors were averaged.
        mae: mean absolute error of each method, by short name; counts per step.
        coverage90: share of truths in our 90 % band.
        text: the comparison in plain words.
    """

    missing: float
    draws: int
    mae: Mapping[str, float]
    coverage90: float
    text: str


def errors_kept_aside(model: Model, mask: Mask, unit: str = "") -> KeptAside | None:
    """The benchmark's figures for as many missing sensors; None where the card has none.

    Args:
        model: the weights, with their card.
        mask: (I, J) bool, True where a sensor works.
        unit: of the values, for the words.
    """
    try:
        runs = [run["masks"] for run in dict(model.weights.card[CARD_KEY]).values()]
        name, missing = _most_alike(runs[0], mask)
        rows = [run[name] for run in runs]
        mae = {method: _mean(rows, method, "mae") for method in METHODS if method in rows[0]}
        covered = _mean(rows, "ours", "coverage90")
        simple = min(mae[method] for method in SIMPLE if method in mae)
        ours = mae["ours"]
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    text = (
        f"On days kept aside, with {100 * missing:.0f} % of the sensors missing "
        f"({len(runs)} {'draw' if len(runs) == 1 else 'draws'}): off by {ours:.2f} {unit} in a "
        f"cell on average, the best simple method by {simple:.2f}; {100 * covered:.0f} of 100 "
        "truths lie in the 90 % band."
    )
    return KeptAside(missing, len(runs), mae, covered, text)


def _most_alike(masks: Mapping[str, Any], mask: Mask) -> tuple[str, float]:
    """The benchmark's mask with about as many missing sensors, and its share of them."""
    quarter = quarter_mask(mask.shape)
    if "quarter" in masks and np.array_equal(mask, quarter):
        return "quarter", float((~quarter).mean())
    found = {name: re.fullmatch(r"fix(\d+)", name) for name in masks}
    shares = {name: int(match[1]) / 100 for name, match in found.items() if match}
    missing = float((~mask).mean())
    return min(shares.items(), key=lambda item: abs(item[1] - missing))


def _mean(rows: list[Mapping[str, Mapping[str, float]]], method: str, figure: str) -> float:
    return float(np.mean([row[method][figure] for row in rows]))
