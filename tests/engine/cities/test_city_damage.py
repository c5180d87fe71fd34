"""Whatever happens to a city's files, it is said clearly and nothing large is allocated."""

import hashlib
import io
import json
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.cities import City
from engine.cities.archives import pack_arrays, read_arrays, read_headers
from engine.cities.inspection import check_city
from engine.errors import CityDamagedError, CityError, CityVersionError
from tests.engine.cities.demo_city import field

LISTED = [
    "streets.parquet",
    "zones.parquet",
    "basemap.parquet",
    "sensors.parquet",
    "context.parquet",
    "events.parquet",
    "fields/inflow.npz",
    "series/segments.npz",
    "trajectories/part-00.parquet",
    "network/osm.net.xml",
    "interventions/index.json",
    "interventions/close-north/edited/fields/inflow.npz",
]
READERS = {
    "streets.parquet": City.streets,
    "zones.parquet": City.zones,
    "basemap.parquet": City.basemap,
    "sensors.parquet": City.sensors,
    "context.parquet": City.context,
    "events.parquet": City.events,
    "fields/inflow.npz": lambda city: city.field("inflow"),
    "series/segments.npz": City.segments,
    "trajectories/part-00.parquet": lambda city: list(city.trajectories()),
    "network/osm.net.xml": lambda city: city.network_path("osm.net.xml"),
    "interventions/index.json": City.interventions,
    "interventions/close-north/edited/fields/inflow.npz": lambda city: [
        case.edited.field("inflow") for case in city.interventions()
    ],
}


def edit_description(folder, change):
    """Change ``city.json`` as someone would who also knows how to make its checksum fit."""
    path = folder / "city.json"
    data = json.loads(path.read_text())
    data.pop("checksum", None)
    change(data)
    path.write_text(json.dumps(data))


def replace_file(folder, name, content, **about):
    """Put another file in place, listed properly, so that only its content is wrong."""
    (folder / name).write_bytes(content)
    new = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), **about}
    edit_description(folder, lambda data: data["files"][name].update(new))


def problems_of(folder):
    return {problem.where: problem.what for problem in check_city(folder)}


