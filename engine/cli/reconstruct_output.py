"""What ``python -m engine reconstruct`` writes: maps as files, and a summary in figures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import InputError
from engine.scenarios import AnswerFrame, AnswerLayout, ExportKind, write_answer
from engine.scenarios.npz import write_npz

if TYPE_CHECKING:
    from engine.api.reconstruction_stream import StreamedFrame

NPZ = ".npz"
MAPS = ("estimate", "lower", "upper")
KINDS = {kind.suffix: kind for kind in ExportKind}


@dataclass
class Tally:
    """Figures over all frames, summed as they pass; errors over hidden cells, in counts."""

    num_frames: int = 0
    num_hidden: int = 0
    absolute: float = 0.0
    squared: float = 0.0
    covered: float = 0.0
    conservation: float = 0.0
    has_bands: bool = False

    def add(self, frame: "StreamedFrame") -> None:
        """Count one frame."""
        self.num_frames += 1
        self.conservation = max(self.conservation, frame.conservation)
        if frame.truth is None:
            return
        n = frame.estimate.shape[0] // frame.mask.shape[0]
        hidden = np.repeat(np.repeat(~frame.mask, n, 0), n, 1)
        gap = (frame.estimate - frame.truth)[hidden].astype(np.float64)
        inside = (frame.lower <= frame.truth) & (frame.truth <= frame.upper)
        self.num_hidden += int(hidden.sum())
        self.absolute += float(np.abs(gap).sum())
        self.squared += float((gap**2).sum())
        self.covered += float(inside[hidden].sum())
        self.has_bands |= bool((frame.upper > frame.lower).any())

    def figures(self) -> dict[str, Any]:
        """Plain values; errors are None where no truth is known."""
        count = self.num_hidden
        return {
            "frames": self.num_frames,
            "hidden_cells": count,
            "mae": self.absolute / count if count else None,
            "rmse": float(np.sqrt(self.squared / count)) if count else None,
            "coverage90": self.covered / count if count and self.has_bands else None,
            "conservation": self.conservation,
        }


def check_output(path: Path, has_geography: bool) -> None:
    """Refuse a file that cannot be written, before anything is computed.

    Raises:
        InputError: no such kind of file, or one that needs to know places and times.
    """
    if path.suffix == NPZ or (path.suffix in KINDS and has_geography):
        return
    if path.suffix in KINDS:
        raise InputError(
            "A field file says nothing of places and times, which this kind of file needs.",
            path.name,
            f"Write {NPZ}, or give --city.",
        )
    raise InputError(
        "The kind of file is not known.", path.name, f"Use {', '.join([NPZ, *KINDS])}."
    )


def write_maps(path: Path, layout: AnswerLayout | None, frames: "Iterator[StreamedFrame]") -> None:
    """Write maps as they come; the file appears when it is whole.

    Raises:
        StorageError: writing failed; what was there before is untouched.
    """
    from engine.models.weights import replace_atomically

    with replace_atomically(path) as file:
        if layout is None or path.suffix == NPZ:
            write_npz(file, (_arrays(frame) for frame in frames))
        else:
            parts = (_answer_frame(frame) for frame in frames)
            write_answer(file, KINDS[path.suffix], layout, parts)


def _arrays(frame: "StreamedFrame") -> dict[str, Any]:
    named = {name: getattr(frame, name) for name in (*MAPS, "coarse")}
    return {"frames": np.int64(frame.index), **named, "observed": frame.mask}


def _answer_frame(frame: "StreamedFrame") -> AnswerFrame:
    if frame.time is None:
        raise InputError("A frame has no time.", str(frame.index))
    maps = {name: getattr(frame, name) for name in MAPS}
    if frame.truth is not None:
        maps["truth"] = frame.truth
    return AnswerFrame(frame.time, frame.mask, maps)
