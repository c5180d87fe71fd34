"""The words of the product as frozen, self-validating types.

Conventions that hold everywhere in the engine:

* Positions are ``(lon, lat)`` in degrees, WGS 84. Only :mod:`engine.geo` swaps the order.
* Row 0 of a map is its **north** edge, column 0 its west edge, as on a screen.
* Arrays inside these types are read-only; times carry a time zone.
* Shapes in docstrings: T time steps, R rows, C columns, N magnification.
"""

from engine.domain.edits import (
    AddAttraction,
    BlockCells,
    CloseStreets,
    Edit,
    RemoveSensors,
    ScaleDemand,
    ScaleReadings,
    SetOccupancy,
    SilenceSensors,
    edit_from_json,
    edit_to_json,
)
from engine.domain.fields import Aggregation, FieldSeries
from engine.domain.grid import MAX_CELLS, Grid
from engine.domain.maps import OccupancyMap, SensorMask
from engine.domain.scenario import Question, Result, Scenario
from engine.domain.time import TimeAxis

__all__ = [
    "MAX_CELLS",
    "AddAttraction",
    "Aggregation",
    "BlockCells",
    "CloseStreets",
    "Edit",
    "FieldSeries",
    "Grid",
    "OccupancyMap",
    "Question",
    "RemoveSensors",
    "Result",
    "ScaleDemand",
    "ScaleReadings",
    "Scenario",
    "SensorMask",
    "SetOccupancy",
    "SilenceSensors",
    "TimeAxis",
    "edit_from_json",
    "edit_to_json",
]
