"""Figures that show whether a simulated city is plausible, drawn from its data alone.

matplotlib is needed only here: ``pip install matplotlib``.
"""

import io
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.cities import City, Intervention
from engine.errors import CityError, EngineError, StorageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY, RED = "#2563eb", "#ea580c", "#059669", "#6b7280", "#dc2626"
INK, PAPER = "#111827", "#ffffff"
DPI = 110
DAY_STEPS = 48
WEEKDAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SHOWN_INTERVENTION = "close-rudower-west"
BUSIEST = 24
"""Sensors in the figures of speed: those that count most vehicles."""


def draw_figures(city: City, folder: Path) -> Iterator[Path]:
    """Draw all figures of a city as PNG files.

    Args:
        city: a simulated city with flow, segments and trajectories.
        folder: where to; made if it is not there.

    Yields:
        The path of each figure once it is written.

    Raises:
        EngineError: matplotlib is not installed.
        CityError: the city lacks what a figure shows.
        StorageError: a full disk, missing rights.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise EngineError(
            "Drawing figures needs matplotlib.", "", "Install it with: pip install matplotlib."
        ) from error
    style: Any = {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.grid": True,
        "grid.color": "#e5e7eb",
        "axes.axisbelow": True,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "legend.frameon": False,
    }
    for name, draw in FIGURES.items():
        with mpl.rc_context(style):
            figure = draw(city)
            yield _save(figure, city, folder / f"{name}.png")


def _save(figure: "Figure", city: City, path: Path) -> Path:
    figure.text(0.995, 0.005, city.metadata.notice, ha="right", va="bottom", size=7, color=GREY)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None}, facecolor=PAPER)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".tmp")
        scratch.write_bytes(buffer.getvalue())
        scratch.replace(path)
    except OSError as error:
        raise StorageError("A figure could not be written.", str(path)) from error
    return path


def _figure(width: float, height: float, columns: int = 1) -> tuple["Figure", Any]:
    """A figure that belongs to no window system."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(rect=(0, 0.03, 1, 0.97))
    figure = Figure(figsize=(width, height), layout=engine)
    return figure, figure.subplots(1, columns)


def _days(city: City) -> tuple[NDArray[np.float64], list[str], list[int]]:
    """Total flow as (days, 48), and each day's type and weekday."""
    flow = city.field("flow")
    total = flow.values.sum(axis=(1, 2), dtype=np.float64)
    context = city.context()
    types = context["day_type"].tolist()[::DAY_STEPS]
    zone = city.zone
    starts = [flow.start.astimezone(UTC) + timedelta(days=i) for i in range(len(types))]
    weekdays = [start.astimezone(zone).weekday() for start in starts]
    return total.reshape(-1, DAY_STEPS), types, weekdays


def _day_profile(city: City) -> "Figure":
    total, types, _ = _days(city)
    clock = np.arange(DAY_STEPS) / 2 + 0.25
    figure, axes = _figure(9, 4.2)
    groups = (
        ("Working days", ("weekday",), BLUE),
        ("School holidays", ("school-holiday",), GREEN),
        ("Saturdays", ("saturday",), ORANGE),
        ("Sundays and public holidays", ("sunday", "holiday"), RED),
    )
    for label, wanted, color in groups:
        chosen = total[[t in wanted for t in types]]
        if len(chosen):
            low, high = np.percentile(chosen, [10, 90], axis=0)
            axes.fill_between(clock, low / 1000, high / 1000, color=color, alpha=0.15, lw=0)
            text = f"{label} ({len(chosen)})"
            axes.plot(clock, chosen.mean(0) / 1000, color=color, lw=2, label=text)
    axes.set(
        title="A day: two peaks when people work, one hump when they do not",
        xlabel="local time (h)",
        ylabel="cell entries per 30 min (thousands)",
        xlim=(0, 24),
        ylim=(0, 1.3 * float(total.max()) / 1000),
        xticks=range(0, 25, 3),
    )
    axes.legend(loc="upper center", ncols=2, title="mean and middle 80 % of the days")
    return figure


