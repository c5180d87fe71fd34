"""Gridded flows, each read from a file made here in exactly its publisher's format."""

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import h5py
import numpy as np
import pandas as pd
import pytest

from engine.cities.importers.gridded import Channel, GriddedRules
from engine.cities.importers.gridded_archives import BIKENYC_P6, DIDI_CHENGDU, read_flow_archive
from engine.cities.importers.gridded_frames import crop_field, merge_steps
from engine.cities.importers.gridded_stdata import BIKENYC, TAXIBJ, read_stdata
from engine.cities.importers.gridded_tables import TableColumns, TableTarget, read_grid_table
from engine.cities.importers.gridded_urbanfm import read_urbanfm
from engine.cities.inspection import check_city
from engine.cities.registry import open_city
from engine.cli import main
from engine.domain import Aggregation, Grid
from engine.errors import EngineError, GridError, InputError

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
RULES = GriddedRules()
DAY = date(2016, 11, 1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def flow():
    return np.random.default_rng(0).integers(0, 99, (2, 144, 40, 40, 3), np.int16)


@pytest.fixture(scope="module")
def path(flow, tmp_path_factory):
    path = tmp_path_factory.mktemp("didi") / "train.npz"
    np.savez_compressed(path, flow=flow)
    return path


class TestDidi:
    def test_days_follow_each_other(self, path, flow):
        done = read_flow_archive(path, DIDI_CHENGDU, DAY, RULES)
        assert list(done.fields) == ["flow", "pickups", "dropoffs"]
        total = done.fields["flow"]
        np.testing.assert_array_equal(total.values, flow[..., 0].reshape(288, 40, 40))
        np.testing.assert_array_equal(done.fields["dropoffs"].values[150], flow[1, 6, :, :, 2])
        assert total.start == datetime(2016, 11, 1, tzinfo=SHANGHAI)
        assert total.step == timedelta(minutes=10)
        assert total.aggregation is Aggregation.SUM
        assert any("2016-11-01" in note for note in done.notes)

    def test_dense_part_in_half_hours(self, path, flow):
        total = read_flow_archive(path, DIDI_CHENGDU, DAY, RULES).fields["flow"]
        part = merge_steps(crop_field(total, (5, 37), (2, 34), 4), 3)
        expected = flow[..., 0].reshape(96, 3, 40, 40).sum(1)[:, 5:37, 2:34]
        np.testing.assert_array_equal(part.values, expected)
        assert part.step == timedelta(minutes=30)
        assert part.grid.magnification == 4
        cell = (total.grid.east - total.grid.west) / 40
        assert part.grid.west == pytest.approx(total.grid.west + 2 * cell)
        assert part.grid.north == pytest.approx(
            total.grid.north - 5 * (total.grid.north - total.grid.south) / 40
        )

    def test_rows_from_the_south(self, path, flow):
        done = read_flow_archive(path, DIDI_CHENGDU, DAY, GriddedRules(north_first=False))
        np.testing.assert_array_equal(done.fields["flow"].values[0], flow[0, 0, ::-1, :, 0])

    def test_own_bounds(self, path):
        rules = GriddedRules(bounds=(104.0, 30.6, 104.2, 30.8))
        done = read_flow_archive(path, DIDI_CHENGDU, DAY, rules)
        assert done.fields["flow"].grid.bounds == (104.0, 30.6, 104.2, 30.8)
        assert not any("Where exactly" in note for note in done.notes)

    def test_negative_values(self, flow, tmp_path):
        flow = flow.copy()
        flow[1, 2, 3, 4, 0] = -1
        np.savez(tmp_path / "x.npz", flow=flow)
        with pytest.raises(InputError, match=r"1 values are negative.*146, 3, 4"):
            read_flow_archive(tmp_path / "x.npz", DIDI_CHENGDU, DAY, RULES)
        done = read_flow_archive(tmp_path / "x.npz", DIDI_CHENGDU, DAY, GriddedRules(mark_bad=True))
        assert np.argwhere(np.isnan(done.fields["flow"].values)).tolist() == [[146, 3, 4]]
        assert any("1 impossible" in note for note in done.notes)

    @pytest.mark.parametrize(
        ("arrays", "said"),
        [
            ({"x": np.zeros(3)}, "lacks the array 'flow'"),
            ({"flow": np.zeros((2, 48, 4, 4, 3), np.int16)}, "another shape"),
            ({"flow": np.zeros((2, 144, 4, 4, 2), np.int16)}, "another shape"),
            ({"flow": np.zeros((0, 144, 4, 4, 3), np.int16)}, "another shape"),
            ({"flow": np.zeros((1, 144, 300, 300, 3), np.bool_)}, "no numbers|cells"),
            ({"flow": np.array([None])}, "something else than numbers"),
        ],
    )
    def test_other_arrays(self, arrays, said, tmp_path):
        np.savez_compressed(tmp_path / "x.npz", **arrays)
        with pytest.raises(InputError, match=said):
            read_flow_archive(tmp_path / "x.npz", DIDI_CHENGDU, DAY, RULES)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"flow"])
    def test_no_archive(self, content, tmp_path):
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(InputError):
            read_flow_archive(tmp_path / "x.npz", DIDI_CHENGDU, DAY, RULES)

    def test_no_file(self, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            read_flow_archive(tmp_path / "x.npz", DIDI_CHENGDU, DAY, RULES)


class TestBikeNycP6:
    def test_hours_follow_each_other(self, tmp_path, rng):
        flow = rng.poisson(0.3, (50, 2, 80, 32)).astype(np.float32)
        np.savez(tmp_path / "x.npz", flow=flow)
        done = read_flow_archive(tmp_path / "x.npz", BIKENYC_P6, date(2014, 4, 1), RULES)
        np.testing.assert_array_equal(done.fields["outflow"].values, flow[:, 1])
        assert done.fields["inflow"].values.dtype == np.uint8, "whole numbers are kept small"
        assert done.fields["inflow"].time_of(25) == datetime(2014, 4, 2, 1, tzinfo=NEW_YORK)

    def test_nan(self, tmp_path):
        flow = np.zeros((5, 2, 8, 8), np.float32)
        flow[3, 1, 2, 2] = np.nan
        np.savez(tmp_path / "x.npz", flow=flow)
        with pytest.raises(InputError, match=r"1 values are no numbers \(NaN\)"):
            read_flow_archive(tmp_path / "x.npz", BIKENYC_P6, DAY, RULES)
        rules = GriddedRules(mark_bad=True)
        done = read_flow_archive(tmp_path / "x.npz", BIKENYC_P6, DAY, rules)
        assert np.isnan(done.fields["outflow"].values[3, 2, 2])

    @pytest.mark.parametrize("large", [np.inf, 1e30])
    def test_infinite(self, tmp_path, large):
        np.savez(tmp_path / "x.npz", flow=np.full((5, 2, 8, 8), large, np.float32))
        with pytest.raises(InputError, match="infinite"):
            read_flow_archive(tmp_path / "x.npz", BIKENYC_P6, DAY, GriddedRules(mark_bad=True))

    def test_hours_of_the_change_to_summer_time(self, tmp_path):
        """2 a.m. of 9 March 2014 never was: that frame is left out, the others stay in place."""
        flow = np.arange(48, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 2))
        np.savez(tmp_path / "x.npz", flow=flow.astype(np.float32))
        done = read_flow_archive(tmp_path / "x.npz", BIKENYC_P6, date(2014, 3, 9), RULES)
        series = done.fields["inflow"]
        assert len(series) == 47
        index = series.index_of(datetime(2014, 3, 9, 3, tzinfo=NEW_YORK))
        assert series.values[index, 0, 0] == 3
        index = series.index_of(datetime(2014, 3, 10, 12, tzinfo=NEW_YORK))
        assert series.values[index, 0, 0] == 36
        assert any("leaps over" in note for note in done.notes)

    def test_hours_of_the_change_to_winter_time(self, tmp_path):
        """1 a.m. of 2 November 2014 came twice, the file has it once: the second is missing."""
        flow = np.ones((48, 2, 2, 2), np.float32)
        np.savez(tmp_path / "x.npz", flow=flow)
        done = read_flow_archive(tmp_path / "x.npz", BIKENYC_P6, date(2014, 11, 2), RULES)
        values = done.fields["inflow"].values[:, 0, 0]
        assert np.flatnonzero(np.isnan(values)).tolist() == [2]
        assert len(values) == 49


