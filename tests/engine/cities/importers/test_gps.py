import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.cities.importers.gps import GpsPoints, check_area, join_points
from engine.cities.importers.gps_gpx import read_gpx_points
from engine.cities.importers.gps_plt import read_plt_points
from engine.cities.importers.gps_porto import read_porto_points
from engine.cities.importers.gps_store import write_points
from engine.cities.importers.gps_table import (
    MICRODEGREE_COLUMNS,
    ColumnMapping,
    local_to_utc_s,
    read_table_points,
)
from engine.errors import InputError

NOON = datetime(2009, 5, 1, 12, tzinfo=UTC).timestamp()

# --- Geolife

PLT_HEADER = (
    "Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n"
    "0,2,255,My Track,0,0,2,8421376\r\n0\r\n"
)
PLT_LINES = (
    "39.984702,116.318417,0,492,39934.5,2009-05-01,12:00:00\r\n"
    "39.984683,116.31845,0,492,39934.5000694,2009-05-01,12:00:06\r\n"
)


def geolife(tmp_path, *people):
    for person in people:
        folder = tmp_path / "Data" / person / "Trajectory"
        folder.mkdir(parents=True)
        (folder / "20090501120000.plt").write_text(PLT_HEADER + PLT_LINES, newline="")
    return tmp_path / "Data"


def test_geolife_folder(tmp_path):
    points = join_points(read_plt_points(geolife(tmp_path, "000", "010")))
    assert points.person.tolist() == [0, 0, 10, 10]
    assert points.trip.tolist() == [0, 0, 1, 1]
    assert points.time_s.tolist() == [NOON, NOON + 6] * 2
    assert points.lon_deg[0] == 116.318417
    assert points.lat_deg[1] == 39.984683


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (PLT_HEADER, "no points"),
        (PLT_HEADER + "39.98,116.31,0,492\n", "4 fields"),
        (PLT_HEADER + "x,116.31,0,492,39934.5,2009-05-01,12:00:00\n", "line 7"),
        (PLT_HEADER + "39.9,116.31,0,492,39934.5,2009-05-01,\n", "line 7"),
        (PLT_HEADER + "116.31,39.9,0,492,39934.5,2009-05-01,12:00:00\n", "swapped"),
        (PLT_HEADER + "nan,39.9,0,492,39934.5,2009-05-01,12:00:00\n", "no number"),
        (PLT_HEADER + "x" * 10_000, "1 fields"),
    ],
)
def test_damaged_plt(tmp_path, text, message):
    path = tmp_path / "a.plt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(read_plt_points(path))


def test_no_plt_at_all(tmp_path):
    with pytest.raises(InputError, match=r"no \.plt"):
        list(read_plt_points(tmp_path))


# --- GPX

GPX = (
    '<?xml version="1.0"?><gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1">'
    "<metadata><time>1999-01-01T00:00:00Z</time></metadata>"
    '<wpt lat="1" lon="1"/><trk><name>a</name>{}</trk></gpx>'
)
SEGMENT = (
    '<trkseg><trkpt lat="52.5" lon="13.4"><ele>3</ele><time>2009-05-01T12:00:00Z</time></trkpt>'
    '<trkpt lat="52.6" lon="13.5"><time>2009-05-01T14:00:05+02:00</time></trkpt></trkseg>'
)


def gpx(tmp_path, content):
    path = tmp_path / "a.gpx"
    path.write_text(content)
    return path


def test_gpx_segments_are_trips(tmp_path):
    points = join_points(read_gpx_points(gpx(tmp_path, GPX.format(SEGMENT * 2))))
    assert points.trip.tolist() == [0, 0, 1, 1]
    assert points.time_s.tolist() == [NOON, NOON + 5] * 2
    assert points.lat_deg.tolist() == [52.5, 52.6] * 2
    assert (points.person == -1).all()