def _week_profile(city: City) -> "Figure":
    total, types, weekdays = _days(city)
    figure, axes = _figure(9, 4.2)
    hours = np.arange(7 * DAY_STEPS) / 2
    usual = [t in ("weekday", "saturday", "sunday") for t in types]
    for label, wanted, color, width in (
        ("usual weeks, mean", True, BLUE, 2.0),
        ("holidays and school holidays, mean", False, ORANGE, 1.4),
    ):
        line = np.full((7, DAY_STEPS), np.nan)
        for weekday in range(7):
            rows = [u == wanted and w == weekday for u, w in zip(usual, weekdays, strict=True)]
            if any(rows):
                line[weekday] = total[rows].mean(0)
        axes.plot(hours, line.ravel() / 1000, color=color, lw=width, label=label)
    axes.set(
        title="A week",
        ylabel="cell entries per 30 min (thousands)",
        xlim=(0, 168),
        ylim=(0, 1.2 * float(total.max()) / 1000),
        xticks=np.arange(7) * 24 + 12,
        xticklabels=WEEKDAY_NAMES,
    )
    axes.legend(loc="upper right")
    return figure


def _speed_and_flow(city: City) -> "Figure":
    series = city.segments()
    figure, (left, right) = _figure(11, 4.2, 2)
    count = series.count.astype(np.float64)
    busiest = np.argsort(-count.sum(0))[:BUSIEST]
    _speed_by_time(left, city, series.speed_kmh, count, busiest)
    main = busiest[:4]
    names = city.sensors()["name"].tolist()
    for sensor, color in zip(main, (BLUE, ORANGE, GREEN, RED), strict=False):
        hourly = count[:, sensor].reshape(-1, 6).sum(1) * 2
        weighted = np.nan_to_num(series.speed_kmh[:, sensor]) * count[:, sensor]
        speed = weighted.reshape(-1, 6).sum(1) / np.maximum(hourly / 2, 1)
        seen = hourly > 0
        right.scatter(
            hourly[seen],
            speed[seen],
            s=5,
            alpha=0.35,
            lw=0,
            color=color,
            label=f"{names[sensor]} ({series.sensor_ids[sensor]})",
        )
    right.set(
        title="Speed against flow",
        xlabel="vehicles per hour, from 30 minutes",
        ylabel="mean speed (km/h)",
        ylim=(0, None),
        xlim=(0, None),
    )
    right.legend(loc="upper right", markerscale=3, fontsize=8)
    return figure


def _speed_by_time(
    axes: "Axes",
    city: City,
    speed: NDArray[np.float32],
    count: NDArray[np.float64],
    sensors: NDArray[np.int64],
) -> None:
    """Mean speed of the busiest sensors over the day, weighted by vehicles, by weather."""
    context = city.context()
    steps = 288
    working = np.repeat((context["day_type"] == "weekday").to_numpy(), 6)
    wet = np.repeat((context["rain_mm_h"] > 0).to_numpy(), 6)
    weighted = np.nan_to_num(speed[:, sensors]) * count[:, sensors]
    for label, chosen, color in (
        ("dry", working & ~wet, BLUE),
        ("rain", working & wet, GREEN),
    ):
        keep = chosen[: len(weighted), None]
        top = (weighted * keep).reshape(-1, steps, len(sensors)).sum((0, 2))
        bottom = (count[:, sensors] * keep).reshape(-1, steps, len(sensors)).sum((0, 2))
        smooth = np.ones(6)
        line = np.convolve(top, smooth, "same") / np.maximum(np.convolve(bottom, smooth, "same"), 1)
        line[np.convolve(bottom, smooth, "same") <= 50] = np.nan
        clock = np.arange(steps) / 12
        axes.plot(clock, line, color=color, lw=1.8, label=f"working days, {label}")
    axes.set(
        title=f"Speed on the {len(sensors)} busiest segments",
        xlabel="local time (h)",
        ylabel="mean speed (km/h)",
        xlim=(0, 24),
        ylim=(0, None),
        xticks=range(0, 25, 3),
    )
    axes.legend(loc="lower right")


