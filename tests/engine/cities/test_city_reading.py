"""A city as written is the city as read."""

import dataclasses
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pytest

from engine.cities import City, CityWriter, FileKind, SegmentSeries, TrajectoryBatch, TripFilter
from engine.cities.inspection import check_city
from engine.domain import Aggregation, Grid
from engine.errors import CityError, CityNotFoundError, EngineError, FieldError, InputError
from tests.engine.cities.demo_city import (
    GRID,
    NUM_TRIPS,
    START,
    describe,
    field,
    hours,
    segments,
    streets,
    trips,
    write_city,
)


@pytest.fixture(scope="module")
def city(pristine):
    return City(pristine)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_description_is_read_at_once(city):
    assert (city.id, city.title, city.grid, city.bounds) == ("demo", "Demo", GRID, GRID.bounds)
    assert city.metadata.simulated
    assert city.metadata.sources[0].terms == "Apache-2.0"
    assert city.field_names == ("inflow", "speed")
    assert city.num_trajectories == NUM_TRIPS + 100
    assert city.has(FileKind.STREETS)


def test_same_content_gives_the_same_bytes(pristine, tmp_path):
    again = write_city(tmp_path)
    assert contents(again) == contents(pristine)
    assert City(again).digest == City(pristine).digest


def test_other_content_gives_another_digest(pristine, tmp_path):
    assert City(write_city(tmp_path, seed=5)).digest != City(pristine).digest


def test_field_comes_back_whole(city):
    series, written = city.field("inflow"), field()
    np.testing.assert_array_equal(series.values, written.values)
    assert series.values.dtype == np.uint16
    for name in ("name", "grid", "start", "step", "unit", "aggregation"):
        assert getattr(series, name) == getattr(written, name)
    assert city.field("speed").aggregation is Aggregation.MEAN
    assert city.field("inflow") is series  # read once


def test_times_are_local_across_the_change_to_summer_time(city):
    series = city.field("inflow")
    assert series.start.tzinfo == ZoneInfo("Europe/Berlin")
    assert series.start.utcoffset() == timedelta(hours=1)
    assert series.end == datetime(2025, 3, 31, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert series.end.utcoffset() == timedelta(hours=2)


def test_segments_come_back_to_half_a_step(city):
    read, written = city.segments(), segments()
    np.testing.assert_array_equal(read.count, written.count)
    np.testing.assert_array_equal(np.isnan(read.speed_kmh), np.isnan(written.speed_kmh))
    assert np.nanmax(np.abs(read.speed_kmh - written.speed_kmh)) <= 0.25
    assert read.sensor_ids == ("s1", "s2")
    assert read.start == START


def test_fast_segments_keep_their_precision(tmp_path):
    fast = dataclasses.replace(segments(), speed_kmh=segments().speed_kmh * 4)
    with CityWriter(tmp_path, describe()) as writer:
        writer.add_segments(fast)
    read = City(tmp_path / "demo").segments()
    assert np.nanmax(np.abs(read.speed_kmh - fast.speed_kmh)) <= 0.005 + 1e-3


def test_tables_come_back(city):
    read = city.streets()
    assert read.crs == "EPSG:4326"
    assert list(read["street_id"]) == ["north", "south"]
    assert list(read["name"]) == ["Nordallee", ""]  # a missing name is empty, never "nan"
    assert [list(edges) for edges in read["edges"]] == [["1", "-1"]] * 2
    assert read.geometry.geom_equals(streets().geometry).all()
    assert list(city.zones()["zone_id"]) == ["z"]
    assert list(city.basemap()["kind"]) == ["water"]
    assert city.context()["time"].equals(hours()["time"].astype("datetime64[ms, UTC]"))
    assert city.events().loc[0, "begin"] == START
    assert list(city.sensors()["street_id"]) == ["north", "south"]


def test_tables_may_be_changed_by_the_caller(city):
    table = city.streets()
    table["name"] = "changed"
    assert list(city.streets()["name"]) == ["Nordallee", ""]


def test_other_readers_understand_the_geometry(pristine):
    assert gpd.read_parquet(pristine / "streets.parquet").crs == "EPSG:4326"


def test_trajectories_come_back(city):
    parts = list(city.trajectories())
    assert len(parts) > 2, "streamed by row group"
    written = trips()
    assert [name for part in parts for name in part.trip_ids][:NUM_TRIPS] == list(written.trip_ids)
    points = np.concatenate([part.lon_udeg for part in parts])[: len(written.lon_udeg)]
    np.testing.assert_array_equal(points, written.lon_udeg)
    speed = np.concatenate([part.speed_kmh for part in parts])[: len(points)]
    assert np.abs(speed - written.speed_kmh).max() <= 0.25
    np.testing.assert_array_equal(parts[0].depart, written.depart[: len(parts[0])])


def test_trajectories_are_filtered(city):
    written = trips()
    begin, end = datetime(2025, 3, 30, 2, tzinfo=UTC), datetime(2025, 3, 30, 3, tzinfo=UTC)
    wanted = TripFilter(purposes={"work"}, begin=begin, end=end)
    names = {name for part in city.trajectories(wanted) for name in part.trip_ids}
    late = written.depart >= np.datetime64("2025-03-30T02:00")
    early = written.depart < np.datetime64("2025-03-30T03:00")
    work = np.array(written.purposes) == "work"
    expected = {written.trip_ids[i] for i in np.flatnonzero(late & early & work)}
    assert names & set(written.trip_ids) == expected


def test_only_row_groups_in_the_wanted_time_are_read(city, monkeypatch):
    import pyarrow.parquet as pq

    read = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, i, *args, **kwargs: read.append(i) or original(self, i, *args, **kwargs),
    )
    late = np.datetime_as_string(trips().depart[-1])
    assert list(city.trajectories(TripFilter(begin=datetime.fromisoformat(f"{late}+00:00"))))
    assert read == [2], "only the last row group of the first part, none of the second"


