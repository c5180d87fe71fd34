import copy
import subprocess
import sys

import numpy as np
import pytest

from engine.domain import (
    AddAttraction,
    BlockCells,
    CloseStreets,
    Question,
    RemoveSensors,
    Result,
    ScaleDemand,
    Scenario,
    SetOccupancy,
    edit_from_json,
    edit_to_json,
)
from engine.errors import EngineError, ScenarioError

EDITS = (
    RemoveSensors(((0, 1), (2, 3))),
    SetOccupancy(((0, 0),), (2.5,)),
    BlockCells(((1, 1),)),
    CloseStreets(("s1", "s2"), 3600, 7200),
    ScaleDemand("z1", 0.5),
    AddAttraction("z2", 2000, 64_800, 79_200),
)


def scenario(**changes):
    given = {
        "city_id": "adlershof",
        "question": Question.SIMULATE,
        "edits": EDITS,
        "parameters": {"date": "2024-05-02", "hours": 2, "scale": 0.5},
        "seed": 7,
    }
    return Scenario(**{**given, **changes})


@pytest.mark.parametrize("edit", EDITS, ids=lambda e: type(e).__name__)
def test_edits_survive_json(edit):
    import json

    assert edit_from_json(json.loads(json.dumps(edit_to_json(edit)))) == edit


def test_scenarios_survive_json_and_copies():
    import json

    first = scenario()
    again = Scenario.from_json(json.loads(json.dumps(first.to_json())))
    assert again == first
    assert again.digest == first.digest
    assert copy.deepcopy(first) == first


def test_digest_is_the_same_in_another_process():
    code = (
        "from engine.domain import *;"
        "edits = (ScaleDemand('z1', 0.5),);"
        "print(Scenario('adlershof', 'simulate', edits, {'b': 1, 'a': 2}).digest)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = Scenario("adlershof", "simulate", (ScaleDemand("z1", 0.5),), {"a": 2, "b": 1})
    assert run.stdout.strip() == here.digest


def test_every_part_changes_the_digest():
    digests = {
        scenario().digest,
        scenario(city_id="other").digest,
        scenario(question="forecast").digest,
        scenario(edits=EDITS[::-1]).digest,
        scenario(parameters={"hours": 3}).digest,
        scenario(seed=8).digest,
    }
    assert len(digests) == 6


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": 1.5},
        {"parameters": {"a": [1]}},
        {"parameters": {"a": float("nan")}},
        {"edits": (BlockCells(((0, 0),)),) * 10_001},
    ],
)
def test_bad_scenarios_are_refused(changes):
    with pytest.raises(ScenarioError):
        scenario(**changes)


def test_parameters_cannot_be_changed():
    with pytest.raises(TypeError):
        scenario().parameters["hours"] = 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: CloseStreets(()),
        lambda: CloseStreets(("a",), 10, 5),
        lambda: ScaleDemand("z", -1),
        lambda: ScaleDemand("z", float("nan")),
        lambda: AddAttraction("z", 0, 0, 10),
        lambda: SetOccupancy(((0, 0),), ()),
        lambda: SetOccupancy(((0, 0),), (float("inf"),)),
        lambda: BlockCells(((-1, 0),)),
        lambda: edit_from_json({"kind": "nonsense"}),
        lambda: edit_from_json({"kind": "scale-demand"}),
        lambda: edit_from_json({"kind": "scale-demand", "zone_id": "z", "factor": 1, "x": 2}),
        lambda: Scenario.from_json({"city_id": "a"}),
        lambda: Scenario.from_json([]),
    ],
)
def test_bad_edits_are_refused(make):
    with pytest.raises(ScenarioError):
        make()


def test_result_is_read_only_and_hashes_its_content():
    values = np.zeros((2, 2))
    first = Result(scenario(), {"mean": values})
    values[:] = 1
    second = Result(scenario(), {"mean": values})
    assert first.digest != second.digest
    assert copy.deepcopy(first).digest == first.digest
    with pytest.raises(ValueError, match="read-only"):
        first.arrays["mean"][:] = 3


def test_errors_survive_a_copy_and_read_as_sentences():
    error = ScenarioError("It is wrong.", "there", "Do this.")
    again = copy.copy(error)
    assert isinstance(again, EngineError)
    assert (again.what, again.where, again.fix) == ("It is wrong.", "there", "Do this.")
    assert str(again) == "It is wrong. (there) Do this."
