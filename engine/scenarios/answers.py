"""An answer in maps, with all that a reader of the file must know about it.

Shapes: T frames, R x C cells, I x J coarse cells.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.cities import CityMetadata
from engine.domain import Grid, Scenario
from engine.errors import FieldError, MaskError

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Provenance:
    """Where an answer came from, and on which terms it may be used.

    Args:
        title: the city's name.
        attribution: the line shown on every map of the city.
        notice: what a user must know, such as "simulated traffic".
        scenario: what was asked.
        weights: name of the model's weights.
        weights_sha256: their checksum.
        terms: terms of the data that they were trained on.
    """

    title: str
    attribution: str
    notice: str
    scenario: Scenario
    weights: str = ""
    weights_sha256: str = ""
    terms: str = ""

    def texts(self) -> dict[str, str]:
        """All of it as text, one line each; the scenario as JSON."""
        rows = {
            "title": self.title,
            "attribution": self.attribution,
            "notice": self.notice,
            "weights": self.weights,
            "weights_sha256": self.weights_sha256,
            "terms": self.terms,
        }
        plain = {name: " ".join(text.split()) for name, text in rows.items()}
        return {
            **plain,
            "scenario": json.dumps(self.scenario.to_json(), sort_keys=True, allow_nan=False),
            "scenario_sha256": self.scenario.digest,
        }


def provenance_of(
    city: CityMetadata, scenario: Scenario, card: Mapping[str, Any] | None = None
) -> Provenance:
    """What a city and the card of the weights say.

    Args:
        city: the city that was asked about.
        scenario: what was asked.
        card: of the weights; None where no model answered.
    """
    known = card or {}
    return Provenance(
        city.title,
        city.attribution,
        city.notice,
        scenario,
        str(known.get("name", "")),
        str(known.get("sha256", "")),
        str(known.get("data", {}).get("terms", "")),
    )


@dataclass(frozen=True, eq=False)
class AnswerLayout:
    """What all frames of an answer share.

    Args:
        grid: R rows and C columns; its magnification gives the coarse cells.
        names: of the maps, such as ``estimate``, ``lower``, ``upper``, ``truth``.
        unit: of the values, with the step where they are counts of a step.
        step: length of a frame.
        provenance: where the answer came from.
    """

    grid: Grid
    names: tuple[str, ...]
    unit: str
    step: timedelta
    provenance: Provenance


@dataclass(frozen=True, eq=False)
class AnswerFrame:
    """The maps of one moment.

    Args:
        time: its beginning, with the city's time zone.
        observed: (I, J) bool, True where a sensor worked.
        maps: (R, C) each, under the layout's names; NaN where nothing is known.
    """

    time: datetime
    observed: Mask
    maps: Mapping[str, Map]

    def checked(self, layout: AnswerLayout) -> "AnswerFrame":
        """This frame, if it fits.

        Raises:
            FieldError: a map is missing or of another shape, or the time has no zone.
            MaskError: the mask is of another shape.
        """
        coarse = layout.grid.coarse().shape
        if self.observed.shape != coarse:
            raise MaskError(
                "The mask has another shape than the coarse map.",
                f"mask {self.observed.shape}, map {coarse}",
            )
        if self.time.tzinfo is None:
            raise FieldError("A frame's time has no time zone.", self.time.isoformat())
        for name in layout.names:
            if name not in self.maps or self.maps[name].shape != layout.grid.shape:
                raise FieldError("An answer's map is missing or of another shape.", name)
        return self

    def working(self, layout: AnswerLayout) -> Mask:
        """(R, C), whether the sensor of the coarse cell around each cell worked."""
        n = layout.grid.magnification
        return np.repeat(np.repeat(self.observed, n, 0), n, 1)


def frames_of(
    times: Sequence[datetime], observed: Mask, maps: Mapping[str, NDArray[np.floating[Any]]]
) -> Iterator[AnswerFrame]:
    """The frames of whole arrays.

    Args:
        times: T beginnings.
        observed: (I, J) for all frames, or (T, I, J).
        maps: (T, R, C) each, or (R, C) for a single frame.

    Raises:
        FieldError: not as many maps as times.
    """
    stacks = {name: np.asarray(values, np.float32) for name, values in maps.items()}
    whole = {name: v[None] if v.ndim == 2 else v for name, v in stacks.items()}
    masks = np.broadcast_to(observed, (len(times), *observed.shape[-2:]))
    for name, stack in whole.items():
        if len(stack) != len(times):
            raise FieldError("There are not as many maps as times.", f"{name}: {len(stack)}")
    for number, time in enumerate(times):
        yield AnswerFrame(time, masks[number], {name: v[number] for name, v in whole.items()})