def stamps(first, num_days, slots, base=1):
    days = [first + timedelta(days=d) for d in range(num_days)]
    return [f"{d:%Y%m%d}{s + base:02d}".encode() for d in days for s in range(slots)]


def write_stdata(path, data, date_, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=data, **options)
        file.create_dataset("date", data=np.array(date_))
    return path


class TestTaxiBj:
    @pytest.fixture
    def data(self, rng):
        return rng.poisson(30, (96, 2, 32, 32)).astype(np.float64)

    @pytest.fixture
    def days(self):
        return stamps(date(2013, 7, 1), 2, 48)

    def test_slots_from_one(self, tmp_path, data, days):
        path = write_stdata(tmp_path / "BJ13_M32x32_T30_InOut.h5", data, days)
        done = read_stdata(path, TAXIBJ, RULES)
        assert list(done.fields) == ["inflow", "outflow"]
        series = done.fields["outflow"]
        np.testing.assert_array_equal(series.values, data[:, 1])
        assert series.start == datetime(2013, 7, 1, tzinfo=SHANGHAI)
        assert series.time_of(49) == datetime(2013, 7, 2, 0, 30, tzinfo=SHANGHAI)

    def test_gaps_are_marked_and_said(self, tmp_path, data, days):
        kept = [i for i in range(96) if i not in (10, 11, 50)]
        path = write_stdata(tmp_path / "x.h5", data[kept], [days[i] for i in kept])
        done = read_stdata(path, TAXIBJ, RULES)
        values = done.fields["inflow"].values
        assert np.flatnonzero(np.isnan(values[:, 0, 0])).tolist() == [10, 11, 50]
        np.testing.assert_array_equal(values[kept], data[kept, 0])
        assert "3 of 96 time steps are missing and marked so." in done.notes
        with pytest.raises(InputError, match="3 time steps are missing"):
            read_stdata(path, TAXIBJ, GriddedRules(mark_gaps=False))

    def test_frames_of_the_same_time(self, tmp_path, data, days):
        days[5] = days[4]
        path = write_stdata(tmp_path / "x.h5", data, days)
        with pytest.raises(InputError, match="1 frames have the time of another"):
            read_stdata(path, TAXIBJ, RULES)
        values = read_stdata(path, TAXIBJ, GriddedRules(keep_first=True)).fields["inflow"].values
        np.testing.assert_array_equal(values[4], data[4, 0])
        assert np.isnan(values[5]).all()

    def test_frames_in_any_order(self, tmp_path, data, days, rng):
        order = rng.permutation(96)
        path = write_stdata(tmp_path / "x.h5", data[order], [days[i] for i in order])
        values = read_stdata(path, TAXIBJ, RULES).fields["inflow"].values
        np.testing.assert_array_equal(values, data[:, 0])

    @pytest.mark.parametrize(
        "stamp", [b"2013073201", b"20130701", b"2013-07-01", b"201307014x", b"\xff" * 10]
    )
    def test_stamps_that_are_none(self, tmp_path, data, days, stamp):
        days[7] = stamp
        path = write_stdata(tmp_path / "x.h5", data, days)
        with pytest.raises(InputError, match="frame 7"):
            read_stdata(path, TAXIBJ, RULES)

    def test_slots_beyond_the_day(self, tmp_path, data, days):
        days[7] = b"2013070149"
        with pytest.raises(InputError, match="larger than 48"):
            read_stdata(write_stdata(tmp_path / "x.h5", data, days), TAXIBJ, RULES)

    def test_years_apart(self, tmp_path, data, days):
        days[95] = b"9999123148"
        with pytest.raises(InputError, match="too far apart"):
            read_stdata(write_stdata(tmp_path / "x.h5", data, days), TAXIBJ, RULES)

    def test_wrong_keys(self, tmp_path, data):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["flow"] = data
        with pytest.raises(InputError, match=r"no array 'data'.*flow"):
            read_stdata(tmp_path / "x.h5", TAXIBJ, RULES)

    @pytest.mark.parametrize(
        ("shape", "num_stamps"), [((4, 32, 32), 4), ((4, 3, 32, 32), 4), ((4, 2, 32, 32), 3)]
    )
    def test_wrong_shapes(self, tmp_path, days, shape, num_stamps):
        path = write_stdata(tmp_path / "x.h5", np.zeros(shape), days[:num_stamps])
        with pytest.raises(InputError, match=r"shape|as many"):
            read_stdata(path, TAXIBJ, RULES)

    def test_declared_size(self, tmp_path, days):
        """A sparse file of a few kilobytes that declares terabytes."""
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.create_dataset("data", (10**8, 2, 64, 64), "f8", chunks=(1, 2, 64, 64))
            file.create_dataset("date", data=np.array(days))
        assert (tmp_path / "x.h5").stat().st_size < 2**20
        with pytest.raises(InputError, match="too large"):
            read_stdata(tmp_path / "x.h5", TAXIBJ, RULES)

    def test_links_to_other_files(self, tmp_path, data, days):
        write_stdata(tmp_path / "secret.h5", data, days)
        for link in (h5py.ExternalLink("secret.h5", "/data"), h5py.SoftLink("/date")):
            with h5py.File(tmp_path / "x.h5", "w") as file:
                file["data"] = link
                file["date"] = np.array(days)
            with pytest.raises(InputError, match="no array 'data'"):
                read_stdata(tmp_path / "x.h5", TAXIBJ, RULES)

    def test_virtual_and_external_data(self, tmp_path, data, days):
        write_stdata(tmp_path / "secret.h5", data, days)
        layout = h5py.VirtualLayout(data.shape, data.dtype)
        layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "data", data.shape)
        (tmp_path / "raw").write_bytes(b"\0" * data.nbytes)
        with h5py.File(tmp_path / "virtual.h5", "w") as file:
            file.create_virtual_dataset("data", layout)
            file["date"] = np.array(days)
        with h5py.File(tmp_path / "external.h5", "w") as file:
            file.create_dataset(
                "data", data.shape, data.dtype, external=[(tmp_path / "raw", 0, data.nbytes)]
            )
            file["date"] = np.array(days)
        for name in ("virtual.h5", "external.h5"):
            with pytest.raises(InputError, match="lies in another file"):
                read_stdata(tmp_path / name, TAXIBJ, RULES)

    def test_truncated(self, tmp_path, data, days):
        path = write_stdata(tmp_path / "x.h5", data, days, compression="gzip")
        whole = path.read_bytes()
        for share in (0, 0.01, 0.5, 0.99):
            path.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(InputError):
                read_stdata(path, TAXIBJ, RULES)

    def test_broken_anywhere(self, tmp_path, rng):
        """A flip in what describes the arrays is bad input or another file, never a bug."""
        data = np.ones((48, 2, 4, 4))
        path = write_stdata(tmp_path / "x.h5", data, stamps(date(2013, 7, 1), 1, 48))
        whole = path.read_bytes()
        refused = 0
        for _ in range(300):
            broken = bytearray(whole)
            broken[rng.integers(4_000)] = rng.integers(256)
            path.write_bytes(broken)
            try:
                read_stdata(path, TAXIBJ, GriddedRules(mark_bad=True, keep_first=True))
            except EngineError:
                refused += 1
        assert 0 < refused < 300