def test_large_gpx_comes_in_chunks(tmp_path):
    chunks = list(read_gpx_points(gpx(tmp_path, GPX.format(SEGMENT * 40_000))))
    assert len(chunks) > 1
    assert sum(map(len, chunks)) == 80_000
    assert join_points(chunks).trip[-1] == 39_999


BOMB = '<!DOCTYPE gpx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + GPX.split("?>")[1]
REMOTE = '<!DOCTYPE gpx SYSTEM "file:///etc/passwd">' + GPX.split("?>")[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GPX.format(SEGMENT)[:-20], "well-formed"),
        (BOMB.format("<trkseg>&b;</trkseg>"), "document type"),
        (REMOTE.format(""), "document type"),
        ("<html/>", "no GPX"),
        ("<a>" * 100_000, "nested|no GPX"),
        (GPX.format("<trkseg>" + "<x>" * 40), "nested"),
        (GPX.format(""), "no track points"),
        (GPX.format('<trkseg><trkpt lat="1" lon="2"/></trkseg>'), "no time"),
        (
            GPX.format('<trkseg><trkpt lat="1"><time>2009-05-01T12:00:00Z</time></trkpt></trkseg>'),
            "no position",
        ),
        (
            GPX.format(
                '<trkseg><trkpt lat="1" lon="2"><time>2009-05-01T12:00:00</time></trkpt></trkseg>'
            ),
            "time zone",
        ),
        (
            GPX.format('<trkseg><trkpt lat="1" lon="2"><time>yesterday</time></trkpt></trkseg>'),
            "cannot be read",
        ),
        (
            GPX.format('<trkseg><trkpt lat="1" lon="2"><time>' + "9" * 5_000_000),
            "longer|well-formed",
        ),
        (GPX.format(SEGMENT.replace("52.5", "130.5")), "swapped"),
        ("plain text", "well-formed"),
    ],
)
def test_damaged_gpx(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        list(read_gpx_points(gpx(tmp_path, content)))


# --- Porto

PORTO_HEADER = '"TRIP_ID","CALL_TYPE","TAXI_ID","TIMESTAMP","MISSING_DATA","POLYLINE"\n'


def porto(tmp_path, *rows):
    path = tmp_path / "train.csv"
    lines = [
        f'"{i}","C","{taxi}","{stamp}","{missing}","{polyline}"\n'
        for i, (taxi, stamp, missing, polyline) in enumerate(rows)
    ]
    path.write_text(PORTO_HEADER + "".join(lines))
    return path


def test_porto_trips(tmp_path):
    path = porto(
        tmp_path,
        (20000589, 1372636858, "False", "[[-8.61,41.14],[-8.62,41.15],[-8.63,41.16]]"),
        (7, 1372637000, "True", "[[-8.61,41.14]]"),
        (7, 1372637000, "False", "[]"),
        (7, 1372637303, "False", "[[-8.5,41.1]]"),
    )
    points = join_points(read_porto_points(path))
    assert points.trip.tolist() == [0, 0, 0, 3]
    assert points.person.tolist() == [20000589] * 3 + [7]
    assert points.time_s.tolist() == [1372636858, 1372636873, 1372636888, 1372637303]
    assert points.lon_deg[1] == -8.62


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1, 1, "False", "[[-8.61,41.14"), "no list"),
        ((1, 1, "False", "[[1,2],[3]]"), "no list"),
        ((1, 1, "False", "[[1,2,3]]"), "pairs"),
        ((1, 1, "False", "[" * 100_000), "no list"),
        ((1, "noon", "False", "[[1,2]]"), "TIMESTAMP"),
        (("x", 1, "False", "[[1,2]]"), "TAXI_ID"),
        ((1, 1, "False", "[[41.14,-98.61]]"), "swapped"),
        ((1, 1, "False", "[[1e400,2]]"), "no number"),
    ],
)
def test_damaged_porto(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        list(read_porto_points(porto(tmp_path, row)))


def test_porto_without_polyline(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("TRIP_ID,TAXI_ID\n1,2\n")
    with pytest.raises(InputError, match="POLYLINE"):
        list(read_porto_points(path))


# --- tables


def csv(tmp_path, text):
    path = tmp_path / "points.csv"
    path.write_text(text)
    return path


NAMED = ColumnMapping(trip="id", time="when", lon="x", lat="y", person="who")


def test_csv_with_names_and_offsets(tmp_path):
    path = csv(
        tmp_path,
        "id,who,when,x,y,extra\n"
        "a,ann,2009-05-01T12:00:00Z,13.4,52.5,1\n"
        "a,ann,2009-05-01T14:00:05+02:00,13.5,52.6,\n"
        "b,bob,2009-05-01T12:00:10Z,13.6,52.7,3\n",
    )
    points = join_points(read_table_points(path, NAMED))
    assert points.trip.tolist() == [0, 0, 1]
    assert points.person.tolist() == [0, 0, 1]
    assert points.time_s.tolist() == [NOON, NOON + 5, NOON + 10]


def test_csv_in_local_time_and_projected(tmp_path):
    path = csv(tmp_path, "id,when,x,y\n1,2009-05-01 14:00:00,391779.26,5820071.84\n")
    mapping = ColumnMapping("id", "when", "x", "y", crs="EPSG:32633", time_zone="Europe/Berlin")
    points = join_points(read_table_points(path, mapping))
    assert points.time_s.tolist() == [NOON]
    np.testing.assert_allclose(
        [points.lon_deg[0], points.lat_deg[0]], [13.4057, 52.5200], atol=2e-3
    )


def test_names_go_on_from_block_to_block(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.cities.importers.gps_table.BLOCK_BYTES", 200)
    lines = "".join(f"t{i // 10},p,{1_000_000 + i},1.5,2.5\n" for i in range(100))
    chunks = list(read_table_points(csv(tmp_path, "id,who,when,x,y\n" + lines), NAMED))
    assert len(chunks) > 5
    assert join_points(chunks).trip.tolist() == [i // 10 for i in range(100)]


def test_parquet_of_microdegrees(tmp_path):
    path = tmp_path / "points.parquet"
    table = pa.table(
        {
            "traj": pa.array([4, 4], pa.int32()),
            "user": pa.array([9, 9], pa.int16()),
            "time": pa.array([int(NOON * 1e3), int(NOON * 1e3) + 5_500], pa.timestamp("ms")),
            "lat_udeg": pa.array([39_984_702, 39_984_703], pa.int32()),
            "lon_udeg": pa.array([116_318_417, 116_318_418], pa.int32()),
        }
    )
    pq.write_table(table, path)
    points = join_points(read_table_points(path, MICRODEGREE_COLUMNS))
    assert points.time_s.tolist() == [NOON, NOON + 5.5]
    assert points.lat_deg[0] == pytest.approx(39.984702)
    assert points.person.tolist() == [9, 9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,who,when,x\n1,2,3,4\n", "no column 'y'"),
        ("id,who,when,x,y\n1,2,,4,5\n", "no time"),
        ("id,who,when,x,y\n1,2,then,4,5\n", "time cannot be read"),
        ("id,who,when,x,y\n1,2,3,east,5\n", "no number"),
        ("id,who,when,x,y\n1,2,3,,5\n", "no number"),
        ("id,who,when,x,y\n1,2,3,52.5,113.4\n", "swapped"),
        ("id,who,when,x,y\n1,2,3,391779,5820071\n", "no degrees"),
        ("id,who,when,x,y\n1,2,1240000000000,4,5\n", "1970 to 2100"),
        ("id,who,when,x,y\n1,2,3,4\n", "cannot be read"),
        ("id,who,when,x,y\n,2,3,4,5\n", "missing"),
        ("", "empty"),
        ("id,who,when,x,y\n", "no GPS points"),
    ],
)
def test_damaged_csv(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        join_points(read_table_points(csv(tmp_path, text), NAMED))


def test_a_row_without_end_is_refused(tmp_path):
    path = csv(tmp_path, "id,who,when,x,y\n1,2,3,4,5\n" + "9" * (9 * 2**20))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_table_points(path, NAMED))


def test_damaged_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        list(read_table_points(path, NAMED))


@pytest.mark.parametrize(
    "bad", [{"crs": "EPSG:999999"}, {"time_zone": "Mars/Olympus"}, {"crs": "../../etc/passwd"}]
)
def test_unknown_systems(tmp_path, bad):
    path = csv(tmp_path, "traj,time,lon,lat\n1,2009-05-01 14:00:00,1,2\n")
    with pytest.raises(InputError, match="not known"):
        list(read_table_points(path, ColumnMapping(**bad)))


def test_positions_outside_their_system(tmp_path):
    path = csv(tmp_path, "traj,time,lon,lat\n1,1,9e30,9e30\n")
    with pytest.raises(InputError, match="outside their coordinate system"):
        list(read_table_points(path, ColumnMapping(crs="EPSG:32633")))


def test_one_column_cannot_be_two():
    with pytest.raises(InputError, match="name of its own"):
        ColumnMapping(lon="x", lat="x")


def test_daylight_saving():
    summer, winter = datetime(2009, 7, 1), datetime(2009, 1, 1)  # wall clocks
    wall = np.array([d.replace(tzinfo=UTC).timestamp() for d in (summer, winter)])
    assert (wall - local_to_utc_s(wall, "Europe/Berlin")).tolist() == [7200, 3600]


# --- all of them


def test_points_outside_the_city_are_left_out():
    def chunk(lon, lat):
        n = np.zeros(len(lon))
        return GpsPoints(n.astype(int), n.astype(int), n, np.array(lon), np.array(lat))

    inside = chunk([13.5, 14.9], [52.4, 52.4])
    kept = join_points(check_area([inside], (13, 52, 14, 53), "a.csv"))
    assert kept.lon_deg.tolist() == [13.5]
    with pytest.raises(InputError, match="are swapped"):
        list(check_area([chunk([52.4], [13.5])], (13, 52, 14, 53), "a.csv"))
    with pytest.raises(InputError, match="None of the points"):
        list(check_area([chunk([2.0], [13.5])], (13, 52, 14, 53), "a.csv"))


@pytest.mark.parametrize("read", [read_porto_points, read_gpx_points, read_plt_points])
def test_missing_files(tmp_path, read):
    with pytest.raises(InputError):
        list(read(tmp_path / "nothing"))


def test_porto_polyline_agrees_with_json(tmp_path):
    places = [[round(-8.6 - i / 1e4, 6), round(41.1 + i / 1e4, 6)] for i in range(50)]
    path = porto(tmp_path, (1, 1372636858, "False", json.dumps(places)))
    points = join_points(read_porto_points(path))
    np.testing.assert_array_equal(np.stack([points.lon_deg, points.lat_deg], 1), places)


def test_imported_points_are_read_back(tmp_path):
    points = list(read_plt_points(geolife(tmp_path, "000", "010")))
    assert write_points(tmp_path / "points.parquet", points) == 4
    again = join_points(read_table_points(tmp_path / "points.parquet", MICRODEGREE_COLUMNS))
    np.testing.assert_allclose(again.lon_deg, join_points(points).lon_deg, atol=1e-6)
    np.testing.assert_array_equal(again.time_s, join_points(points).time_s)
    np.testing.assert_array_equal(again.person, [0, 0, 10, 10])


def test_a_failed_import_leaves_the_old_file(tmp_path):
    path = tmp_path / "points.parquet"
    path.write_bytes(b"old")

    def failing():
        yield from read_plt_points(geolife(tmp_path, "000"))
        raise InputError("line 99")

    with pytest.raises(InputError, match="line 99"):
        write_points(path, failing())
    with pytest.raises(InputError, match="no GPS points"):
        write_points(path, [])
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
