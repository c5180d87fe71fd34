"""The use cases of the product: what the pages, Python users and the command line call.

The only part of the engine that composes the others. Importing it loads neither torch nor the
simulator; answers that need them are computed by workers (:mod:`engine.compute`).

* Cities: :func:`list_city_cards`, :func:`open_city`, :func:`city_card`, :func:`city_picture`.
* Looking into one: :func:`field_weeks`, :func:`week_maps`, :func:`place_series`.
* Answers: :class:`ComputeService` takes jobs and keeps the line; :func:`ask_simulator` has a
  scenario simulated, :func:`read_truth` reads what came back.
* Files: :func:`export_answer` writes an answer's maps as CSV, GeoParquet or NetCDF.
"""

from engine.api.cards import CityCard, Fact, city_card, city_picture, list_city_cards
from engine.api.explore import (
    Cells,
    Place,
    PlaceKind,
    PlaceSeries,
    Shown,
    WeekMaps,
    field_weeks,
    place_series,
    sensor_names,
    week_maps,
)
from engine.api.truth import (
    ask_simulator,
    can_simulate,
    read_truth,
    simulated_days,
    step_times,
    truth_scenario,
)
from engine.api.weeks import Week
from engine.cities import City
from engine.cities.registry import open_city
from engine.compute.handle import JobHandle
from engine.compute.service import ComputeService, ServiceStatus
from engine.compute.workers import WorkerStatus
from engine.scenarios import (
    AnswerFrame,
    AnswerLayout,
    ExportKind,
    Provenance,
    export_answer,
    frames_of,
    provenance_of,
    write_answer,
)

__all__ = [
    "AnswerFrame",
    "AnswerLayout",
    "Cells",
    "City",
    "CityCard",
    "ComputeService",
    "ExportKind",
    "Fact",
    "JobHandle",
    "Place",
    "PlaceKind",
    "PlaceSeries",
    "Provenance",
    "ServiceStatus",
    "Shown",
    "Week",
    "WeekMaps",
    "WorkerStatus",
    "ask_simulator",
    "can_simulate",
    "city_card",
    "city_picture",
    "export_answer",
    "field_weeks",
    "frames_of",
    "list_city_cards",
    "open_city",
    "place_series",
    "provenance_of",
    "read_truth",
    "sensor_names",
    "simulated_days",
    "step_times",
    "truth_scenario",
    "week_maps",
    "write_answer",
]
