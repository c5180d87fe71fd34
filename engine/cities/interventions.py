"""Days with an edit beside the same day untouched: the truth of a what-if."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

from engine.cities.files import CityFiles
from engine.cities.format import INTERVENTIONS_NAME, MAX_METADATA_BYTES, check_file_name, check_name
from engine.cities.recordings import Recordings, as_damage
from engine.domain import Edit, edit_from_json, edit_to_json
from engine.errors import CityDamagedError, InputError


class Split(StrEnum):
    """Whether a model may be trained on an intervention."""

    TRAIN = "train"
    TEST = "test"


@dataclass(frozen=True)
class InterventionSpec:
    """One intervention as the index has it.

    Args:
        id: its name among the city's interventions.
        title: what was done, in plain words.
        split: whether models may be trained on it.
        edits: in order.
        edited: folder of the day with the edits; ``interventions/ID/edited`` when empty.
        untouched: folder of the same day without; ``interventions/ID/untouched`` when empty.
            Several interventions may share one.
    """

    id: str
    title: str
    split: Split
    edits: tuple[Edit, ...]
    edited: str = ""
    untouched: str = ""

    def __post_init__(self) -> None:
        check_name(self.id)
        object.__setattr__(self, "split", Split(self.split))
        object.__setattr__(self, "edits", tuple(self.edits))
        for day in ("edited", "untouched"):
            folder = getattr(self, day) or f"interventions/{self.id}/{day}"
            object.__setattr__(self, day, check_file_name(folder))
        if not self.edits:
            raise InputError("An intervention without an edit is none.", self.id)


@dataclass(frozen=True)
class Intervention:
    """One intervention with its two days, each read when it is asked for.

    Args:
        spec: id, title, split and edits.
        edited: the day with the edits.
        untouched: the same day without, simulated with the same random numbers.
    """

    spec: InterventionSpec
    edited: Recordings
    untouched: Recordings


def pack_interventions(specs: Sequence[InterventionSpec]) -> bytes:
    """The bytes of ``interventions/index.json``."""
    rows = [
        {
            "id": spec.id,
            "title": spec.title,
            "split": spec.split.value,
            "edits": [edit_to_json(edit) for edit in spec.edits],
            "edited": spec.edited,
            "untouched": spec.untouched,
        }
        for spec in sorted(specs, key=lambda s: s.id)
    ]
    text = json.dumps({"interventions": rows}, sort_keys=True, indent=1, ensure_ascii=False)
    return f"{text}\n".encode()


def read_interventions(files: CityFiles) -> tuple[Intervention, ...]:
    """All interventions of a city, in the order of their ids; none where it has none.

    Raises:
        CityDamagedError: the index is missing, edited or does not fit.
    """
    if INTERVENTIONS_NAME not in files.metadata.files:
        return ()
    with files.open(INTERVENTIONS_NAME) as file:
        specs = as_damage(INTERVENTIONS_NAME, lambda: _parse(file))
    if len({spec.id for spec in specs}) != len(specs):
        raise CityDamagedError("Two interventions have the same id.", INTERVENTIONS_NAME)
    return tuple(
        Intervention(spec, Recordings(files, spec.edited), Recordings(files, spec.untouched))
        for spec in sorted(specs, key=lambda s: s.id)
    )


def _parse(file: IO[bytes]) -> list[InterventionSpec]:
    data = json.loads(file.read(MAX_METADATA_BYTES))
    return [
        InterventionSpec(
            str(row["id"]),
            str(row["title"]),
            Split(row["split"]),
            tuple(edit_from_json(edit) for edit in row["edits"]),
            str(row["edited"]),
            str(row["untouched"]),
        )
        for row in data["interventions"]
    ]
