"""Reads research files of gridded flows: an ``.npz`` whose key ``flow`` holds the counts.

Two layouts are known: ``(days, slots a day, rows, columns, channels)`` and
``(frames, channels, rows, columns)``. Which part of the file is meant stands in a recipe, which
travels with the weights that were trained on it.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import FieldError
from engine.models.flows import FlowSeries

MAX_BYTES = 2 * 1024**3
"""The largest array that is unpacked from a file."""


@dataclass(frozen=True)
class FieldRecipe:
    """Which part of a field file is meant, and how its steps become frames.

    Args:
        rows: first row and the row after the last.
        cols: first column and the column after the last.
        channel: which channel.
        slots_per_day: base steps a day.
        window: base steps summed into a frame.
        magnification: fine cells along one side of a coarse cell.
        first_slot: base steps from midnight to the file's first frame; None when the file does
            not say and its clock has to be found from the flow itself.
    """

    rows: tuple[int, int]
    cols: tuple[int, int]
    channel: int
    slots_per_day: int
    window: int = 1
    magnification: int = 4
    first_slot: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, as :meth:`from_json` takes them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "FieldRecipe":
        """The recipe that :meth:`to_json` wrote.

        Raises:
            FieldError: values are missing or do not fit.
        """
        try:
            rows, cols = tuple(data["rows"]), tuple(data["cols"])
            rest = {k: v for k, v in data.items() if k not in ("rows", "cols")}
            return cls((rows[0], rows[1]), (cols[0], cols[1]), **rest)
        except (KeyError, TypeError, IndexError) as error:
            raise FieldError("The field's recipe cannot be read.", str(error)) from error


def _declared_bytes(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _read_flow(path: Path) -> np.ndarray[Any, np.dtype[Any]]:
    try:
        if _declared_bytes(path) > MAX_BYTES:
            raise FieldError("The field file is too large.", str(path.name))
        with np.load(path, allow_pickle=False) as archive:
            if "flow" not in archive:
                raise FieldError("The field file has no array named 'flow'.", str(path.name))
            flow = archive["flow"]
    except FileNotFoundError as error:
        raise FieldError("There is no such field file.", str(path)) from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise FieldError("The field file cannot be read.", str(path.name)) from error
    if flow.dtype.kind not in "fiu":
        raise FieldError("The field file's flow holds no numbers.", str(flow.dtype))
    return flow


def read_flows(path: Path, recipe: FieldRecipe) -> FlowSeries:
    """The part of a field file that the recipe names.

    Raises:
        FieldError: the file is missing, damaged, too large, or too small for the recipe.
    """
    flow = _read_flow(path)
    if flow.ndim == 5 and flow.shape[1] == recipe.slots_per_day:
        flow = np.moveaxis(flow.reshape(-1, *flow.shape[2:]), -1, 1)
    if flow.ndim != 4:
        raise FieldError(
            "The field file's layout is not known.",
            str(flow.shape),
            "Give (days, slots a day, rows, columns, channels) or (frames, channels, rows, "
            "columns).",
        )
    (top, bottom), (left, right) = recipe.rows, recipe.cols
    if flow.shape[1] <= recipe.channel or flow.shape[2] < bottom or flow.shape[3] < right:
        raise FieldError(
            "The field is smaller than the part of it that these weights need.",
            f"{flow.shape}, needs channel {recipe.channel}, rows {recipe.rows}, "
            f"columns {recipe.cols}",
        )
    part = flow[:, recipe.channel, top:bottom, left:right]
    return FlowSeries(
        part.astype(np.float32),
        recipe.slots_per_day,
        recipe.window,
        recipe.magnification,
        recipe.first_slot or 0,
    )
