"""Scenarios and their answers as files that other programs read.

:mod:`~engine.scenarios.answers` what is written, :mod:`~engine.scenarios.exports` CSV and
GeoParquet, and all kinds by name, :mod:`~engine.scenarios.netcdf` NetCDF.
"""

from engine.scenarios.answers import AnswerFrame, AnswerLayout, Provenance, frames_of, provenance_of
from engine.scenarios.exports import ExportKind, export_answer, write_answer

__all__ = [
    "AnswerFrame",
    "AnswerLayout",
    "ExportKind",
    "Provenance",
    "export_answer",
    "frames_of",
    "provenance_of",
    "write_answer",
]
