"""Everything that is wrong with a city on disk, found by reading all of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cities.city import City
from engine.cities.format import (
    INTERVENTIONS_NAME,
    METADATA_NAME,
    SEGMENTS_NAME,
    TABLE_NAMES,
    FileKind,
    join_name,
)
from engine.cities.recordings import Recordings, TripFilter
from engine.domain import AddAttraction, CloseStreets, Edit, ScaleDemand
from engine.errors import CityNotFoundError, EngineError
from engine.geo.projection import Projection

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and the file that comes next."""

_RECORDED = (FileKind.FIELD, FileKind.SEGMENTS, FileKind.TRAJECTORIES)
_DATA_SUFFIXES = (".npz", ".parquet")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Args:
        where: the file concerned.
        what: what is wrong with it.
        fix: what to do; empty when nothing can be done.
    """

    where: str
    what: str
    fix: str = ""


def check_city(folder: Path, on_progress: Progress | None = None) -> tuple[Problem, ...]:
    """Read a whole city and say all that is wrong with it.

    Args:
        folder: the city's folder.
        on_progress: told of each step.

    Returns:
        Problems in a stable order; none when the city is sound.

    Raises:
        CityNotFoundError: there is no city in this folder.
    """
    try:
        city = City(folder, whole=False)
    except CityNotFoundError:
        raise
    except EngineError as error:
        return (_problem(METADATA_NAME, error),)
    steps = list(_steps(city))
    problems: list[Problem] = []
    for index, (name, check) in enumerate(steps):
        if on_progress is not None:
            on_progress(index, len(steps), name)
        if any(problem.where == name for problem in problems):
            continue  # its content cannot be trusted
        try:
            problems += [Problem(name, what) for what in check()]
        except EngineError as error:
            if not any(problem.where in error.where for problem in problems):
                problems.append(_problem(name, error))
    if on_progress is not None:
        on_progress(len(steps), len(steps), "")
    return tuple(dict.fromkeys(problems))


_Step = tuple[str, Callable[[], Iterator[str]]]


def _steps(city: City) -> Iterator[_Step]:
    """All checks of a city, each with the file that it is about."""
    files = city.metadata.files
    yield METADATA_NAME, lambda: _check_metadata(city)
    for name in sorted(files):
        yield name, lambda n=name: _verify(city, n)  # type: ignore[misc]
    tables: dict[FileKind, Callable[[City], Iterator[str]]] = {
        FileKind.STREETS: lambda c: _check_unique(c.streets(), "street_id"),
        FileKind.ZONES: lambda c: _check_unique(c.zones(), "zone_id"),
        FileKind.BASEMAP: lambda c: _check_unique(c.basemap().iloc[:0], "kind"),
        FileKind.SENSORS: _check_sensors,
        FileKind.EVENTS: _check_events,
    }
    for kind, check in tables.items():
        if TABLE_NAMES[kind] in files:
            yield TABLE_NAMES[kind], lambda c=check: c(city)  # type: ignore[misc]
    for prefix in _prefixes(city):
        yield from _recording_steps(city, Recordings(city.files, prefix))
    if INTERVENTIONS_NAME in files:
        yield INTERVENTIONS_NAME, lambda: _check_interventions(city)


def _recording_steps(city: City, recordings: Recordings) -> Iterator[_Step]:
    files, prefix = recordings.files.metadata.files, recordings.prefix
    for name in recordings.field_names:
        path = join_name(prefix, f"fields/{name}.npz")
        yield path, lambda n=name: _check_field(recordings, n)  # type: ignore[misc]
    path = join_name(prefix, SEGMENTS_NAME)
    if path in files:
        yield path, lambda: _check_segments(city, recordings)
    path = join_name(prefix, TABLE_NAMES[FileKind.CONTEXT])
    if path in files:
        yield path, lambda: _check_times(recordings.context())
    seen: set[str] = set()
    for part in recordings.trajectory_parts():
        yield part, lambda p=part: _check_trajectories(recordings, p, seen)  # type: ignore[misc]


def _check_metadata(city: City) -> Iterator[str]:
    kinds = {entry.kind for entry in city.metadata.files.values()}
    if not kinds & set(_RECORDED):
        yield "The city holds no recording: no field, no segments, no trajectories."
    if not city.folder.is_symlink() and city.folder.name != city.id:
        yield f"The city's id is {city.id}, but its folder is called {city.folder.name}."
    Projection(city.metadata.crs_metric)
    listed = set(city.metadata.files)
    for path in sorted(city.folder.rglob("*")):
        name = path.relative_to(city.folder).as_posix()
        if path.suffix in _DATA_SUFFIXES and name not in listed:
            yield f"The file {name} is not listed."


def _verify(city: City, name: str) -> Iterator[str]:
    city.files.verify(name)
    return iter(())


def _check_field(recordings: Recordings, name: str) -> Iterator[str]:
    Recordings.field(recordings, name)
    return iter(())


def _check_segments(city: City, recordings: Recordings) -> Iterator[str]:
    series = recordings.segments()
    if city.has(FileKind.SENSORS):
        strangers = set(series.sensor_ids) - set(city.sensors()["sensor_id"])
        if strangers:
            yield f"It has a column for a sensor that is not known: {min(strangers)}."


def _check_trajectories(recordings: Recordings, part: str, seen: set[str]) -> Iterator[str]:
    for batch in recordings.read_part(part, TripFilter()):
        before = len(seen)
        seen.update(batch.trip_ids)
        if len(seen) != before + len(batch):
            yield "A trip's id stands there twice."
            return


def _check_unique(frame: "pd.DataFrame", column: str) -> Iterator[str]:
    twice = frame[column][frame[column].duplicated()]
    if len(twice):
        yield f"The {column} {twice.iloc[0]} stands there twice."


def _check_sensors(city: City) -> Iterator[str]:
    sensors = city.sensors()
    yield from _check_unique(sensors, "sensor_id")
    if city.has(FileKind.STREETS):
        strangers = set(sensors["street_id"]) - set(city.streets()["street_id"])
        if strangers:
            yield f"A sensor stands on a street that does not exist: {min(strangers)}."


def _check_events(city: City) -> Iterator[str]:
    events = city.events()
    yield from _check_unique(events, "event_id")
    if (events["end"] <= events["begin"]).any():
        yield "An event ends before it begins."
    if city.has(FileKind.ZONES):
        strangers = set(events["zone_id"]) - set(city.zones()["zone_id"])
        if strangers:
            yield f"An event takes place in a zone that does not exist: {min(strangers)}."


def _check_times(context: "pd.DataFrame") -> Iterator[str]:
    times = context["time"]
    if times.isna().any() or times.duplicated().any() or not times.is_monotonic_increasing:
        yield "Its times do not increase from row to row."


def _check_interventions(city: City) -> Iterator[str]:
    streets = set(city.streets()["street_id"])
    zones = set(city.zones()["zone_id"])
    for intervention in city.interventions():
        spec = intervention.spec
        for day in (intervention.edited, intervention.untouched):
            if not any(day.has(kind) for kind in _RECORDED):
                yield f"Nothing is recorded for {spec.id} in {day.prefix}."
        for edit in spec.edits:
            for stranger in _strangers(edit, streets, zones):
                yield f"{spec.id} edits a street or zone that does not exist: {stranger}."


def _strangers(edit: Edit, streets: set[str], zones: set[str]) -> list[str]:
    """Streets and zones of an edit that the city does not have."""
    if isinstance(edit, CloseStreets):
        return sorted(set(edit.street_ids) - streets)
    if isinstance(edit, ScaleDemand | AddAttraction):
        return sorted({edit.zone_id} - zones)
    return []


def _prefixes(city: City) -> list[str]:
    """The folders inside of the city that hold recordings; the city itself comes first."""
    prefixes = {""}
    for name, entry in city.metadata.files.items():
        if entry.kind in (*_RECORDED, FileKind.CONTEXT):
            levels = 1 if entry.kind is FileKind.CONTEXT else 2
            prefixes.add("/".join(name.split("/")[:-levels]))
    return sorted(prefixes)


def _problem(name: str, error: EngineError) -> Problem:
    """An error as a problem of a file, its place not said twice."""
    detail = error.where
    if name in detail:
        detail = detail.rpartition(name)[2].lstrip(": ")
    return Problem(name, f"{error.what} ({detail})" if detail else error.what, error.fix)
