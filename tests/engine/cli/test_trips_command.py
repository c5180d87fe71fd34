import json

import pandas as pd
import pytest

from engine.cli import main


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
