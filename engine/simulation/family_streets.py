"""Streets of random cities: skeletons of SUMO's ``netgenerate``, bent, thinned and cut by rivers.

A skeleton gives nodes and which of them are joined. It is stretched unevenly, bent, turned and
scaled to a town of about two kilometres; some streets are taken out, which leaves dead ends and
large blocks; the shortest ways between gates at the border become main roads; and a river leaves
only its bridges. All of it depends on a generator alone.

Shapes: N nodes, S streets, P points.
"""

import subprocess
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra

from engine.errors import SimulatorFailedError
from engine.simulation.network import first_error, sumo_program

KINDS = ("grid", "spider", "random")
SIDE_M = (1_600.0, 2_150.0)
"""Shortest and longest side of a city's bounding box."""
MAX_REMOVED = 0.14
"""Largest part of the streets that is taken out."""
NUM_GATES = (4, 8)
NUM_BRIDGES = (2, 4)
MIN_BANK = 0.15
"""Smallest part of the streets on either bank of a river."""
MAX_RIVERS = 1_000
"""Rivers that are tried."""
RIVER_WIDTH_M = (30.0, 70.0)
SHAPE_POINTS = 5
"""Points of a street's line, its ends included."""
SIDE_SPEEDS_KMH = (30.0, 30.0, 30.0, 40.0, 50.0)
MAIN_SPEEDS_KMH = (50.0, 50.0, 60.0)
SIGNAL_SHARE = 0.6
"""Part of the crossings of main roads that have signals."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class River:
    """A bending band of water that crosses the whole city.

    Args:
        angle_rad: direction of its course.
        shift_m: distance of its middle line from the city's middle, before bending.
        bend_m: how far it bends away from a straight line.
        wave_m: length of a bend.
        phase: where along a bend it begins, radians.
        width_m: from bank to bank.
    """

    angle_rad: float
    shift_m: float
    bend_m: float
    wave_m: float
    phase: float
    width_m: float

    def along_m(self, points_m: Floats) -> Floats:
        """(..., 2) points to (...,) metres along the river's straight course."""
        return np.asarray(points_m @ np.array([np.cos(self.angle_rad), np.sin(self.angle_rad)]))

    def across_m(self, points_m: Floats) -> Floats:
        """(..., 2) points to (...,) metres from its middle line; the sign is the bank."""
        straight = points_m @ np.array([-np.sin(self.angle_rad), np.cos(self.angle_rad)])
        turn = 2 * np.pi * self.along_m(points_m) / self.wave_m + self.phase
        return np.asarray(straight - self.shift_m - self.bend_m * np.sin(turn))


@dataclass(frozen=True, eq=False)
class Streets:
    """A city's streets before SUMO knows them; all of them go both ways.

    Args:
        nodes_m: (N, 2) metres from the city's middle.
        ends: (S, 2) int64, the nodes that a street joins.
        lines_m: (S, P, 2) the street's line from its first to its second node.
        main: (S,) bool, True for main roads.
        bridge: (S,) bool, True where the street crosses the river.
        gates: nodes at which the rest of the world begins.
        kind: one of :data:`KINDS`.
        river: None for a city without one.
    """

    nodes_m: Floats
    ends: Ints
    lines_m: Floats
    main: Mask
    bridge: Mask
    gates: Ints
    kind: str
    river: River | None

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def lengths_m(self) -> Floats:
        """(S,) length of each street."""
        steps = np.linalg.norm(np.diff(self.lines_m, axis=1), axis=-1)
        return np.asarray(steps.sum(axis=1))

    def keep(self, streets: Mask) -> "Streets":
        """Only these streets; nodes keep their numbers."""
        return replace(
            self,
            ends=self.ends[streets],
            lines_m=self.lines_m[streets],
            main=self.main[streets],
            bridge=self.bridge[streets],
        )


def draw_streets(kind: str, has_river: bool, rng: np.random.Generator, scratch: Path) -> Streets:
    """The streets of one city.

    Args:
        kind: one of :data:`KINDS`.
        has_river: whether a river is laid through it.
        rng: of everything that is random.
        scratch: folder for the skeleton's files.

    Raises:
        SimulatorFailedError: ``netgenerate`` refused.
    """
    nodes, ends = _draw_skeleton(kind, rng, scratch)
    nodes = _stretch(nodes, rng)
    share = np.linspace(0, 1, SHAPE_POINTS)[:, None]
    lines = nodes[ends[:, 0], None] * (1 - share) + nodes[ends[:, 1], None] * share
    nodes, lines = _bend_and_fit(nodes, lines, rng)
    none = np.zeros(len(ends), dtype=bool)
    streets = Streets(nodes, ends, lines, none, none, np.zeros(0, np.int64), kind, None)
    streets = _largest_part(streets)
    streets = replace(streets, gates=_draw_gates(streets, rng))
    streets = replace(streets, main=_main_roads(streets, rng))
    if has_river:
        streets = _lay_river(streets, rng)
    streets = _largest_part(_thin_out(streets, rng))
    present = np.unique(streets.ends)
    return replace(streets, gates=streets.gates[np.isin(streets.gates, present)])


