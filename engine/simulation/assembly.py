"""Putting the finished days together as a city in the format of :mod:`engine.cities`."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from engine.cities import CityMetadata, CityWriter, InterventionSpec, SegmentSeries, Source, Split
from engine.cities.trajectories import TrajectoryBatch
from engine.domain import Aggregation, FieldSeries
from engine.simulation import adlershof as place
from engine.simulation.basemap import read_basemap
from engine.simulation.calendar import describe_day, local_midnight, real_seconds
from engine.simulation.catalogue import Planned
from engine.simulation.events import day_events
from engine.simulation.geography import sensor_ids, sensor_table, street_table, zone_table
from engine.simulation.inputs import POINT_STEP_S, SERIES_STEP_S
from engine.simulation.model import MODEL_FILE, NET_FILE, TrafficModel
from engine.simulation.network import ADLERSHOF_NET, read_network, sumo_home
from engine.simulation.outputs import FIELD_STEP_S
from engine.simulation.production import FinishedDay, draw_tracks, load_day
from engine.simulation.tours import PURPOSES
from engine.simulation.weather import day_weather

NOTICE = "simulated traffic on real streets, © OpenStreetMap contributors"
TRIPS_A_DAY = 800
TRIPS_AN_INTERVENTION = 2000
TRIPS_A_PART = 16_000
SUMMARIES_NAME = "summaries.json"
KEPT_FILES = ("README.md", "LICENSE", "figures")


@dataclass(frozen=True)
class WorkFolder:
    """Where finished days lie while a city is being made."""

    path: Path

    @property
    def city(self) -> Path:
        """The folder with the traffic model."""
        return self.path / "city"

    def day(self, day: date) -> Path:
        """An untouched day, without suffix."""
        return self.path / "days" / day.isoformat()

    def intervention(self, planned: Planned) -> Path:
        """The day of an intervention, without suffix."""
        return self.path / "interventions" / planned.id


def city_metadata(model: TrafficModel, weeks: int) -> CityMetadata:
    """The words of ``city.json``."""
    return CityMetadata(
        id=model.city_id,
        title=place.TITLE,
        grid=model.grid,
        timezone=model.timezone,
        crs_metric=model.crs,
        description=(
            f"{weeks} weeks of simulated traffic (SUMO) on the real street network of "
            "Berlin-Adlershof, with weather, events and interventions. No real trips are in it."
        ),
        simulated=True,
        sources=(
            Source(
                "Street network: OpenStreetMap contributors, carried by the eclipse-sumo package",
                "Open Database License (ODbL) 1.0",
                "https://www.openstreetmap.org/copyright",
            ),
            Source(
                "Traffic simulated with Eclipse SUMO from assumed demand",
                "Open Database License (ODbL) 1.0, as derived from the network",
                "https://eclipse.dev/sumo/",
            ),
        ),
        attribution="© OpenStreetMap contributors",
        notice=NOTICE,
    )


def write_city(
    model: TrafficModel,
    work: WorkFolder,
    root: Path,
    days: Sequence[date],
    interventions: Sequence[Planned],
) -> Path:
    """Write the city from finished days.

    Args:
        model: the city's traffic model.
        work: where the finished days are.
        root: the folder of cities; the city becomes ``root/ID``.
        days: consecutive local days, all finished.
        interventions: all finished, on any of the days.

    Returns:
        The city's folder.

    Raises:
        StorageError: a full disk, missing rights; an older city is untouched.
    """
    target = root / model.city_id
    keep = [name for name in KEPT_FILES if (target / name).exists()]
    with CityWriter(root, city_metadata(model, len(days) // 7), keep) as writer:
        _write_geography(writer, model)
        _write_calendar(writer, model, days)
        finished = [load_day(work.day(day)) for day in days]
        _write_series(writer, model, finished)
        _write_trips(writer, finished, TRIPS_A_DAY)
        _write_interventions(writer, model, work, interventions)
        writer.add_network(SUMMARIES_NAME, _summaries(finished, work, interventions))
        writer.add_network(NET_FILE.name, (work.city / NET_FILE).read_bytes())
        writer.add_network(MODEL_FILE.name, (work.city / MODEL_FILE).read_bytes())
    return target


def _write_geography(writer: CityWriter, model: TrafficModel) -> None:
    network = read_network(model.net)
    writer.add_streets(street_table(network))
    writer.add_zones(zone_table(model, network))
    writer.add_basemap(read_basemap(sumo_home() / ADLERSHOF_NET, model.grid))
    writer.add_sensors(sensor_table(model))


def _write_calendar(writer: CityWriter, model: TrafficModel, days: Sequence[date]) -> None:
    writer.add_context(context_table(model, days))
    rows = [
        {
            "event_id": event.id,
            "name": event.name,
            "zone_id": event.zone,
            "kind": event.kind,
            "begin": _utc(model, day, event.begin_s),
            "end": _utc(model, day, event.end_s),
            "visitors": event.visitors,
        }
        for day in days
        for event in day_events(model, day)
    ]
    columns = ["event_id", "name", "zone_id", "kind", "begin", "end", "visitors"]
    writer.add_events(pd.DataFrame(rows, columns=columns))


def context_table(model: TrafficModel, days: Sequence[date]) -> pd.DataFrame:
    """Weather and calendar of every half hour."""
    rows = []
    for day in days:
        described = describe_day(day)
        for slot, weather in enumerate(day_weather(model.seed, day)):
            rows.append(
                {
                    "time": _utc(model, day, slot * FIELD_STEP_S),
                    "temperature_c": weather.temperature_c,
                    "rain_mm_h": weather.rain_mm_h,
                    "weather": weather.kind,
                    "holiday": bool(described.holiday),
                    "day_type": described.type.value,
                }
            )
    return pd.DataFrame(rows)


def _utc(model: TrafficModel, day: date, wall_s: float) -> datetime:
    """The instant of a wall-clock time."""
    shift = timedelta(seconds=real_seconds(day, wall_s, model.zone_info))
    return local_midnight(day, model.zone_info) + shift


def _write_series(writer: CityWriter, model: TrafficModel, days: Sequence[FinishedDay]) -> None:
    for name, title, unit, arrays in _fields(days):
        writer.add_field(name, _field(model, title, unit, arrays, days[0].start))
    writer.add_segments(_segments(model, days))


def _fields(days: Sequence[FinishedDay]) -> list[tuple[str, str, str, list[np.ndarray]]]:
    return [
        ("flow", "Vehicles entering the cell in 30 minutes", "vehicles", [d.flow for d in days]),
        (
            "occupancy",
            "Vehicles in the cell, counted every 5 s, summed over 30 minutes",
            "points",
            [d.occupancy for d in days],
        ),
    ]


def _field(
    model: TrafficModel, title: str, unit: str, arrays: list[np.ndarray], start: datetime
) -> FieldSeries:
    return FieldSeries(
        title,
        np.concatenate(arrays),
        model.grid,
        start.astimezone(model.zone_info),
        timedelta(seconds=FIELD_STEP_S),
        unit,
        Aggregation.SUM,
    )


def _segments(model: TrafficModel, days: Sequence[FinishedDay]) -> SegmentSeries:
    return SegmentSeries(
        np.concatenate([day.speed_kmh for day in days]),
        np.concatenate([day.count for day in days]),
        sensor_ids(model),
        days[0].start.astimezone(model.zone_info),
        timedelta(seconds=SERIES_STEP_S),
    )


def _write_trips(writer: CityWriter, days: Iterable[FinishedDay], trips_a_day: int) -> None:
    batches = [batch_of(day, trips_a_day) for day in days]
    part: list[TrajectoryBatch] = []
    for batch in batches:
        part.append(batch)
        if sum(map(len, part)) + trips_a_day > TRIPS_A_PART:
            writer.add_trajectories(join_batches(part))
            part = []
    if part:
        writer.add_trajectories(join_batches(part))


def batch_of(day: FinishedDay, most: int) -> TrajectoryBatch:
    """The trips of a day with the lowest lottery numbers, in order of departure."""
    tracks = draw_tracks(day.tracks, most)
    purposes = day.purposes[np.searchsorted(day.tracks.keys, tracks.keys)]
    start = np.datetime64(day.start.astimezone(UTC).replace(tzinfo=None), "ms")
    batch = TrajectoryBatch(
        tuple(f"{day.date:%Y%m%d}-{key:09d}" for key in tracks.keys),
        tuple(PURPOSES[p].value for p in purposes),
        start + (tracks.first_s * 1000).astype("timedelta64[ms]"),
        tracks.starts,
        np.rint(tracks.lon * 1e6).astype(np.int32),
        np.rint(tracks.lat * 1e6).astype(np.int32),
        tracks.speed_kmh,
        POINT_STEP_S,
    )
    return batch.take(np.lexsort((tracks.keys, tracks.first_s)))


def join_batches(batches: Sequence[TrajectoryBatch]) -> TrajectoryBatch:
    """Several batches as one."""
    counts = np.concatenate([batch.num_points for batch in batches])
    return TrajectoryBatch(
        tuple(name for batch in batches for name in batch.trip_ids),
        tuple(purpose for batch in batches for purpose in batch.purposes),
        np.concatenate([batch.depart for batch in batches]),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([batch.lon_udeg for batch in batches]),
        np.concatenate([batch.lat_udeg for batch in batches]),
        np.concatenate([batch.speed_kmh for batch in batches if batch.speed_kmh is not None]),
        batches[0].step_s,
    )


def _write_interventions(
    writer: CityWriter, model: TrafficModel, work: WorkFolder, interventions: Sequence[Planned]
) -> None:
    written: set[date] = set()
    for planned in interventions:
        untouched = f"interventions/untouched-{planned.date:%Y%m%d}"
        spec = InterventionSpec(
            planned.id,
            planned.title,
            Split.TEST if planned.is_test else Split.TRAIN,
            planned.edits,
            untouched=untouched,
        )
        if planned.date not in written:
            written.add(planned.date)
            _write_one_day(writer, model, load_day(work.day(planned.date)), untouched)
        _write_one_day(writer, model, load_day(work.intervention(planned)), spec.edited)
        writer.add_intervention(spec)


def _summaries(
    days: Sequence[FinishedDay], work: WorkFolder, interventions: Sequence[Planned]
) -> bytes:
    """The figures of every simulated day, as JSON; times of this machine are left out."""
    found = {day.date.isoformat(): day.summary for day in days}
    found |= {p.id: load_day(work.intervention(p)).summary for p in interventions}
    rows = {name: asdict(summary) for name, summary in found.items()}
    for row in rows.values():
        del row["sumo_s"]
    return (json.dumps(rows, indent=1, sort_keys=True) + "\n").encode()


def _write_one_day(writer: CityWriter, model: TrafficModel, day: FinishedDay, prefix: str) -> None:
    for name, title, unit, arrays in _fields([day]):
        writer.add_field(name, _field(model, title, unit, arrays, day.start), prefix)
    writer.add_segments(_segments(model, [day]), prefix)
    writer.add_context(context_table(model, [day.date]), prefix)
    writer.add_trajectories(batch_of(day, TRIPS_AN_INTERVENTION), prefix)
