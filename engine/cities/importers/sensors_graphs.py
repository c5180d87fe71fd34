"""What connects sensors: adjacencies from distances, edge lists or files, and their locations.

Shapes: N sensors, E edges.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.domain.sensors import SensorSeries
from engine.errors import SensorError

MAX_EDGES = 5_000_000
Graph = NDArray[np.float32]


def read_distances(path: Path) -> NDArray[np.float64]:
    """A square table of distances: PeMSD7's ``W_228.csv``, with or without a header row.

    Returns:
        (N, N), metres as a rule.

    Raises:
        SensorError: the file cannot be read, is not square, or holds negative numbers.
    """
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2)
        if len(table) == table.shape[1] + 1:  # a header of column numbers
            table = table[1:]
    except (OSError, ValueError) as error:
        raise SensorError("The distances cannot be read.", path.name, str(error)[:200]) from error
    if table.shape[0] != table.shape[1]:
        raise SensorError("The table of distances is not square.", f"{path.name}: {table.shape}")
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise SensorError("A distance is negative or no number.", path.name)
    return table


def read_edges(
    path: Path, sensors: Sequence[str], columns: tuple[str, str, str] = ("from", "to", "cost")
) -> NDArray[np.float64]:
    """An edge list with distances, as of PEMS03/04/07/08: one row an edge, one direction.

    Args:
        path: ``.csv`` with a header.
        sensors: N names, as the edge list uses them.
        columns: of the two sensors and the distance.

    Returns:
        (N, N) distances; infinite where there is no edge, zero on the diagonal.

    Raises:
        SensorError: the file cannot be read, lacks a column, or names an unknown sensor.
    """
    place = {sensor: i for i, sensor in enumerate(sensors)}
    distance_NN = np.full((len(sensors), len(sensors)), np.inf)
    np.fill_diagonal(distance_NN, 0)
    for number, row in enumerate(_read_rows(path, columns), start=2):
        try:
            i, j, length = place[row[columns[0]]], place[row[columns[1]]], float(row[columns[2]])
        except (KeyError, ValueError) as error:
            raise SensorError(
                "An edge names an unknown sensor, or its distance is no number.",
                f"{path.name}, row {number}: {', '.join(row.values())[:80]}",
                f"The series has the sensors {', '.join(sensors[:3])} ...",
            ) from error
        if not length >= 0:
            raise SensorError("An edge's distance is negative.", f"{path.name}, row {number}")
        distance_NN[i, j] = min(distance_NN[i, j], length)
    return distance_NN


def weigh_distances(
    distance_NN: NDArray[np.float64], threshold: float = 0.1, scale: float | None = None
) -> Graph:
    """Nearness: exp(-(d / scale)^2), zero below the threshold.

    Source: Li et al., "Diffusion Convolutional Recurrent Neural Network", ICLR 2018; the scale
    is the standard deviation of the finite distances there.

    Args:
        distance_NN: distances, infinite where there is no way.
        threshold: weights below it become zero.
        scale: in the distances' unit; None for their standard deviation.

    Raises:
        SensorError: the distances do not vary, so that no scale can be found.
    """
    known = distance_NN[np.isfinite(distance_NN)]
    sigma = float(known.std()) if scale is None else scale
    if not sigma > 0:
        raise SensorError("The distances do not vary.", "", "Give the scale of the kernel.")
    weight_NN = np.exp(-((distance_NN / sigma) ** 2))
    return np.where(weight_NN >= threshold, weight_NN, 0).astype(np.float32)


def read_adjacency(path: Path) -> Graph:
    """A square ``.csv`` of weights, with or without a header row.

    Raises:
        SensorError: as :func:`read_distances`.
    """
    return read_distances(path).astype(np.float32)


def read_locations(path: Path, columns: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Longitude and latitude of sensors.

    Args:
        path: ``.csv`` with a header: METR-LA's ``graph_sensor_locations.csv``, PeMSD7's stations.
        columns: the names of the columns ``sensor``, ``lon`` and ``lat``.

    Raises:
        SensorError: the file cannot be read, lacks a column, or a position is not on Earth.
    """
    wanted = (columns["sensor"], columns["lon"], columns["lat"])
    places: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(_read_rows(path, wanted), start=2):
        try:
            lon, lat = float(row[wanted[1]]), float(row[wanted[2]])
        except ValueError as error:
            raise SensorError("A position is no number.", f"{path.name}, row {number}") from error
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise SensorError(
                "A position is not on Earth.",
                f"{path.name}, row {number}: lon {lon}, lat {lat}",
                "Are longitude and latitude swapped?",
            )
        places[row[wanted[0]]] = lon, lat
    return places


def place_sensors(series: SensorSeries, places: Mapping[str, tuple[float, float]]) -> SensorSeries:
    """The series with the positions of its sensors.

    Raises:
        SensorError: a sensor has no position.
    """
    absent = [sensor for sensor in series.sensors if sensor not in places]
    if absent:
        raise SensorError(
            f"{len(absent)} of {len(series.sensors)} sensors have no position.",
            ", ".join(absent[:5]),
        )
    return replace(series, positions_N2=np.array([places[sensor] for sensor in series.sensors]))


def connect_sensors(series: SensorSeries, adjacency_NN: Graph) -> SensorSeries:
    """The series with an adjacency of exactly its sensors.

    Raises:
        SensorError: the adjacency is of another size.
    """
    return replace(series, adjacency_NN=adjacency_NN)


def _read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            absent = [name for name in columns if name not in (reader.fieldnames or ())]
            if absent:
                raise SensorError(
                    f"The table has no column '{absent[0]}'.",
                    path.name,
                    f"It has: {', '.join(reader.fieldnames or ())[:200]}.",
                )
            rows: list[dict[str, str]] = []
            for row in reader:
                if len(rows) >= MAX_EDGES:
                    raise SensorError("The table has too many rows.", path.name)
                rows.append({name: (row[name] or "").strip() for name in columns})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SensorError("The table cannot be read.", path.name, str(error)[:200]) from error
    return rows
