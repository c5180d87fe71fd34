import h5py
import numpy as np
import pytest

from engine.cities.importers.sensors import SensorRules
from engine.cities.importers.sensors_benchmarks import (
    PEMSD7M_CLOCK,
    Clock,
    read_array_series,
    read_number_table,
    read_pandas_h5,
)
from engine.errors import SensorError

VALUES = np.arange(12, dtype=np.float64).reshape(4, 3) + 30


def _write_h5(path, names, group="df", kind="datetime64", unit="ns"):
    """A table as pandas' fixed layout has it: what a publisher's file holds, in small."""
    start = np.datetime64("2012-03-01T00:00", unit)
    times = start + (np.arange(len(VALUES)) * np.timedelta64(300, "s")).astype(f"m8[{unit}]")
    with h5py.File(path, "w") as file:
        table = file.create_group(group)
        table["axis0"], table["block0_items"] = names, names
        table["axis1"] = times.astype(np.int64)
        table["axis1"].attrs["kind"] = np.bytes_(kind)
        table["block0_values"] = VALUES
    return path


def test_metr_la_has_names_as_text(tmp_path):
    path = _write_h5(tmp_path / "metr-la.h5", np.array([b"773869", b"767541", b"767542"]))
    series = read_pandas_h5(path, SensorRules())
    assert series.sensors == ("773869", "767541", "767542")
    assert series.values_TN.tolist() == VALUES.tolist()
    assert series.axis.slot_T.tolist() == [0, 1, 2, 3]
    assert series.axis.weekday_T.tolist() == [3] * 4  # 1 March 2012 was a Thursday


def test_pems_bay_has_names_as_numbers(tmp_path):
    names = np.array([400001, 400017, 400030])
    path = _write_h5(tmp_path / "bay.h5", names, group="speed", kind="datetime64[us]", unit="us")
    series = read_pandas_h5(path, SensorRules())
    assert series.sensors == ("400001", "400017", "400030")
    assert series.axis.slot_T.tolist() == [0, 1, 2, 3]


def test_h5_that_is_none(tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(SensorError, match="HDF5 file cannot be read"):
        read_pandas_h5(path, SensorRules())


def test_h5_without_times(tmp_path):
    path = _write_h5(tmp_path / "x.h5", np.arange(3), kind="integer")
    with pytest.raises(SensorError, match="no timestamps"):
        read_pandas_h5(path, SensorRules())


def test_h5_with_axes_of_another_size(tmp_path):
    path = _write_h5(tmp_path / "x.h5", np.arange(4))
    with pytest.raises(SensorError, match="axes do not fit"):
        read_pandas_h5(path, SensorRules())


def test_h5_does_not_reach_out_of_its_file(tmp_path):
    other = _write_h5(tmp_path / "secret.h5", np.arange(3))
    path = _write_h5(tmp_path / "x.h5", np.arange(3))
    with h5py.File(path, "a") as file:
        del file["df/block0_values"]
        file["df/block0_values"] = h5py.ExternalLink(str(other), "/df/block0_values")
    with pytest.raises(SensorError, match="stored elsewhere"):
        read_pandas_h5(path, SensorRules())


def test_h5_objects_are_not_unpickled(tmp_path):
    path = _write_h5(tmp_path / "x.h5", np.arange(3))
    with h5py.File(path, "a") as file:
        del file["df/block0_values"]
        file.create_dataset("df/block0_values", (1,), dtype=h5py.vlen_dtype(np.uint8))
    with pytest.raises(SensorError, match="neither numbers"):
        read_pandas_h5(path, SensorRules())


def test_pemsd7_knows_no_weekends(tmp_path):
    path = tmp_path / "V_3.csv"
    rng = np.random.default_rng(0)
    np.savetxt(path, rng.uniform(20, 70, (5 * 288, 3)), delimiter=",", fmt="%.1f")
    series = read_number_table(path, PEMSD7M_CLOCK, SensorRules())
    assert series.axis.weekday_T[::288].tolist() == [1, 2, 3, 4, 0]  # Tuesday ... Friday, Monday
    assert series.axis.slot_T[:3].tolist() == [0, 1, 2]


def test_number_table_with_names(tmp_path):
    path = tmp_path / "los_speed.csv"
    path.write_text("773869,767541\n64.5,67\n63,66\n")
    series = read_number_table(path, Clock(), SensorRules(), header=True)
    assert series.sensors == ("773869", "767541")
    assert series.values_TN.tolist() == [[64.5, 67], [63, 66]]


def test_part_of_a_set_begins_within_a_day(tmp_path):
    path = tmp_path / "valid.npz"
    np.savez(path, speed_mph=VALUES.astype(np.float32))
    series = read_array_series(path, "speed_mph", Clock(start_slot=286), SensorRules())
    assert series.axis.slot_T.tolist() == [286, 287, 0, 1]
    assert (series.axis.weekday_T < 0).all()


def test_pems04_has_channels(tmp_path):
    path = tmp_path / "pems04.npz"
    np.savez(path, data=np.stack([VALUES, VALUES / 100, VALUES * 2], axis=2))
    flow = read_array_series(path, "data", Clock(0, 0), SensorRules("flow", "vehicles"))
    speed = read_array_series(path, "data", Clock(0, 0), SensorRules(), channel=2)
    assert flow.values_TN.tolist() == VALUES.tolist()
    assert speed.values_TN.tolist() == (VALUES * 2).tolist()
    with pytest.raises(SensorError, match="channel 3"):
        read_array_series(path, "data", Clock(0, 0), SensorRules(), channel=3)


def test_npz_is_not_unpickled(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, data=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SensorError, match="cannot be read"):
        read_array_series(path, "data", Clock(), SensorRules())


@pytest.mark.parametrize("exists", [True, False])
def test_npz_missing_or_without_key(tmp_path, exists):
    path = tmp_path / "x.npz"
    if exists:
        np.savez(path, data=VALUES)
    with pytest.raises(SensorError, match="'speed' cannot be read"):
        read_array_series(path, "speed", Clock(), SensorRules())


@pytest.mark.parametrize("clock", [Clock(start_slot=288), Clock(0, 6, days=(0, 1, 2, 3, 4))])
def test_impossible_clock(tmp_path, clock):
    path = tmp_path / "x.npz"
    np.savez(path, data=VALUES)
    with pytest.raises(SensorError, match="first step's"):
        read_array_series(path, "data", clock, SensorRules())