class TestBikeNyc:
    @pytest.mark.parametrize("base", [0, 1])
    def test_hours_from_zero_or_one(self, tmp_path, rng, base):
        data = rng.poisson(3, (72, 2, 16, 8)).astype(np.float64)
        days = stamps(date(2014, 4, 1), 3, 24, base)
        path = write_stdata(tmp_path / "NYC14_M16x8_T60_NewEnd.h5", data, days)
        done = read_stdata(path, BIKENYC, RULES)
        assert list(done.fields) == ["new", "end"]
        series = done.fields["new"]
        assert series.start == datetime(2014, 4, 1, tzinfo=NEW_YORK)
        assert series.unit == "trips"
        np.testing.assert_array_equal(series.values, data[:, 0])


def write_urbanfm(folder, fine, times, coarse=None):
    """As the authors' code reads it; ext: four numbers, weekday, hour, weather."""
    num, rows, cols = fine.shape
    if coarse is None:
        coarse = fine.reshape(num, rows // 4, 4, cols // 4, 4).sum((2, 4))
    ext = np.zeros((num, 7))
    ext[:, 4] = [t.isoweekday() for t in times]
    ext[:, 5] = [t.hour for t in times]
    ext[:, 6] = 3
    for name, array in (("X", coarse), ("Y", fine), ("ext", ext)):
        np.save(folder / f"{name}.npy", array)


class TestUrbanFm:
    @pytest.fixture
    def times(self):
        """Daytime half-hours of three days, with one day missing in between."""
        days = [datetime(2013, 7, d) for d in (1, 2, 4)]
        return [d + timedelta(minutes=30 * k) for d in days for k in range(12, 46)]

    @pytest.fixture
    def fine(self, rng, times):
        return rng.poisson(4, (len(times), 16, 8)).astype(np.float32)

    def test_frames_find_their_times(self, tmp_path, fine, times):
        write_urbanfm(tmp_path, fine, times)
        done = read_urbanfm(tmp_path, date(2013, 7, 1), RULES)
        series = done.fields["flow"]
        assert series.grid.magnification == 4
        for frame, when in zip(fine, times, strict=True):
            index = series.index_of(when.replace(tzinfo=SHANGHAI))
            np.testing.assert_array_equal(series.values[index], frame)
        known = ~np.isnan(series.values[:, 0, 0])
        assert known.sum() == len(times)
        assert any("Dates are not stated" in note for note in done.notes)

    def test_magnification_of_two(self, tmp_path, fine, times):
        coarse = fine.reshape(len(fine), 8, 2, 4, 2).sum((2, 4))
        write_urbanfm(tmp_path, fine, times, coarse)
        done = read_urbanfm(tmp_path, date(2013, 7, 1), RULES)
        assert done.fields["flow"].grid.magnification == 2

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda x, y, e: (x + 1, y, e), "does not add up"),
            (lambda x, y, e: (x / 1500, y, e), "does not add up"),
            (lambda x, y, e: (x[1:], y, e), "as many frames"),
            (lambda x, y, e: (x, y[:, :-1], e), "no multiple"),
            (lambda x, y, e: (x, y, e[:, :6]), "7 numbers"),
            (lambda x, y, e: (x, y, e[1:]), "7 numbers"),
            (lambda x, y, e: (x, y, e * 0), "weekday 0.0"),
            (lambda x, y, e: (x, y, np.where(np.arange(7) == 5, 24, e)), "hour 24"),
            (lambda x, y, e: (x, y.astype(object), e), "something else than numbers"),
        ],
    )
    def test_files_that_do_not_fit(self, tmp_path, fine, times, change, said):
        write_urbanfm(tmp_path, fine, times)
        arrays = [np.load(tmp_path / f"{name}.npy") for name in ("X", "Y", "ext")]
        for name, array in zip(("X", "Y", "ext"), change(*arrays), strict=True):
            np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(InputError, match=said):
            read_urbanfm(tmp_path, date(2013, 7, 1), RULES)

    def test_missing_file(self, tmp_path, fine, times):
        write_urbanfm(tmp_path, fine, times)
        (tmp_path / "ext.npy").unlink()
        with pytest.raises(InputError, match="no such file"):
            read_urbanfm(tmp_path, date(2013, 7, 1), RULES)

    def test_header_that_lies(self, tmp_path, fine, times):
        write_urbanfm(tmp_path, fine, times)
        content = (tmp_path / "Y.npy").read_bytes()
        lie = content.replace(b"(102, 16, 8)", b"(9999999999,)")
        (tmp_path / "Y.npy").write_bytes(lie[: len(content)])
        with pytest.raises(InputError, match=r"another size|no readable"):
            read_urbanfm(tmp_path, date(2013, 7, 1), RULES)


