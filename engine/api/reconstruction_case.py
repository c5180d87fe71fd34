"""What a question about missing sensors means: city, moment, mask, weights, and what is seen.

Loads no torch: the pages look at the same case that the workers answer.

Shapes: I x J coarse cells, R x C fine cells, L earlier frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.api.reconstruction_supposing import suppose_context, supposed_of
from engine.cities import City
from engine.cities.registry import open_city
from engine.domain import Aggregation, FieldSeries, Grid, Question, RemoveSensors, Scenario
from engine.domain.scenario import Scalar
from engine.errors import FieldError, MaskError, ScenarioError, WeightsError
from engine.models.diffrecon.ours.config import MAX_EVALUATIONS, MAX_SAMPLES, Config
from engine.models.flows import FlowSeries, Maps, flows_of_field
from engine.models.installed import Installed, open_installed, weights_of_city
from engine.models.masks import Mask
from engine.models.observations import Observations, observe

if TYPE_CHECKING:
    import pandas as pd

OURS = "diffrecon-ours"
PAPER = "diffrecon-paper"
DEFAULT_FIELD = "flow"
MAX_SEED = 2**31 - 1


class History(StrEnum):
    """What earlier readings there are of the sensors that are missing now."""

    NEVER = "never"
    UNTIL_NOW = "until-now"
    NONE = "none"


@dataclass(frozen=True)
class Sampling:
    """How possible maps are drawn.

    Args:
        samples: possible maps, 0 to 256.
        steps: sampler steps a map, 1 to 64.
        seed: of the maps, 0 to 2**31 - 1.
    """

    samples: int = 16
    steps: int = 8
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Model:
    """The weights of a city's field, and what they need.

    Args:
        weights: the file and its card.
        config: sizes of the networks.
        field: the city's field.
        coarse: the grid of the sensors.
        fine: the grid of the answer.
        has_truth: whether the city knows the fine map; otherwise it has sensors' totals only.
    """

    weights: Installed
    config: Config
    field: FieldSeries
    coarse: Grid
    fine: Grid
    has_truth: bool


@dataclass(frozen=True, eq=False)
class Case:
    """One question, ready to be answered.

    Args:
        scenario: the question.
        city: the open city.
        model: the weights and the field.
        index: step of the field.
        mask: (I, J) bool, True where a sensor works.
    """

    scenario: Scenario
    city: City
    model: Model
    index: int
    mask: Mask

    @property
    def totals(self) -> Maps:
        """(I, J) totals of all coarse cells, the hidden ones too."""
        return coarse_totals(self.model, self.index)

    @property
    def truth(self) -> Maps | None:
        """(R, C) the true fine map; None where the city has none."""
        if not self.model.has_truth:
            return None
        return np.asarray(self.model.field.values[self.index], dtype=np.float32)

    @property
    def hidden(self) -> Mask:
        """(R, C) bool, True below a missing sensor."""
        n = self.model.config.magnification
        return np.repeat(np.repeat(~self.mask, n, axis=0), n, axis=1)

    def flows(self) -> FlowSeries:
        """The whole field, for looking up other days."""
        return flows_of_field(self.model.field, self._context())

    def _context(self) -> "pd.DataFrame | None":
        """The city's calendar and weather, where the weights know kinds of days."""
        if self.model.config.day_kinds <= 1:
            return None
        when = self.model.field.time_of(self.index)
        return suppose_context(self.city.context(), when, supposed_of(self.scenario))

    def observe(self, lags: tuple[int, ...]) -> Observations:
        """What a model that looks back at these lags may know.

        Args:
            lags: base steps back to each earlier frame.

        Raises:
            FieldError: a value that is needed is negative or no number.
        """
        longest = max(lags, default=0)
        flows, start = _flows_until(self.model, self.index, longest, self._context())
        kept = {
            History.NEVER: self.mask,
            History.UNTIL_NOW: np.ones_like(self.mask),
            History.NONE: np.zeros_like(self.mask),
        }[_history(self.scenario)]
        masks = np.stack([self.mask, *[kept] * len(lags)])[None]
        return observe(flows, np.array([start], dtype=np.int64), masks, lags)