@pytest.mark.parametrize("name", LISTED)
class TestEachFile:
    def test_missing(self, city_folder, name):
        (city_folder / name).unlink()
        with pytest.raises(CityDamagedError, match="missing") as caught:
            City(city_folder)
        assert name in caught.value.where
        assert caught.value.fix
        assert "missing" in problems_of(city_folder)[name]

    def test_truncated(self, city_folder, name):
        os.truncate(city_folder / name, (city_folder / name).stat().st_size - 3)
        with pytest.raises(CityDamagedError, match="truncated") as caught:
            City(city_folder)
        assert name in caught.value.where
        assert "truncated" in problems_of(city_folder)[name]

    def test_edited(self, city_folder, name):
        content = bytearray((city_folder / name).read_bytes())
        content[len(content) // 2] ^= 0x10
        (city_folder / name).write_bytes(content)
        city = City(city_folder)  # sizes fit: it opens, and the others can be read
        with pytest.raises(CityDamagedError, match="edited") as caught:
            READERS[name](city)
        assert name in caught.value.where
        assert "edited" in problems_of(city_folder)[name]

    def test_edited_while_open(self, city_folder, name):
        city = City(city_folder)
        READERS[name](city)
        (city_folder / name).write_bytes(b"short")
        with pytest.raises(CityDamagedError):
            READERS[name](City(city_folder))


def test_all_problems_are_told(city_folder):
    (city_folder / "streets.parquet").unlink()
    os.truncate(city_folder / "series/segments.npz", 10)
    (city_folder / "fields/speed.npz").write_bytes(b"?")
    (city_folder / "fields/extra.npz").write_bytes(b"not listed")
    assert list(problems_of(city_folder)) == [
        "city.json",
        "fields/speed.npz",
        "series/segments.npz",
        "streets.parquet",
    ]


class TestDescription:
    @pytest.mark.parametrize(
        ("version", "advice"), [(2, "Update"), (0, "again"), ("1", "again"), (True, "again")]
    )
    def test_unknown_version(self, city_folder, version, advice):
        edit_description(city_folder, lambda data: data.update(version=version))
        with pytest.raises(CityVersionError, match=advice):
            City(city_folder)
        assert "version" in problems_of(city_folder)["city.json"]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda d: d["files"]["fields/inflow.npz"].update(unit="bananas"), "bananas"),
            (lambda d: d["files"]["fields/inflow.npz"].update(step_s=0), "step"),
            (lambda d: d["files"]["fields/inflow.npz"].update(step_s=1e400), "JSON"),
            (lambda d: d["files"]["fields/inflow.npz"].update(start="2025-01-01"), "time zone"),
            (lambda d: d["files"]["fields/inflow.npz"].update(start="yesterday"), "fit"),
            (lambda d: d["files"]["fields/inflow.npz"].update(aggregation="median"), "fit"),
            (lambda d: d["files"]["fields/inflow.npz"].update(sha256="0"), "SHA-256"),
            (lambda d: d["files"]["fields/inflow.npz"].update(bytes=-1), "fit"),
            (lambda d: d["files"]["fields/inflow.npz"].update(bytes=2**40), "large"),
            (lambda d: d["files"]["fields/inflow.npz"].update(kind="program"), "fit"),
            (lambda d: d["files"].update({"../../etc/passwd": d["files"]["zones.parquet"]}), "lea"),
            (lambda d: d["files"].update({"/etc/passwd": d["files"]["zones.parquet"]}), "leaves"),
            (lambda d: d["files"].update({"ZONES.parquet": d["files"]["zones.parquet"]}), "letter"),
            (lambda d: d["grid"].update(rows=0), "rows"),
            (lambda d: d["grid"].update(rows=1_000_000, cols=1), "1,000,000 cells"),
            (lambda d: d["grid"].update(rows=8.0), "rows"),
            (lambda d: d["grid"].update(magnification=3), "magnification"),
            (lambda d: d.update(bounds=[13, 52, 13, 53]), "box"),
            (lambda d: d.update(bounds=[13, 52, 14]), "kind"),
            (lambda d: d.update(timezone="Mars/Olympus"), "time zone"),
            (lambda d: d.update(timezone="../../etc/passwd"), "time zone"),
            (lambda d: d.update(id="../x"), "id"),
            (lambda d: d.update(title=5), "kind"),
            (lambda d: d.update(simulated="no"), "kind"),
            (lambda d: d.update(sources=[{"name": "x"}]), "lacks"),
            (lambda d: d.update(files=[]), "kind"),
            (lambda d: d.pop("grid"), "lacks"),
            (lambda d: d.update(format="other"), "not the description"),
        ],
    )
    def test_values_that_do_not_fit(self, city_folder, change, said):
        edit_description(city_folder, change)
        with pytest.raises(CityError) as caught:
            City(city_folder)
        assert said in str(caught.value)
        assert problems_of(city_folder).keys() == {"city.json"}

    def test_edited_by_hand(self, city_folder):
        path = city_folder / "city.json"
        path.write_text(path.read_text().replace("13.58", "13.59"))
        with pytest.raises(CityDamagedError, match="edited after it was written"):
            City(city_folder)

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b" " * (5 * 2**20)],
    )
    def test_no_json(self, city_folder, content):
        (city_folder / "city.json").write_bytes(content)
        with pytest.raises(CityDamagedError):
            City(city_folder)

    def test_unknown_coordinate_system(self, city_folder):
        edit_description(city_folder, lambda data: data.update(crs_metric="EPSG:4326"))
        assert "metres" in problems_of(city_folder)["city.json"]