def _draw_skeleton(kind: str, rng: np.random.Generator, scratch: Path) -> tuple[Floats, Ints]:
    """(N, 2) positions and (S, 2) joined nodes as ``netgenerate`` draws them."""
    options = _skeleton_options(kind, rng)
    prefix = scratch / "skeleton"
    _run("netgenerate", [*options, "--plain-output-prefix", str(prefix), "--no-warnings"])
    places = {
        node.attrib["id"]: (float(node.attrib["x"]), float(node.attrib["y"]))
        for node in ET.parse(f"{prefix}.nod.xml").getroot().findall("node")
    }
    numbers = {name: i for i, name in enumerate(sorted(places))}
    edges = ET.parse(f"{prefix}.edg.xml").getroot().findall("edge")
    pairs = {
        tuple(sorted((numbers[edge.attrib["from"]], numbers[edge.attrib["to"]]))) for edge in edges
    }
    joined = sorted(pair for pair in pairs if pair[0] != pair[1])
    return np.array([places[name] for name in numbers]), np.array(joined, dtype=np.int64)


def _skeleton_options(kind: str, rng: np.random.Generator) -> list[str]:
    seed = ["--seed", str(int(rng.integers(2**31)))]
    if kind == "grid":
        nx, ny = rng.integers(8, 16, 2)
        return [
            *("--grid", "--grid.x-number", str(nx), "--grid.y-number", str(ny)),
            *("--grid.x-length", "140", "--grid.y-length", "140", "--grid.attach-length", "100"),
            *seed,
        ]
    if kind == "spider":
        arms, circles = int(rng.integers(7, 15)), int(rng.integers(5, 9))
        return [
            *("--spider", "--spider.arm-number", str(arms), "--spider.circle-number", str(circles)),
            *("--spider.space-radius", "110", "--spider.attach-length", "90"),
            *(["--spider.omit-center"] if rng.random() < 0.5 else []),
            *seed,
        ]
    return [
        *("--rand", "--rand.iterations", str(int(rng.integers(200, 750)))),
        *("--rand.min-distance", "80", "--rand.max-distance", "200", "--rand.min-angle", "45"),
        *("--rand.connectivity", f"{rng.uniform(0.95, 0.995):.3f}", "--rand.neighbor-dist1", "1"),
        *("--rand.neighbor-dist2", "3", "--rand.neighbor-dist3", "10"),
        *("--rand.neighbor-dist4", "10", *seed),
    ]