def find_model(city: City, field: str = DEFAULT_FIELD, weights: str = "") -> Model:
    """The weights for a field of a city.

    Args:
        city: an open city.
        field: name of the field.
        weights: name or file of other weights; empty for the installed ones of this city.

    Raises:
        WeightsError: there are none, or they belong to another city, field or grid.
        CityError: the city has no such field.
        FieldError: the field is in a unit, or has a step, that the weights were not made for.
    """
    installed = open_installed(weights) if weights else weights_of_city(city.id, field, OURS)
    if installed is None:
        raise WeightsError(
            "There are no weights for this city's missing sensors.",
            f"{city.id}, {field}",
            "Train them: python -m engine train reconstruct --help.",
        )
    if installed.kind != OURS:
        raise WeightsError("These weights are not for reconstruction.", installed.name)
    source = installed.source
    if (source.get("city"), source.get("field")) != (city.id, field):
        raise WeightsError(
            "These weights were trained on another city.",
            f"{installed.name} is for {source.get('city') or source.get('name', 'other data')}, "
            f"not for {city.id}",
            "Use the weights of this city.",
        )
    return _fit(installed, city.field(field))


def can_reconstruct(city: City, field: str = DEFAULT_FIELD) -> bool:
    """Whether there are weights for a field of a city; they may still turn out to be damaged."""
    return field in city.field_names and weights_of_city(city.id, field, OURS) is not None


def _fit(installed: Installed, field: FieldSeries) -> Model:
    config = Config.from_json(_mapping(installed.card.get("config"), installed.name))
    unit = installed.source.get("unit", field.unit)
    if field.aggregation is not Aggregation.SUM or unit != field.unit:
        raise FieldError(
            "The field is in another unit than the weights were trained on.",
            f"{field.unit}; weights {installed.source.get('unit', 'counts that add up')}",
        )
    step = timedelta(days=1) / config.slots_per_day
    if field.step != step or config.window != 1:
        raise FieldError(
            "The field has another time step than the weights were trained on.",
            f"{field.step}; weights {step * config.window}",
        )
    n, grid = config.magnification, field.grid
    if grid.shape == (config.rows * n, config.cols * n) and grid.magnification == n:
        return Model(installed, config, field, grid.coarse(), grid, True)
    if grid.shape == (config.rows, config.cols):
        fine = Grid(*grid.bounds, grid.rows * n, grid.cols * n, n)
        return Model(installed, config, field, Grid(*grid.bounds, *grid.shape), fine, False)
    raise WeightsError(
        "The weights were trained on another grid.",
        f"field {grid.shape}; weights {config.rows * n} x {config.cols * n}",
    )


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise WeightsError("The weights' card is incomplete.", name)
    return value


