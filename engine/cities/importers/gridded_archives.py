"""DiDi Chengdu and BikeNYC as ``.npz`` files with one array ``flow``."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from engine.cities.archives import read_arrays
from engine.cities.importers.gridded import (
    Bounds,
    Channel,
    Frames,
    GriddedImport,
    GriddedRules,
    assemble_import,
    read_as_input,
)
from engine.cities.importers.gridded_clock import clock_of_slots
from engine.errors import InputError

KEY: Final = "flow"


@dataclass(frozen=True)
class ArchiveLayout:
    """How an archive lays out its ``flow``.

    Args:
        name: the format's name.
        by_day: (days, slots, R, C, channels) if true, else (T, channels, R, C).
        slots_per_day: 144 for ten minutes.
        channels: in the order of the file.
        zone: IANA name of the city's time zone.
        bounds: about where the grid lies.
    """

    name: str
    by_day: bool
    slots_per_day: int
    channels: tuple[Channel, ...]
    zone: str
    bounds: Bounds


DIDI_CHENGDU: Final = ArchiveLayout(
    "DiDi Chengdu",
    by_day=True,
    slots_per_day=144,
    channels=(
        Channel("flow", "ride-hailing cars in each cell"),
        Channel("pickups", "pick-ups in each cell", "trips"),
        Channel("dropoffs", "drop-offs in each cell", "trips"),
    ),
    zone="Asia/Shanghai",
    bounds=(103.962, 30.570, 104.171, 30.750),
)
"""40 x 40 cells over 20 x 20 km around the centre of Chengdu, November 2016."""

BIKENYC_P6: Final = ArchiveLayout(
    "BikeNYC (P6)",
    by_day=False,
    slots_per_day=24,
    channels=(
        Channel("inflow", "bicycles arriving in each cell", "trips"),
        Channel("outflow", "bicycles leaving each cell", "trips"),
    ),
    zone="America/New_York",
    bounds=(-74.03, 40.66, -73.93, 40.81),
)
"""80 x 32 cells; hourly from midnight of some day, which the file does not state."""


def read_flow_archive(
    path: Path, layout: ArchiveLayout, first_day: date, rules: GriddedRules
) -> GriddedImport:
    """Read ``flow`` of an ``.npz``.

    Args:
        path: the archive; nothing is unpickled.
        layout: of the array.
        first_day: local day of the first frame; the files do not say it.
        rules: see :class:`GriddedRules`.

    Raises:
        InputError: no archive, no ``flow``, another shape, or values that do not fit the rules.
    """

    def read() -> Frames:
        with path.open("rb") as file:
            return read_arrays(file, path.name, [KEY])[KEY]

    frames = _frames(read_as_input(path.name, read), layout, path.name)
    clock = clock_of_slots(first_day, len(frames), layout.slots_per_day, layout.zone)
    channels = {channel: frames[:, k] for k, channel in enumerate(layout.channels)}
    note = f"The file has no dates; its first day is taken to be {first_day.isoformat()}."
    return assemble_import(channels, clock, layout.bounds, rules, path.name, (note,))


def _frames(flow: Frames, layout: ArchiveLayout, where: str) -> Frames:
    """(T, channels, R, C) of either layout."""
    num_channels = len(layout.channels)
    if layout.by_day:
        fits = flow.ndim == 5 and flow.shape[1::3] == (layout.slots_per_day, num_channels)
        wanted = f"(days, {layout.slots_per_day}, rows, columns, {num_channels})"
    else:
        fits = flow.ndim == 4 and flow.shape[1] == num_channels
        wanted = f"(frames, {num_channels}, rows, columns)"
    if not fits or not flow.size:
        raise InputError(
            f"The array '{KEY}' has another shape than {layout.name} has.",
            f"{where}: {flow.shape}",
            f"It must be {wanted}.",
        )
    if layout.by_day:
        return flow.reshape(-1, *flow.shape[2:]).transpose(0, 3, 1, 2)
    return flow