def _run(program: str, options: list[str]) -> None:
    command = [str(sumo_program(program)), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SimulatorFailedError("A city's streets could not be made.", first_error(done.stderr))


def _stretch(nodes: Floats, rng: np.random.Generator) -> Floats:
    """Blocks of uneven length: each axis is stretched and squeezed in eight parts."""
    out = np.empty_like(nodes)
    for axis in range(2):
        values = nodes[:, axis]
        knots = np.linspace(values.min(), values.max(), 9)
        gaps = rng.lognormal(0, 0.35, 8)
        out[:, axis] = np.interp(values, knots, np.concatenate([[0], np.cumsum(gaps)]))
    return out


def _bend_and_fit(nodes: Floats, lines: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Turn, bend and scale nodes and lines alike; the middle of the bounding box becomes zero."""
    low, high = nodes.min(axis=0), nodes.max(axis=0)
    shape = np.array([1.0, rng.uniform(0.75, 1.0)])
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    bend, phase = rng.uniform(0.0, 0.035, 2), rng.uniform(0, 2 * np.pi, 2)
    waves = rng.uniform(0.7, 1.8, 2)

    def place(points: Floats) -> Floats:
        unit = (points - low) / (high - low) - 0.5
        bent = unit + bend * np.sin(2 * np.pi * waves * unit[..., ::-1] + phase)
        return np.asarray((bent * shape) @ turn)

    placed, placed_lines = place(nodes), place(lines)
    low, high = placed.min(axis=0), placed.max(axis=0)
    scale = rng.uniform(*SIDE_M) / (high - low).max()
    middle = (low + high) / 2
    return (placed - middle) * scale, (placed_lines - middle) * scale


def _draw_gates(streets: Streets, rng: np.random.Generator) -> Ints:
    """Outermost nodes in some directions, evenly spread but not quite."""
    num = int(rng.integers(NUM_GATES[0], NUM_GATES[1] + 1))
    angles = 2 * np.pi * (np.arange(num) + rng.uniform(-0.3, 0.3, num)) / num + rng.uniform(0, 6)
    used = np.unique(streets.ends)
    reach = streets.nodes_m[used] @ np.stack([np.cos(angles), np.sin(angles)])
    return np.unique(used[reach.argmax(axis=0)])


def _main_roads(streets: Streets, rng: np.random.Generator) -> Mask:
    """Streets on the shortest ways between gates, which like to share a road and the middle."""
    away = np.linalg.norm(streets.lines_m[:, SHAPE_POINTS // 2], axis=1)
    cost = streets.lengths_m * rng.lognormal(0, 0.3, len(streets)) * (0.4 + away / away.max())
    main = np.zeros(len(streets), dtype=bool)
    gates = rng.permutation(streets.gates)
    for number, begin in enumerate(gates[:-1]):
        for end in gates[number + 1 :: 2]:
            main[_shortest_way(streets, cost, int(begin), int(end))] = True
            cost = np.where(main, np.minimum(cost, 0.6 * streets.lengths_m), cost)
    return main


def _shortest_way(streets: Streets, cost: Floats, begin: int, end: int) -> Ints:
    """Streets on the cheapest way from a node to another."""
    size = len(streets.nodes_m)
    first, second = streets.ends.T
    graph = coo_array((cost, (first, second)), shape=(size, size)).tocsr()
    _, before = dijkstra(graph, directed=False, indices=begin, return_predecessors=True)
    number = {tuple(pair): i for i, pair in enumerate(streets.ends.tolist())}
    found = []
    while end != begin and before[end] >= 0:
        step = int(before[end])
        found.append(number[(min(step, end), max(step, end))])
        end = step
    return np.array(found, dtype=np.int64)


def _lay_river(streets: Streets, rng: np.random.Generator) -> Streets:
    """Take out what a river drowns; a few crossings stay as bridges, main roads first.

    Raises:
        SimulatorFailedError: no river of many was crossed by enough streets.
    """
    for _ in range(MAX_RIVERS):
        river = _draw_river(streets, rng)
        across = river.across_m(streets.lines_m)
        dry = (np.abs(across) >= river.width_m / 2).all(axis=1)
        dry &= np.sign(across[:, 0]) == np.sign(across[:, -1])
        # what a bend cuts off from its bank is not built
        bank = dry & (_bank(streets, dry, across, 1) | _bank(streets, dry, across, -1))
        crossing = _crossings(streets, river, bank)
        sides = np.bincount((across[bank, 0] > 0).astype(int), minlength=2)
        if len(crossing) > NUM_BRIDGES[1] and sides.min() >= MIN_BANK * len(streets):
            bridge = np.zeros(len(streets), dtype=bool)
            bridge[_choose_bridges(streets, river, crossing, rng)] = True
            built = replace(streets, river=river, bridge=bridge, main=streets.main | bridge)
            return built.keep(bank | bridge)
    raise SimulatorFailedError("No river could be laid through a city.", streets.kind)


def _bank(streets: Streets, dry: Mask, across: Floats, side: int) -> Mask:
    """The streets of one bank that hang together with most others of it."""
    of_side = dry & (np.sign(across[:, 0]) == side)
    return of_side & _is_largest_part(streets, of_side)


def _crossings(streets: Streets, river: River, bank: Mask) -> Ints:
    """Streets from one bank to the other, both their ends on dry streets of it."""
    across = river.across_m(streets.nodes_m)
    built = np.zeros(len(across), dtype=bool)
    built[streets.ends[bank]] = True
    first, second = streets.ends.T
    over = np.sign(across[first]) != np.sign(across[second])
    return np.flatnonzero(over & built[first] & built[second])


def _draw_river(streets: Streets, rng: np.random.Generator) -> River:
    reach = float(np.abs(streets.nodes_m).max())
    return River(
        angle_rad=float(rng.uniform(0, np.pi)),
        shift_m=float(rng.uniform(-0.35, 0.35) * reach),
        bend_m=float(rng.uniform(0.05, 0.2) * reach),
        wave_m=float(rng.uniform(1.2, 3.0) * reach),
        phase=float(rng.uniform(0, 2 * np.pi)),
        width_m=float(rng.uniform(*RIVER_WIDTH_M)),
    )


def _choose_bridges(
    streets: Streets, river: River, crossing: Ints, rng: np.random.Generator
) -> Ints:
    """Two to four crossings in different parts of the river's course."""
    num = int(rng.integers(NUM_BRIDGES[0], NUM_BRIDGES[1] + 1))
    middle = streets.lines_m[crossing, SHAPE_POINTS // 2]
    ordered = crossing[np.argsort(river.along_m(middle))]
    wish = rng.random(len(ordered)) + streets.main[ordered]
    parts = np.array_split(np.arange(len(ordered)), num)
    return np.array([ordered[part[wish[part].argmax()]] for part in parts], dtype=np.int64)


def _thin_out(streets: Streets, rng: np.random.Generator) -> Streets:
    share = rng.uniform(0.02, MAX_REMOVED)
    out = (rng.random(len(streets)) < share) & ~streets.main & ~streets.bridge
    return streets.keep(~out)


def _largest_part(streets: Streets) -> Streets:
    """The streets that hang together with most others."""
    return streets.keep(_is_largest_part(streets, np.ones(len(streets), dtype=bool)))


def _is_largest_part(streets: Streets, present: Mask) -> Mask:
    """(S,) which of the streets that are present hang together with most others of them."""
    if not present.any():
        return present
    size = len(streets.nodes_m)
    pairs = tuple(streets.ends[present].T)
    graph = coo_array((np.ones(int(present.sum())), pairs), shape=(size, size))
    _, part = connected_components(graph, directed=False)
    of_street = part[streets.ends[:, 0]]
    return np.asarray(present & (of_street == np.bincount(of_street[present]).argmax()))


def write_network(streets: Streets, rng: np.random.Generator, scratch: Path) -> Path:
    """Build SUMO's network: edge ``2 * s`` is street s as drawn, ``2 * s + 1`` its other way.

    Raises:
        SimulatorFailedError: ``netconvert`` refused.
    """
    nodes, edges, net = (scratch / f"city.{name}.xml" for name in ("nod", "edg", "net"))
    nodes.write_text("\n".join(["<nodes>", *_node_lines(streets, rng), "</nodes>"]), "utf-8")
    edges.write_text("\n".join(["<edges>", *_edge_lines(streets, rng), "</edges>"]), "utf-8")
    options = ["--node-files", str(nodes), "--edge-files", str(edges), "--output-file", str(net)]
    quiet = ["--no-turnarounds.except-deadend", "--offset.disable-normalization", "--no-warnings"]
    _run("netconvert", [*options, *quiet])
    return net


def _node_lines(streets: Streets, rng: np.random.Generator) -> list[str]:
    degree = np.bincount(streets.ends.ravel(), minlength=len(streets.nodes_m))
    main = np.bincount(streets.ends[streets.main].ravel(), minlength=len(streets.nodes_m))
    signal = (degree >= 4) & (main >= 2) & (rng.random(len(degree)) < SIGNAL_SHARE)
    kinds = np.where(signal, "traffic_light", np.where(main > 0, "priority", "right_before_left"))
    return [
        f'<node id="{i}" x="{x:.2f}" y="{y:.2f}" type="{kinds[i]}"/>'
        for i, (x, y) in enumerate(streets.nodes_m)
        if degree[i]
    ]


def _edge_lines(streets: Streets, rng: np.random.Generator) -> list[str]:
    side = rng.choice(SIDE_SPEEDS_KMH, len(streets))
    speeds = np.where(streets.main, rng.choice(MAIN_SPEEDS_KMH), side) / 3.6
    lanes = np.where(streets.main & (rng.random(len(streets)) < 0.7), 2, 1)
    rows = []
    for number, (begin, end) in enumerate(streets.ends.tolist()):
        line = streets.lines_m[number]
        for way, (a, b, points) in enumerate(((begin, end, line), (end, begin, line[::-1]))):
            shape = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
            rows.append(
                f'<edge id="{2 * number + way}" from="{a}" to="{b}" shape="{shape}"'
                f' priority="{3 if streets.main[number] else 1}" numLanes="{lanes[number]}"'
                f' speed="{speeds[number]:.2f}"/>'
            )
    return rows