def coarse_totals(model: Model, index: int) -> Maps:
    """(I, J) totals of one step, as all sensors together would count them."""
    values = np.asarray(model.field.values[index], dtype=np.float32)
    rows, cols = model.coarse.shape
    blocks = values.reshape(rows, values.shape[0] // rows, cols, values.shape[1] // cols)
    return np.asarray(blocks.sum((1, 3)), dtype=np.float32)


def _flows_until(
    model: Model, index: int, longest: int, context: "pd.DataFrame | None"
) -> tuple[FlowSeries, int]:
    """The part of the field that a question needs, and where in it the question's frame begins."""
    field, first = model.field, max(0, index - longest)
    part = FieldSeries(
        field.name,
        field.values[first : index + 1],
        field.grid,
        field.time_of(first),
        field.step,
        field.unit,
        field.aggregation,
    )
    return flows_of_field(part, context), index - first


def reconstruct_scenario(
    city_id: str,
    when: datetime,
    observed: NDArray[np.bool_],
    *,
    sampling: Sampling = Sampling(),
    history: History = History.NEVER,
    field: str = DEFAULT_FIELD,
    weights: str = "",
) -> Scenario:
    """The scenario of a question about missing sensors.

    Args:
        city_id: id of a city with weights.
        when: beginning of the time step, with a time zone.
        observed: (I, J) bool on the coarse grid, True where a sensor works.
        sampling: how many possible maps, how carefully, from which seed.
        history: what earlier readings there are of the missing sensors.
        field: name of the field that the sensors count.
        weights: name or file of weights; empty for the installed ones of the city.

    Raises:
        MaskError: the mask holds no bools, or no sensor, or all of them.
        ScenarioError: a time without a zone; samples, steps or seed out of range.
    """
    mask = np.asarray(observed)
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise MaskError("A sensor mask holds true or false per row and column.", str(mask.dtype))
    check_mask(mask)
    if when.tzinfo is None:
        raise ScenarioError("The time has no time zone.", when.isoformat())
    cells = tuple((int(row), int(col)) for row, col in np.argwhere(~mask))
    parameters: dict[str, Scalar] = {
        "field": field,
        "time": when.astimezone(UTC).isoformat(),
        "rows": mask.shape[0],
        "cols": mask.shape[1],
        "history": History(history).value,
        "samples": sampling.samples,
        "steps": sampling.steps,
    }
    if weights:
        parameters["weights"] = weights
    scenario = Scenario(
        city_id, Question.RECONSTRUCT, (RemoveSensors(cells),), parameters, sampling.seed
    )
    sampling_of(scenario)
    return scenario


def check_mask(mask: Mask) -> None:
    """Refuse a mask that leaves nothing to see, or nothing to find.

    Raises:
        MaskError: no sensor works, or all of them do.
    """
    if not mask.any():
        raise MaskError(
            "No sensor is left, so nothing can be reconstructed.", "", "Leave at least one sensor."
        )
    if mask.all():
        raise MaskError(
            "No sensor is missing, so there is nothing to reconstruct.",
            "",
            "Take at least one sensor away.",
        )


def sampling_of(scenario: Scenario) -> tuple[int, int]:
    """Samples and sampler steps of a scenario.

    Raises:
        ScenarioError: they, or the seed, are out of range.
    """
    samples, steps = (_whole(scenario, name) for name in ("samples", "steps"))
    if not 0 <= samples <= MAX_SAMPLES or not 1 <= steps <= MAX_EVALUATIONS:
        raise ScenarioError(
            "Samples or sampler steps are out of range.",
            f"{samples} samples, {steps} steps",
            f"Use up to {MAX_SAMPLES} samples and 1 to {MAX_EVALUATIONS} steps.",
        )
    if scenario.seed > MAX_SEED:
        raise ScenarioError("The seed is too large.", str(scenario.seed), f"At most {MAX_SEED}.")
    return samples, steps


def mask_of(scenario: Scenario) -> Mask:
    """(I, J) bool, True where a sensor works.

    Raises:
        MaskError: no sensor, all of them, or a sensor outside the map.
        ScenarioError: the scenario is not about missing sensors.
    """
    removed = [edit for edit in scenario.edits if isinstance(edit, RemoveSensors)]
    if scenario.question is not Question.RECONSTRUCT or len(removed) != len(scenario.edits):
        raise ScenarioError("This question is not about missing sensors.", scenario.question)
    shape = _whole(scenario, "rows"), _whole(scenario, "cols")
    if not 0 < shape[0] * shape[1] <= 256 * 256:
        raise MaskError("The mask's size is impossible.", f"{shape[0]} x {shape[1]}")
    mask = np.ones(shape, dtype=np.bool_)
    for row, col in (cell for edit in removed for cell in edit.cells):
        if row >= shape[0] or col >= shape[1]:
            raise MaskError("A missing sensor lies outside the map.", f"row {row}, column {col}")
        mask[row, col] = False
    check_mask(mask)
    return mask


def moment_of(scenario: Scenario) -> datetime:
    """The moment that a scenario asks about, UTC.

    Raises:
        ScenarioError: it names none.
    """
    try:
        when = datetime.fromisoformat(str(scenario.parameters["time"]))
    except (KeyError, ValueError) as error:
        raise ScenarioError("The scenario names no time.", "", "Give a date and time.") from error
    if when.tzinfo is None:
        raise ScenarioError("The time has no time zone.", when.isoformat())
    return when


def _whole(scenario: Scenario, name: str) -> int:
    value = scenario.parameters.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ScenarioError("A number of the scenario is missing or not whole.", name)
    return value


def _history(scenario: Scenario) -> History:
    try:
        return History(str(scenario.parameters.get("history", History.NEVER)))
    except ValueError as error:
        names = ", ".join(History)
        raise ScenarioError("The kind of history is not known.", "", f"Use {names}.") from error


def open_case(scenario: Scenario) -> Case:
    """The case of a scenario.

    Raises:
        EngineError: the city, field, weights, time or mask do not fit each other.
    """
    sampling_of(scenario)
    supposed_of(scenario)
    mask = mask_of(scenario)
    city = open_city(scenario.city_id)
    field = str(scenario.parameters.get("field", DEFAULT_FIELD))
    model = find_model(city, field, str(scenario.parameters.get("weights") or ""))
    if mask.shape != model.coarse.shape:
        raise MaskError(
            "The mask has another shape than the map of sensors.",
            f"mask {mask.shape}, sensors {model.coarse.shape}",
        )
    index = model.field.index_of(moment_of(scenario))
    return Case(scenario, city, model, index, mask)
