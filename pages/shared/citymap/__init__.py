"""The city map: painting, linked 3D views, animated trips. One Streamlit component.

Four functions, each drawing one map and returning what the user did on it:

* :func:`paint_mask` - which sensors are there (True/False per cell).
* :func:`paint_occupancy` - how busy each place is; blocked cells; optionally closed streets.
* :func:`select_streets` - which streets are closed.
* :func:`view_maps` - one to four linked views of the same cells, over time.
* :func:`view_trips` - moving trails, overlaid or side by side.

Painting happens in the browser. Python hears of it at the end of a stroke, and keeps the state
under the map's ``key``: it is there after a rerun and after a visit to another page. A map begins
anew when its baseline, its cells, its initial values or its ``version`` change; to take back what
the user painted, change ``version`` (any hashable value).

:func:`preload`, called early in a page, makes its first map appear sooner.

Everything raises :class:`~engine.errors.EngineError` when its input does not fit. Example::

    basemap = Basemap.from_frames(city.streets(), city.basemap(), "© OpenStreetMap contributors")
    painted = paint_mask(
        grid, observed, key="sensors", options=MapOptions(label="Sensors", basemap=basemap)
    )
    painted.observed        # (R, C) bool
    painted.revision        # 0 until the user paints; grows with each stroke
"""

from engine.render.basemap import Basemap, StreetLines
from engine.render.deck import HeatView
from engine.render.palettes import ColorScale, ScaleKind
from pages.shared.citymap.component import preload
from pages.shared.citymap.options import MapOptions
from pages.shared.citymap.painting import (
    PaintedMask,
    PaintedOccupancy,
    paint_mask,
    paint_occupancy,
)
from pages.shared.citymap.streets import SelectedStreets, StreetChoice, select_streets
from pages.shared.citymap.trips import ScreenLine, TripGroup, TripMotion, view_trips
from pages.shared.citymap.views import Frames, MapSelection, view_maps

__all__ = [
    "Basemap",
    "ColorScale",
    "Frames",
    "HeatView",
    "MapOptions",
    "MapSelection",
    "PaintedMask",
    "PaintedOccupancy",
    "ScaleKind",
    "ScreenLine",
    "SelectedStreets",
    "StreetChoice",
    "StreetLines",
    "TripGroup",
    "TripMotion",
    "paint_mask",
    "paint_occupancy",
    "preload",
    "select_streets",
    "view_maps",
    "view_trips",
]