PM = Channel("pm25", "fine dust", "µg/m³", Aggregation.MEAN)
COUNT = Channel("trips", "trips", "trips")


def tap_frame(rng, num_days=3):
    """Daily means on a regular grid of 0.1 degrees, as TAP names its columns."""
    lon, lat = np.meshgrid(116.05 + 0.1 * np.arange(6), 39.65 + 0.1 * np.arange(4))
    days = pd.date_range("2014-05-01", periods=num_days)
    return pd.DataFrame(
        {
            "Date": np.repeat(days.strftime("%Y-%m-%d"), lon.size),
            "X_Lon": np.tile(lon.ravel(), num_days).round(2),
            "Y_Lat": np.tile(lat.ravel(), num_days).round(2),
            "PM2.5": rng.uniform(5, 200, num_days * lon.size).round(1),
        }
    )


TAP = TableColumns("Date", "PM2.5", "X_Lon", "Y_Lat")
TAP_TARGET = TableTarget(PM, "Asia/Shanghai")


class TestTables:
    @pytest.fixture
    def frame(self, rng):
        return tap_frame(rng)

    @pytest.fixture
    def save(self, tmp_path):
        def write(frame, suffix="csv") -> Path:
            path = tmp_path / f"table.{suffix}"
            if suffix == "csv":
                frame.to_csv(path, index=False)
            else:
                frame.to_parquet(path)
            return path

        return write

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_regular_grid(self, frame, save, suffix):
        series = read_grid_table(save(frame, suffix), TAP, TAP_TARGET, RULES).fields["pm25"]
        assert series.grid.bounds == pytest.approx((116.0, 39.6, 116.6, 40.0))
        expected = frame["PM2.5"].to_numpy(np.float32).reshape(3, 4, 6)[:, ::-1]
        np.testing.assert_allclose(series.values, expected)
        assert series.step == timedelta(days=1)
        assert series.start == datetime(2014, 5, 1, tzinfo=SHANGHAI)
        assert series.aggregation is Aggregation.MEAN

    def test_rows_in_any_order(self, frame, save):
        shuffled = frame.sample(frac=1, random_state=1)
        first = read_grid_table(save(frame), TAP, TAP_TARGET, RULES).fields["pm25"]
        again = read_grid_table(save(shuffled), TAP, TAP_TARGET, RULES).fields["pm25"]
        np.testing.assert_array_equal(first.values, again.values)

    def test_cells_without_a_row_are_missing(self, frame, save):
        series = read_grid_table(save(frame.drop(index=30)), TAP, TAP_TARGET, RULES).fields["pm25"]
        assert np.isnan(series.values).sum() == 1
        assert np.isnan(series.values[1, 2, 0])

    def test_days_without_a_row_are_marked(self, save, rng):
        frame = tap_frame(rng, 5)
        done = read_grid_table(save(frame[frame["Date"] != "2014-05-03"]), TAP, TAP_TARGET, RULES)
        assert np.isnan(done.fields["pm25"].values[2]).all()
        assert any("1 of 5 time steps" in note for note in done.notes)

    def test_same_time_and_place_twice(self, frame, save):
        twice = pd.concat([frame, frame.iloc[[5]].assign(**{"PM2.5": 1.0})])
        with pytest.raises(InputError, match="1 rows have the time and place"):
            read_grid_table(save(twice), TAP, TAP_TARGET, RULES)
        done = read_grid_table(save(twice), TAP, TAP_TARGET, GriddedRules(keep_first=True))
        plain = read_grid_table(save(frame), TAP, TAP_TARGET, RULES)
        np.testing.assert_array_equal(done.fields["pm25"].values, plain.fields["pm25"].values)

    @pytest.mark.parametrize("value", [np.nan, -5.0])
    def test_impossible_values(self, frame, save, value):
        frame.loc[7, "PM2.5"] = value
        with pytest.raises(InputError, match="1 values are"):
            read_grid_table(save(frame), TAP, TAP_TARGET, RULES)
        done = read_grid_table(save(frame), TAP, TAP_TARGET, GriddedRules(mark_bad=True))
        assert np.isnan(done.fields["pm25"].values).sum() == 1
        assert any("1 impossible" in note for note in done.notes)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda f: f.rename(columns={"PM2.5": "PM10"}), "no column 'PM2.5'.*PM10"),
            (lambda f: f.assign(Date="some day"), "time cannot be read"),
            (lambda f: f.assign(X_Lon=116.0), "no regular grid"),
            (lambda f: f.assign(X_Lon=f["X_Lon"] + (f["X_Lon"] - 116) ** 2), "no regular grid"),
            (lambda f: f.assign(X_Lon=None), "no position"),
            (lambda f: f.iloc[:0], "no rows"),
            (lambda f: f.iloc[:24], "One time alone"),
        ],
    )
    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_tables_that_do_not_fit(self, frame, save, change, said, suffix):
        with pytest.raises(InputError, match=said):
            read_grid_table(save(change(frame), suffix), TAP, TAP_TARGET, RULES)

    def test_words_for_numbers(self, frame, save):
        changed = frame.astype({"PM2.5": object})
        changed.loc[3, "PM2.5"] = "much"
        with pytest.raises(InputError, match=r"cannot be read.*much"):
            read_grid_table(save(changed), TAP, TAP_TARGET, RULES)

    def test_counts_by_place_with_offsets(self, save):
        """Points within a cell add up; a cell without a point counts as zero when asked."""
        table = pd.DataFrame(
            {
                "when": ["2024-01-01T00:00+01:00", "2024-01-01T00:00+01:00", "2023-12-31T23:30Z"],
                "lon": [13.51, 13.52, 13.57],
                "lat": [52.41, 52.41, 52.43],
                "n": [2, 3, 4],
            }
        )
        grid = Grid(13.5, 52.4, 13.6, 52.44, 2, 2)
        columns = TableColumns("when", "n")
        target = TableTarget(COUNT, "Europe/Berlin", grid=grid, absent_is_zero=True)
        series = read_grid_table(save(table), columns, target, RULES).fields["trips"]
        np.testing.assert_array_equal(series.values, [[[0, 0], [5, 0]], [[0, 4], [0, 0]]])
        assert series.start == datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))
        assert series.step == timedelta(minutes=30)
        target = TableTarget(COUNT, "Europe/Berlin", grid=grid)
        series = read_grid_table(save(table), columns, target, RULES).fields["trips"]
        assert np.isnan(series.values).sum() == 6

    def test_offsets_now_and_then(self, frame, save):
        frame.loc[3, "Date"] = "2014-05-01T00:00:00Z"
        with pytest.raises(InputError, match="Some times have an offset"):
            read_grid_table(save(frame), TAP, TAP_TARGET, RULES)

    def test_stations(self, save, tmp_path):
        places = tmp_path / "stations.csv"
        places.write_text("id,lon,lat\na,116.11,39.92\nb,116.12,39.91\nc,116.45,39.65\nd,99,9\n")
        hours = pd.date_range("2014-05-01", periods=4, freq="h").astype(str)
        table = pd.DataFrame(
            {
                "time": np.repeat(hours, 3),
                "id": ["a", "b", "c"] * 4,
                "value": [10.0, 20.0, 5.0] * 4,
            }
        )
        grid = Grid(116.0, 39.6, 116.6, 40.0, 4, 6)
        columns = TableColumns("time", "value", station="id")
        target = TableTarget(PM, "Asia/Shanghai", grid=grid)
        series = read_grid_table(save(table), columns, target, RULES, places).fields["pm25"]
        assert series.values[0, 0, 1] == 15.0, "two stations in a cell average"
        assert series.values[0, 3, 4] == 5.0
        assert np.isfinite(series.values[0]).sum() == 2
        places.write_text("id,lon,lat\na,116.1,39.9\nb,116.12,39.91\n")
        with pytest.raises(InputError, match="'c' has no position"):
            read_grid_table(save(table), columns, target, RULES, places)
        places.write_text("id,lon,lat\na,116.1,39.9\na,116.12,39.91\n")
        with pytest.raises(InputError, match="stands twice"):
            read_grid_table(save(table), columns, target, RULES, places)

    def test_rows_outside(self, frame, save):
        far = Grid(0.0, 0.0, 1.0, 1.0, 2, 2)
        with pytest.raises(InputError, match="No row lies inside"):
            read_grid_table(save(frame), TAP, TableTarget(PM, "Asia/Shanghai", grid=far), RULES)
        part = Grid(116.0, 39.6, 116.3, 40.0, 4, 3)
        done = read_grid_table(save(frame), TAP, TableTarget(PM, "Asia/Shanghai", grid=part), RULES)
        assert any("36 rows lie outside" in note for note in done.notes)

    def test_zone_that_is_none(self, frame, save):
        with pytest.raises(InputError, match="time zone"):
            read_grid_table(save(frame), TAP, TableTarget(PM, "Mars/Olympus"), RULES)

    @pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PAR1\0\0\0\0PAR1", b"a,b\n1"])
    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_broken_files(self, tmp_path, content, suffix):
        path = tmp_path / f"x.{suffix}"
        path.write_bytes(content)
        with pytest.raises(InputError):
            read_grid_table(path, TAP, TAP_TARGET, RULES)


