"""From finished days to a city in the format of engine.cities, and back."""

import dataclasses
import json

import numpy as np
import pytest

from engine.cities import City, Split
from engine.cities.inspection import check_city
from engine.cli import main
from engine.domain import CloseStreets
from engine.errors import InputError, JobCancelledError
from engine.simulation import Progress, simulate_day
from engine.simulation.assembly import NOTICE, WorkFolder, write_city
from engine.simulation.building import BuildOptions, build_city
from engine.simulation.catalogue import CLOSURES, DEMAND_CHANGES, INTERVENTIONS, Planned
from engine.simulation.construction import build_adlershof
from engine.simulation.model import load_model
from engine.simulation.production import (
    draw_tracks,
    is_finished,
    load_day,
    lottery,
    produce_day,
    store_day,
)
from engine.simulation.tours import Purpose
from tests.engine.simulation.simulation_cases import CLOSED, DAY, HALF_HOUR, last

pytestmark = pytest.mark.thorough
PLANNED = Planned("closed", "A street is closed", DAY, (CloseStreets((CLOSED,)),), is_test=True)


@pytest.fixture(scope="module")
def work(tmp_path_factory, untouched, closed):
    work = WorkFolder(tmp_path_factory.mktemp("work"))
    build_adlershof(work.city)
    store_day(untouched, work.day(DAY))
    store_day(closed, work.intervention(PLANNED))
    return work


@pytest.fixture(scope="module")
def city(work, tmp_path_factory):
    root = tmp_path_factory.mktemp("cities")
    return City(write_city(load_model(work.city), work, root, [DAY], [PLANNED]))


def test_the_city_passes_the_check_and_is_labelled(city):
    assert list(check_city(city.folder)) == []
    assert city.metadata.simulated
    assert city.metadata.notice == NOTICE
    assert "ODbL" in city.metadata.sources[0].terms


def test_the_same_days_give_the_same_bytes(work, city, tmp_path):
    again = write_city(load_model(work.city), work, tmp_path, [DAY], [PLANNED])
    names = sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert names == sorted(
        p.relative_to(city.folder) for p in city.folder.rglob("*") if p.is_file()
    )
    assert [n for n in names if (again / n).read_bytes() != (city.folder / n).read_bytes()] == []


def test_the_city_says_what_was_simulated(city, model, untouched):
    assert np.array_equal(city.field("flow").values, untouched.flow.values)
    assert city.field("flow").start == untouched.start
    series = city.segments()
    assert np.array_equal(series.count, untouched.count)
    assert np.nanmax(np.abs(series.speed_kmh - untouched.speed_kmh)) <= 0.26
    assert len(city.sensors()) == len(model.sensors)
    assert len(city.streets()) == len(model.streets)
    assert set(city.zones()["zone_id"]) == {zone.id for zone in model.zones}
    assert set(city.basemap()["kind"]) >= {"rail", "tram", "footway"}
    context = city.context()
    assert len(context) == 48
    assert set(context["day_type"]) == {"weekday"}


def test_trajectories_lie_where_the_simulator_had_them(city, untouched):
    batch = next(city.trajectories())
    assert set(batch.purposes) <= {purpose.value for purpose in Purpose}
    kept = draw_tracks(untouched.tracks, 800)
    keys = [int(name.split("-")[1]) for name in batch.trip_ids]
    assert sorted(keys) == kept.keys.tolist()
    trip = keys.index(int(kept.keys[0]))
    points = slice(batch.offsets[trip], batch.offsets[trip + 1])
    own = slice(kept.starts[0], kept.starts[1])
    assert np.abs(batch.lon_deg[points] - kept.lon[own]).max() < 1e-6
    assert np.abs(batch.speed_kmh[points] - kept.speed_kmh[own]).max() <= 0.26


def test_an_intervention_has_both_days_with_the_same_trips(city):
    (intervention,) = city.interventions()
    assert intervention.spec.split is Split.TEST
    assert intervention.spec.edits == PLANNED.edits
    names = [
        set(next(part.trajectories()).trip_ids)
        for part in (intervention.untouched, intervention.edited)
    ]
    assert len(names[0] & names[1]) > 0.9 * len(names[0])
    change = intervention.edited.field("flow").values.astype(int)
    assert (change != intervention.untouched.field("flow").values).any()


