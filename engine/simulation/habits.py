"""What simulated days without edits tell of a city's streets, for the fast assignment.

Legend: T periods of the day, K moments of a period, E edges, G cells of the grid, P points.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from pyproj import Transformer
from scipy import sparse

from engine.errors import WeightsError
from engine.models.weights import load_weights, save_weights
from engine.simulation.calendar import DAY_S
from engine.simulation.day import make_clock, never, plan_trips, sumo_options, write_inputs
from engine.simulation.inputs import POINT_STEP_S, WARM_UP_S
from engine.simulation.interventions import Plan
from engine.simulation.model import TrafficModel
from engine.simulation.outputs import cells
from engine.simulation.process import run_sumo

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
KIND = "streets"
PERIODS_S = tuple(3_600 * hour for hour in (0, 6, 10, 15, 19, 24))
"""Borders of the periods of a day, seconds after midnight: within one, times are taken as equal."""
NUM_MOMENTS = 8
SPEED_STEP_S, WINDOW_S = 10, 180
"""Drivers know a street's speed as the mean of the last three minutes, looked at every 10 s."""
SLOWEST_M_S = 0.3
FEW_VEHICLES = 20
"""Vehicles whose time is taken from the whole day, so that rare ones do not rule a period."""


@dataclass(frozen=True, eq=False)
class StreetHabits:
    """How long vehicles are on each edge, and where on the map they are meanwhile.

    Args:
        dwell_s: (T, E) mean seconds on the edge and its junction.
        seen_s: (T, K, E) seconds that drivers reckon with, at K moments of each period.
        cells: (E, G) share of an edge's points in each cell of the grid.
    """

    dwell_s: Floats
    seen_s: Floats
    cells: sparse.csr_matrix


@dataclass(frozen=True, eq=False)
class ObservedDay:
    """A simulated day without edits.

    Args:
        habits: what it tells of the streets.
        volume: (T, E) vehicles that passed each edge.
        plan: its trips.
    """

    habits: StreetHabits
    volume: Floats
    plan: Plan


@dataclass(frozen=True, eq=False)
class _Points:
    """(P,) every 5 s of every vehicle: vehicle, time, edge (-1 on a junction), cell, speed."""

    vehicle: Indices
    time_s: Indices
    edge: Indices
    cell: Indices
    speed_m_s: Floats


def observe_streets(model: TrafficModel, day: date, seed: int = 0) -> ObservedDay:
    """Simulate a day without edits and look at every edge; about 20 s of a processor.

    Raises:
        SimulatorMissingError, SimulatorFailedError: SUMO is not there, or ended with an error.
    """
    clock = make_clock(model, day, (0, 24))
    plan, sumo_s = plan_trips(model, day, (), clock, seed)
    with tempfile.TemporaryDirectory(prefix="citybrush-sumo-") as scratch:
        folder = Path(scratch)
        write_inputs(model, day, plan, sumo_s, clock, folder)
        options = sumo_options(model, clock, seed)
        options[options.index("--fcd-output.attributes") + 1] = "id,x,y,speed,lane"
        for _ in run_sumo(folder, options, never):
            pass
        points = _read(model, folder / "tracks.parquet")
    return ObservedDay(*_summarise(model, points), plan)


def _read(model: TrafficModel, path: Path) -> _Points:
    table = pq.read_table(path)
    table = table.filter(pc.is_finite(table["vehicle_x"]))
    time_s = np.round(table["timestep_time"].to_numpy()).astype(np.int64) - WARM_UP_S
    vehicle = pc.cast(table["vehicle_id"], pa.int64()).to_numpy()
    lanes = table["vehicle_lane"].combine_chunks().dictionary_encode()
    names = [str(name).rsplit("_", 1)[0] for name in lanes.dictionary.to_pylist()]
    known = np.array([model.edge_index.get(name, -1) for name in names], np.int64)
    edge = known[lanes.indices.to_numpy()]
    to_degrees = Transformer.from_crs(model.crs, "EPSG:4326", always_xy=True)
    x, y = table["vehicle_x"].to_numpy(), table["vehicle_y"].to_numpy()
    lon, lat = to_degrees.transform(x - model.offset_m[0], y - model.offset_m[1])
    cell = cells(model.grid, np.asarray(lon), np.asarray(lat))
    order = np.lexsort((time_s, vehicle))
    speed = table["vehicle_speed"].to_numpy().astype(np.float64)
    return _Points(vehicle[order], time_s[order], edge[order], cell[order], speed[order])


