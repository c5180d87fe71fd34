"""``python -m engine city``: what it prints and how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cities import CityWriter
from engine.cities.registry import user_root
from engine.cli import main
from engine.cli.city import LateProgress
from tests.engine.cities.demo_city import describe, field, write_city

ROOT = Path(__file__).parents[3]


@pytest.fixture
def cities(data_root):
    write_city(user_root())
    with CityWriter(user_root(), describe("odd", description="\x1b[31mred[/] [bold]")) as writer:
        writer.add_field("inflow", field())
    return user_root()


def run(capsys, *words):
    code = main(["city", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.usefixtures("cities")
def test_list(capsys):
    code, out, err = run(capsys, "list")
    assert (code, err) == (0, "")
    assert "demo" in out
    assert "ok" in out


def test_list_names_the_damaged(cities, capsys):
    (cities / "demo" / "streets.parquet").unlink()
    code, out, _ = run(capsys, "list", "--json")
    assert code == 1
    listed = {city["id"]: city["problem"] for city in json.loads(out)["cities"]}
    assert listed["odd"] is None
    assert listed["demo"]["kind"] == "CityDamagedError"
    assert "streets.parquet" in listed["demo"]["where"]


@pytest.mark.usefixtures("data_root")
def test_list_of_nothing(capsys):
    assert run(capsys, "list")[:2] == (0, "No city is installed.\n")


@pytest.mark.usefixtures("cities")
def test_show(capsys):
    code, out, _ = run(capsys, "show", "demo")
    assert code == 0
    for words in ("Demo", "8 x 8 cells of 680 x 556 m", "5,100", "made by a test", "1 of them"):
        assert words in out


@pytest.mark.usefixtures("cities")
def test_show_as_json(capsys):
    code, out, _ = run(capsys, "show", "demo", "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["num_trajectories"] == 5_100
    assert shown["interventions"] == [{"id": "close-north", "title": "Close it", "split": "test"}]


@pytest.mark.usefixtures("cities")
def test_text_of_a_city_is_text(capsys):
    _, out, _ = run(capsys, "show", "odd")
    assert "\x1b" not in out
    assert "[31mred[/] [bold]" in out


def test_check(cities, capsys):
    assert run(capsys, "check")[0] == 0
    (cities / "demo" / "fields" / "speed.npz").write_bytes(b"?")
    code, out, _ = run(capsys, "check")
    assert code == 1
    assert "odd: sound" in out
    assert "fields/speed.npz" in out
    code, out, _ = run(capsys, "check", "demo", "--json")
    assert code == 1
    (city,) = json.loads(out)["cities"]
    assert [problem["where"] for problem in city["problems"]] == ["fields/speed.npz"]


def test_check_of_a_folder(cities, capsys):
    assert run(capsys, "check", str(cities / "odd"))[0] == 0


@pytest.mark.parametrize(
    "words", [("show", "nowhere"), ("check", "nowhere"), ("show", "../x"), ("check", "/tmp/none")]
)
@pytest.mark.usefixtures("cities")
def test_bad_input(capsys, words):
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")


@pytest.mark.usefixtures("cities")
def test_from_a_shell():
    command = [sys.executable, "-m", "engine", "city", "check", "demo", "odd", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert {Path(city["folder"]).name for city in json.loads(done.stdout)["cities"]} == {
        "demo",
        "odd",
    }


def test_bar_appears_only_when_work_takes_long(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with LateProgress("Checking demo") as progress:
        progress.report(0, 3, "first.npz")
        assert capsys.readouterr().err == ""
        now[0] = 3.0
        progress.report(1, 3, "second.npz")
    captured = capsys.readouterr()
    assert "Checking demo" in captured.err
    assert captured.out == ""