class TestContent:
    """Files whose checksum fits, but whose content does not."""

    def test_field_of_another_shape(self, city_folder):
        content = pack_arrays({"values": np.zeros((48, 9, 8), np.uint16)})
        replace_file(city_folder, "fields/inflow.npz", content)
        with pytest.raises(CityDamagedError, match="shape"):
            City(city_folder).field("inflow")
        assert "shape" in problems_of(city_folder)["fields/inflow.npz"]

    def test_field_of_another_length(self, city_folder):
        content = pack_arrays({"values": np.zeros((47, 8, 8), np.uint16)})
        replace_file(city_folder, "fields/inflow.npz", content)
        with pytest.raises(CityDamagedError, match="shape"):
            City(city_folder).field("inflow")

    def test_negative_field(self, city_folder):
        content = pack_arrays({"values": np.full((48, 8, 8), -1, np.int16)})
        replace_file(city_folder, "fields/inflow.npz", content)
        with pytest.raises(CityDamagedError, match="negative"):
            City(city_folder).field("inflow")

    def test_field_without_a_unit(self, city_folder):
        edit_description(city_folder, lambda d: d["files"]["fields/inflow.npz"].pop("unit"))
        assert "unit" in problems_of(city_folder)["fields/inflow.npz"]

    def test_pickled_field(self, city_folder):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(city_folder / "pwned"),)

        buffer = io.BytesIO()
        np.savez(buffer, values=np.array([Evil()], dtype=object))
        replace_file(city_folder, "fields/inflow.npz", buffer.getvalue())
        with pytest.raises(CityDamagedError, match="something else than numbers"):
            City(city_folder).field("inflow")
        replace_file(city_folder, "fields/inflow.npz", pickle.dumps(Evil()))
        with pytest.raises(CityDamagedError, match="no readable archive"):
            City(city_folder).field("inflow")
        assert not (city_folder / "pwned").exists()

    def test_street_twice(self, city_folder):
        table = pq.read_table(city_folder / "streets.parquet")
        twice = pa.concat_tables([table, table])
        buffer = io.BytesIO()
        pq.write_table(twice, buffer)
        replace_file(city_folder, "streets.parquet", buffer.getvalue())
        assert "north stands there twice" in problems_of(city_folder)["streets.parquet"]

    def test_times_that_do_not_increase(self, city_folder):
        table = pq.read_table(city_folder / "context.parquet")
        buffer = io.BytesIO()
        pq.write_table(table.take([0, 1, 1, 2]), buffer)
        replace_file(city_folder, "context.parquet", buffer.getvalue())
        assert "do not increase" in problems_of(city_folder)["context.parquet"]

    @pytest.mark.parametrize("name", ["streets.parquet", "context.parquet"])
    def test_missing_column(self, city_folder, name):
        table = pq.read_table(city_folder / name)
        buffer = io.BytesIO()
        pq.write_table(table.drop_columns([table.column_names[0]]), buffer)
        replace_file(city_folder, name, buffer.getvalue())
        assert "lacks the column" in problems_of(city_folder)[name]

    def test_column_of_another_type(self, city_folder):
        table = pq.read_table(city_folder / "context.parquet")
        index = table.column_names.index("rain_mm_h")
        words = pa.array(["wet"] * len(table))
        buffer = io.BytesIO()
        pq.write_table(table.set_column(index, "rain_mm_h", words), buffer)
        replace_file(city_folder, "context.parquet", buffer.getvalue())
        assert "'rain_mm_h' is string" in problems_of(city_folder)["context.parquet"]

    @pytest.mark.parametrize(
        "shape", [None, b"", b"\x01\x02\x00\x00\x00\xff\xff\xff\xff", b"\x01\x0f\x00\x00\x00"]
    )
    def test_geometry_that_is_none(self, city_folder, shape):
        table = pq.read_table(city_folder / "streets.parquet")
        index = table.column_names.index("geometry")
        shapes = pa.array([shape, shape], pa.binary())
        buffer = io.BytesIO()
        pq.write_table(table.set_column(index, "geometry", shapes), buffer)
        replace_file(city_folder, "streets.parquet", buffer.getvalue())
        with pytest.raises(CityDamagedError, match="geometry"):
            City(city_folder).streets()

    def test_trips_of_another_number(self, city_folder):
        table = pq.read_table(city_folder / "trajectories/part-01.parquet")
        buffer = io.BytesIO()
        pq.write_table(table.slice(1), buffer)
        replace_file(city_folder, "trajectories/part-01.parquet", buffer.getvalue())
        assert "number of trips" in problems_of(city_folder)["trajectories/part-01.parquet"]

    def test_trips_twice(self, city_folder):
        content = (city_folder / "trajectories/part-01.parquet").read_bytes()
        shape = json.loads((city_folder / "city.json").read_text())["files"][
            "trajectories/part-01.parquet"
        ]["shape"]
        replace_file(city_folder, "trajectories/part-00.parquet", content, shape=shape)
        assert "twice" in problems_of(city_folder)["trajectories/part-01.parquet"]

    def test_lists_of_different_length(self, city_folder):
        name = "trajectories/part-01.parquet"
        table = pq.read_table(city_folder / name)
        short = pa.array([[1]] * len(table), pa.list_(pa.int32()))
        index = table.column_names.index("lat_udeg")
        buffer = io.BytesIO()
        pq.write_table(table.set_column(index, "lat_udeg", short), buffer)
        replace_file(city_folder, name, buffer.getvalue())
        assert "differ in length" in problems_of(city_folder)[name]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"{}", "cannot be read"),
            (b"nonsense", "cannot be read"),
            (b'{"interventions": [{"id": "../x"}]}', "cannot be read"),
        ],
    )
    def test_interventions_that_are_none(self, city_folder, content, said):
        replace_file(city_folder, "interventions/index.json", content)
        assert said in problems_of(city_folder)["interventions/index.json"]

    def test_interventions_on_unknown_streets(self, city_folder):
        path = city_folder / "interventions/index.json"
        content = path.read_bytes().replace(b'"north"', b'"nowhere"')
        replace_file(city_folder, "interventions/index.json", content)
        assert "nowhere" in problems_of(city_folder)["interventions/index.json"]

    def test_no_recording_at_all(self, city_folder):
        def keep_streets(data):
            data["files"] = {"streets.parquet": data["files"]["streets.parquet"]}

        edit_description(city_folder, keep_streets)
        assert any("no recording" in p.what for p in check_city(city_folder))


