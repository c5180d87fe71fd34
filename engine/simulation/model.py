"""What a simulated day needs to know of a city, in one file beside its network.

``network/traffic.json`` in a city's folder holds the edges, streets, zones, gates and sensors;
``network/net.xml.gz`` is what SUMO drives on. Together they are enough to simulate any day.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order

from engine.domain import Grid
from engine.errors import (
    CityDamagedError,
    CityNotFoundError,
    CityVersionError,
    ScenarioError,
    UnknownStreetError,
)
from engine.simulation.calendar import local_midnight

FORMAT = "citybrush-traffic"
VERSION = 1
MODEL_FILE = Path("network", "traffic.json")
NET_FILE = Path("network", "net.xml.gz")


@dataclass(frozen=True)
class Edge:
    """One direction of a piece of road.

    Args:
        id: SUMO's edge id.
        street: id of its street.
        length_m: driven length.
        speed_kmh: speed limit.
        lanes: number of lanes.
        x_m: middle of the edge, metres east in the network's coordinates.
        y_m: middle of the edge, metres north.
        access: how much of its length has doors, car parks and driveways, in metres.
    """

    id: str
    street: str
    length_m: float
    speed_kmh: float
    lanes: int
    x_m: float
    y_m: float
    access: float


@dataclass(frozen=True)
class StreetRef:
    """A street that can be closed: id, name, middle (degrees) and edges."""

    id: str
    name: str
    lon: float
    lat: float
    edges: tuple[str, ...]


@dataclass(frozen=True)
class Zone:
    """Where trips begin and end.

    Args:
        id: stable and readable.
        name: what people would call it.
        kind: what it mostly is.
        homes: cars that live here, relative to the other zones.
        jobs: work places reached by car, relative.
        study: students who come by car, relative.
        leisure: shops, sport, culture, relative.
        edges: edges that belong to it and give access.
    """

    id: str
    name: str
    kind: str
    homes: float
    jobs: float
    study: float
    leisure: float
    edges: tuple[str, ...]


@dataclass(frozen=True)
class Gate:
    """Where a street leaves the map.

    Args:
        id: stable and readable.
        name: street and direction.
        entry: edge that comes in; empty where the street is one-way outwards.
        exit: edge that goes out; empty where the street is one-way inwards.
        weight: share of the traffic with the rest of the region, relative.
    """

    id: str
    name: str
    entry: str
    exit: str
    weight: float


@dataclass(frozen=True, eq=False)
class TrafficModel:
    """Network, zones, gates and sensors of one city.

    Args:
        city_id: id of the city.
        timezone: IANA name.
        crs: projected reference system of the network, such as ``EPSG:32633``.
        offset_m: (x, y) that the network adds to the projected coordinates.
        grid: the grid of the city's fields.
        seed: the seed of the city's demand, weather and events.
        volume: factor on all demand.
        edges: all edges, sorted by id.
        links: index pairs: a car may go from the first edge to the second.
        streets: all streets, sorted by id.
        zones: all zones.
        gates: all gates.
        through: (gate in, gate out, weight) of the through traffic, by position.
        sensors: edges with a sensor, in the order of the series.
        net: path of the network file.
    """

    city_id: str
    timezone: str
    crs: str
    offset_m: tuple[float, float]
    grid: Grid
    seed: int
    volume: float
    edges: tuple[Edge, ...]
    links: tuple[tuple[int, int], ...]
    streets: tuple[StreetRef, ...]
    zones: tuple[Zone, ...]
    gates: tuple[Gate, ...]
    through: tuple[tuple[int, int, float], ...]
    sensors: tuple[str, ...]
    net: Path

    @property
    def zone_info(self) -> ZoneInfo:
        """The city's time zone."""
        return ZoneInfo(self.timezone)

    @cached_property
    def edge_index(self) -> dict[str, int]:
        """Position of each edge id in :attr:`edges`."""
        return {edge.id: i for i, edge in enumerate(self.edges)}

    @cached_property
    def positions_m(self) -> NDArray[np.float64]:
        """(edges, 2) middles in metres."""
        return np.array([(edge.x_m, edge.y_m) for edge in self.edges])

    def reachable(self, closed: frozenset[int] = frozenset()) -> NDArray[np.bool_]:
        """(edges, edges): whether a car on the first edge can get to the second.

        Args:
            closed: positions of edges that cars may not enter.
        """
        size = len(self.edges)
        pairs = [(a, b) for a, b in self.links if a not in closed and b not in closed]
        rows, cols = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        graph = csr_matrix((np.ones(len(rows)), (rows, cols)), shape=(size, size))
        table = np.zeros((size, size), dtype=bool)
        for start in range(size):
            if start not in closed:
                table[start, breadth_first_order(graph, start, return_predecessors=False)] = True
        return table

    def street(self, street_id: str) -> StreetRef:
        """The street of that id.

        Raises:
            UnknownStreetError: there is none; the message names the nearest ones.
        """
        for street in self.streets:
            if street.id == street_id:
                return street
        ids = [street.id for street in self.streets]
        close = get_close_matches(street_id.lower(), ids, n=3, cutoff=0.4)
        named = [f"{s.id} ({s.name})" for i in close for s in self.streets if s.id == i]
        fix = f"Did you mean {', '.join(named)}?" if named else f"One that exists is {ids[0]}."
        raise UnknownStreetError(
            "The city has no street of that id.", f"'{street_id[:80]}' in {self.city_id}", fix
        )

    def zone(self, zone_id: str) -> int:
        """The position of the zone of that id.

        Raises:
            ScenarioError: there is none.
        """
        ids = [zone.id for zone in self.zones]
        if zone_id not in ids:
            close = get_close_matches(zone_id.lower(), ids, n=3, cutoff=0.3) or ids[:3]
            raise ScenarioError(
                "The city has no zone of that id.",
                f"'{zone_id[:80]}' in {self.city_id}",
                f"Did you mean {', '.join(close)}?",
            )
        return ids.index(zone_id)

    def midnight_utc_s(self, day: date) -> float:
        """Seconds since 1970 (UTC) of the local midnight that begins ``day``."""
        return local_midnight(day, self.zone_info).timestamp()


