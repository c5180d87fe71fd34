import gzip
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from engine.cities.registry import open_city
from engine.domain import CloseStreets, ScaleDemand
from engine.errors import ScenarioError, UnknownStreetError
from engine.models.installed import find_weights
from engine.simulation.assignment import reassign
from engine.simulation.habits import load_habits, save_habits
from engine.simulation.model import load_model
from engine.simulation.turns import turn_times

DAY = date(2025, 5, 28)


@pytest.fixture(scope="module")
def city():
    return open_city("adlershof")


@pytest.fixture(scope="module")
def model(city):
    return load_model(city.folder)


@pytest.fixture(scope="module")
def habits():
    return load_habits(find_weights("adlershof-streets"))


@pytest.fixture(scope="module")
def closure(city):
    return next(i for i in city.interventions() if i.spec.id == "close-wegedorn-feeder")


@pytest.fixture(scope="module")
def answer(model, habits, closure):
    return reassign(model, habits, DAY, closure.spec.edits, seed=1)


@pytest.mark.thorough
def test_without_edits_nothing_changes(model, habits):
    same = reassign(model, habits, DAY, (), seed=1)
    assert same.before.not_made == 0
    assert not same.change(model.grid.shape, np.ones(model.grid.shape)).any()


def test_nobody_drives_on_a_closed_street(model, answer, closure):
    (edit,) = closure.spec.edits
    closed = {model.edge_index[e] for s in edit.street_ids for e in model.street(s).edges}
    assert answer.before.volume[:, sorted(closed)].sum() > 1_000
    assert answer.after.volume[:, sorted(closed)].sum() == 0
    # the demand is kept: what is not moved to a gate or left out is driven
    assert answer.after.not_made == 0


def test_the_change_is_the_simulators_change(model, answer, closure):
    days = [
        part.field("occupancy").values.sum(axis=0, dtype=np.float64)
        for part in (closure.untouched, closure.edited)
    ]
    change = answer.change(model.grid.shape, days[0])
    assert np.corrcoef(change.ravel(), (days[1] - days[0]).ravel())[0, 1] > 0.7
    assert np.corrcoef(answer.before.points.sum(axis=0), days[0].ravel())[0, 1] > 0.93


def test_turns_cost_the_junction_and_giving_way(tmp_path, model):
    net = tmp_path / "net.xml.gz"
    lanes = "".join(
        f'<edge id=":j_{i}" function="internal"><lane id=":j_{i}_0" length="{10 * (i + 1)}" '
        'speed="10"/></edge>'
        for i in range(4)
    )
    ways = (("a", "b", 0, "M", ""), ("a", "c", 1, "m", ""), ("c", "b", 2, "o", 'tl="1"'))
    links = "".join(
        f'<connection from="{a}" to="{b}" via=":j_{i}_0" dir="s" state="{state}" {more}/>'
        for a, b, i, state, more in (*ways, ("a", "b", 3, "M", ""))
    )
    links += '<connection from="b" to="a" via=":j_1_0" dir="t" state="m"/>'
    net.write_bytes(gzip.compress(f"<net>{lanes}{links}</net>".encode()))
    edges = tuple(replace(model.edges[0], id=name) for name in "abcd")
    small = replace(model, net=net, edges=edges, links=((0, 1), (0, 2), (1, 0), (2, 1), (3, 0)))
    # the quicker of two lanes, giving way, turning back, a signal, and a turn that nobody knows
    assert turn_times(small).tolist() == [1.0, 3.5, 7.0, 3.0, 0.0]


@pytest.mark.thorough
def test_more_demand_is_more_traffic(model, habits):
    zone = model.zones[0].id
    more = reassign(model, habits, DAY, (ScaleDemand(zone, 3.0),), seed=1)
    assert more.change(model.grid.shape, np.ones(model.grid.shape)).sum() > 0


def test_habits_are_read_as_they_were_written(habits, tmp_path):
    path = tmp_path / "streets.safetensors"
    save_habits(path, habits, "adlershof", [DAY])
    again = load_habits(path)
    np.testing.assert_array_equal(again.seen_s, habits.seen_s)
    np.testing.assert_array_equal(again.cells.toarray(), habits.cells.toarray())
    sums = np.asarray(again.cells.sum(axis=1)).ravel()
    assert np.isclose(sums, 1, atol=1e-4).sum() > 0.95 * len(sums)


def test_bad_questions(model, habits):
    with pytest.raises(UnknownStreetError):
        reassign(model, habits, DAY, (CloseStreets(("no-such-street",)),))
    with pytest.raises(ScenarioError, match="another network"):
        reassign(model, replace(habits, dwell_s=habits.dwell_s[:, :-1]), DAY, ())
