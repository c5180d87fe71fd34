"""Making a traffic model out of a network and the tables of :mod:`engine.simulation.adlershof`."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from pyproj import Transformer
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from engine.domain import Grid
from engine.simulation import adlershof as place
from engine.simulation.model import (
    NET_FILE,
    Edge,
    StreetRef,
    TrafficModel,
    Zone,
    save_model,
)
from engine.simulation.network import (
    ADLERSHOF_NET,
    RoadEdge,
    RoadNetwork,
    clean_network,
    read_network,
    sumo_home,
)
from engine.simulation.streets import Street, find_streets


def build_adlershof(
    folder: Path, volume: float = place.VOLUME, seed: int = place.SEED
) -> TrafficModel:
    """Clean the network and write network and traffic model under ``folder``.

    Args:
        folder: the city's folder; ``network/`` is made in it.
        volume: factor on all demand.
        seed: of demand, weather and events.

    Raises:
        SimulatorMissingError: SUMO is not installed.
    """
    clean_network(sumo_home() / ADLERSHOF_NET, folder / NET_FILE)
    network = read_network(folder / NET_FILE)
    model = make_model(network, find_streets(network), folder / NET_FILE, (volume, seed))
    save_model(model, folder)
    return model


def to_degrees(network_offset: tuple[float, float], points: np.ndarray) -> np.ndarray:
    """Longitude and latitude of points in the network's metres; (n, 2) to (n, 2)."""
    transformer = Transformer.from_crs(place.CRS, "EPSG:4326", always_xy=True)
    shifted = np.asarray(points, dtype=float).reshape(-1, 2) - np.array(network_offset)
    return np.column_stack(transformer.transform(shifted[:, 0], shifted[:, 1]))


def city_grid(network: RoadNetwork) -> Grid:
    """The grid over all car streets with a margin, in degrees."""
    points = np.array([point for edge in network.edges for point in edge.shape])
    low, high = points.min(0) - place.MARGIN_M, points.max(0) + place.MARGIN_M
    corners = [(x, y) for x in (low[0], high[0]) for y in (low[1], high[1])]
    degrees = to_degrees(network.offset, np.array(corners))
    west, south = np.floor(degrees.min(0) * 1e4) / 1e4
    east, north = np.ceil(degrees.max(0) * 1e4) / 1e4
    west, south, east, north = (round(float(v), 4) for v in (west, south, east, north))
    return Grid(west, south, east, north, place.ROWS, place.COLS, place.MAGNIFICATION)


def make_model(
    network: RoadNetwork, streets: tuple[Street, ...], net: Path, scale: tuple[float, int]
) -> TrafficModel:
    """The traffic model of Berlin-Adlershof on that network; scale is volume and seed."""
    street_of = {edge: street.id for street in streets for edge in street.edges}
    edges = tuple(
        Edge(
            edge.id,
            street_of[edge.id],
            round(edge.length_m, 2),
            edge.speed_kmh,
            edge.lanes,
            round(edge.middle[0], 1),
            round(edge.middle[1], 1),
            round(edge.length_m * place.ACCESS.get(edge.kind, 0.0), 1),
        )
        for edge in network.edges
    )
    index = {edge.id: i for i, edge in enumerate(edges)}
    centres = to_degrees(network.offset, np.array([_middle(street) for street in streets]))
    return TrafficModel(
        city_id=place.CITY_ID,
        timezone=place.TIMEZONE,
        crs=place.CRS,
        offset_m=network.offset,
        grid=city_grid(network),
        seed=scale[1],
        volume=scale[0],
        edges=edges,
        links=tuple((index[a], index[b]) for a, b in network.links if a in index and b in index),
        streets=tuple(
            StreetRef(s.id, s.name, round(float(lon), 6), round(float(lat), 6), s.edges)
            for s, (lon, lat) in zip(streets, centres, strict=True)
        ),
        zones=_zones(network),
        gates=place.GATES,
        through=_through(),
        sensors=_sensors(network, streets),
        net=net,
    )


def _middle(street: Street) -> tuple[float, float]:
    line = max(street.lines.geoms, key=lambda part: part.length)
    point = line.interpolate(0.5, normalized=True)
    return point.x, point.y


def _zones(network: RoadNetwork) -> tuple[Zone, ...]:
    """Each edge with access goes to the zone whose centre is nearest."""
    centres = np.array([(seed.x_m, seed.y_m) for seed in place.ZONES])
    gates = {edge for gate in place.GATES for edge in (gate.entry, gate.exit)}
    usable = _well_connected(network)
    edges: dict[int, list[str]] = defaultdict(list)
    for edge in network.edges:
        if place.ACCESS.get(edge.kind, 0.0) and edge.id not in gates and edge.id in usable:
            nearest = int(((centres - np.array(edge.middle)) ** 2).sum(1).argmin())
            edges[nearest].append(edge.id)
    return tuple(
        Zone(s.id, s.name, s.kind, s.homes, s.jobs, s.study, s.leisure, tuple(edges[i]))
        for i, s in enumerate(place.ZONES)
    )


def _well_connected(network: RoadNetwork) -> set[str]:
    """Edges of the largest strongly connected part: one can get there and away again."""
    index = {edge.id: i for i, edge in enumerate(network.edges)}
    rows = [index[a] for a, b in network.links if a in index and b in index]
    cols = [index[b] for a, b in network.links if a in index and b in index]
    graph = csr_matrix((np.ones(len(rows)), (rows, cols)), shape=(len(index),) * 2)
    _, label = connected_components(graph, connection="strong")
    largest = np.bincount(label).argmax()
    return {edge.id for edge in network.edges if label[index[edge.id]] == largest}


def _through() -> tuple[tuple[int, int, float], ...]:
    ids = [gate.id for gate in place.GATES]
    pairs = []
    for (one, other), weight in place.THROUGH_PAIRS.items():
        for first, second in (
            (ids.index(one), ids.index(other)),
            (ids.index(other), ids.index(one)),
        ):
            if place.GATES[first].entry and place.GATES[second].exit:
                pairs.append((first, second, weight))
    return tuple(sorted(pairs))


def _sensors(network: RoadNetwork, streets: tuple[Street, ...]) -> tuple[str, ...]:
    """The longest edge of each street and direction, larger roads first."""
    edges = {edge.id: edge for edge in network.edges}
    rank = list(place.ACCESS)
    best: dict[tuple[str, bool], RoadEdge] = {}
    for street in streets:
        for edge in (edges[e] for e in street.edges):
            side = (street.id, _heads_east(edge))
            if side not in best or edge.length_m > best[side].length_m:
                best[side] = edge
    candidates = [edge for edge in best.values() if edge.length_m >= 25 and edge.kind in rank]
    candidates.sort(key=lambda e: (-rank.index(e.kind), -e.length_m, e.id))
    return tuple(sorted(edge.id for edge in candidates[: place.NUM_SENSORS]))


def _heads_east(edge: RoadEdge) -> bool:
    (x0, y0), (x1, y1) = edge.shape[0], edge.shape[-1]
    return (x1 - x0) + 0.01 * (y1 - y0) > 0
