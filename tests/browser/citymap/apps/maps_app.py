"""All maps of the component, chosen by the address: ?map=mask&n=32."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import streamlit as st

sys.path.insert(0, str(Path(__file__).parent))
import city

from engine.geo.hexagons import HexCells
from pages.shared.citymap import (
    ColorScale,
    Frames,
    HeatView,
    MapOptions,
    StreetChoice,
    StreetLines,
    TripGroup,
    TripMotion,
    paint_mask,
    paint_occupancy,
    select_streets,
    view_maps,
    view_trips,
)
from pages.shared.state import component_state

st.set_page_config(layout="wide")
query = st.query_params
kind, n, steps = query.get("map", "mask"), int(query.get("n", "16")), int(query.get("t", "12"))
height = int(query.get("height", "480"))


def options(label: str, **more: object) -> MapOptions:
    return MapOptions(label=label, height=height, basemap=city.basemap(), **more)


def out(text: str) -> None:
    store = component_state()
    store["runs"] = store.get("runs", 0) + 1
    st.text(f"out: {text} runs={store['runs']}")


def digest(values: np.ndarray, kind: str) -> str:
    return hashlib.sha1(np.ascontiguousarray(values, dtype=kind).tobytes()).hexdigest()[:12]


def mask() -> None:
    grid = city.grid(n)
    available = np.ones((n, n), bool)
    available[:2, :2] = False
    result = paint_mask(
        grid,
        np.ones((n, n), bool),
        key="mask",
        options=options("Sensors"),
        available=available if query.get("holes") else None,
    )
    gone = np.flatnonzero(~result.observed)
    out(
        f"revision={result.revision} missing={gone.size} first={gone[:5].tolist()} "
        f"digest={digest(result.observed, 'u1')}"
    )


def occupancy() -> None:
    grid = city.grid(n)
    base = city.occupancy(n, n)
    streets = StreetChoice(StreetLines.from_frame(city.streets())) if query.get("streets") else None
    result = paint_occupancy(
        grid,
        base,
        key="occupancy",
        options=options("Occupancy"),
        scale=ColorScale(0, 120, "people", "persons"),
        streets=streets,
    )
    out(
        f"revision={result.revision} total={result.values.sum():.3f} base={base.sum():.3f} "
        f"changed={int((result.values.astype('f4') != base.astype('f4')).sum())} "
        f"blocked={int(result.blocked.sum())} painted={int(result.painted.sum())} "
        f"kept={result.total_kept} closed={len(result.closed_streets)} "
        f"digest={digest(np.where(result.blocked, -1, result.values), 'f4')}"
    )


def hexagons() -> None:
    from h3 import grid_disk, latlng_to_cell

    box = city.grid(2)
    lon, lat = box.center
    ids = tuple(sorted(grid_disk(latlng_to_cell(lat, lon, 10), n)))
    cells = HexCells(box, 10, ids)
    base = np.linspace(0, 60, len(cells))
    result = paint_occupancy(cells, base, key="hexagons", options=options("Occupancy"))
    changed = np.flatnonzero(result.values.astype("f4") != base.astype("f4"))
    out(
        f"revision={result.revision} cells={len(cells)} changed={changed.size} "
        f"digest={digest(result.values, 'f4')}"
    )


def streets() -> None:
    choice = StreetChoice(StreetLines.from_frame(city.streets()))
    result = select_streets(choice, key="streets", options=options("Streets"))
    out(f"revision={result.revision} closed={len(result.closed)} ids={list(result.closed[:3])}")


@st.cache_data
def fields(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    base = city.occupancy(size, size)
    wave = 0.6 + 0.4 * np.sin(np.linspace(0, 2 * np.pi, count, endpoint=False))
    truth = base[None] * wave[:, None, None]
    noise = np.random.default_rng(1).normal(1, 0.12, truth.shape)
    return truth, np.clip(truth * noise, 0, None)


def views() -> None:
    grid = city.grid(n)
    truth, result = fields(n, steps)
    ticks = component_state().get("runs", 0) if query.get("tick") else 0
    if query.get("tick"):
        st.button("Tick")
        result = result * (1 + 0.1 * ticks)  # as the estimates of a running job change
    people = {"label": "people", "unit": "persons", "group": "people"}
    all_views = [
        HeatView("Truth", truth, ColorScale.of(truth, **people)),
        HeatView("Result", result, ColorScale.of(result, **people)),
        HeatView(
            "Absolute error",
            np.abs(truth - result),
            ColorScale.of(np.abs(truth - result), "error", "persons", palette="violet"),
        ),
        HeatView("Difference", result - truth, ColorScale.around_zero(result - truth, "change")),
    ]
    frames = Frames(tuple(f"Mon {h // 2:02d}:{h % 2 * 30:02d}" for h in range(steps)), 8)
    if steps > 48:
        frames = Frames()
    chosen = view_maps(
        grid,
        all_views[: int(query.get("views", "3"))],
        key="views",
        frames=frames,
        options=options("Truth and result", is_3d=query.get("flat") is None),
        version=("views", n, steps, query.get("views"), ticks),
    )
    out(
        f"cell={chosen.cell} row={chosen.row} col={chosen.col} "
        f"step={chosen.step} view={chosen.view}"
    )


def trips() -> None:
    rng = np.random.default_rng(4)
    lines = [np.asarray(line.coords)[:, :2] for line in city.streets().geometry]
    ends = {}
    for i, line in enumerate(lines):
        ends.setdefault(tuple(line[0].round(7)), []).append(i)

    def walk() -> tuple[np.ndarray, np.ndarray]:
        path = list(lines[rng.integers(len(lines))])
        for _ in range(14):
            following = ends.get(tuple(path[-1].round(7)))
            if not following:
                break
            path += list(lines[following[rng.integers(len(following))]])[1:]
        points = np.array(path)
        steps = np.hypot(*(np.diff(points, axis=0) * [68_000, 111_000]).T)
        return points, 28_800 + rng.uniform(0, 600) + np.r_[0, np.cumsum(steps / 9)]

    def group(title: str, count: int) -> TripGroup:
        both = [walk() for _ in range(count)]
        speed = rng.uniform(10, 50, count)
        return TripGroup(title, [p for p, _ in both], [t for _, t in both], speed)

    line = view_trips(
        [group("Baseline", 150), group("Scenario", 150)],
        key="trips",
        motion=TripMotion(
            side_by_side=query.get("side") is not None,
            scale=ColorScale(0, 50, "mean speed", "km/h", palette="viridis")
            if query.get("speed")
            else None,
        ),
        options=options("Trips"),
        version=("trips", query.get("speed"), query.get("side")),
        countable=query.get("line") is not None,
    )
    out("line=" + ",".join(f"{number:.6f}" for number in line or ()))


if query.get("other"):
    st.button("Rerun")


def nothing() -> None:
    st.button("Again")
    out("drawn")


def both() -> None:
    left, right = st.columns(2)
    with left:
        mask()
    with right:
        views()


DRAW = {
    "both": both,
    "nothing": nothing,
    "mask": mask,
    "occupancy": occupancy,
    "hexagons": hexagons,
    "streets": streets,
    "views": views,
    "trips": trips,
}
DRAW[kind]()
