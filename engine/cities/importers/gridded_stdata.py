"""TaxiBJ and BikeNYC as their publishers hand them out: HDF5 with ``data`` and ``date``.

Source: J. Zhang, Y. Zheng, D. Qi, Deep Spatio-Temporal Residual Networks for Citywide Crowd Flows
Prediction, AAAI 2017.
"""

from dataclasses import dataclass
from datetime import timedelta
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.cities.format import MAX_ARRAY_BYTES
from engine.cities.importers.gridded import (
    Bounds,
    Channel,
    Frames,
    GriddedImport,
    GriddedRules,
    assemble_import,
)
from engine.cities.importers.gridded_clock import DAY_S, clock_of_walls, walls_of_stamps
from engine.errors import InputError

if TYPE_CHECKING:
    import h5py

_MAX_STAMP_BYTES: Final = 32


@dataclass(frozen=True)
class StdataLayout:
    """What one of the sets counts.

    Args:
        name: the set's name.
        slots_per_day: 48 for half an hour.
        channels: in the order of the file.
        zone: IANA name of the city's time zone.
        bounds: about where the grid lies.
    """

    name: str
    slots_per_day: int
    channels: tuple[Channel, ...]
    zone: str
    bounds: Bounds


TAXIBJ: Final = StdataLayout(
    "TaxiBJ",
    48,
    (
        Channel("inflow", "taxis entering each cell"),
        Channel("outflow", "taxis leaving each cell"),
    ),
    "Asia/Shanghai",
    (116.25, 39.81, 116.50, 40.00),
)
"""``BJ13_M32x32_T30_InOut.h5`` and its sisters: 32 x 32 cells, half-hours, slots from 1."""

BIKENYC: Final = StdataLayout(
    "BikeNYC",
    24,
    (
        Channel("new", "bicycle trips beginning in each cell", "trips"),
        Channel("end", "bicycle trips ending in each cell", "trips"),
    ),
    "America/New_York",
    (-74.03, 40.66, -73.93, 40.81),
)
"""``NYC14_M16x8_T60_NewEnd.h5``: 16 x 8 cells, hours."""


def read_stdata(path: Path, layout: StdataLayout, rules: GriddedRules) -> GriddedImport:
    """Read ``data`` (T, 2, R, C) and ``date`` (T,) of an HDF5 file.

    Raises:
        InputError: no HDF5, a missing key, other shapes, or values or times that do not fit.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            data, date = _dataset(file, "data", path.name), _dataset(file, "date", path.name)
            _check_shapes(data, date, layout, path.name)
            frames: Frames = data[()]
            stamps = [bytes(stamp) for stamp in date[()]]
    except FileNotFoundError as error:
        raise InputError("There is no such file.", path.name) from error
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "The file is no readable HDF5.", path.name, "Choose a file as its publisher wrote it."
        ) from error
    walls = walls_of_stamps(stamps, layout.slots_per_day, path.name)
    clock = clock_of_walls(walls, timedelta(seconds=DAY_S // layout.slots_per_day), layout.zone)
    channels = {channel: frames[:, k] for k, channel in enumerate(layout.channels)}
    return assemble_import(channels, clock, layout.bounds, rules, path.name)


def _dataset(file: "h5py.File", key: str, where: str) -> Any:  # noqa: ANN401 - h5py is untyped
    """A plain dataset of the file itself: no link, nothing that lies in another file."""
    import h5py

    link = file.get(key, getlink=True)
    item = file.get(key) if isinstance(link, h5py.HardLink) else None
    if not isinstance(item, h5py.Dataset):
        found = ", ".join(sorted(map(str, file))[:12])[:200] or "nothing"
        raise InputError(f"The file has no array '{key}'.", f"{where}; it has: {found}")
    if item.is_virtual or item.external:
        raise InputError(f"The array '{key}' lies in another file.", where)
    if prod(item.shape) * max(item.dtype.itemsize, 1) > MAX_ARRAY_BYTES:
        raise InputError(f"The array '{key}' is too large.", f"{where}: {item.shape}")
    return item


def _check_shapes(data: Any, date: Any, layout: StdataLayout, where: str) -> None:  # noqa: ANN401
    num_channels = len(layout.channels)
    if data.ndim != 4 or data.shape[1] != num_channels or data.dtype.kind not in "fiu":
        raise InputError(
            f"The array 'data' has another shape than {layout.name} has.",
            f"{where}: {data.shape} of {data.dtype}",
            f"It must be (frames, {num_channels}, rows, columns).",
        )
    if date.ndim != 1 or date.dtype.kind != "S" or date.dtype.itemsize > _MAX_STAMP_BYTES:
        raise InputError(
            "The array 'date' holds no short texts.", f"{where}: {date.shape} of {date.dtype}"
        )
    if len(date) != len(data):
        raise InputError(
            "There are not as many dates as frames.", f"{where}: {len(date)}, {len(data)}"
        )
