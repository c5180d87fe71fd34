"""A city at a glance: what it holds, and how it looks from above."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from engine.api.words import step_text
from engine.cities import City, CityMetadata, FileEntry, FileKind
from engine.cities.registry import CityListing, list_cities
from engine.render.thumbnail import draw_thumbnail

_LINE = "LineString"


@dataclass(frozen=True)
class Fact:
    """One thing that a city holds, ready to be shown.

    Args:
        label: what it is.
        value: how much of it, with its unit.
        help: a sentence more.
    """

    label: str
    value: str
    help: str = ""


@dataclass(frozen=True)
class CityCard:
    """A city as the start page shows it.

    Args:
        city_id: its id.
        title: its name.
        description: a sentence or two.
        notice: what a user must know about it, such as "simulated traffic".
        attribution: who made its map and data.
        facts: what it holds.
        problem: why it cannot be opened; empty when it can.
    """

    city_id: str
    title: str
    description: str = ""
    notice: str = ""
    attribution: str = ""
    facts: tuple[Fact, ...] = ()
    problem: str = ""


def list_city_cards() -> tuple[CityCard, ...]:
    """All cities on this machine; a damaged one is named with its problem, the others open."""
    return tuple(_card(listing) for listing in list_cities())


def city_card(city: City) -> CityCard:
    """An open city as the start page shows it."""
    return _describe(city.metadata)


def _card(listing: CityListing) -> CityCard:
    if listing.metadata is None or listing.problem is not None:
        return CityCard(listing.id, listing.title, problem=str(listing.problem))
    return _describe(listing.metadata)


def _describe(metadata: CityMetadata) -> CityCard:
    return CityCard(
        metadata.id,
        metadata.title,
        metadata.description,
        metadata.notice,
        metadata.attribution,
        _facts(metadata),
    )


def _facts(metadata: CityMetadata) -> tuple[Fact, ...]:
    facts = []
    # what lies in a folder of its own belongs to an intervention, not to the city itself
    files = {n: e for n, e in metadata.files.items() if not n.startswith("interventions/")}
    fields = [e for e in files.values() if e.kind is FileKind.FIELD and e.shape and e.step_s]
    if fields:
        facts.append(_span_fact(max(fields, key=_duration)))
    grid, coarse = metadata.grid, metadata.grid.coarse()
    facts.append(
        Fact(
            "Grid",
            f"{grid.rows} × {grid.cols} cells",
            f"coarse map of {coarse.rows} × {coarse.cols}" if grid.magnification > 1 else "",
        )
    )
    counted = (
        (FileKind.TRAJECTORIES, "Trajectories", "trips as points with time, place and speed"),
        (FileKind.SENSORS, "Street sensors", "speed and count on street segments"),
        (FileKind.STREETS, "Streets", "that can be shown, and closed"),
    )
    for kind, label, text in counted:
        number = sum(e.shape[0] for e in files.values() if e.kind is kind and e.shape)
        if number:
            facts.append(Fact(label, f"{number:,}", text))
    days = {name.split("/")[1] for name in metadata.files if name.count("/edited/")}
    if days:
        facts.append(Fact("What-ifs", f"{len(days)}", "days with an edit, simulated both ways"))
    return tuple(facts)


def _duration(entry: FileEntry) -> timedelta:
    return timedelta(seconds=(entry.step_s or 0) * entry.shape[0])


def _span_fact(entry: FileEntry) -> Fact:
    days = _duration(entry).days
    length = f"{days // 7} weeks" if days >= 14 else f"{days} days"
    begin = f"from {entry.start:%-d %B %Y}" if entry.start else ""
    return Fact("Traffic", length, f"{begin}, every {step_text(entry.step_s or 0)}")


def city_picture(city: City) -> str:
    """The city from above as SVG: its mean traffic and its streets."""
    cells = None
    if city.field_names:
        cells = city.field(city.field_names[0]).values.mean(axis=0, dtype=np.float64)
    streets = city.streets()
    lines = [list(line.coords) for line in streets.geometry.explode() if line.geom_type == _LINE]
    return draw_thumbnail(city.grid, cells, lines)
