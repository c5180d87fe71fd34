import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.cities.importers.gps import join_points
from engine.cities.importers.gps_table import MICRODEGREE_COLUMNS, read_table_points
from engine.cli import main
from engine.errors import InputError, JobCancelledError
from engine.models.tddpm.tracks import LocalPlane
from engine.simulation import family
from engine.simulation.family import SPACING_M, make_city, make_family
from engine.simulation.family_streets import KINDS, NUM_BRIDGES, SIDE_M, draw_streets


@pytest.fixture(autouse=True)
def few_people(monkeypatch):
    monkeypatch.setattr(family, "PEOPLE", (40, 50))


def parts_of(streets, chosen):
    size = len(streets.nodes_m)
    graph = coo_array((np.ones(chosen.sum()), tuple(streets.ends[chosen].T)), shape=(size, size))
    return connected_components(graph, directed=False)[1]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("has_river", [False, True])
def test_streets_hang_together_and_only_bridges_cross_the_river(kind, has_river, tmp_path):
    for seed in range(3):
        streets = draw_streets(kind, has_river, np.random.default_rng(seed), tmp_path)
        used = np.unique(streets.ends)
        assert len(streets) > 50
        assert len(np.unique(parts_of(streets, np.ones(len(streets), bool))[used])) == 1
        extent = np.ptp(streets.lines_m.reshape(-1, 2), axis=0)
        assert SIDE_M[0] * 0.6 < extent.max() < SIDE_M[1] * 1.02
        assert len(streets.gates) >= 2
        assert np.isin(streets.gates, used).all()
        assert 0 < streets.main.mean() < 0.8
        if not has_river:
            assert streets.river is None
            assert not streets.bridge.any()
            continue
        assert NUM_BRIDGES[0] <= streets.bridge.sum() <= NUM_BRIDGES[1]
        across = streets.river.across_m(streets.lines_m)
        assert (np.abs(across[~streets.bridge]) >= streets.river.width_m / 2).all()
        # without its bridges, no part of the city lies on both banks
        part = parts_of(streets, ~streets.bridge)
        bank = np.sign(streets.river.across_m(streets.nodes_m))
        assert {len(np.unique(bank[used][part[used] == p])) for p in np.unique(part[used])} == {1}
        assert set(bank[used]) == {-1, 1}


def test_trips_cross_the_river_at_bridges_only():
    city = make_city(4, 3)
    assert city.streets.river is not None
    plane = LocalPlane(0.0, 0.0)
    middle = np.array([4 * SPACING_M, 0])
    points = plane.to_metres(city.tracks.lon, city.tracks.lat) - middle
    across = city.streets.river.across_m(points)
    together = np.ones(len(points), bool)
    together[city.tracks.starts[1:-1]] = False
    crossed = np.flatnonzero((np.sign(across[1:]) != np.sign(across[:-1])) & together[1:])
    assert len(crossed) > 20
    bridges = city.streets.lines_m[city.streets.bridge].reshape(-1, 2)
    halfway = (points[crossed] + points[crossed + 1]) / 2
    reach = np.linalg.norm(halfway[:, None] - bridges, axis=-1).min(axis=1)
    spacing = city.streets.lengths_m[city.streets.bridge].max() / 4
    assert reach.max() < spacing / 2 + 40
    wet = points[np.abs(across) < city.streets.river.width_m / 2 - 10]
    assert np.linalg.norm(wet[:, None] - bridges, axis=-1).min(axis=1).max() < spacing / 2 + 10


@pytest.mark.thorough
def test_a_city_depends_on_seed_and_number_alone():
    first, second = make_family(2, 5, workers=2)
    again = make_city(1, 5)
    for name in ("lon", "lat", "starts", "keys", "first_s"):
        np.testing.assert_array_equal(getattr(again.tracks, name), getattr(second.tracks, name))
    assert again.start_s == second.start_s
    assert not np.array_equal(make_city(1, 6).tracks.lon[:50], second.tracks.lon[:50])
    assert (first.number, first.streets.kind) == (0, "grid")


@pytest.mark.thorough
def test_the_command_writes_cities_apart_from_each_other(tmp_path, capsys):
    path = tmp_path / "family.parquet"
    words = ("simulate", "family", "--cities", "3", "--seed", "1", "--workers", "2")
    assert main([*words, "--out", str(path)]) == 0
    told = capsys.readouterr()
    assert "3 cities" in told.out
    assert "teleports" in told.out
    assert told.err.count("unfinished") == 3
    points = join_points(read_table_points(path, MICRODEGREE_COLUMNS))
    assert pq.read_metadata(path).num_rows == len(points) > 3_000
    city = points.trip // family.NUMBERS_PER_CITY
    assert set(city) == {0, 1, 2}
    np.testing.assert_array_equal(points.person // family.NUMBERS_PER_CITY, city)
    xy_m = LocalPlane(0.0, 0.0).to_metres(points.lon_deg, points.lat_deg)
    low, high = (
        np.array([edge(xy_m[city == i, 0]) for i in range(3)]) for edge in (np.min, np.max)
    )
    assert (low[1:] - high[:-1]).min() > 4_500
    assert (points.time_s % 5 == 0).all()
    same = points.trip[1:] == points.trip[:-1]
    assert (np.diff(points.time_s)[same] == 5).all()
    steps_m = np.linalg.norm(np.diff(xy_m, axis=0), axis=1)[same]
    assert steps_m.max() < 5 * 30
    people, trips = np.unique(points.person), np.unique(points.trip)
    assert 100 < len(people) <= 150
    assert 1.5 < len(trips) / len(people) < 5


def test_bad_sizes_and_cancelling():
    for num, workers in ((0, 1), (10_000, 1), (3, 0)):
        with pytest.raises(InputError, match="A family has"):
            next(make_family(num, 0, workers))
    with pytest.raises(JobCancelledError):
        next(make_family(2, 0, 2, lambda: True))
