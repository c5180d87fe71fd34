"""The use cases of the product: what the pages, Python users and the command line call.

The only part of the engine that composes the others. Importing it loads neither torch nor the
simulator; answers that need them are computed by workers (:mod:`engine.compute`).

* Cities: :func:`list_city_cards`, :func:`open_city`, :func:`city_card`, :func:`city_picture`.
* Looking into one: :func:`field_weeks`, :func:`week_maps`, :func:`place_series`.
* Answers: :class:`ComputeService` takes jobs and keeps the line; :func:`ask_simulator` has a
  scenario simulated, :func:`read_truth` reads what came back.
* Changed demand: :func:`ask_trips` has trips made for an edited map, :func:`read_trips` reads
  them, :func:`export_trips` writes them as files.
* The next hour: :func:`forecast_scenario` is the question, :func:`forecast_now` answers it here,
  :func:`ask_forecast` by a worker; :func:`forecast_card` says how wrong the answers are.
* Files: :func:`export_answer` writes an answer's maps as CSV, GeoParquet or NetCDF.
* Missing sensors: :func:`reconstruct_scenario` is the question, :func:`reconstruct` answers it
  here, :func:`ask_reconstruct` by a worker; :func:`error_card` says how wrong the answer is.
  :func:`ask_day` fills in a whole day, :func:`ask_place` finds places for more sensors,
  :func:`ask_rank` says which would be missed most. :func:`reconstruct_steps` answers for many
  time steps, one after the other.
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
from engine.api.forecast import EDITED, ask_forecast, forecast_now, read_forecast
from engine.api.forecast_case import (
    METHODS,
    Forecaster,
    Span,
    default_moment,
    find_forecaster,
    forecast_scenario,
    forecast_span,
)
from engine.api.forecast_pictures import (
    Pictures,
    ask_pictures,
    pictured_methods,
    pictures_of,
    pictures_scenario,
    read_pictures,
)
from engine.api.forecast_view import (
    ForecastCard,
    ForecastErrors,
    InputGauge,
    RangeLevel,
    SensorMap,
    forecast_card,
    forecast_csv,
    forecast_times,
    range_gauge,
    sensor_map,
)
from engine.api.reconstruction import ask_reconstruct, read_reconstruction, reconstruct
from engine.api.reconstruction_benchmark import KeptAside, errors_kept_aside
from engine.api.reconstruction_card import (
    ErrorCard,
    MethodErrors,
    Oddity,
    error_card,
    hidden_cells,
    oddity_of,
)
from engine.api.reconstruction_case import (
    Case,
    History,
    Model,
    Sampling,
    can_reconstruct,
    find_model,
    open_case,
    reconstruct_scenario,
)
from engine.api.reconstruction_day import (
    DaySeries,
    ask_day,
    day_scenario,
    day_series,
    days_like,
    read_day,
)
from engine.api.reconstruction_files import export_reconstruction
from engine.api.reconstruction_sensors import (
    NextSensors,
    SensorRanking,
    ask_place,
    ask_rank,
    next_sensors,
    place_scenario,
    read_sensors,
    sensor_ranking,
)
from engine.api.reconstruction_stream import StreamedFrame, reconstruct_steps
from engine.api.reconstruction_supposing import Supposed, suppose
from engine.api.reconstruction_view import (
    Conditions,
    Earlier,
    conditions_at,
    covered_days,
    day_steps,
    earlier_readings,
    held_out_from,
    usual_top,
)
from engine.api.screen_lines import Crossings, count_crossings
from engine.api.sensor_masks import (
    Pattern,
    coarse_sensor_names,
    mask_to_csv,
    mask_to_json,
    pattern_mask,
    read_mask,
)
from engine.api.trajectories import (
    Follow,
    MadeTrips,
    Method,
    RangeGauge,
    ask_trips,
    can_make_trips,
    can_reassign,
    compare_with_truth,
    expansion_of,
    growing_trips,
    judge_range,
    lengths_and_durations,
    made_trips,
    painted_edits,
    read_trips,
    shown_share,
    simple_ways,
    trip_purposes,
    trips_scenario,
    true_change,
    truth_of_trips,
    typical_trips,
    usual_occupancy,
    wished_change,
)
from engine.api.trips_export import TripsFormat, export_trips, trips_file_name
from engine.api.trips_skill import TripSkill, is_foreign, trip_methods, trip_skill
from engine.api.truth import (
    ask_simulator,
    can_simulate,
    read_truth,
    simulated_days,
    step_times,
    truth_scenario,
)
from engine.api.weeks import Week
from engine.api.words import unit_text
from engine.cities import City
from engine.cities.registry import open_city
from engine.compute.handle import JobHandle
from engine.compute.service import ComputeService, ServiceStatus
from engine.compute.workers import WorkerStatus
from engine.models.masks import Mask
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
    "EDITED",
    "METHODS",
    "AnswerFrame",
    "AnswerLayout",
    "Case",
    "Cells",
    "City",
    "CityCard",
    "ComputeService",
    "Conditions",
    "Crossings",
    "DaySeries",
    "Earlier",
    "ErrorCard",
    "ExportKind",
    "Fact",
    "Follow",
    "ForecastCard",
    "ForecastErrors",
    "Forecaster",
    "History",
    "InputGauge",
    "JobHandle",
    "KeptAside",
    "MadeTrips",
    "Mask",
    "Method",
    "MethodErrors",
    "Model",
    "NextSensors",
    "Oddity",
    "Pattern",
    "Pictures",
    "Place",
    "PlaceKind",
    "PlaceSeries",
    "Provenance",
    "RangeGauge",
    "RangeLevel",
    "Sampling",
    "SensorMap",
    "SensorRanking",
    "ServiceStatus",
    "Shown",
    "Span",
    "StreamedFrame",
    "Supposed",
    "TripSkill",
    "TripsFormat",
    "Week",
    "WeekMaps",
    "WorkerStatus",
    "ask_day",
    "ask_forecast",
    "ask_pictures",
    "ask_place",
    "ask_rank",
    "ask_reconstruct",
    "ask_simulator",
    "ask_trips",
    "can_make_trips",
    "can_reassign",
    "can_reconstruct",
    "can_simulate",
    "city_card",
    "city_picture",
    "coarse_sensor_names",
    "compare_with_truth",
    "conditions_at",
    "count_crossings",
    "covered_days",
    "day_scenario",
    "day_series",
    "day_steps",
    "days_like",
    "default_moment",
    "earlier_readings",
    "error_card",
    "errors_kept_aside",
    "expansion_of",
    "export_answer",
    "export_reconstruction",
    "export_trips",
    "field_weeks",
    "find_forecaster",
    "find_model",
    "forecast_card",
    "forecast_csv",
    "forecast_now",
    "forecast_scenario",
    "forecast_span",
    "forecast_times",
    "frames_of",
    "growing_trips",
    "held_out_from",
    "hidden_cells",
    "is_foreign",
    "judge_range",
    "lengths_and_durations",
    "list_city_cards",
    "made_trips",
    "mask_to_csv",
    "mask_to_json",
    "next_sensors",
    "oddity_of",
    "open_case",
    "open_city",
    "painted_edits",
    "pattern_mask",
    "pictured_methods",
    "pictures_of",
    "pictures_scenario",
    "place_scenario",
    "place_series",
    "provenance_of",
    "range_gauge",
    "read_day",
    "read_forecast",
    "read_mask",
    "read_pictures",
    "read_reconstruction",
    "read_sensors",
    "read_trips",
    "read_truth",
    "reconstruct",
    "reconstruct_scenario",
    "reconstruct_steps",
    "sensor_map",
    "sensor_names",
    "sensor_ranking",
    "shown_share",
    "simple_ways",
    "simulated_days",
    "step_times",
    "suppose",
    "trip_methods",
    "trip_purposes",
    "trip_skill",
    "trips_file_name",
    "trips_scenario",
    "true_change",
    "truth_of_trips",
    "truth_scenario",
    "typical_trips",
    "unit_text",
    "usual_occupancy",
    "usual_top",
    "week_maps",
    "wished_change",
    "write_answer",
]
