"""Answers about missing sensors as files."""

import numpy as np

from engine.api.reconstruction_case import Case, open_case
from engine.api.words import unit_text
from engine.domain import Result
from engine.scenarios import (
    AnswerLayout,
    ExportKind,
    export_answer,
    frames_of,
    provenance_of,
)

MAPS = ("estimate", "lower", "upper")


def export_reconstruction(result: Result, kind: ExportKind) -> bytes:
    """Best map, band, and truth where it is known, as the content of a file.

    Args:
        result: of a question about missing sensors.
        kind: CSV, GeoParquet or NetCDF.
    """
    case = open_case(result.scenario)
    names = (*MAPS, *(("truth",) if "truth" in result.arrays else ()))
    maps = {name: np.asarray(result.arrays[name], dtype=np.float32) for name in names}
    when = case.model.field.time_of(case.index)
    frames = frames_of((when,), case.mask, maps)
    return export_answer(kind, _layout(case, names), frames)


def _layout(case: Case, names: tuple[str, ...]) -> AnswerLayout:
    field = case.model.field
    provenance = provenance_of(case.city.metadata, case.scenario, case.model.weights.card)
    return AnswerLayout(case.model.fine, names, unit_text(field), field.step, provenance)
