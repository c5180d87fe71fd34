import argparse
import json
import subprocess
import sys
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.cities.importers.gps import join_points
from engine.cities.importers.gps_table import ColumnMapping, read_table_points
from engine.cli import trajectories
from engine.errors import InputError, WeightsError


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """Ten people walking about a small city, in the layout of our point tables."""
    rng = np.random.default_rng(0)
    columns = {name: [] for name in ("traj", "user", "time", "lat_udeg", "lon_udeg")}
    for trip in range(60):
        n = 80
        lon = 116.30 + rng.uniform(0, 0.02) + np.cumsum(rng.normal(0, 1e-4, n))
        lat = 39.95 + rng.uniform(0, 0.02) + np.cumsum(rng.normal(0, 1e-4, n))
        columns["traj"] += [trip] * n
        columns["user"] += [trip % 10] * n
        columns["time"] += (1_230_000_000_000 + trip * 10**7 + 5_000 * np.arange(n)).tolist()
        columns["lat_udeg"] += list((lat * 1e6).astype(int))
        columns["lon_udeg"] += list((lon * 1e6).astype(int))
    table = pa.table(
        {
            "traj": pa.array(columns["traj"], pa.int32()),
            "user": pa.array(columns["user"], pa.int16()),
            "time": pa.array(columns["time"], pa.timestamp("ms")),
            "lat_udeg": pa.array(columns["lat_udeg"], pa.int32()),
            "lon_udeg": pa.array(columns["lon_udeg"], pa.int32()),
        }
    )
    path = tmp_path_factory.mktemp("points") / "points.parquet"
    pq.write_table(table, path)
    return path


def run(*words):
    parser = argparse.ArgumentParser()
    areas = parser.add_subparsers()
    trajectories.add_commands(areas)
    trajectories.add_bench(areas.add_parser("bench").add_subparsers())
    args = parser.parse_args([str(word) for word in words])
    return args.run(args)


