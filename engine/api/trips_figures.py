"""What made trips show: maps of both versions, their difference and its spread, and figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from engine.api.trips_asked import TripQuestion
from engine.api.trips_known import KnownCity
from engine.cities import City
from engine.domain import OccupancyMap
from engine.evaluation.trajectories_difference import (
    compare_fitted,
    correlation,
    count_trips_in_cells,
    fit_without_groups,
    number_distinct,
)
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.coupling import stand_ins
from engine.models.tddpm.edits import painted_occupancy
from engine.models.tddpm.expansion import effective_number, paired_factors
from engine.models.tddpm.tracks import Tracks, path_lengths_m


@dataclass(frozen=True, eq=False)
class TripFit:
    """Trips of both versions, brought to the maps that they were made for.

    Args:
        counts: (N, G) points of each trip, before and after.
        wanted: (G,) both maps.
        factors: (N,) expansion factors.
        maps: (R, C) what the trips show with them.
    """

    counts: tuple[sparse.csr_matrix, sparse.csr_matrix]
    wanted: tuple[NDArray[np.float64], NDArray[np.float64]]
    factors: tuple[NDArray[np.float64], NDArray[np.float64]]
    maps: tuple[NDArray[np.float64], NDArray[np.float64]]


def versions_of(
    question: TripQuestion, known: KnownCity, trips: Tracks, fences: Sequence[Fence]
) -> tuple[Tracks, Tracks]:
    """The trips before the edits, and those after: the same, without any that enters a fence.

    Args:
        question: gives the maps and the seed.
        known: the city.
        trips: made for either map, in random order or not.
        fences: what nobody may enter after the edits.

    Raises:
        OccupancyError: every trip enters one.
    """
    counts = count_trips_in_cells(trips, question.city.grid, known.frame.plane)
    rng = np.random.default_rng((question.scenario.seed, 7))
    chosen = stand_ins(counts, _wanted(question), ~enters_fence(fences, trips), rng)
    return trips, trips.select(chosen)


def enters_fence(fences: Sequence[Fence], tracks: Tracks) -> NDArray[np.bool_]:
    """(N,) trips that enter a blocked cell or a closed street."""
    entered = np.zeros(len(tracks), dtype=bool)
    for fence in fences:
        entered |= fence.entered(tracks)
    return entered


def _wanted(question: TripQuestion) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(G,) both maps."""
    base, target = (
        asked.values.ravel().astype(np.float64) for asked in (question.base, question.target)
    )
    return base, target


def compare_versions(
    question: TripQuestion, known: KnownCity, versions: tuple[Tracks, Tracks]
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Maps of both versions in the city's unit, their difference, and figures.

    Returns:
        ``maps/...``, ``.../expansion`` and ``.../expansion_without`` as
        :mod:`engine.api.trajectories` names them, and figures.
    """
    fit = fit_versions(question, known, versions)
    without = fit_without_groups(fit.counts, fit.wanted, number_distinct(*versions))
    difference = compare_fitted(fit.counts, fit.factors, without, question.city.grid.shape)
    arrays: dict[str, np.ndarray] = {
        "maps/base": question.base.values,
        "maps/target": question.target.values,
        "maps/before": fit.maps[0],
        "maps/after": fit.maps[1],
        "maps/change": difference.change,
        "maps/spread": difference.spread,
        "maps/marked": difference.marked,
    }
    for name, factors, parts in zip(("before", "after"), fit.factors, without, strict=True):
        arrays[f"{name}/expansion"] = factors
        arrays[f"{name}/expansion_without"] = parts.astype(np.float32)
    metrics = {
        "trips": float(question.num_trips),
        "marked_cells": float(difference.marked.sum()),
        "blocked_entered": float(enters_fence(question.fences, versions[1]).sum()),
        "mismatch_before": _mismatch(fit.maps[0], question.base),
        "mean_length_before_m": _mean_length(versions[0], fit.factors[0]),
        "mean_length_after_m": _mean_length(versions[1], fit.factors[1]),
        "effective_trips": effective_number(fit.factors[1]),
    }
    return arrays, metrics | figures_of(question, fit)


def fit_versions(
    question: TripQuestion, known: KnownCity, versions: tuple[Tracks, Tracks]
) -> TripFit:
    """Trips of both versions with the factors under which they meet the question's maps."""
    grid, plane = question.city.grid, known.frame.plane
    before, after = (count_trips_in_cells(tracks, grid, plane) for tracks in versions)
    wanted = _wanted(question)
    factors = paired_factors(before, after, wanted)
    maps = (before.T @ factors[0]).reshape(grid.shape), (after.T @ factors[1]).reshape(grid.shape)
    return TripFit((before, after), wanted, factors, maps)


def figures_of(question: TripQuestion, fit: TripFit) -> dict[str, float]:
    """How well trips of any way meet the changed map, and follow its change."""
    figures = {"mismatch_after": _mismatch(fit.maps[1], question.target)}
    wished = question.target.values - question.base.values
    followed = correlation(fit.maps[1] - fit.maps[0], wished)
    if followed is not None:
        figures["followed"] = followed
    return figures


def _mismatch(made: NDArray[np.float64], wanted: OccupancyMap) -> float:
    """Share of the points that would have to be elsewhere, in [0, 1]."""
    return float(np.abs(made / max(made.sum(), 1e-12) - wanted.normalised()).sum() / 2)


def _mean_length(tracks: Tracks, factors: NDArray[np.float64]) -> float:
    return float(np.average(path_lengths_m(tracks), weights=factors))


def judge_edit(question: TripQuestion, known: KnownCity, city: City) -> dict[str, float]:
    """How far the edit lies from what the model was trained on."""
    moved = _mismatch(question.target.values, question.base)
    seen = painted_occupancy(known.usual, city.grid, known.frame.plane).values > 0
    seen |= question.base.values > 0
    new = float(question.target.values[~seen].sum() / question.target.total)
    return {"moved": moved, "moved_in_training": known.most_moved, "new_places": new}
