"""A what-if as one immutable value, and the answer to it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.domain.arrays import array_digest, frozen
from engine.domain.edits import Edit, edit_from_json, edit_to_json
from engine.errors import ScenarioError

Scalar = str | int | float | bool | None
MAX_EDITS = 10_000


class Question(StrEnum):
    """What the user asks of the city."""

    RECONSTRUCT = "reconstruct"
    TRAJECTORIES = "trajectories"
    FORECAST = "forecast"
    SIMULATE = "simulate"


@dataclass(frozen=True)
class Scenario:
    """City + ordered edits + parameters + seed. The same scenario always has the same answer.

    Args:
        city_id: id of the city, as the registry knows it.
        question: what is asked.
        edits: in the order in which they were made.
        parameters: plain values only (text, numbers, true/false, none).
        seed: from 0 up; all randomness of the answer comes from it.

    Raises:
        ScenarioError: any of these does not fit.
    """

    city_id: str
    question: Question
    edits: tuple[Edit, ...] = ()
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "question", Question(self.question))
        object.__setattr__(self, "edits", tuple(self.edits))
        if len(self.edits) > MAX_EDITS:
            raise ScenarioError(f"A scenario holds at most {MAX_EDITS:,} edits.")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise ScenarioError("The seed must be a whole number from 0 up.", str(self.seed))
        for name, value in self.parameters.items():
            if not isinstance(value, Scalar):
                raise ScenarioError(
                    "A scenario's parameters are plain values.", f"{name}: {type(value).__name__}"
                )
            if isinstance(value, float) and not np.isfinite(value):
                raise ScenarioError("A scenario's parameters must be finite.", name)
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def to_json(self) -> dict[str, Any]:
        """Plain values, as :meth:`from_json` takes them back."""
        return {
            "city_id": self.city_id,
            "question": self.question.value,
            "edits": [edit_to_json(edit) for edit in self.edits],
            "parameters": dict(self.parameters),
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Scenario":
        """The scenario that :meth:`to_json` wrote.

        Raises:
            ScenarioError: values are missing or do not fit.
        """
        try:
            return cls(
                str(data["city_id"]),
                Question(data["question"]),
                tuple(edit_from_json(edit) for edit in data["edits"]),
                data["parameters"],
                data["seed"],
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ScenarioError("The scenario cannot be read.", str(error)) from error

    @property
    def digest(self) -> str:
        """SHA-256 of the content: equal scenarios have equal digests on every machine."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return Scenario.from_json, (self.to_json(),)


@dataclass(frozen=True, eq=False)
class Result:
    """The answer to a scenario.

    Args:
        scenario: what was asked.
        arrays: named maps and series; each is read-only.
        metrics: named figures.
        manifest: what made it: versions, device, seconds, weights and their checksums.
    """

    scenario: Scenario
    arrays: Mapping[str, NDArray[np.generic]]
    metrics: Mapping[str, float] = field(default_factory=dict)
    manifest: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        arrays = {name: frozen(array) for name, array in self.arrays.items()}
        object.__setattr__(self, "arrays", MappingProxyType(arrays))
        object.__setattr__(self, "metrics", MappingProxyType(dict(self.metrics)))
        object.__setattr__(self, "manifest", MappingProxyType(dict(self.manifest)))

    def __reduce__(self) -> tuple[Any, ...]:
        plain = dict(self.arrays), dict(self.metrics), dict(self.manifest)
        return Result, (self.scenario, *plain)

    @property
    def digest(self) -> str:
        """SHA-256 of scenario and arrays: equal when the same seed gave the same answer."""
        parts = {name: array_digest(array) for name, array in self.arrays.items()}
        text = json.dumps([self.scenario.digest, parts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
