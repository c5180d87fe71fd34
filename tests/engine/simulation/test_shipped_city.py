"""The embedded city as it ships: complete, small enough, plausible, and made by this code."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from engine.cities import City, Split
from engine.cities.registry import embedded_root
from engine.domain import CloseStreets
from engine.simulation.assembly import NOTICE, SUMMARIES_NAME
from engine.simulation.catalogue import INTERVENTIONS
from engine.simulation.facts import BEGIN, describe_city
from engine.simulation.figures import draw_figures
from engine.simulation.model import MODEL_FILE, load_model

FOLDER = embedded_root() / "adlershof"
DAYS = 91


@pytest.fixture(scope="module")
def city():
    return City(FOLDER)


def test_it_holds_thirteen_weeks(city):
    flow = city.field("flow")
    assert flow.values.shape == (DAYS * 48, 32, 32)
    assert flow.values.dtype == np.uint16
    assert flow.start == datetime(2025, 3, 30, 22, tzinfo=UTC)
    assert flow.coarsen().values.shape == (DAYS * 48, 8, 8)
    series = city.segments()
    assert series.speed_kmh.shape == (DAYS * 288, len(city.sensors()))
    assert len(city.sensors()) >= 150
    assert city.num_trajectories >= 40_000
    context = city.context()
    assert len(context) == DAYS * 48
    assert (context["time"].diff().dropna() == timedelta(minutes=30)).all()
    assert context["holiday"].sum() >= 3 * 48


def test_it_is_small_enough_and_labelled(city):
    sizes = [path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(sizes) <= 45_000_000
    assert max(sizes) <= 10_000_000
    assert city.metadata.notice == NOTICE
    assert "OpenStreetMap" in city.metadata.attribution
    assert "Open Database License" in (FOLDER / "LICENSE").read_text("utf-8")
    assert "| working days |" in (FOLDER / "README.md").read_text("utf-8").split(BEGIN)[1]


def test_its_interventions_are_those_of_the_catalogue(city):
    found = {item.spec.id: item for item in city.interventions()}
    assert set(found) == {planned.id for planned in INTERVENTIONS}
    for planned in INTERVENTIONS:
        item = found[planned.id]
        assert item.spec.edits == planned.edits
        assert item.spec.split is (Split.TEST if planned.is_test else Split.TRAIN)
        for part in (item.untouched, item.edited):
            assert part.field("flow").values.shape == (48, 32, 32)
            assert part.field("occupancy").start.date() == planned.date
            assert part.segments().count.shape == (288, len(city.sensors()))
            assert part.num_trajectories >= 1000


def test_closed_streets_are_empty_in_its_interventions(city):
    edges = city.sensors()["street_id"].to_numpy()
    for item in city.interventions():
        closed = [s for e in item.spec.edits if isinstance(e, CloseStreets) for s in e.street_ids]
        columns = np.isin(edges, closed)
        if columns.any() and item.spec.edits[0].end_s - item.spec.edits[0].begin_s == 86_400:
            assert item.untouched.segments().count[:, columns].sum() > 0
            assert item.edited.segments().count[:, columns].sum() == 0


def test_an_untouched_day_is_the_same_day_of_the_series(city):
    item = city.interventions()[0]
    day, flow = item.untouched.field("flow"), city.field("flow")
    first = flow.index_of(day.start)
    assert np.array_equal(flow.values[first : first + 48], day.values)


def test_its_traffic_flows(city):
    summaries = json.loads(city.network_path(SUMMARIES_NAME).read_text("utf-8"))
    assert len(summaries) == DAYS + len(INTERVENTIONS)
    for figures in summaries.values():
        assert figures["trips_done"] > 0.95 * figures["trips_planned"]
        assert figures["teleports"] < 0.01 * figures["trips_planned"]
        assert 15 < figures["mean_speed_kmh"] < 35


def test_peaks_are_slower_than_the_night(city):
    series, types = city.segments(), city.context()["day_type"].to_numpy()[::48]
    count = series.count.astype(float).reshape(DAYS, 288, -1)[types == "weekday"]
    speed = np.nan_to_num(series.speed_kmh).reshape(DAYS, 288, -1)[types == "weekday"]
    busiest = np.argsort(-count.sum((0, 1)))[:24]
    means = (speed * count)[..., busiest].sum((0, 2)) / count[..., busiest].sum((0, 2))
    assert means[96:108].mean() < 0.9 * means[120:168].mean()
    assert means[192:204].mean() < 0.95 * means[120:168].mean()


def test_this_code_makes_the_same_traffic_model(built, traffic_folder):
    assert (FOLDER / MODEL_FILE).read_bytes() == (traffic_folder / MODEL_FILE).read_bytes()
    assert load_model(FOLDER).streets == built.streets


@pytest.mark.slow
def test_its_figures_can_be_drawn_again(city, tmp_path):
    pytest.importorskip("matplotlib")
    paths = list(draw_figures(city, tmp_path))
    assert len(paths) == 6
    assert all(path.stat().st_size > 10_000 for path in paths)
    again = tmp_path / "again"
    assert [p.read_bytes() for p in draw_figures(city, again)] == [p.read_bytes() for p in paths]
    assert describe_city(city) in (FOLDER / "README.md").read_text("utf-8")