@pytest.fixture(scope="module")
def weights(points, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    sizes = ("--channels", 16, "--layers", 1, "--regions", 6, "--batch-regions", 2)
    words = ("trajectories", "train", "--points", points, "--out", folder / "small.safetensors")
    more = ("--checkpoints", folder / "ck", "--data-name", "made up", "--data-terms", "none")
    assert run(*words, *more, *sizes, "--steps", 2) == 0
    return folder / "small.safetensors"


@pytest.mark.thorough
def test_card_tells_what_was_trained(weights):
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["kind"] == "trajectories"
    assert card["data"]["terms"] == "none"
    assert card["data"]["people_held_out"] == "0.2 by seed 0"
    assert card["training"]["steps"] == 2
    assert card["network"]["channels"] == 16


def test_sampled_trips_are_a_table_that_the_importer_reads(weights, points, tmp_path):
    common = ("--weights", weights, "--points", points, "--trips", 6, "--evaluations", 1)
    for name in ("a.csv", "b.csv", "c.parquet"):
        assert run("trajectories", "sample", *common, "--out", tmp_path / name) == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    mapping = ColumnMapping(lon="lon_udeg", lat="lat_udeg", scale=1e-6)
    read = join_points(read_table_points(tmp_path / "c.parquet", mapping))
    assert len(np.unique(read.trip)) == 6
    assert np.abs(read.lon_deg - 116.31).max() < 0.2
    with pytest.raises(InputError, match="csv or"):
        run("trajectories", "sample", *common, "--out", tmp_path / "d.xls")


def test_bench_writes_every_method_with_its_spread(weights, points, tmp_path, capsys):
    out = tmp_path / "bench.json"
    words = ("bench", "trajectories", "--weights", weights, "--points", points, "--json", out)
    assert run(*words, "--hold-out", "--seeds", 2, "--evaluations", 1, "--max-trips", 5) == 0
    results = json.loads(out.read_text())
    walks = ["markov-walk", "shortest-paths", "markov-walk-fine"]
    assert list(results) == ["real-halves", "ours", *walks, "resampling"]
    assert {"js", "js_sd", "trip", "length", "seconds", "closest_training_p5_m"} <= set(
        results["ours"]
    )
    assert "markov-walk" in capsys.readouterr().err


def test_a_survey_tells_models_and_baselines_how_long_trips_are(
    weights, points, tmp_path, monkeypatch
):
    from engine.evaluation import trajectories_bench

    asked = []
    real = trajectories_bench.our_maker

    def spy(*args):
        maker = real(*args)
        return replace(maker, make=lambda given: (asked.append(given.survey), maker.make(given))[1])

    monkeypatch.setattr(trajectories_bench, "our_maker", spy)
    words = ("bench", "trajectories", "--weights", weights, "--points", points, "--hold-out")
    few = ("--seeds", 1, "--evaluations", 1, "--max-trips", 5, "--json")
    for survey in ((), ("--survey",)):
        assert run(*words, *survey, *few, tmp_path / "bench.json") == 0
    assert asked[0] is None
    assert asked[1].counts.sum() == 10
    files = [tmp_path / name for name in ("weights.csv", "survey.csv")]
    for survey, file in zip(((), ("--survey",)), files, strict=True):
        words = ("trajectories", "sample", "--weights", weights, "--points", points)
        assert run(*words, *survey, "--trips", 4, "--evaluations", 1, "--out", file) == 0
    assert files[0].read_bytes() != files[1].read_bytes()


@pytest.mark.thorough
def test_bench_measures_further_weights_and_the_long_chain_in_the_same_run(
    weights, points, tmp_path
):
    out = tmp_path / "bench.json"
    words = ("bench", "trajectories", "--weights", weights, "--points", points, "--json", out)
    more = ("--seeds", 1, "--evaluations", 2, "--max-trips", 6, "--trip-points", 24)
    assert run(*words, *more, "--ancestral", 40, "--beside", weights) == 0
    results = json.loads(out.read_text())
    assert {"ours", "small", "ancestral"} <= set(results)
    assert results["ancestral"]["evaluations"] == 40
    assert results["ancestral"]["seconds_over_ours"] > 1
    assert results["ours"]["first_seconds"] <= results["ours"]["seconds"]
    assert results["ours"]["num_points"] <= 6 * 24
    # other weights of the same values make the same trips
    assert results["small"]["js_over_ours"] == pytest.approx(1)


SMALL = ("--channels", 16, "--layers", 1, "--regions", 6, "--batch-regions", 2, "--steps", 1)
QUARTER = (116.30, 39.95, 116.31, 39.96)


def train_words(points, folder, *more):
    words = ("trajectories", "train", "--points", points, "--out", folder / "a.safetensors")
    named = ("--checkpoints", folder / "ck", "--data-name", "made up", "--data-terms", "none")
    return [str(word) for word in (*words, *named, *SMALL, *more)]


def test_training_leaves_out_a_rectangle_at_a_chosen_scale(points, tmp_path, monkeypatch):
    from engine.models.tddpm import pieces

    seen = []
    make = pieces.RegionSampler.__init__

    def spy(self, tracks, config):
        seen.append((tracks, config.side_m))
        make(self, tracks, config)

    monkeypatch.setattr(pieces.RegionSampler, "__init__", spy)
    assert run(*train_words(points, tmp_path, "--side", 900, "--leave-out", *QUARTER)) == 0
    [(tracks, side_m)] = seen
    assert side_m == 900
    _, plane = trajectories.read_tracks(points)
    lon, lat = plane.to_degrees(tracks.points_m)
    west, south, east, north = QUARTER
    assert len(lon) > 500
    assert not ((lon > west) & (lon < east) & (lat > south) & (lat < north)).any()
    card = json.loads((tmp_path / "a.json").read_text())
    assert card["data"]["left_out"] == list(QUARTER)
    assert card["side_m"] == 900
    with pytest.raises(InputError, match="side of a region"):
        run(*train_words(points, tmp_path, "--side", 1))


@pytest.mark.thorough
def test_training_needs_no_map_or_simulator_packages(points, tmp_path):
    absent = ("geopandas", "shapely", "pyproj", "h3", "distributed", "dask", "sumo", "streamlit")
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"
        "from engine.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = train_words(points, tmp_path)
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.safetensors").exists()


def test_bench_looks_inside_a_rectangle_only(weights, points, tmp_path, monkeypatch):
    from engine.evaluation import trajectories_bench

    seen = []

    def spy(models, data, seed, listen):
        del models, seed, listen
        seen.append(data)
        return {"ours": {"js": 1.0}}

    monkeypatch.setattr(trajectories_bench, "bench_trajectories", spy)
    words = ("bench", "trajectories", "--weights", weights, "--points", points, "--seeds", 1)
    more = ("--evaluations", 1, "--max-trips", 4, "--json", tmp_path / "a.json")
    boxes = ("--inside", *QUARTER, "--leave-out", *QUARTER)
    assert run(*words, *more, "--hold-out", *boxes) == 0
    _, plane = trajectories.read_tracks(points)
    west, south, east, north = QUARTER
    for tracks, inside in ((seen[0].real, True), (seen[0].training, False)):
        lon, lat = plane.to_degrees(tracks.points_m)
        within = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        assert (within == inside).mean() > 0.999  # the border itself, in float32
    with pytest.raises(InputError, match="hold-out"):
        run(*words, *more, "--leave-out", *QUARTER)


def test_spread_by_hand():
    runs = [{"a": {"js": 1.0, "none": None}}, {"a": {"js": 3.0, "none": 2.0}}]
    summary = trajectories.summarise(runs)
    assert summary == {"a": {"js": 2.0, "js_sd": pytest.approx(2**0.5), "none": None}}


def test_damaged_weights_are_refused(weights, points, tmp_path):
    copy = tmp_path / "x.safetensors"
    card = json.loads(weights.with_suffix(".json").read_text())
    words = ("trajectories", "sample", "--weights", copy, "--points", points)
    words = (*words, "--out", tmp_path / "a.csv")
    with pytest.raises(WeightsError):
        run(*words)
    copy.write_bytes(weights.read_bytes()[:-1])
    copy.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="damaged"):
        run(*words)
    copy.write_bytes(weights.read_bytes())
    for bad in ({"kind": "reconstruct"}, {"piece_points": 10**9}, {"network": {"channels": 10**7}}):
        copy.with_suffix(".json").write_text(json.dumps({**card, **bad}))
        with pytest.raises(WeightsError):
            run(*words)


def test_a_table_is_imported_with_its_mapping(tmp_path):
    source = tmp_path / "a.csv"
    source.write_text("id,t,x,y\n1,2009-05-01 14:00:00,13.4,52.5\n1,2009-05-01 14:00:05,9,52\n")
    out = tmp_path / "a.parquet"
    words = ("trajectories", "import", source, "--format", "table", "--out", out)
    columns = ("--trip", "id", "--time", "t", "--lon", "x", "--lat", "y")
    zone = ("--time-zone", "Europe/Berlin", "--bounds", 13, 52, 14, 53)
    assert run(*words, *columns, *zone) == 0
    assert pq.read_table(out).to_pylist() == [
        {
            "traj": 1,
            "user": -1,
            "time": datetime(2009, 5, 1, 12),
            "lat_udeg": 52_500_000,
            "lon_udeg": 13_400_000,
        }
    ]
