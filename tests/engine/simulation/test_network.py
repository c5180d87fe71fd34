import dataclasses
from collections import Counter

import pytest

from engine.errors import (
    CityDamagedError,
    CityNotFoundError,
    CityVersionError,
    SimulatorFailedError,
    SimulatorMissingError,
)
from engine.simulation.construction import build_adlershof
from engine.simulation.model import MODEL_FILE, NET_FILE, load_model
from engine.simulation.network import clean_network, first_error, read_network, sumo_program
from engine.simulation.streets import find_streets, slug


@pytest.mark.thorough
def test_the_network_is_made_the_same_byte_for_byte(built, traffic_folder, tmp_path):
    assert built.net == traffic_folder / NET_FILE
    build_adlershof(tmp_path)
    for name in (NET_FILE, MODEL_FILE):
        assert (tmp_path / name).read_bytes() == (traffic_folder / name).read_bytes()


def test_a_model_comes_back_from_disk_as_it_was(built, traffic_folder):
    loaded = load_model(traffic_folder)
    for field in dataclasses.fields(built):
        assert getattr(loaded, field.name) == getattr(built, field.name)


def test_each_edge_is_in_exactly_one_street(model):
    network = read_network(model.net)
    streets = find_streets(network)
    counts = Counter(edge for street in streets for edge in street.edges)
    assert set(counts) == {edge.id for edge in network.edges}
    assert set(counts.values()) == {1}
    assert len({street.id for street in streets}) == len(streets) > 100


def test_both_carriageways_of_a_divided_road_are_one_street(model):
    network = read_network(model.net)
    edges = {edge.id: edge for edge in network.edges}
    streets = {street.id: street for street in find_streets(network)}
    headings = {
        edges[e].shape[-1][0] > edges[e].shape[0][0]
        for e in streets["rudower-chaussee-1"].edges
        if edges[e].length_m > 50
    }
    assert headings == {True, False}
    street = streets["rudower-chaussee-1"]
    assert len(street.lines.geoms) == 2
    assert street.lines.length > 1.8 * street.length_m


def test_gates_and_zones_lie_on_edges_that_can_be_reached(model):
    reach = model.reachable()
    entries = [model.edge_index[g.entry] for g in model.gates if g.entry]
    exits = [model.edge_index[g.exit] for g in model.gates if g.exit]
    zoned = [model.edge_index[e] for zone in model.zones for e in zone.edges]
    assert all(zone.edges for zone in model.zones)
    assert reach[entries][:, zoned].all()
    assert reach[zoned][:, exits].all()
    assert len(model.sensors) >= 150
    assert len({model.edges[model.edge_index[e]].street for e in model.sensors}) > 80


def test_names_become_plain_ids():
    assert slug("Groß-Berliner Damm") == "gross-berliner-damm"
    assert slug("Wagner-Régeny-Straße") == "wagner-regeny-strasse"
    assert slug("???") == "road"


def test_missing_sumo_is_said(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("SUMO_HOME", str(tmp_path))
    with pytest.raises(SimulatorMissingError, match="pip install"):
        sumo_program("sumo")
    monkeypatch.delenv("SUMO_HOME")
    monkeypatch.setattr("engine.simulation.network.find_spec", lambda _: None)
    with pytest.raises(SimulatorMissingError, match="not installed"):
        sumo_program("sumo")


def test_a_file_that_is_no_network_is_refused(tmp_path):
    path = tmp_path / "odd.net.xml"
    path.write_text("<net>")
    with pytest.raises(SimulatorFailedError, match="could not be read"):
        clean_network(path, tmp_path / "out.net.xml.gz")
    assert list(tmp_path.iterdir()) == [path]


def test_the_first_error_line_is_found():
    assert first_error("Warning: a\nError: b\nError: c\nQuitting") == "Error: b"
    assert first_error("\n") == "it gave no reason"


def test_folders_without_or_with_a_damaged_model_are_refused(tmp_path, built, traffic_folder):
    assert built.net.exists()
    with pytest.raises(CityNotFoundError, match="cannot be simulated"):
        load_model(tmp_path)
    (tmp_path / "network").mkdir()
    (tmp_path / NET_FILE).write_bytes((traffic_folder / NET_FILE).read_bytes())
    text = (traffic_folder / MODEL_FILE).read_text("utf-8")
    (tmp_path / MODEL_FILE).write_text(text[:-100], "utf-8")
    with pytest.raises(CityDamagedError):
        load_model(tmp_path)
    (tmp_path / MODEL_FILE).write_text(text.replace('"version":1', '"version":9'), "utf-8")
    with pytest.raises(CityVersionError):
        load_model(tmp_path)