def test_trajectories_are_limited_and_clipped(city):
    assert sum(map(len, city.trajectories(TripFilter(limit=3_000)))) == 3_000
    west = (13.50, 52.40, 13.505, 52.44)
    for part in city.trajectories(TripFilter(bounds=west, limit=200)):
        for k in range(len(part)):
            assert part.lon_deg[part.offsets[k] : part.offsets[k + 1]].min() <= 13.505


def test_times_of_points_follow_from_the_departure(city):
    part = next(iter(city.trajectories(TripFilter(limit=3))))
    second = slice(part.offsets[1], part.offsets[2])
    expected = part.depart[1] + np.arange(part.num_points[1]) * np.timedelta64(5, "s")
    np.testing.assert_array_equal(part.times[second], expected)


def test_interventions_hold_two_days(city):
    (case,) = city.interventions()
    assert case.spec.split.value == "test"
    assert case.spec.edits[0].street_ids == ("north",)
    np.testing.assert_array_equal(case.edited.field("inflow").values, field(1).values)
    np.testing.assert_array_equal(case.untouched.field("inflow").values, field(2).values)


def test_network_file_is_found_and_checked(city):
    assert city.network_path("osm.net.xml").read_bytes() == b"<net/>"


def test_a_city_of_one_field_is_whole(tmp_path):
    with CityWriter(tmp_path, describe()) as writer:
        writer.add_field("inflow", field())
    city = City(tmp_path / "demo")
    assert len(city.streets()) == len(city.events()) == len(city.context()) == 0
    assert list(city.streets().columns) == list(streets().columns)
    assert city.interventions() == ()
    assert list(city.trajectories()) == []
    assert not city.has(FileKind.STREETS)
    with pytest.raises(CityError, match="no series of street segments"):
        city.segments()
    with pytest.raises(CityError, match="It has: inflow"):
        city.field("outflow")
    assert check_city(tmp_path / "demo") == ()


def test_sound_city_has_no_problems(pristine):
    steps = []
    assert check_city(pristine, lambda *step: steps.append(step)) == ()
    assert [done for done, _, _ in steps] == list(range(len(steps)))
    assert steps[-1][0] == steps[-1][1]


def test_nothing_is_read_before_it_is_asked_for(city_folder):
    for path in (city_folder / "fields/speed.npz", city_folder / "streets.parquet"):
        path.write_bytes(b"\0" * path.stat().st_size)  # same size, other content
    city = City(city_folder)
    assert city.field("inflow").values.sum() == field().values.sum()
    with pytest.raises(CityError, match="edited"):
        city.streets()


def test_no_city_in_a_folder(tmp_path):
    with pytest.raises(CityNotFoundError):
        City(tmp_path)


