"""A simulated city in figures, as Markdown tables drawn from its data alone."""

import json
from collections.abc import Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from engine.cities import City
from engine.errors import StorageError
from engine.simulation.assembly import SUMMARIES_NAME

BEGIN, END = "<!-- facts: made by 'python -m engine simulate figures' -->", "<!-- /facts -->"
PEAKS = {"7:30 to 8:30": (7.5, 8.5), "10:00 to 14:00": (10, 14), "16:00 to 17:30": (16, 17.5)}
GROUPS = {
    "working days": ("weekday",),
    "working days in school holidays": ("school-holiday",),
    "Saturdays": ("saturday",),
    "Sundays and public holidays": ("sunday", "holiday"),
}


def describe_city(city: City) -> str:
    """Days, trips, speeds, weather and interventions of a city, as Markdown."""
    path = city.network_path(SUMMARIES_NAME)
    summaries: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))
    parts = [_days(city, summaries), _speeds(city), _rest(city)]
    return "\n\n".join([*parts, _interventions(city, summaries)])


def update_readme(city: City, path: Path) -> None:
    """Put the figures between the two marks of a README; one without marks is left alone.

    Raises:
        StorageError: the file cannot be written.
    """
    if not path.exists():
        return
    text = path.read_text("utf-8")
    if BEGIN not in text or END not in text:
        return
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    try:
        scratch = path.with_suffix(".tmp")
        scratch.write_text(f"{head}{BEGIN}\n\n{describe_city(city)}\n\n{END}{tail}", "utf-8")
        scratch.replace(path)
    except OSError as error:
        raise StorageError("The README could not be written.", str(path)) from error


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    rule = tuple("---" if i == 0 else "---:" for i in range(len(head)))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _day_types(city: City) -> dict[str, str]:
    """Type of each local day by its ISO date."""
    context = city.context()
    local = context["time"].dt.tz_convert(city.metadata.timezone).dt.date.astype(str)
    return dict(zip(local, context["day_type"], strict=True))


def _days(city: City, summaries: dict[str, dict[str, Any]]) -> str:
    types = _day_types(city)
    rows = []
    for label, wanted in (*GROUPS.items(), ("all days", tuple(set(types.values())))):
        chosen = [summaries[day] for day, kind in types.items() if kind in wanted]
        if not chosen:
            continue
        trips = sum(s["trips_done"] for s in chosen)
        planned = sum(s["trips_planned"] for s in chosen)
        teleports = sum(s["teleports"] for s in chosen)
        delay_s = sum(s["mean_delay_s"] * s["trips_done"] for s in chosen) / trips
        rows.append(
            (
                label,
                f"{len(chosen)}",
                f"{planned / len(chosen):,.0f}",
                f"{trips / planned:.2%}",
                f"{teleports} ({teleports / trips:.3%})",
                f"{delay_s:.0f}",
            )
        )
    return _table(
        ("", "days", "trips a day", "arrived that day", "teleports", "mean delay (s)"), rows
    )


def _speeds(city: City) -> str:
    types = _day_types(city)
    hours, metres, seconds, working = [], [], [], []
    for batch in city.trajectories():
        x = np.diff(batch.lon_deg) * 111_320 * np.cos(np.radians(batch.lat_deg[:-1]))
        step = np.hypot(x, np.diff(batch.lat_deg) * 111_132)
        step[batch.offsets[1:-1] - 1] = 0
        total = np.concatenate([[0.0], np.cumsum(step)])
        metres.append(total[batch.offsets[1:] - 1] - total[batch.offsets[:-1]])
        seconds.append((batch.num_points - 1) * batch.step_s)
        for when in batch.depart.astype("datetime64[s]").tolist():
            local = when.replace(tzinfo=UTC).astimezone(city.zone)
            hours.append(local.hour + local.minute / 60)
            working.append(types[local.date().isoformat()] == "weekday")
    hour, length_m = np.array(hours), np.concatenate(metres)
    time_s, is_working = np.concatenate(seconds), np.array(working)
    rows = []
    for label, (begin, end) in PEAKS.items():
        chosen = is_working & (hour >= begin) & (hour < end)
        speed = length_m[chosen].sum() / time_s[chosen].sum() * 3.6
        rows.append((f"working days, {label}", f"{chosen.sum():,}", f"{speed:.1f}"))
    text = _table(("departure", "trips in the data", "length over duration (km/h)"), rows)
    medians = f"{np.median(length_m):,.0f} m and {np.median(time_s) / 60:.1f} minutes"
    return f"{text}\n\nMedian length and duration of the {len(hour):,} trips: {medians}."


def _rest(city: City) -> str:
    flow, series = city.field("flow"), city.segments()
    context, events = city.context(), city.events()
    incidents = int((events["kind"] == "incident").sum())
    end = flow.start.astimezone(UTC) + timedelta(seconds=len(flow) * flow.step.total_seconds())
    size_mb = sum(entry.num_bytes for entry in city.metadata.files.values()) / 1e6
    seen = np.isfinite(series.speed_kmh).mean()
    active = (flow.values.sum(0) > 0).sum()
    lines = (
        f"{len(flow):,} half hours, {flow.start:%d %B %Y} to "
        f"{(end - timedelta(days=1)).astimezone(city.zone):%d %B %Y}, with traffic in "
        f"{active} of {city.grid.num_cells:,} cells.",
        f"{series.speed_kmh.shape[1]} sensors, {len(series):,} steps of 5 minutes; a vehicle was "
        f"seen in {seen:.0%} of them.",
        f"Rain in {(context['rain_mm_h'] > 0).mean():.0%} of the half hours, "
        f"{context['temperature_c'].min():.0f} to {context['temperature_c'].max():.0f} °C, "
        f"{len(events) - incidents} events and {incidents} incidents.",
        f"All files together: {size_mb:.1f} MB.",
    )
    return "\n".join(f"- {line}" for line in lines)


def _interventions(city: City, summaries: dict[str, dict[str, Any]]) -> str:
    rows = []
    for item in city.interventions():
        before, after = (
            part.field("occupancy").values.sum(0, dtype=np.float64)
            for part in (item.untouched, item.edited)
        )
        day = item.edited.field("flow").start.date().isoformat()
        figures, usual = summaries[item.spec.id], summaries[day]
        unmade = figures["trips_avoided"] + figures["trips_impossible"]
        rows.append(
            (
                f"{item.spec.title} (`{item.spec.id}`)",
                item.spec.split.value,
                day,
                f"{np.abs(after - before).sum() / 2 / before.sum():.1%}",
                f"{usual['mean_delay_s']:.0f} → {figures['mean_delay_s']:.0f}",
                f"{figures['trips_diverted']:,}",
                f"{unmade:,}",
            )
        )
    head = ("intervention", "part", "day", "moved", "mean delay (s)", "other gate", "not made")
    return _table(head, rows)