def test_the_model_travels_with_the_city(city, model):
    assert load_model(city.folder).streets == model.streets


def test_the_zones_cover_their_streets_and_do_not_overlap(city):
    zones = city.zones().to_crs(city.metadata.crs_metric)
    assert zones.is_valid.all()
    total = zones.union_all().area
    assert zones.area.sum() == pytest.approx(total, rel=0.01)


def test_the_lottery_is_fair_and_ignores_edits():
    keys = np.arange(1, 20_001)
    tickets = lottery(keys)
    assert len(np.unique(tickets)) == len(keys)
    chosen = np.argsort(tickets)[:2000]
    assert abs(chosen.mean() - 10_000) < 500
    assert np.array_equal(lottery(keys[::7]), tickets[::7])


def test_a_finished_day_comes_back_and_is_not_made_again(sparse, tmp_path, monkeypatch):
    tiny = dataclasses.replace(sparse, volume=0.02)
    day = last(simulate_day(tiny, DAY, hours=HALF_HOUR))
    store_day(day, tmp_path / "day")
    stored = load_day(tmp_path / "day")
    assert is_finished(tmp_path / "day")
    assert stored.summary == day.summary
    assert np.array_equal(stored.flow, day.flow.values)
    assert len(stored.trips["length_m"]) == (day.trips.keys > 0).sum()
    monkeypatch.setattr("engine.simulation.production.simulate_day", None)
    assert list(produce_day(tiny, DAY, (), tmp_path / "day")) == []


def test_making_the_city_can_be_stopped_and_names_other_work(tmp_path, work):
    options = BuildOptions(tmp_path / "cities", tmp_path / "work", weeks=1, jobs=2)
    steps = build_city(options, lambda: True)
    assert isinstance(next(steps), Progress)
    with pytest.raises(JobCancelledError):
        list(steps)
    assert not (tmp_path / "cities").exists() or not list((tmp_path / "cities").iterdir())
    other = dataclasses.replace(options, seed=options.seed + 1)
    with pytest.raises(InputError, match="another version"):
        list(build_city(other, lambda: True))
    with pytest.raises(InputError, match="0 weeks"):
        list(build_city(dataclasses.replace(options, weeks=0)))


def test_the_catalogue_fits_the_city(model):
    assert len(CLOSURES) >= 12
    assert len(DEMAND_CHANGES) >= 8
    assert sum(p.is_test for p in CLOSURES) == 4
    assert sum(p.is_test for p in DEMAND_CHANGES) == 3
    test_days = {p.date for p in INTERVENTIONS if p.is_test}
    assert not test_days & {p.date for p in INTERVENTIONS if not p.is_test}
    for planned in INTERVENTIONS:
        for edit in planned.edits:
            for street in getattr(edit, "street_ids", ()):
                model.street(street)
            if hasattr(edit, "zone_id"):
                model.zone(edit.zone_id)


def test_command_line_compares_a_day(city, capsys, tmp_path):
    words = ["simulate", "day", "--city", str(city.folder), "--date", "2025-05-15"]
    words += ["--hours", "4-4.5", "--close", CLOSED, "--scale-demand", "campus=0.5"]
    words += ["--attraction", "forum=50@04:10-04:25", "--json", "--out", str(tmp_path)]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert [edit["kind"] for edit in document["edits"]] == [
        "close-streets",
        "scale-demand",
        "add-attraction",
    ]
    assert document["edited"]["trips_planned"] > document["untouched"]["trips_planned"]
    street = next(s for s in document["streets"] if s["id"] == CLOSED)
    assert street["after"] == 0
    with np.load(tmp_path / "edited.npz") as arrays:
        assert arrays["flow"].shape == (1, 32, 32)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--close", "newtonstrasse-99"], "Did you mean"),
        (["--date", "15.5.2025"], "no date"),
        (["--hours", "seven"], "no hours"),
        (["--hours", "9-8"], "do not fit"),
        (["--scale-demand", "campus"], "ZONE=0.5"),
        (["--attraction", "campus=5"], "ZONE=2000@19:00-22:00"),
        (["--attraction", "campus=50@22:00-19:00"], "within one day"),
        (["--seed", "-1"], "seed"),
    ],
)
def test_command_line_refuses_what_does_not_fit(city, capsys, words, text):
    assert main(["simulate", "day", "--city", str(city.folder), *words]) == 2
    assert text in capsys.readouterr().err
