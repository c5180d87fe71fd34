"""The error card: how wrong each method was on exactly the hidden cells of one question."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.api.reconstruction_case import Case
from engine.domain import Result
from engine.evaluation.metrics import (
    coverage,
    mean_absolute_error,
    ranked_probability_score,
    root_mean_square_error,
)

if TYPE_CHECKING:
    from engine.models.diffrecon.ours.system import Reconstruction

BAND = (0.05, 0.95)
METHODS = {
    "ours": "Citybrush",
    "paper": "DiffRecon, the paper's method",
    "historical-share": "Simple: usual pattern, scaled",
    "historical-mean": "Simple: usual half hour",
    "nearest": "Simple: nearest sensor",
    "bicubic": "Simple: smooth interpolation",
}
"""Every method in plain words, in the order of the card."""

SIMPLE = ("historical-share", "historical-mean", "nearest", "bicubic")
ABOUT_EQUAL = 0.02
FIGURES = ("mae", "rmse", "crps", "coverage90")
Maps = NDArray[np.floating]


@dataclass(frozen=True)
class MethodErrors:
    """One line of the error card, over the hidden cells; counts per step.

    Args:
        name: short name of the method.
        label: the method in plain words.
        mae: mean absolute error.
        rmse: root mean square error.
        crps: score of the whole range of possible maps; equal to ``mae`` without samples.
        coverage90: share of cells whose truth lies in the 90 % band; None without a band.
    """

    name: str
    label: str
    mae: float
    rmse: float
    crps: float
    coverage90: float | None


@dataclass(frozen=True)
class ErrorCard:
    """How wrong each method was on the hidden cells.

    Args:
        rows: one per method, ours first.
        num_cells: hidden fine cells.
        mean_truth: mean true value of the hidden cells, to judge errors by.
        verdict: the comparison in plain words.
        is_beaten: whether a simple baseline has the smaller mean error.
    """

    rows: tuple[MethodErrors, ...]
    num_cells: int
    mean_truth: float
    verdict: str
    is_beaten: bool


def score_methods(
    case: Case, ours: "Reconstruction", others: Mapping[str, Maps], paper: Maps | None
) -> dict[str, float]:
    """Figures ``METHOD/FIGURE`` of every method on the hidden cells; empty without a truth."""
    if case.truth is None:
        return {}
    hidden = case.hidden
    truth = case.truth[hidden]
    figures = _errors("ours", ours.estimate[hidden], truth)
    if len(ours.samples):
        scores = ranked_probability_score(ours.samples[:, hidden], truth)
        figures["ours/crps"] = float(scores.mean())
    if len(ours.samples) > 1:
        figures["ours/coverage90"] = coverage(ours.lower[hidden], ours.upper[hidden], truth)
    for name, values in others.items():
        figures |= _errors(name, values[hidden], truth)
    if paper is not None:
        drawn = np.asarray(paper)[:, hidden]
        lower, upper = np.quantile(drawn, BAND, axis=0)
        figures["paper/crps"] = float(ranked_probability_score(drawn, truth).mean())
        figures["paper/coverage90"] = coverage(lower, upper, truth)
    return figures


def _errors(name: str, estimate: Maps, truth: Maps) -> dict[str, float]:
    mae = mean_absolute_error(estimate, truth)
    return {
        f"{name}/mae": mae,
        f"{name}/rmse": root_mean_square_error(estimate, truth),
        f"{name}/crps": mae,
    }


def error_card(result: Result, unit: str = "") -> ErrorCard | None:
    """The card of an answer; None where the city knows no truth.

    Args:
        result: of a question about missing sensors.
        unit: of the values, for the words.
    """
    metrics = result.metrics
    rows = tuple(
        MethodErrors(
            name,
            label,
            metrics[f"{name}/mae"],
            metrics[f"{name}/rmse"],
            metrics[f"{name}/crps"],
            metrics.get(f"{name}/coverage90"),
        )
        for name, label in METHODS.items()
        if f"{name}/mae" in metrics
    )
    if not rows:
        return None
    hidden = hidden_cells(result)
    ours = rows[0]
    simple = min((row for row in rows if row.name in SIMPLE), key=lambda row: row.mae)
    mean = float(np.asarray(result.arrays["truth"], dtype=np.float64)[hidden].mean())
    verdict = _verdict(ours, simple, mean, unit)
    return ErrorCard(rows, int(hidden.sum()), mean, verdict, simple.mae < ours.mae)


@dataclass(frozen=True, eq=False)
class Oddity:
    """How far a question lies outside of what the model was trained on.

    Args:
        overall: above 1 an answer needs a warning.
        cells: (I, J) the same for each coarse cell.
        reasons: why, in plain words, the strongest first.
    """

    overall: float
    cells: Maps
    reasons: tuple[str, ...]

    @property
    def needs_warning(self) -> bool:
        """Whether the question is outside."""
        return self.overall > 1


def oddity_of(result: Result) -> Oddity | None:
    """The out-of-range score of an answer; None where it was not measured for these weights."""
    if "oddity" not in result.arrays:
        return None
    text = str(result.manifest.get("oddity") or "")
    cells = np.asarray(result.arrays["oddity"], dtype=np.float32)
    return Oddity(result.metrics["oddity"], cells, tuple(filter(None, text.split("\n"))))


def hidden_cells(result: Result) -> NDArray[np.bool_]:
    """(R, C) bool, True below a missing sensor."""
    missing = np.isnan(np.asarray(result.arrays["totals"], dtype=np.float64))
    n = result.arrays["estimate"].shape[0] // missing.shape[0]
    return np.repeat(np.repeat(missing, n, axis=0), n, axis=1)


def _verdict(ours: MethodErrors, simple: MethodErrors, mean: float, unit: str) -> str:
    size = (
        f"A hidden cell has {mean:.1f} {unit} on average; our map is off by {ours.mae:.2f}, "
        f"the best simple method by {simple.mae:.2f}"
    )
    if simple.mae <= 0 and ours.mae <= 0:
        return f"{size}: both are exact here."
    gain = 1 - ours.mae / simple.mae if simple.mae > 0 else -np.inf
    if gain >= ABOUT_EQUAL:
        return f"{size}: {100 * gain:.0f} % less."
    if gain > -ABOUT_EQUAL:
        return f"{size}: about the same."
    return f"{size}. Here the simple baseline is better; use it, or trust neither too far."