def _trips(city: City) -> "Figure":
    lengths, minutes, purposes = _trip_sizes(city)
    figure, (left, right) = _figure(11, 4.2, 2)
    groups = {
        "through": (BLUE, purposes == "through"),
        "all others": (ORANGE, purposes != "through"),
    }
    for axes, values, top, unit in (
        (left, lengths / 1000, 3.5, "length (km)"),
        (right, minutes, 15.0, "duration (min)"),
    ):
        bins = np.linspace(0, top, 51)
        stack = [values[chosen] for _, chosen in groups.values()]
        colors = [color for color, _ in groups.values()]
        axes.hist(stack, bins, stacked=True, color=colors, label=list(groups))
        axes.axvline(float(np.median(values)), color=INK, lw=1, ls="--")
        axes.set(xlabel=unit, ylabel="trips", xlim=(0, top))
        axes.text(float(np.median(values)), axes.get_ylim()[1] * 0.97, " median", va="top", size=8)
    left.set_title(f"Length of {len(lengths):,} trips")
    right.set_title("Duration")
    right.legend(loc="upper right")
    return figure


def _trip_sizes(city: City) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Length (m), duration (min) and purpose of all trips, from their points."""
    lengths: list[NDArray[Any]] = []
    minutes: list[NDArray[Any]] = []
    purposes: list[str] = []
    for batch in city.trajectories():
        lat = batch.lat_deg
        x = np.diff(batch.lon_deg) * 111_320 * np.cos(np.radians(lat[:-1]))
        step = np.hypot(x, np.diff(lat) * 111_132)
        step[batch.offsets[1:-1] - 1] = 0
        total = np.concatenate([[0.0], np.cumsum(step)])
        lengths.append(total[batch.offsets[1:] - 1] - total[batch.offsets[:-1]])
        minutes.append((batch.num_points - 1) * batch.step_s / 60)
        purposes += batch.purposes
    return np.concatenate(lengths), np.concatenate(minutes), np.array(purposes)


def _flow_map(city: City) -> "Figure":
    flow = city.field("flow")
    days = len(flow) / DAY_STEPS
    figure, axes = _figure(9, 7.2)
    mean = flow.values.sum(0, dtype=np.float64) / days
    shown = np.where(mean > 0, mean, np.nan)
    image = _show_grid(axes, city, shown, cmap="viridis", norm="log")
    figure.colorbar(image, ax=axes, shrink=0.8, label="vehicles entering the cell, mean of a day")
    axes.set_title("Where the traffic is")
    return figure


def _closure(city: City) -> "Figure":
    intervention = _intervention(city)
    before, after = (
        part.field("occupancy").values.sum(0, dtype=np.float64) * 5 / 3600
        for part in (intervention.untouched, intervention.edited)
    )
    change = after - before
    figure, axes = _figure(9, 7.2)
    limit = float(np.percentile(np.abs(change[before > 0]), 99))
    shown = np.where((before > 0) | (after > 0), change, np.nan)
    image = _show_grid(axes, city, shown, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(image, ax=axes, shrink=0.8, label="vehicle hours a day, more (red) or fewer")
    streets = city.streets().set_index("street_id")
    ids = [s for edit in intervention.spec.edits for s in getattr(edit, "street_ids", ())]
    for line in streets.loc[ids].geometry.explode():
        axes.plot(*line.xy, color=INK, lw=3.5, solid_capstyle="round")
    moved = np.abs(change).sum() / 2 / before.sum()
    axes.set_title(f"{intervention.spec.title}:\n{moved:.0%} of the traffic is elsewhere", size=10)
    return figure


def _intervention(city: City) -> Intervention:
    found = city.interventions()
    for intervention in found:
        if intervention.spec.id == SHOWN_INTERVENTION:
            return intervention
    if not found:
        raise CityError("The city has no interventions to draw.", city.id)
    return found[0]


def _show_grid(axes: "Axes", city: City, values: NDArray[np.float64], **style: Any) -> Any:  # noqa: ANN401
    west, south, east, north = city.bounds
    image = axes.imshow(values, extent=(west, east, south, north), origin="upper", **style)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for line in city.streets().geometry.explode():
            axes.plot(*line.xy, color=INK, lw=0.5, alpha=0.55)
    axes.set(
        aspect=1 / np.cos(np.radians((south + north) / 2)),
        xlabel="longitude (°)",
        ylabel="latitude (°)",
        xlim=(west, east),
        ylim=(south, north),
    )
    axes.grid(visible=False)
    axes.ticklabel_format(useOffset=False)
    return image


FIGURES: dict[str, Callable[[City], "Figure"]] = {
    "day": _day_profile,
    "week": _week_profile,
    "speed": _speed_and_flow,
    "trips": _trips,
    "map": _flow_map,
    "closure": _closure,
}
"""File name of each figure and what draws it."""
