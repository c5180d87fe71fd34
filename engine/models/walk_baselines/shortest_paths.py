"""Shortest paths between origins and destinations drawn from the map.

On the street network where there is one; otherwise on the map's own cells: cells that somebody
visited are the network, and a busy one is quicker to cross, as main streets are.

Shapes: V nodes, E edges, N trips.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra

from engine.errors import InputError
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.tracks import Floats, Indices, Tracks, tracks_from_trips
from engine.models.walk_baselines.guided_walk import draw_places

MAX_ORIGINS = 2_000
"""Different origins of one call: the costly part. More trips share them."""
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True, eq=False)
class StreetGraph:
    """A network of straight edges.

    Args:
        nodes_m: (V, 2) positions, metres.
        tail: (E,) node where each edge begins.
        head: (E,) node where it ends.
        cost_s: (E,) time to travel it, positive.
        length_m: (E,) its length, positive.

    Raises:
        InputError: the arrays do not fit, or a cost is not positive.
    """

    nodes_m: Floats
    tail: Indices
    head: Indices
    cost_s: Floats
    length_m: Floats

    def __post_init__(self) -> None:
        same = len(self.tail) == len(self.head) == len(self.cost_s) == len(self.length_m)
        if not same or not len(self.tail):
            raise InputError("The street network's edges do not fit, or there are none.")
        ends = np.concatenate([self.tail, self.head])
        if ends.min() < 0 or ends.max() >= len(self.nodes_m):
            raise InputError("An edge of the street network leads to a node that does not exist.")
        if not ((self.cost_s > 0).all() and (self.length_m > 0).all()):
            raise InputError("An edge of the street network has no length or no cost.")

    def matrix(self) -> sparse.csr_matrix:
        """(V, V) cost of the cheapest edge between two nodes."""
        order = np.lexsort((self.cost_s, self.head, self.tail))
        tail, head, cost = self.tail[order], self.head[order], self.cost_s[order]
        first = np.concatenate([[True], (np.diff(tail) != 0) | (np.diff(head) != 0)])
        shape = len(self.nodes_m), len(self.nodes_m)
        return sparse.csr_matrix((cost[first], (tail[first], head[first])), shape=shape)


def graph_of_map(city: CityMap, speed_m_s: float) -> StreetGraph:
    """Visited cells and their eight neighbours as a network; busier cells are up to 3 x quicker.

    Args:
        city: the map.
        speed_m_s: on cells of median occupancy.
    """
    used = city.counts > 0
    number = np.cumsum(used.ravel()).reshape(used.shape) - 1
    cells = np.flatnonzero(used.ravel())
    level = city.counts.ravel()[cells]
    quick = np.clip((level / np.median(level)) ** 0.25, 1 / 3, 3)
    tails, heads, lengths = [], [], []
    rows, cols = city.shape
    for down, right in _NEIGHBOURS:
        a = (slice(0, rows - down), slice(max(0, -right), cols - max(0, right)))
        b = (slice(down, rows), slice(max(0, right), cols + min(0, right)))
        both = used[a] & used[b]
        tails.append(number[a][both])
        heads.append(number[b][both])
        lengths.append(np.full(int(both.sum()), city.cell_m * float(np.hypot(down, right))))
    tail, head, length = (
        np.concatenate(part).astype(np.float64) for part in (tails, heads, lengths)
    )
    tail, head = tail.astype(np.int64), head.astype(np.int64)
    cost = length / speed_m_s * 2 / (quick[tail] + quick[head])
    both_ways = np.concatenate([tail, head]), np.concatenate([head, tail])
    return StreetGraph(city.centers_m(cells), *both_ways, np.tile(cost, 2), np.tile(length, 2))


def path_trips(
    graph: StreetGraph,
    city: CityMap,
    num_trips: int,
    step_s: float,
    rng: np.random.Generator,
    survey: TripPrior | None = None,
) -> Tracks:
    """Trips along shortest paths, at the edges' speeds.

    Origins and destinations are the nodes closest to places drawn from the map, within the
    largest part of the network that is connected. Pairs of the same node are drawn again. Where
    a survey tells how long trips take, a duration is drawn for each, and of the destinations drawn
    the one that is reached in about that time is taken.

    Raises:
        InputError: the network has no two connected nodes.
    """
    from scipy.spatial import cKDTree

    matrix = graph.matrix()
    _, part = connected_components(matrix, directed=True, connection="strong")
    reachable = np.flatnonzero(part == np.bincount(part).argmax())
    if len(reachable) < 2:
        raise InputError("No two places of the street network are connected.")
    tree = cKDTree(graph.nodes_m[reachable])
    origins = reachable[tree.query(draw_places(city, min(num_trips, MAX_ORIGINS), rng))[1]]
    trips: list[Floats] = []
    for index in range(len(origins)):
        # the trips are shared out evenly over the origins
        wanted = num_trips * (index + 1) // len(origins) - num_trips * index // len(origins)
        targets = reachable[tree.query(draw_places(city, 4 * wanted + 4, rng))[1]]
        targets = targets[targets != origins[index]]
        cost, before = dijkstra(
            matrix, indices=int(origins[index]), return_predecessors=True, limit=np.inf
        )
        if survey is not None and len(targets):
            wished_s = survey.draw(rng, wanted)[0] * step_s
            targets = targets[np.abs(np.log(cost[targets] / wished_s[:, None])).argmin(axis=1)]
        targets = targets[:wanted]
        trips += [_travel(graph, cost, before, int(target), step_s) for target in targets]
    return tracks_from_trips(trips, step_s)


def _travel(
    graph: StreetGraph, cost: Floats, before: Indices, target: int, step_s: float
) -> Floats:
    """(n, 2) positions at equal time steps along the path that leads to a target."""
    nodes = [target]
    while before[nodes[-1]] >= 0:
        nodes.append(int(before[nodes[-1]]))
    path = np.array(nodes[::-1])
    times = cost[path]
    asked = np.arange(max(2, int(times[-1] // step_s) + 1)) * step_s
    asked = np.minimum(asked, times[-1])
    x, y = graph.nodes_m[path].T
    return np.stack([np.interp(asked, times, x), np.interp(asked, times, y)], axis=1)