class TestFrames:
    @pytest.fixture
    def series(self, tmp_path, rng):
        flow = rng.poisson(2, (10, 2, 8, 8)).astype(np.float32)
        np.savez(tmp_path / "x.npz", flow=flow)
        return read_flow_archive(tmp_path / "x.npz", BIKENYC_P6, DAY, RULES).fields["inflow"]

    def test_steps_left_over_are_dropped(self, series):
        merged = merge_steps(series, 3)
        assert len(merged) == 3
        np.testing.assert_array_equal(merged.values[2], series.values[6:9].sum(0))

    @pytest.mark.parametrize("num_steps", [0, -1, 11])
    def test_impossible_steps(self, series, num_steps):
        with pytest.raises(InputError):
            merge_steps(series, num_steps)

    @pytest.mark.parametrize("rows", [(0, 9), (3, 3), (-1, 4), (5, 2)])
    def test_impossible_parts(self, series, rows):
        with pytest.raises(GridError):
            crop_field(series, rows, (0, 8), 1)

    def test_sums_do_not_overflow(self, tmp_path):
        np.savez(tmp_path / "x.npz", flow=np.full((4, 2, 2, 2), 200, np.float32))
        series = read_flow_archive(tmp_path / "x.npz", BIKENYC_P6, DAY, RULES).fields["inflow"]
        assert series.values.dtype == np.uint8
        assert merge_steps(series, 4).values.max() == 800