class TestLinks:
    def test_out_of_the_folder(self, city_folder, tmp_path):
        content = (city_folder / "context.parquet").read_bytes()
        secret = tmp_path / "secret"
        secret.write_bytes(content)
        (city_folder / "context.parquet").unlink()
        (city_folder / "context.parquet").symlink_to(secret)
        with pytest.raises(CityDamagedError, match="leads out"):
            City(city_folder)

    def test_description_elsewhere(self, city_folder, tmp_path):
        (city_folder / "city.json").rename(tmp_path / "elsewhere.json")
        (city_folder / "city.json").symlink_to(tmp_path / "elsewhere.json")
        with pytest.raises(CityDamagedError):
            City(city_folder)

    def test_pipe_does_not_block(self, city_folder):
        (city_folder / "context.parquet").unlink()
        os.mkfifo(city_folder / "context.parquet")
        with pytest.raises(CityDamagedError):
            City(city_folder)


def archive(header, body=b"", method=zipfile.ZIP_DEFLATED):
    """An ``.npz`` with one hand-made array."""
    head = repr(header).encode() if isinstance(header, dict) else header
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + body
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as target:
        target.writestr("values.npy", array)
    return buffer


def header(shape, descr="<f8"):
    return {"descr": descr, "fortran_order": False, "shape": shape}