class TestWriterRefuses:
    @pytest.fixture
    def writer(self, tmp_path):
        writer = CityWriter(tmp_path, describe())
        yield writer
        writer.abort()
        assert [p for p in tmp_path.iterdir() if p.name != ".lock"] == []

    def test_another_grid(self, writer):
        other = Grid(13.5, 52.4, 13.58, 52.45, 8, 8, 4)
        with pytest.raises(InputError, match="own grid"):
            writer.add_field("inflow", field(grid=other))

    def test_a_file_twice(self, writer):
        writer.add_field("inflow", field())
        with pytest.raises(InputError, match="twice"):
            writer.add_field("inflow", field())

    @pytest.mark.parametrize("name", ["../x", "a/b", "", "A", "x" * 70, "con", ".hidden"])
    def test_names_that_leave_the_folder(self, writer, name):
        with pytest.raises(InputError):
            writer.add_field(name, field())

    @pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a\\b", "x\0y", "aux.xml"])
    def test_network_names_that_leave_the_folder(self, writer, name):
        with pytest.raises(InputError):
            writer.add_network(name, b"")

    def test_street_ids_twice(self, writer):
        with pytest.raises(InputError, match="twice"):
            writer.add_streets(streets(("same", "same")))

    def test_another_coordinate_system(self, writer):
        with pytest.raises(EngineError, match="EPSG:4326"):
            writer.add_streets(streets().to_crs(32633))

    def test_a_missing_column(self, writer):
        with pytest.raises(EngineError, match="lacks the column 'lanes'"):
            writer.add_streets(streets().drop(columns="lanes"))

    def test_times_that_do_not_increase(self, writer):
        with pytest.raises(InputError, match="increase"):
            writer.add_context(hours().iloc[[0, 2, 1]])


@pytest.mark.parametrize("city_id", ["", "..", "a/b", "Demo", "-x", "a" * 65, "con", "ä"])
def test_ids_that_cannot_name_a_folder(city_id):
    with pytest.raises(InputError):
        describe(city_id)


def test_an_exception_leaves_the_old_city(pristine, city_folder):
    with pytest.raises(KeyError), CityWriter(city_folder.parent, describe()) as writer:
        writer.add_field("other", field())
        raise KeyError
    assert contents(city_folder) == contents(pristine)
    assert [p.name for p in city_folder.parent.iterdir() if p.name[0] != "."] == ["demo"]


def test_documents_of_the_old_city_are_kept(city_folder):
    (city_folder / "README.md").write_text("about")
    (city_folder / "figures").mkdir()
    (city_folder / "figures" / "week.png").write_bytes(b"png")
    keep = ("README.md", "figures", "none.txt")
    with CityWriter(city_folder.parent, describe(), keep) as writer:
        writer.add_field("inflow", field())
    assert (city_folder / "README.md").read_text() == "about"
    assert (city_folder / "figures" / "week.png").read_bytes() == b"png"
    assert not (city_folder / "streets.parquet").exists()
    assert check_city(city_folder) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"offsets": np.array([0, 2, 2])},
        {"offsets": np.array([0, 1, 4])},
        {"lat_udeg": np.zeros(2, np.int32)},
        {"lon_udeg": np.full(3, 2_000_000_000, np.int32)},
        {"speed_kmh": np.array([1, np.nan, 2], np.float32)},
        {"depart": np.array(["NaT", "NaT"], "datetime64[ms]")},
        {"step_s": 0.0},
        {"purposes": ("work",)},
    ],
)
def test_trajectories_that_do_not_fit(change):
    zeros = np.zeros(3, np.int32)
    depart = np.array(["2025-01-01", "2025-01-02"], "datetime64[ms]")
    sound = TrajectoryBatch(
        ("a", "b"), ("work", ""), depart, np.array([0, 1, 3]), zeros, zeros, None, 5.0
    )
    with pytest.raises(FieldError):
        dataclasses.replace(sound, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"speed_kmh": np.zeros((2, 2), np.float32)},
        {"speed_kmh": np.full((1, 2), -1, np.float32)},
        {"speed_kmh": np.full((1, 2), np.inf, np.float32)},
        {"count": np.full((1, 2), -1)},
        {"count": np.full((1, 2), 0.5)},
        {"sensor_ids": ("a", "a")},
        {"start": datetime(2025, 1, 1)},
        {"step": timedelta(0)},
    ],
)
def test_segments_that_do_not_fit(change):
    sound = SegmentSeries(
        np.ones((1, 2), np.float32), np.ones((1, 2), int), ("a", "b"), START, timedelta(minutes=5)
    )
    assert sound.count.dtype == np.uint8
    with pytest.raises(FieldError):
        dataclasses.replace(sound, **change)
