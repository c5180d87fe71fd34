import json

import numpy as np
import pytest

from engine.errors import WeightsError
from engine.models.tddpm.checkpoint import load_model, save_model
from engine.models.tddpm.closed_loop import OccupancyLedger
from engine.models.tddpm.generation import TrajectoryModel
from engine.models.tddpm.network import MapReader, NetworkConfig
from engine.models.tddpm.occupancy import CityMap, cut_regions
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.tracks import tracks_from_trips
from engine.models.tddpm.trip_ends import EndsLedger, EndsRule, fit_ends_rule


def trips(rng, points, numbers=(3_000, 1_000)):
    """Trips that stay where they are, in two columns of a square of 4 km."""
    made = []
    for place, length, num in zip((1_000.0, 3_000.0), points, numbers, strict=True):
        rows = (np.arange(num) + rng.random(num)) / num * 4_000
        made += [np.repeat([[place, row]], length, axis=0) for row in rows]
    return tracks_from_trips([*made, np.zeros((2, 2)), np.full((2, 2), 4_000.0)], 5.0)


@pytest.mark.parametrize(
    # thrice as many ends; points are 3, 2.5 and 3.6 times as many
    ("points", "power"),
    [((30, 30), 1.0), ((30, 36), 1.2), ((36, 30), 0.85)],
)
def test_the_power_leads_from_points_to_ends(points, power):
    rule = fit_ends_rule(trips(np.random.default_rng(0), points), 3_000.0)
    assert rule.cell_m == pytest.approx(250)
    assert rule.power == power


def test_a_map_that_tells_nothing_of_ends_gives_no_rule():
    rng = np.random.default_rng(1)
    tracks = trips(rng, (5, 1_000), (50, 50))
    assert fit_ends_rule(tracks, 3_000.0) is None


def test_trips_of_many_cities_give_no_rule():
    tracks = trips(np.random.default_rng(0), (50, 50))
    assert fit_ends_rule(tracks, 200.0) is None
    assert fit_ends_rule(tracks_from_trips([np.ones((3, 2))], 5.0), 200.0) is None


def test_ends_are_counted_and_taken_back():
    city = CityMap(np.ones((4, 4)), 0.0, 40.0, 10.0)
    ledger = EndsLedger(city, EndsRule(20.0, 1.0))
    cells = ledger.cells_of(tracks_from_trips([np.array([[5.0, 35], [35, 5], [-5, 5]])], 5.0))
    assert cells.tolist() == [[0, -1]]
    before = ledger.cost(cells[0], 4)
    ledger.add(cells[0], 1)
    assert ledger.num_trips == 1
    assert ledger.cost(cells[0], 4) > before
    ledger.add(cells[0], -1)
    assert ledger.cost(cells[0], 4) == before


def test_the_try_is_kept_whose_ends_fit():
    # both tries of a trip cover the same cells, in opposite directions or not
    counts = np.ones((12, 12))
    counts[:, :6] = 3
    city = CityMap(counts, 0.0, 120.0, 10.0)
    rng = np.random.default_rng(2)
    made = []
    for _ in range(200):
        y = rng.uniform(0, 120)
        ways = [np.array([[x, y], [110.0, y], [10.0, y], [x, y]]) for x in (10.0, 110.0)]
        made += ways
    tracks, slot = tracks_from_trips(made, 5.0), np.repeat(np.arange(200), 2)
    allowed = np.ones(400, bool)
    ledger = OccupancyLedger(city, cut_regions(city), EndsRule(60.0, 1.0))
    starts = tracks.select(ledger.choose(tracks, slot, allowed)).ends_m()[0]
    assert (starts[:, 0] < 60).mean() == pytest.approx(0.75, abs=0.06)


def test_the_rule_travels_with_the_weights(tmp_path):
    config = NetworkConfig(channels=16, layers=1, heads=2, map_layers=1, feature_channels=4)
    prior = TripPrior(np.array([2.0, 10.0]), np.ones((1, 24)))
    path = tmp_path / "model.safetensors"
    rule = EndsRule(2_400.0, 1.1)
    for ends in (rule, None):
        model = TrajectoryModel(MapReader(config).eval(), prior, 16, 5.0, 3_000.0, ends=ends)
        save_model(path, model, {"name": "made in a test"})
        assert load_model(path)[0].ends == ends
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**card, "ends": {"cell_m": -1, "power": 1}}))
    with pytest.raises(WeightsError, match="rule of trips' ends"):
        load_model(path)
