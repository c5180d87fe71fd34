"""Streets that the user closes and reopens, by click, by brush, by keyboard or in the table."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.errors import UnknownStreetError
from engine.render.basemap import StreetLines
from engine.render.deck import Bounds, describe
from engine.render.palettes import ColorScale
from pages.shared.citymap.component import mount
from pages.shared.citymap.documents import open_document, take_edit
from pages.shared.citymap.options import MapOptions
from pages.shared.citymap.payload import deck_to_json, digest_of, encode_payload


@dataclass(frozen=True, eq=False)
class SelectedStreets:
    """The streets that are closed.

    Args:
        closed: ids, in the order of the streets table.
        revision: 0 until the user changes something, then growing.
    """

    closed: tuple[str, ...]
    revision: int


@dataclass(frozen=True, eq=False)
class StreetChoice:
    """Streets that can be closed, and those that are at the beginning.

    Args:
        lines: the streets, from :meth:`engine.render.basemap.StreetLines.from_frame`.
        closed: ids closed at the beginning; what "reset" returns to.

    Raises:
        UnknownStreetError: one of them is no street of the city.
    """

    lines: StreetLines
    closed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.closed) - set(self.lines.ids)
        if unknown:
            raise UnknownStreetError(
                "The city has no such street.", ", ".join(sorted(unknown)[:3]), "Check the ids."
            )

    @cached_property
    def key(self) -> str:
        """Changes with the content."""
        return digest_of(self.lines.ids, self.lines.starts, self.lines.coords, self.closed)

    @cached_property
    def closed_indices(self) -> tuple[int, ...]:
        """Indices of the streets closed at the beginning, ascending."""
        chosen = set(self.closed)
        return tuple(i for i, street in enumerate(self.lines.ids) if street in chosen)

    def ids_of(self, indices: tuple[int, ...]) -> tuple[str, ...]:
        """Street ids of indices."""
        return tuple(self.lines.ids[i] for i in indices)

    def to_json(self, closed: tuple[int, ...]) -> dict[str, Any]:
        """What the browser needs; arrays stay arrays."""
        return {
            "ids": list(self.lines.ids),
            "names": list(self.lines.names),
            "kinds": list(self.lines.kinds),
            "owners": self.lines.owners,
            "starts": self.lines.starts,
            "coords": self.lines.coords.ravel(),
            "closed": list(closed),
            "baseline": list(self.closed_indices),
        }

    def decode(self, closed: object) -> tuple[int, ...] | None:
        """Indices that the browser sent, ascending; none if they are not what was expected."""
        if not isinstance(closed, list) or len(closed) > len(self.lines.ids):
            return None
        if not all(type(i) is int and 0 <= i < len(self.lines.ids) for i in closed):
            return None
        return tuple(sorted(set(closed)))


def select_streets(
    streets: StreetChoice,
    *,
    key: str,
    options: MapOptions | None = None,
    version: Hashable = None,
) -> SelectedStreets:
    """Draw a map on which the user closes and reopens streets.

    Args:
        streets: what can be closed.
        key: of the map, unique on the page.
        options: label, height, the city below.
        version: change it to begin anew.
    """
    options = options or MapOptions(label="Streets")
    token = digest_of("streets", streets.key, version)
    scale = ColorScale.of_categories(("open", "closed"), "streets").to_json()

    def encode(document_id: str, revision: int, closed: tuple[int, ...]) -> bytes:
        document = {"id": document_id, "revision": revision, "streets": streets.to_json(closed)}
        bounds = _bounds(streets.lines)
        deck = describe(options.basemap.layers(), bounds, is_3d=False)
        paint = {
            "title": options.label,
            "noun": "streets",
            "unavailable": "",
            "scale": scale,
            "differenceScale": scale,
            "document": document,
        }
        return encode_payload(
            {
                "kind": "paint",
                **options.header(key, bounds, is_3d=False),
                "deck": deck_to_json(deck),
                "cells": None,
                "paint": paint,
            }
        )

    def decode(edit: Mapping[str, Any]) -> tuple[int, ...] | None:
        return streets.decode(edit.get("closed"))

    document = open_document(key, token, streets.closed_indices, encode)
    told = mount(key, document.sent, "edit")
    document = take_edit(key, document, told["edit"], decode)
    return SelectedStreets(streets.ids_of(document.content), document.revision)


def _bounds(lines: StreetLines) -> Bounds:
    (west, south), (east, north) = lines.coords.min(axis=0), lines.coords.max(axis=0)
    margin = 1e-6  # even a single point has an extent
    return float(west) - margin, float(south) - margin, float(east) + margin, float(north) + margin
