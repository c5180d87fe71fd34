"""From edges to streets: what a planner would point at and call "this piece of that street".

A street is a stretch of one name between two junctions with other streets, in both directions.
The two carriageways of a divided road, which the network holds as separate one-way edges, are
one street.
"""

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass

from shapely import LineString, MultiLineString
from shapely.ops import linemerge

from engine.simulation.network import RoadEdge, RoadNetwork

CARRIAGEWAY_GAP_M = 35.0
"""Two one-way stretches of one name that run within this distance are one divided street."""

SHORTEST_STREET_M = 45.0
"""Shorter stretches, mostly the insides of wide junctions, join a neighbour of the same name."""


@dataclass(frozen=True)
class Street:
    """A stretch of road that can be closed as one.

    Args:
        id: stable and readable, such as ``rudower-chaussee-3``; numbered from west to east.
        name: the street's name.
        kind: highway class.
        speed_kmh: speed limit.
        lanes: lanes of both directions together.
        length_m: length of its middle line.
        edges: ids of its edges, sorted.
        lines: one line a carriageway, in the network's metres.
    """

    id: str
    name: str
    kind: str
    speed_kmh: float
    lanes: int
    length_m: float
    edges: tuple[str, ...]
    lines: MultiLineString


class _Groups:
    """Disjoint sets of edge ids (union-find)."""

    def __init__(self, ids: list[str]) -> None:
        self.parent = {name: name for name in ids}

    def find(self, name: str) -> str:
        while self.parent[name] != name:
            self.parent[name] = self.parent[self.parent[name]]
            name = self.parent[name]
        return name

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.find(one), self.find(other)))
        self.parent[second] = first

    def members(self) -> list[list[str]]:
        groups: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self.parent):
            groups[self.find(name)].append(name)
        return [groups[root] for root in sorted(groups)]


def find_streets(network: RoadNetwork) -> tuple[Street, ...]:
    """Group all edges of the network into streets; each edge is in exactly one."""
    edges = {edge.id: edge for edge in network.edges}
    groups = _Groups(list(edges))
    _join_directions(groups, edges)
    _join_through_nodes(groups, edges)
    _join_carriageways(groups, edges)
    _join_short(groups, edges)
    return _named([_street(members, edges) for members in groups.members()])


def _join_directions(groups: _Groups, edges: dict[str, RoadEdge]) -> None:
    by_ends = {(e.from_node, e.to_node, e.name): e.id for e in edges.values()}
    for edge in edges.values():
        back = by_ends.get((edge.to_node, edge.from_node, edge.name))
        if back:
            groups.join(edge.id, back)


def _join_through_nodes(groups: _Groups, edges: dict[str, RoadEdge]) -> None:
    """Join stretches that meet at a node where no other street begins."""
    at_node: dict[str, list[RoadEdge]] = defaultdict(list)
    for edge in edges.values():
        at_node[edge.from_node].append(edge)
        at_node[edge.to_node].append(edge)
    for node, meeting in at_node.items():
        far = {e.from_node if e.to_node == node else e.to_node for e in meeting}
        if len(far) == 2 and len({e.name for e in meeting}) == 1:
            for edge in meeting[1:]:
                groups.join(meeting[0].id, edge.id)


def _join_carriageways(groups: _Groups, edges: dict[str, RoadEdge]) -> None:
    one_way: dict[str, list[tuple[str, LineString | MultiLineString]]] = defaultdict(list)
    for members in groups.members():
        ends = {(edges[m].from_node, edges[m].to_node) for m in members}
        name = edges[members[0]].name
        if name and not any((b, a) in ends for a, b in ends):
            line = linemerge([LineString(edges[m].shape) for m in members])
            one_way[name].append((members[0], line))
    for lines in one_way.values():
        for i, (one, line) in enumerate(lines):
            for other, second in lines[i + 1 :]:
                if _run_side_by_side(line, second):
                    groups.join(one, other)


def _run_side_by_side(
    one: LineString | MultiLineString, other: LineString | MultiLineString
) -> bool:
    shorter, longer = sorted((one, other), key=lambda line: line.length)
    near = shorter.intersection(longer.buffer(CARRIAGEWAY_GAP_M, cap_style="flat"))
    return bool(near.length > 0.6 * shorter.length and shorter.length > 0.5 * longer.length)


def _join_short(groups: _Groups, edges: dict[str, RoadEdge]) -> None:
    for members in groups.members():
        if sum(edges[m].length_m for m in members) >= 2 * SHORTEST_STREET_M:
            continue
        nodes = {n for m in members for n in (edges[m].from_node, edges[m].to_node)}
        own = {groups.find(m) for m in members}
        beside = [
            e
            for e in edges.values()
            if e.name == edges[members[0]].name
            and (e.from_node in nodes or e.to_node in nodes)
            and groups.find(e.id) not in own
        ]
        if beside:
            groups.join(members[0], max(beside, key=lambda e: (e.length_m, e.id)).id)


def _street(members: list[str], edges: dict[str, RoadEdge]) -> Street:
    parts = [edges[m] for m in members]
    kinds: dict[str, float] = defaultdict(float)
    for edge in parts:
        kinds[edge.kind] += edge.length_m
    seen: set[tuple[str, str]] = set()
    lines = []
    for edge in parts:
        if (edge.to_node, edge.from_node) not in seen:
            lines.append(LineString(edge.shape))
        seen.add((edge.from_node, edge.to_node))
    merged = linemerge(lines)
    both = sum(1 for e in parts if (e.to_node, e.from_node) in seen)
    total_m = sum(edge.length_m for edge in parts)
    divided = both == 0 and isinstance(merged, MultiLineString)
    length_m = total_m / 2 if both or divided else total_m
    return Street(
        "",
        parts[0].name or "unnamed road",
        max(sorted(kinds), key=lambda kind: kinds[kind]),
        max(edge.speed_kmh for edge in parts),
        max(edge.lanes for edge in parts) * (2 if both or divided else 1),
        round(length_m, 1),
        tuple(sorted(members)),
        merged if isinstance(merged, MultiLineString) else MultiLineString([merged]),
    )


def _named(streets: list[Street]) -> tuple[Street, ...]:
    """Number the stretches of each name from west to east."""
    by_name: dict[str, list[Street]] = defaultdict(list)
    for street in streets:
        by_name[street.name].append(street)
    named = []
    for name in sorted(by_name):
        stretches = sorted(by_name[name], key=lambda s: (s.lines.centroid.x, s.edges))
        for number, street in enumerate(stretches, 1):
            fields = {**street.__dict__, "id": f"{slug(name)}-{number}"}
            named.append(Street(**fields))
    return tuple(sorted(named, key=lambda street: street.id))


def slug(name: str) -> str:
    """A street's name in plain lower-case letters and hyphens."""
    german = name.lower().replace("ß", "ss")
    for umlaut, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue")):
        german = german.replace(umlaut, plain)
    ascii_text = unicodedata.normalize("NFKD", german).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-") or "road"
