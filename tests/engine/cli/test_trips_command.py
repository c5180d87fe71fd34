import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from engine.cities.registry import open_city
from engine.cli import main
from engine.cli.trajectories import read_tracks
from engine.models.tddpm.city_trips import split_days


@pytest.mark.thorough
def test_trips_of_both_versions_are_written(tmp_path, capsys):
    words = "trips make --city adlershof --day 2025-05-28 --hours 7 8 --close newtonstrasse-3"
    more = f"--method recorded --trips 40 --format csv --out {tmp_path}"
    assert main([*words.split(), *more.split()]) == 0
    written = capsys.readouterr().out.split()
    assert [path.rsplit("/")[-1] for path in written] == [
        "adlershof-20250528-before.csv",
        "adlershof-20250528-after.csv",
        "figures.json",
    ]
    assert pd.read_csv(written[1])["trip"].nunique() == 40
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["metrics"]["blocked_entered"] == 0
    assert figures["scenario"]["city_id"] == "adlershof"


def test_a_street_that_does_not_exist_is_an_error(tmp_path, capsys):
    words = "trips make --city adlershof --day 2025-05-28 --close no-such-street"
    assert main([*words.split(), "--method", "recorded", "--out", str(tmp_path)]) == 2
    assert "no-such-street" in capsys.readouterr().err


def local_days(times):
    local = pd.DatetimeIndex(np.unique(times)).tz_localize("UTC").tz_convert("Europe/Berlin")
    return set(np.unique(local.strftime("%Y-%m-%d")))


@pytest.mark.thorough
def test_held_out_days_are_exported_as_points(tmp_path, capsys):
    path = tmp_path / "held.parquet"
    words = ["trips", "export", "--city", "adlershof", "--out", str(path), "--days"]
    assert main([*words, "held-out"]) == 0
    city = open_city("adlershof")
    training, held_out = split_days(list(city.trajectories()), city)
    num = sum(len(batch) for batch in held_out)
    assert f"{num:,} trips" in capsys.readouterr().out
    table = pq.read_table(path)
    # nothing but a running number tells trips and people apart
    assert table.column_names == ["traj", "user", "time", "lat_udeg", "lon_udeg"]
    np.testing.assert_array_equal(np.unique(table["traj"]), np.arange(num))
    assert table["user"].equals(table["traj"])
    np.testing.assert_array_equal(
        table["lat_udeg"], np.concatenate([batch.lat_udeg for batch in held_out])
    )
    times = (table["time"].to_numpy(), np.concatenate([batch.times for batch in training]))
    held_days, training_days = (local_days(part) for part in times)
    assert len(held_days) >= 14
    assert "2025-06-29" in held_days
    assert not held_days & training_days
    tracks, _ = read_tracks(path)
    assert 0.8 * num < len(tracks) <= num
    with pytest.raises(SystemExit):
        main([*words, "all"])