def save_model(model: TrafficModel, folder: Path) -> None:
    """Write ``network/traffic.json`` under ``folder``; the network file must be there already."""
    data = {k: v for k, v in asdict(model).items() if k not in ("net", "grid")}
    text = json.dumps(
        {"format": FORMAT, "version": VERSION, **data, "grid": model.grid.to_json()},
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )
    path = folder / MODEL_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", "utf-8")


def load_model(folder: Path) -> TrafficModel:
    """Read the traffic model of a city's folder.

    Raises:
        CityNotFoundError: the folder has no traffic model.
        CityVersionError: it was written in another format.
        CityDamagedError: it cannot be read.
    """
    path = folder / MODEL_FILE
    if not path.exists() or not (folder / NET_FILE).exists():
        raise CityNotFoundError(
            "This city cannot be simulated: it has no traffic model.",
            str(folder.name),
            "Choose a city that was made by 'python -m engine simulate'.",
        )
    try:
        data = json.loads(path.read_text("utf-8"))
        if data.pop("format") != FORMAT or data.pop("version") != VERSION:
            raise CityVersionError("The city's traffic model has an unknown format.", str(path))
        return _model(data, folder / NET_FILE)
    except (ValueError, KeyError, TypeError) as error:
        raise CityDamagedError("The city's traffic model cannot be read.", str(path)) from error


def _model(data: dict[str, Any], net: Path) -> TrafficModel:
    def tuples(values: dict[str, Any]) -> dict[str, Any]:
        return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}

    data["grid"] = Grid(**data["grid"])
    data["offset_m"] = tuple(data["offset_m"])
    data["sensors"] = tuple(data["sensors"])
    data["links"] = tuple((a, b) for a, b in data["links"])
    data["through"] = tuple((a, b, weight) for a, b, weight in data["through"])
    for name, kind in (("edges", Edge), ("streets", StreetRef), ("zones", Zone), ("gates", Gate)):
        data[name] = tuple(kind(**tuples(item)) for item in data[name])
    return TrafficModel(**data, net=net)
