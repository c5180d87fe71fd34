"""What all maps have in common: label, height, the city below, and the administrator's settings."""

import os
from dataclasses import dataclass, field
from typing import Any, Final

from engine.errors import InputError
from engine.render.basemap import THEMES, Basemap
from engine.render.deck import Bounds

TILES_SETTING: Final = "CITYBRUSH_MAP_TILES"
TILES_ATTRIBUTION_SETTING: Final = "CITYBRUSH_MAP_TILES_ATTRIBUTION"
MIN_HEIGHT_PX, MAX_HEIGHT_PX = 220, 1600


@dataclass(frozen=True, eq=False)
class MapOptions:
    """How a map is presented.

    Args:
        label: names the map: its title in pictures and for screen readers.
        height: of the map itself, pixels.
        basemap: the city below the cells.
        is_3d: begin with columns (views and trips; a map to paint begins flat).
        table_open: begin with the table twin open beside the map.
        noun: what a cell stands for.
    """

    label: str = "City map"
    height: int = 520
    basemap: Basemap = field(default_factory=Basemap)
    is_3d: bool = True
    table_open: bool = False
    noun: str = "cell"

    def __post_init__(self) -> None:
        if not MIN_HEIGHT_PX <= self.height <= MAX_HEIGHT_PX:
            raise InputError(
                "The map's height does not fit a page.",
                f"{self.height} px",
                f"Give {MIN_HEIGHT_PX} to {MAX_HEIGHT_PX} pixels.",
            )

    def header(self, key: str, bounds: Bounds, *, is_3d: bool) -> dict[str, Any]:
        """The part of the message to the browser that every map has."""
        return {
            "key": key,
            "label": self.label,
            "height": int(self.height),
            "attribution": self.basemap.attribution,
            "bounds": [float(edge) for edge in bounds],
            "is3d": is_3d,
            "tableOpen": self.table_open,
            "noun": self.noun,
            "themes": THEMES,
            "remote": remote_tiles(),
        }


def remote_tiles() -> dict[str, str] | None:
    """A tile server that the administrator named; none by default, and then nothing is fetched.

    Raises:
        InputError: the setting is no address of tiles.
    """
    address = os.environ.get(TILES_SETTING, "").strip()
    if not address:
        return None
    needed = ("{z}", "{x}", "{y}")
    if not address.startswith(("https://", "http://")) or any(n not in address for n in needed):
        raise InputError(
            "The address of the map's tiles cannot be used.",
            TILES_SETTING,
            "Give an http(s) address with {z}, {x} and {y}, or remove the setting.",
        )
    return {"tiles": address, "attribution": os.environ.get(TILES_ATTRIBUTION_SETTING, "")}
