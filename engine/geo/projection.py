"""Degrees to metres and back."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import GridError

if TYPE_CHECKING:
    from pyproj import Transformer

Floats = NDArray[np.float64]
_DEGREES = "EPSG:4326"


class Projection:
    """A projected coordinate system in metres.

    Args:
        crs: such as ``EPSG:32633``.

    Raises:
        GridError: unknown, not projected, or not in metres.
    """

    def __init__(self, crs: str) -> None:
        self.crs = crs
        self._forward, self._inverse = _transformers(crs)

    def to_metric(self, lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
        """Easting and northing in metres; infinite where the system does not reach."""
        x, y = self._forward.transform(np.asarray(lon, float), np.asarray(lat, float))
        return np.asarray(x, np.float64), np.asarray(y, np.float64)

    def to_degrees(self, x_m: ArrayLike, y_m: ArrayLike) -> tuple[Floats, Floats]:
        """Longitude and latitude of metric positions."""
        lon, lat = self._inverse.transform(np.asarray(x_m, float), np.asarray(y_m, float))
        return np.asarray(lon, np.float64), np.asarray(lat, np.float64)


def utm_crs(lon: float, lat: float) -> str:
    """The zone of the Universal Transverse Mercator system that holds a position.

    The exceptions around Norway and Svalbard are left out: the neighbouring zone serves there.
    """
    zone = min(int((lon + 180) // 6) + 1, 60)
    return f"EPSG:{32600 + zone if lat >= 0 else 32700 + zone}"


@lru_cache(maxsize=32)
def _transformers(crs: str) -> "tuple[Transformer, Transformer]":
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError
    from pyproj.network import set_network_enabled  # type: ignore[attr-defined]

    set_network_enabled(active=False)  # no grid shift file is ever fetched
    try:
        system = CRS.from_user_input(crs)
        metric = system.is_projected and all(a.unit_name == "metre" for a in system.axis_info)
        if metric:
            return (
                Transformer.from_crs(_DEGREES, system, always_xy=True),
                Transformer.from_crs(system, _DEGREES, always_xy=True),
            )
    except ProjError as error:
        raise GridError("The coordinate system is not known.", crs[:80]) from error
    raise GridError(
        "The coordinate system is not one in metres.",
        crs[:80],
        "Give a projected one, such as EPSG:32633.",
    )