class TestCommand:
    @pytest.fixture
    def path(self, tmp_path, rng, monkeypatch):
        monkeypatch.setenv("CITYBRUSH_DATA", str(tmp_path / "data"))
        flow = rng.poisson(5, (1, 144, 8, 8, 3)).astype(np.int16)
        np.savez(tmp_path / "x.npz", flow=flow)
        return tmp_path / "x.npz"

    def run(self, path, *more):
        words = ["city", "import", "didi", str(path), "--id", "chengdu"]
        return main([*words, "--first-day", "2016-11-01", *more])

    def test_import_show_and_check(self, path, capsys):
        more = ("--rows", "0:4", "--cols", "2:6", "--merge", "3", "--magnification", "2")
        assert self.run(path, *more) == 0
        captured = capsys.readouterr()
        assert "48 steps of 4 x 4 cells" in captured.out
        assert "not stated" in captured.err
        city = open_city("chengdu")
        flow = np.load(path)["flow"][0, ..., 0].reshape(48, 3, 8, 8).sum(1)[:, :4, 2:6]
        np.testing.assert_array_equal(city.field("flow").values, flow)
        assert city.grid.magnification == 2
        assert check_city(city.folder) == ()
        assert main(["city", "check", "chengdu"]) == 0

    def test_a_city_is_not_replaced_unless_asked(self, path, capsys):
        assert self.run(path) == 0
        assert self.run(path) == 2
        assert "already" in capsys.readouterr().err
        assert self.run(path, "--replace", "--title", "New") == 0
        assert open_city("chengdu").title == "New"

    @pytest.mark.parametrize(
        "more", [("--magnification", "3"), ("--merge", "0"), ("--rows", "0:99"), ("--id", "../x")]
    )
    def test_bad_options(self, path, more, capsys):
        assert self.run(path, *more) == 2
        assert "Error: " in capsys.readouterr().err

    @pytest.mark.parametrize("more", [("--rows", "a"), ("--bounds=1,2"), ("--first-day", "now")])
    def test_options_that_cannot_be_read(self, path, more):
        more = (more,) if isinstance(more, str) else more
        with pytest.raises(SystemExit) as caught:
            self.run(path, *more)
        assert caught.value.code == 2

    def test_table(self, path, tmp_path, rng, capsys):
        tap_frame(rng).to_csv(tmp_path / "tap.csv", index=False)
        words = ["--time", "Date", "--value", "PM2.5", "--lon", "X_Lon", "--lat", "Y_Lat"]
        words += ["--unit", "µg/m³", "--aggregation", "mean", "--name", "pm25", "--id", "b"]
        words += ["--timezone", "Asia/Shanghai", "--json"]
        assert main(["city", "import", "table", str(tmp_path / "tap.csv"), *words]) == 0
        assert '"pm25"' in capsys.readouterr().out
        assert open_city("b").field("pm25").values.shape == (3, 4, 6)