class TestArrays:
    @pytest.mark.parametrize(
        "broken",
        [
            archive(header((2**40,))),
            archive(header((2**62, 2**62))),
            archive(header((-1,))),
            archive(header((1,) * 20), b"\0" * 8),
            archive(header((2,)), b"\0" * 8),
            archive(header((1,)), b"\0" * 16),
            archive(header((1,), "|O"), b"\0" * 8),
            archive(header((1,), "|V8"), b"\0" * 8),
            archive(b"__import__('os').system('true')"),
            archive(header((2,) * 2) | {"extra": 1}, b"\0" * 32),
            archive(header((1,)), b"\0" * 8, zipfile.ZIP_BZIP2),
            io.BytesIO(b"PK\x03\x04 no archive"),
            io.BytesIO(b""),
        ],
    )
    def test_headers_that_lie(self, broken):
        tracemalloc.start()
        try:
            with pytest.raises(CityDamagedError):
                read_arrays(broken, "x.npz", ["values"])
            assert tracemalloc.get_traced_memory()[1] < 2**22
        finally:
            tracemalloc.stop()

    def test_zip_bomb(self):
        bomb = archive(header((2**25,), "|u1"), b"\0" * 2**25)
        assert len(bomb.getbuffer()) < 2**18
        tracemalloc.start()
        try:
            with pytest.raises(CityDamagedError, match="at most"):
                read_arrays(bomb, "x.npz", ["values"], max_bytes=2**24)
            assert tracemalloc.get_traced_memory()[1] < 2**22
        finally:
            tracemalloc.stop()

    def test_sizes_hidden_in_the_directory(self):
        """The zip directory declares fewer bytes than are packed: no more than declared is read."""
        honest = archive(header((2**20,), "|u1"), b"\0" * 2**20).getvalue()
        size = 128 + 2**20
        lying = honest.replace(size.to_bytes(4, "little"), (136).to_bytes(4, "little"))
        assert lying != honest
        with pytest.raises(CityDamagedError):
            read_arrays(io.BytesIO(lying), "x.npz", ["values"])

    def test_too_many_arrays(self):
        many = pack_arrays({f"a{i}": np.zeros(1) for i in range(65)})
        with pytest.raises(CityDamagedError, match="65 arrays"):
            read_headers(io.BytesIO(many), "x.npz")

    def test_truncated_at_every_length(self):
        whole = pack_arrays({"values": np.arange(100)})
        for length in range(len(whole)):
            with pytest.raises(CityDamagedError):
                read_arrays(io.BytesIO(whole[:length]), "x.npz", ["values"])

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((3, 0, 2)),
            np.array(5),
            np.asfortranarray(np.arange(6).reshape(2, 3)),
            np.arange(6, dtype=">i4"),
            np.array([True, False]),
            np.array(["a", "ßü"]),
            np.arange(70_000, dtype=np.float16).reshape(-1, 7),
        ],
    )
    def test_arrays_come_back(self, array):
        read = read_arrays(io.BytesIO(pack_arrays({"values": array})), "x")["values"]
        np.testing.assert_array_equal(read, array)
        assert read.shape == array.shape
        assert not read.flags.writeable
        buffer = io.BytesIO()
        np.savez_compressed(buffer, values=array)  # as others write them
        np.testing.assert_array_equal(read_arrays(buffer, "x")["values"], array)


def test_table_that_declares_too_much(city_folder, monkeypatch):
    monkeypatch.setattr("engine.cities.tables.MAX_TABLE_ROWS", 1)
    with pytest.raises(CityDamagedError, match="declares 2 rows"):
        City(city_folder).streets()


def test_table_that_unpacks_to_too_much(city_folder, monkeypatch):
    """A few kilobytes that stand for millions of numbers are not unpacked."""
    monkeypatch.setattr("engine.cities.tables.MAX_TABLE_BYTES", 2**23)
    values = pa.array(np.zeros(2_000_000, np.int32))
    lists = pa.ListArray.from_arrays(np.arange(21, dtype=np.int32) * 100_000, values)
    table = pa.table(
        {
            "trip_id": [str(i) for i in range(20)],
            "purpose": ["x"] * 20,
            "depart": pa.array([0] * 20, pa.timestamp("ms", "UTC")),
            "lon_udeg": lists,
            "lat_udeg": lists,
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    name = "trajectories/part-00.parquet"
    replace_file(city_folder, name, buffer.getvalue(), shape=[20, 2_000_000])
    assert len(buffer.getvalue()) < 2**14
    before = pa.total_allocated_bytes()
    with pytest.raises(CityDamagedError, match="more than can be read"):
        list(City(city_folder).trajectories())
    assert pa.total_allocated_bytes() - before < 2**20


def test_field_is_fine_beside_a_damaged_one(city_folder):
    (city_folder / "fields/speed.npz").write_bytes(b"?")
    city = City(city_folder, whole=False)
    assert city.field("inflow").values.sum() == field().values.sum()
