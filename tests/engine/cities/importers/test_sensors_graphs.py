from math import exp

import numpy as np
import pytest

from engine.cities.importers.sensors_graphs import (
    connect_sensors,
    place_sensors,
    read_adjacency,
    read_distances,
    read_edges,
    read_locations,
    weigh_distances,
)
from engine.domain.sensors import SensorSeries, TimeAxis
from engine.errors import SensorError


@pytest.fixture
def series():
    values = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
    return SensorSeries("speed", ("a", "b", "c"), values, TimeAxis.counted(2, 0, 288), "mph")


@pytest.mark.parametrize("header", ["", "0,1\n"])
def test_distances_with_and_without_header(tmp_path, header):
    path = tmp_path / "W.csv"
    path.write_text(header + "0,1500.5\n1400,0\n")
    assert read_distances(path).tolist() == [[0, 1500.5], [1400, 0]]


@pytest.mark.parametrize(
    "text", ["0,1,2\n", "0,-1\n1,0\n", "0,nan\n1,0\n", "a,b\nc,d\n", "1,2\n3\n"]
)
def test_unusable_distances(tmp_path, text):
    path = tmp_path / "W.csv"
    path.write_text(text)
    with pytest.raises(SensorError):
        read_distances(path)


def test_gaussian_kernel_by_hand():
    weights = weigh_distances(np.array([[0, 10.0], [20.0, np.inf]]), threshold=0.1, scale=10.0)
    assert weights[0] == pytest.approx([1, exp(-1)])
    assert weights[1].tolist() == [0, 0]  # exp(-4) is below the threshold


def test_kernels_scale_is_the_deviation():
    weights = weigh_distances(np.array([[0, 10.0], [30.0, 0]]), threshold=0)
    sigma = float(np.std([0, 10, 30, 0]))
    assert weights[1, 0] == pytest.approx(exp(-((30 / sigma) ** 2)))


def test_edge_list_has_directions(tmp_path):
    path = tmp_path / "PEMS.csv"
    path.write_text("from,to,cost\na,b,300.2\nb,c,120\na,b,900\n")
    distance = read_edges(path, ("a", "b", "c"))
    assert distance.tolist() == [[0, 300.2, np.inf], [np.inf, 0, 120], [np.inf, np.inf, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from,to,cost\na,z,1\n", "row 2: a, z, 1"),
        ("from,to,cost\na,b,far\n", "no number"),
        ("from,to,cost\na,b,-1\n", "negative"),
        ("from,to\na,b\n", "no column 'cost'"),
    ],
)
def test_unusable_edges(tmp_path, text, message):
    path = tmp_path / "E.csv"
    path.write_text(text)
    with pytest.raises(SensorError, match=message):
        read_edges(path, ("a", "b", "c"))


def test_locations(tmp_path, series):
    path = tmp_path / "graph_sensor_locations.csv"
    path.write_text("index,sensor_id,latitude,longitude\n0,a,34.1,-118.3\n1,b,34.2,-118.2\n")
    columns = {"sensor": "sensor_id", "lon": "longitude", "lat": "latitude"}
    places = read_locations(path, columns)
    assert places == {"a": (-118.3, 34.1), "b": (-118.2, 34.2)}
    with pytest.raises(SensorError, match=r"1 of 3 sensors have no position.*c"):
        place_sensors(series, places)
    placed = place_sensors(series, {**places, "c": (0.0, 1.0)})
    assert placed.positions_N2[2].tolist() == [0, 1]
    with pytest.raises(SensorError, match="swapped"):
        read_locations(path, {**columns, "lon": "latitude", "lat": "longitude"})


def test_adjacency_of_another_size(tmp_path, series):
    path = tmp_path / "adj.csv"
    path.write_text("1,0.5\n0.5,1\n")
    with pytest.raises(SensorError, match="another size"):
        connect_sensors(series, read_adjacency(path))
    graph = np.arange(9, dtype=np.float32).reshape(3, 3)
    connected = connect_sensors(series, graph)
    assert connected.select(("c", "a")).adjacency_NN.tolist() == [[8, 6], [2, 0]]
