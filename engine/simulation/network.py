"""SUMO's programs, and the street network that they drive on.

The network of the embedded city is carried by the ``eclipse-sumo`` package. It is cleaned once
(:func:`clean_network`): only what cars may use, only the largest connected part.
"""

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from engine.errors import SimulatorFailedError, SimulatorMissingError

ADLERSHOF_NET = Path("tools", "game", "DRT", "osm.net.xml")
"""The network of Berlin-Adlershof inside the package: OpenStreetMap, ODbL."""

BINARY_SUFFIX = ".exe" if sys.platform == "win32" else ""


@dataclass(frozen=True)
class RoadEdge:
    """One direction of a piece of road between two nodes.

    Args:
        id: SUMO's edge id.
        name: the street's name; empty where the map has none.
        kind: OpenStreetMap's highway class, such as ``primary``.
        from_node: id of the node it begins at.
        to_node: id of the node it ends at.
        lanes: number of lanes.
        speed_kmh: speed limit.
        length_m: driven length.
        shape: (x, y) points along the road in metres, in the network's own coordinates.
    """

    id: str
    name: str
    kind: str
    from_node: str
    to_node: str
    lanes: int
    speed_kmh: float
    length_m: float
    shape: tuple[tuple[float, float], ...]

    @property
    def middle(self) -> tuple[float, float]:
        """The point halfway along the shape, metres."""
        steps = list(zip(self.shape, self.shape[1:], strict=False))
        lengths = [((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5 for a, b in steps]
        rest = sum(lengths) / 2
        for (a, b), length in zip(steps, lengths, strict=True):
            if rest <= length and length > 0:
                share = rest / length
                return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
            rest -= length
        return self.shape[-1]


@dataclass(frozen=True)
class RoadNetwork:
    """What the engine needs to know of a SUMO network.

    Args:
        edges: all car edges, sorted by id.
        links: pairs of edge ids: a car may go from the first to the second.
        nodes: (x, y) of each node, metres.
        offset: (x, y) that SUMO added to the projected coordinates, metres.
        projection: the PROJ string of the network.
    """

    edges: tuple[RoadEdge, ...]
    links: tuple[tuple[str, str], ...]
    nodes: dict[str, tuple[float, float]]
    offset: tuple[float, float]
    projection: str


def sumo_home() -> Path:
    """The folder of the SUMO installation: ``SUMO_HOME``, else the installed package.

    Raises:
        SimulatorMissingError: there is none.
    """
    named = os.environ.get("SUMO_HOME")
    if named and Path(named, "bin").is_dir():
        return Path(named)
    spec = find_spec("sumo")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if Path(folder, "bin").is_dir():
            return Path(folder)
    raise SimulatorMissingError(
        "The traffic simulator SUMO is not installed.",
        "",
        "Install it with: pip install eclipse-sumo.",
    )


def sumo_program(name: str) -> Path:
    """The path of one of SUMO's programs, such as ``sumo`` or ``netconvert``.

    Raises:
        SimulatorMissingError: it is not there or may not be run.
    """
    path = sumo_home() / "bin" / f"{name}{BINARY_SUFFIX}"
    if not os.access(path, os.X_OK):
        raise SimulatorMissingError(
            f"The program '{name}' of the traffic simulator SUMO cannot be run.",
            str(path),
            "Install it again with: pip install --force-reinstall eclipse-sumo.",
        )
    return path


def clean_network(source: Path, target: Path) -> None:
    """Keep what cars may use of ``source`` and write it to ``target`` (``.net.xml.gz``).

    The header that netconvert writes holds the date and its options: it is cut, so that the same
    source gives the same bytes.

    Raises:
        SimulatorMissingError: SUMO is not installed.
        SimulatorFailedError: netconvert refused the network.
    """
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch, "clean.net.xml")
        command = [
            str(sumo_program("netconvert")),
            *("--sumo-net-file", str(source), "--output-file", str(plain)),
            *("--keep-edges.by-vclass", "passenger", "--keep-edges.components", "1"),
            *("--no-turnarounds.except-deadend", "--geometry.remove"),
            "--no-warnings",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not plain.exists():
            raise SimulatorFailedError(
                "The street network could not be read.", first_error(done.stderr)
            )
        text = re.sub(r"<!--.*?-->\s*", "", plain.read_text("utf-8"), count=1, flags=re.DOTALL)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def first_error(text: str) -> str:
    """The first line of SUMO's output that names an error; else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("Error")]
    return (errors or lines[-1:] or ["it gave no reason"])[0][:300]


def read_network(path: Path) -> RoadNetwork:
    """Read a cleaned network.

    Args:
        path: a ``.net.xml`` or ``.net.xml.gz`` of our own making, never an upload.
    """
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    root = ET.fromstring(data)
    location = root.find("location")
    if location is None:
        raise SimulatorFailedError("The street network has no location.", str(path))
    x, y = (float(v) for v in location.attrib["netOffset"].split(","))
    nodes = {
        node.attrib["id"]: (float(node.attrib["x"]), float(node.attrib["y"]))
        for node in root.findall("junction")
        if node.attrib["type"] != "internal"
    }
    edges = [_edge(e, nodes) for e in root.findall("edge") if e.get("function") is None]
    links = {
        (link.attrib["from"], link.attrib["to"])
        for link in root.findall("connection")
        if not link.attrib["from"].startswith(":")
    }
    return RoadNetwork(
        tuple(sorted(edges, key=lambda edge: edge.id)),
        tuple(sorted(links)),
        nodes,
        (x, y),
        location.attrib["projParameter"],
    )


def driving_distances(network: RoadNetwork, edge_ids: Sequence[str]) -> NDArray[np.float64]:
    """Metres to drive from the middle of each of these edges to the middle of each other.

    Args:
        network: the roads.
        edge_ids: N ids of its edges.

    Returns:
        (N, N), infinite where there is no way, zero on the diagonal.

    Raises:
        SimulatorFailedError: the network has no such edge.
    """
    place = {edge.id: i for i, edge in enumerate(network.edges)}
    if missing := [edge for edge in edge_ids if edge not in place]:
        raise SimulatorFailedError("The street network has no such edge.", missing[0])
    length_E = np.array([edge.length_m for edge in network.edges])
    roads = [(place[a], place[b]) for a, b in network.links if a in place and b in place]
    pairs = np.array(roads, dtype=np.int64).reshape(-1, 2)
    metres = (length_E[pairs[:, 0]] + length_E[pairs[:, 1]]) / 2
    size = len(network.edges)
    graph = coo_array((metres, (pairs[:, 0], pairs[:, 1])), shape=(size, size)).tocsr()
    wanted = np.array([place[edge] for edge in edge_ids])
    found: NDArray[np.float64] = dijkstra(graph, indices=wanted)[:, wanted]
    return found


def _edge(element: ET.Element, nodes: dict[str, tuple[float, float]]) -> RoadEdge:
    lanes = element.findall("lane")
    begin, end = element.attrib["from"], element.attrib["to"]
    middle = lanes[len(lanes) // 2]
    shape = element.get("shape") or middle.attrib["shape"]
    points = [tuple(float(v) for v in point.split(",")[:2]) for point in shape.split()]
    if not element.get("shape"):
        points = [nodes[begin], *points[1:-1], nodes[end]]
    return RoadEdge(
        element.attrib["id"],
        element.get("name", ""),
        element.get("type", "").split("|")[0].removeprefix("highway."),
        begin,
        end,
        len(lanes),
        round(float(middle.attrib["speed"]) * 3.6, 1),
        max(float(lane.attrib["length"]) for lane in lanes),
        tuple((p[0], p[1]) for p in points),
    )


def remove_folder(path: Path) -> None:
    """Delete a scratch folder, whatever is left in it."""
    shutil.rmtree(path, ignore_errors=True)
