"""Missing sensors over many time steps: one answer after the other, each as if asked alone.

Shapes: R x C fine cells, I x J coarse cells.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from engine.api.reconstruction import load_ours, sample_ours
from engine.api.reconstruction_case import Case, check_mask, open_case
from engine.domain import Scenario
from engine.errors import MaskError, ScenarioError
from engine.models.flows import Maps
from engine.models.masks import Mask


@dataclass(frozen=True, eq=False)
class StreamedFrame:
    """The answer for one time step.

    Args:
        index: step of the field.
        time: its beginning, local time; None where the field has no calendar.
        mask: (I, J) bool, True where a sensor worked.
        estimate: (R, C) the most likely map.
        lower: (R, C) lower end of the 90 % band.
        upper: (R, C) upper end.
        coarse: (I, J) completed totals.
        truth: (R, C) the true map; None where the city has none.
        conservation: largest relative error of an observed total.
    """

    index: int
    time: datetime | None
    mask: Mask
    estimate: Maps
    lower: Maps
    upper: Maps
    coarse: Maps
    truth: Maps | None
    conservation: float


def reconstruct_steps(
    scenario: Scenario,
    steps: Iterable[int],
    mask_at: Callable[[int], Mask] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[StreamedFrame]:
    """Answer a question about missing sensors for many time steps of its field, in a stream.

    Each answer is that of :func:`engine.api.reconstruct` for the same mask, seed and time step, bit
    for bit; only one is in memory at a time.

    Args:
        scenario: the question; its time is that of the first step or any other.
        steps: steps of the field, in the order in which they are wanted.
        mask_at: the mask of a step; that of the scenario for all of them if not given.
        check: called between evaluations; may raise to stop.

    Raises:
        EngineError: the scenario does not fit its city and weights, or a step or mask does not.
    """
    from engine.compute.hardware import find_device

    case = open_case(scenario)
    system = load_ours(case.model.weights, find_device("").torch_name)
    for step in steps:
        one = _case_at(case, step, mask_at)
        *_, last = sample_ours(system, one.observe(system.config.lags), scenario, check)
        yield StreamedFrame(
            index=step,
            time=case.model.field.time_of(step),
            mask=one.mask,
            estimate=last.estimate,
            lower=last.lower,
            upper=last.upper,
            coarse=last.coarse,
            truth=one.truth,
            conservation=last.conservation,
        )


def _case_at(case: Case, step: int, mask_at: Callable[[int], Mask] | None) -> Case:
    if not 0 <= step < len(case.model.field):
        raise ScenarioError(
            "The field has no such time step.", f"{step}; it has {len(case.model.field):,}"
        )
    mask = case.mask if mask_at is None else np.asarray(mask_at(step), dtype=np.bool_)
    if mask.shape != case.mask.shape:
        raise MaskError(
            "The mask has another shape than the map of sensors.",
            f"mask {mask.shape}, sensors {case.mask.shape}",
        )
    check_mask(mask)
    return replace(case, index=step, mask=mask)
