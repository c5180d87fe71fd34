"""Answers as files, read back with other programs' readers."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.io import netcdf_file

from engine.domain import Grid, Question, Scenario
from engine.errors import FieldError, MaskError
from engine.geo.cells import cell_centers
from engine.scenarios import (
    AnswerFrame,
    AnswerLayout,
    ExportKind,
    Provenance,
    export_answer,
    frames_of,
    write_answer,
)
from engine.scenarios.exports import csv_text

GRID = Grid(-74.1, 40.5, -73.7, 40.9, 6, 9, 3)
START = datetime(2025, 3, 30, 1, tzinfo=ZoneInfo("Europe/Berlin"))
STEP = timedelta(minutes=30)
TIMES = [(START.astimezone(UTC) + i * STEP).astimezone(START.tzinfo) for i in range(5)]
SCENARIO = Scenario("small", Question.RECONSTRUCT, (), {"frame": 3, "mask": '=1+2",x'}, 7)
PROVENANCE = Provenance(
    '=HYPERLINK("http://x","Köln")',
    "© OpenStreetMap contributors,=1+1",
    "simulated\ntraffic",
    SCENARIO,
    "adlershof",
    "ab" * 32,
    "As the embedded city",
)
NAMES = ("estimate", "lower", "upper", "truth")
LAYOUT = AnswerLayout(GRID, NAMES, "vehicles per 30 min", STEP, PROVENANCE)
RNG = np.random.default_rng(0)
MAPS = {name: RNG.gamma(0.5, 20, (5, 6, 9)).astype(np.float32) for name in NAMES}
MAPS["truth"][:, 2, 3] = np.nan
MASKS = RNG.random((5, 2, 3)) < 0.5


def frames(count=5):
    return frames_of(TIMES[:count], MASKS[:count], {n: v[:count] for n, v in MAPS.items()})


def works(count=5):
    return MASKS[:count].repeat(3, 1).repeat(3, 2)


def test_csv_gives_back_the_same_numbers():
    content = export_answer(ExportKind.CSV, LAYOUT, frames())
    table = pd.read_csv(io.BytesIO(content), comment="#")
    assert list(table.columns[:7]) == ["time", "cell", "row", "col", "lon", "lat", "sensor"]
    for name in NAMES:
        values = table[f"{name} (vehicles per 30 min)"].to_numpy(np.float32)
        assert np.array_equal(values.reshape(5, 6, 9), MAPS[name], equal_nan=True)
    assert np.array_equal(table["sensor"].to_numpy().reshape(5, 6, 9), works())
    assert [datetime.fromisoformat(t) for t in table["time"][::54]] == TIMES
    assert TIMES[1].utcoffset() != TIMES[2].utcoffset()
    lon, lat = cell_centers(GRID)
    assert np.allclose(table["lon"][:54], lon.ravel(), atol=1e-7)
    assert np.allclose(table["lat"][:54], lat.ravel(), atol=1e-7)
    assert (table["cell"][:54] == 9 * table["row"][:54] + table["col"][:54]).all()


def test_csv_says_where_it_came_from_and_holds_no_formula():
    text = export_answer(ExportKind.CSV, LAYOUT, frames(1)).decode()
    rows = list(csv.reader(io.StringIO(text)))
    notes = {row[0]: row[1] for row in rows if row[0].startswith("# ")}
    assert Scenario.from_json(json.loads(notes["# scenario"])) == SCENARIO
    assert notes["# scenario_sha256"] == SCENARIO.digest
    assert notes["# attribution"] == PROVENANCE.attribution
    assert notes["# notice"] == "simulated traffic"
    assert notes["# title"] == f"'{PROVENANCE.title}"
    assert {len(row) for row in rows} == {2, 7 + len(NAMES)}
    cells = [cell for row in rows for cell in row if not _is_number(cell)]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_of_text_is_no_formula(start):
    (row,) = csv.reader(io.StringIO(csv_text(f'{start}1,"2"'), newline=""))
    assert row == [f'\'{start}1,"2"']


def test_geoparquet_has_the_cells_as_polygons():
    content = export_answer(ExportKind.GEOPARQUET, LAYOUT, frames())
    table = gpd.read_parquet(io.BytesIO(content))
    assert table.crs.to_epsg() == 4326
    for name in NAMES:
        assert np.array_equal(table[name].to_numpy().reshape(5, 6, 9), MAPS[name], equal_nan=True)
    assert np.array_equal(table["sensor"].to_numpy().reshape(5, 6, 9), works())
    assert list(table["time"][::54]) == TIMES
    assert table.total_bounds == pytest.approx(GRID.bounds)
    lon, lat = cell_centers(GRID)
    assert np.allclose((table.bounds.minx + table.bounds.maxx)[:54] / 2, lon.ravel())
    assert np.allclose((table.bounds.miny + table.bounds.maxy)[:54] / 2, lat.ravel())
    notes = pq.read_schema(io.BytesIO(content)).metadata
    assert Scenario.from_json(json.loads(notes[b"scenario"])) == SCENARIO
    assert notes[b"attribution"].decode() == PROVENANCE.attribution
    assert json.loads(notes[b"units"])["lower"] == "vehicles per 30 min"


def test_netcdf_follows_the_conventions():
    content = export_answer(ExportKind.NETCDF, LAYOUT, frames())
    with netcdf_file(io.BytesIO(content)) as file:
        for name in NAMES:
            assert np.array_equal(file.variables[name][:], MAPS[name], equal_nan=True)
            assert file.variables[name].units == b"1"
            assert file.variables[name].unit_in_words == b"vehicles per 30 min"
        assert np.array_equal(file.variables["sensor"][:], works())
        assert file.variables["time"].units == b"seconds since 1970-01-01 00:00:00 +00:00"
        assert file.variables["time"][:].tolist() == [t.timestamp() for t in TIMES]
        assert (np.diff(file.variables["time_bounds"][:]) == 1800).all()
        lon, lat = cell_centers(GRID)
        assert np.allclose(file.variables["lat"][:], lat[:, 0])
        assert np.allclose(file.variables["lon"][:], lon[0])
        assert file.variables["lat"].standard_name == b"latitude"
        assert Scenario.from_json(json.loads(file.scenario)) == SCENARIO
        assert file.scenario_sha256.decode() == SCENARIO.digest
        assert file.attribution.decode() == PROVENANCE.attribution
        assert file.weights == b"adlershof"
        assert file.terms == b"As the embedded city"


def test_netcdf_records_lie_where_scipy_would_put_them(tmp_path):
    path = tmp_path / "long.nc"
    with path.open("wb") as file:
        write_answer(file, ExportKind.NETCDF, LAYOUT, frames())
    with netcdf_file(path, mmap=False) as file:
        again = io.BytesIO()
        copy = netcdf_file(again, "w", version=2)
        for name, size in file.dimensions.items():
            copy.createDimension(name, size)
        for name, value in file._attributes.items():
            setattr(copy, name, value)
        for name, variable in file.variables.items():
            twin = copy.createVariable(name, variable.typecode(), variable.dimensions)
            twin[:] = variable[:]
            for key, value in variable._attributes.items():
                setattr(twin, key, value)
        copy.flush()
    assert again.getvalue() == path.read_bytes()


def test_a_single_map_and_one_mask_for_all():
    one = frames_of(TIMES[:1], MASKS[0], {n: v[0] for n, v in MAPS.items()})
    assert export_answer(ExportKind.CSV, LAYOUT, one) == export_answer(
        ExportKind.CSV, LAYOUT, frames(1)
    )


@pytest.mark.parametrize("kind", ExportKind)
def test_what_does_not_fit_is_refused(kind):
    with pytest.raises(FieldError, match="no frames"):
        export_answer(kind, LAYOUT, [])
    maps = {n: v[0] for n, v in MAPS.items()}
    with pytest.raises(MaskError, match="another shape"):
        export_answer(kind, LAYOUT, [AnswerFrame(TIMES[0], np.ones((6, 9), bool), maps)])
    with pytest.raises(FieldError, match="missing or of another shape"):
        bad = {**maps, "lower": maps["lower"][:2]}
        export_answer(kind, LAYOUT, [AnswerFrame(TIMES[0], MASKS[0], bad)])
    with pytest.raises(FieldError, match="time zone"):
        export_answer(kind, LAYOUT, [AnswerFrame(datetime(2025, 1, 1), MASKS[0], maps)])
    with pytest.raises(FieldError, match="as many maps as times"):
        list(frames_of(TIMES[:2], MASKS[0], maps))


def test_too_long_a_table_is_refused(monkeypatch):
    monkeypatch.setattr("engine.scenarios.exports.MAX_ROWS", 100)
    with pytest.raises(FieldError, match="at most 100 rows"):
        export_answer(ExportKind.GEOPARQUET, LAYOUT, frames())


def test_kinds_name_their_files():
    assert [kind.suffix for kind in ExportKind] == [".csv", ".parquet", ".nc"]
    assert len({kind.media_type for kind in ExportKind}) == 3