def _summarise(model: TrafficModel, points: _Points) -> tuple[StreetHabits, Floats]:
    """The habits, and (T, E) vehicles that passed each edge."""
    num, num_periods = len(model.edges), len(PERIODS_S) - 1
    counted = (points.time_s >= 0) & (points.time_s < DAY_S)
    edge = _with_junctions(points)
    used = counted & (edge >= 0)
    period = np.searchsorted(PERIODS_S, points.time_s, side="right") - 1
    key = period * num + edge
    length = np.array([edge.length_m for edge in model.edges])
    stays = np.bincount(key[used], minlength=num_periods * num).reshape(num_periods, num)
    # many vehicles pass a short edge unseen between two looks: their number follows from the
    # distance that was driven on it
    along = used & (points.edge >= 0)
    driven_m = POINT_STEP_S * np.bincount(
        key[along], points.speed_m_s[along], minlength=num_periods * num
    )
    visits = driven_m.reshape(num_periods, num) / length
    free = np.array([edge.length_m / (edge.speed_kmh / 3.6) for edge in model.edges])
    whole = stays.sum(axis=0) * POINT_STEP_S / np.maximum(visits.sum(axis=0), 1)
    whole = np.where(visits.sum(axis=0) >= 1, whole, free)
    dwell = (stays * POINT_STEP_S + FEW_VEHICLES * whole) / (visits + FEW_VEHICLES)
    spread = sparse.csr_matrix(
        (np.ones(int(used.sum())), (edge[used], points.cell[used])), (num, model.grid.num_cells)
    )
    share = sparse.diags(1 / np.maximum(np.asarray(spread.sum(axis=1)).ravel(), 1))
    seen = np.maximum(_expected_times(model, points), free)
    return StreetHabits(dwell, seen, (share @ spread).tocsr()), visits


def _with_junctions(points: _Points) -> Indices:
    """(P,) the edge of each point; on a junction, the edge that led there."""
    index = np.arange(len(points.edge))
    first = np.ones(len(index), dtype=bool)
    first[1:] = points.vehicle[1:] != points.vehicle[:-1]
    last_known = np.maximum.accumulate(np.where((points.edge >= 0) | first, index, 0))
    return points.edge[last_known]


def _expected_times(model: TrafficModel, points: _Points) -> Floats:
    """(T, K, E) seconds by the mean speed of three minutes; an empty edge counts as free."""
    num, num_steps = len(model.edges), DAY_S // SPEED_STEP_S
    looked = (points.edge >= 0) & (points.time_s >= 0) & (points.time_s < DAY_S)
    looked &= points.time_s % SPEED_STEP_S == 0
    key = points.time_s[looked] // SPEED_STEP_S * num + points.edge[looked]
    count = np.bincount(key, minlength=num_steps * num)
    total = np.bincount(key, points.speed_m_s[looked], minlength=num_steps * num)
    limit = np.array([edge.speed_kmh / 3.6 for edge in model.edges])
    speed = np.where(count > 0, total / np.maximum(count, 1), np.tile(limit, num_steps))
    windows = speed.reshape(-1, WINDOW_S // SPEED_STEP_S, num).mean(axis=1)
    length = np.array([edge.length_m for edge in model.edges])
    times = length / np.maximum(windows, SLOWEST_M_S)
    moments = [
        np.linspace(begin // WINDOW_S, end // WINDOW_S - 1, NUM_MOMENTS + 2).astype(int)[1:-1]
        for begin, end in pairwise(PERIODS_S)
    ]
    return np.stack([times[chosen] for chosen in moments])


def save_habits(
    path: Path,
    habits: StreetHabits,
    city_id: str,
    days: Sequence[date],
    figures: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Write them as a file with a card, as weights are.

    Args:
        path: of the file.
        habits: observed.
        city_id: where.
        days: when.
        figures: how well they explain another day, for the card.
    """
    table = habits.cells.tocoo()
    parts = {
        "dwell_s": habits.dwell_s,
        "seen_s": habits.seen_s,
        "share": table.data,
    }
    tensors = {name: torch.from_numpy(values.astype(np.float32)) for name, values in parts.items()}
    places = np.stack([table.row, table.col]).astype(np.int32)
    tensors["places"] = torch.from_numpy(places)
    card = {
        "name": path.stem,
        "kind": KIND,
        "data": {
            "city": city_id,
            "days": [day.isoformat() for day in days],
            "terms": "As the city",
        },
        "num_cells": int(table.shape[1]),
        "metrics": dict(figures),
    }
    save_weights(path, tensors, card)


def load_habits(path: Path) -> StreetHabits:
    """Read what :func:`save_habits` wrote.

    Raises:
        WeightsError: missing, damaged, or something else.
    """
    tensors, card = load_weights(path)
    if card.get("kind") != KIND:
        raise WeightsError("This file does not say how long streets take.", path.name)
    try:
        values = {name: tensor.double().numpy() for name, tensor in tensors.items()}
        row, col = tensors["places"].numpy()
        shape = values["dwell_s"].shape[1], int(card["num_cells"])
        table = sparse.csr_matrix((values["share"], (row, col)), shape)
        return StreetHabits(values["dwell_s"], values["seen_s"], table)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise WeightsError("The file of the streets is incomplete.", path.name) from error
