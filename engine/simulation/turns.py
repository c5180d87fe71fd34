"""What the way from one edge to the next costs at a junction, as the simulator's drivers count it.

Source: SUMO's routing: the time on the junction, and a penalty where others have priority
(``--weights.minor-penalty`` and ``--weights.turnaround-penalty``, both at their defaults). Without
them, drivers would be sent through side streets that they do not take.
"""

import gzip
import xml.etree.ElementTree as ET
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.simulation.model import TrafficModel

MINOR_PENALTY_S = 1.5
TURNAROUND_PENALTY_S = 5.0


def turn_times(model: TrafficModel) -> NDArray[np.float64]:
    """(links,) seconds from each edge to the next, in the order of the model's links.

    Args:
        model: the city; its network is one of our own making, never an upload.
    """
    known = _turns(model.net)
    ids = [edge.id for edge in model.edges]
    return np.array([known.get((ids[a], ids[b]), 0.0) for a, b in model.links])


@lru_cache(maxsize=4)
def _turns(net: Path) -> dict[tuple[str, str], float]:
    """Seconds from edge to edge; of several lanes the quickest."""
    root = ET.fromstring(gzip.decompress(net.read_bytes()))
    inside = {
        lane.attrib["id"]: float(lane.attrib["length"]) / float(lane.attrib["speed"])
        for edge in root.findall("edge")
        if edge.get("function") == "internal"
        for lane in edge.findall("lane")
    }
    times: dict[tuple[str, str], float] = {}
    for link in root.findall("connection"):
        pair = link.attrib["from"], link.attrib["to"]
        if pair[0].startswith(":"):
            continue
        time_s = inside.get(link.get("via", ""), 0.0) + _penalty_s(link)
        times[pair] = min(time_s, times.get(pair, time_s))
    return times


def _penalty_s(link: ET.Element) -> float:
    """Of a link without a signal and without priority."""
    if link.get("tl") is not None or link.attrib["state"].isupper():
        return 0.0
    return TURNAROUND_PENALTY_S if link.get("dir") == "t" else MINOR_PENALTY_S
