from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from engine.cities.importers.sensors import SensorColumns, SensorRules, read_sensor_table
from engine.errors import SensorError

WIDE = SensorColumns("time")
LONG = SensorColumns("time", "sensor", "speed")
SPRING, AUTUMN = "2024-03-31", "2024-10-27"


def _minutes(start, count, step=5):
    return np.datetime64(start, "s") + np.arange(count) * np.timedelta64(step, "m")


@pytest.fixture
def wide(tmp_path):
    """Writes a wide table; without columns, two sensors that count up from 0 and from 60."""

    def write(times, **columns):
        columns = columns or {"a": range(len(times)), "b": range(60, 60 + len(times))}
        rows = [",".join(["time", *columns])]
        for i, time in enumerate(times):
            rows.append(",".join([str(time), *(str(values[i]) for values in columns.values())]))
        path = tmp_path / "wide.csv"
        path.write_text("\n".join(rows) + "\n", "utf-8")
        return path

    return write


def test_wide_table(wide):
    series = read_sensor_table(wide(_minutes("2012-05-04T23:50", 4)), WIDE, SensorRules())
    assert series.sensors == ("a", "b")
    assert series.values_TN.tolist() == [[0, 60], [1, 61], [2, 62], [3, 63]]
    assert series.axis.slot_T.tolist() == [286, 287, 0, 1]
    assert series.axis.weekday_T.tolist() == [4, 4, 5, 5]  # Friday, then Saturday
    assert series.axis.steps_per_day == 288


def test_long_table_in_any_order(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text(
        "sensor,speed,time\n"
        "s2,41,2024-03-01 00:05\ns1,30,2024-03-01 00:00\n"
        "s2,40,2024-03-01 00:00\ns1,31,2024-03-01 00:05\n"
    )
    series = read_sensor_table(path, LONG, SensorRules())
    assert series.sensors == ("s1", "s2")
    assert series.values_TN.tolist() == [[30, 40], [31, 41]]


def test_parquet_table(tmp_path, wide):
    frame = pd.read_csv(wide(_minutes("2024-03-01", 3)), parse_dates=["time"])
    frame.to_parquet(tmp_path / "t.parquet")
    series = read_sensor_table(tmp_path / "t.parquet", WIDE, SensorRules())
    assert series.values_TN[:, 1].tolist() == [60, 61, 62]


def test_missing_reading_is_nan_and_zero_is_data(wide):
    path = wide(_minutes("2024-03-01", 4), a=[1, "", 0, 2], b=[5, 6, 7, 8])
    plain = read_sensor_table(path, WIDE, SensorRules()).values_TN[:, 0]
    np.testing.assert_array_equal(plain, [1, np.nan, 0, 2])
    speeds = read_sensor_table(path, WIDE, SensorRules(missing=(0.0,))).values_TN[:, 0]
    np.testing.assert_array_equal(speeds, [1, np.nan, np.nan, 2])


def test_gap_becomes_missing_values(wide):
    times = np.delete(_minutes("2024-03-01", 8), [3, 4])
    series = read_sensor_table(wide(times), WIDE, SensorRules())
    assert np.isnan(series.values_TN).all(axis=1).tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert series.axis.slot_T.tolist() == list(range(8))


def test_gap_is_refused_on_request(wide):
    times = np.delete(_minutes("2024-03-01", 8), [3, 4])
    with pytest.raises(SensorError, match=r"2 time steps are missing.*00:10:00"):
        read_sensor_table(wide(times), WIDE, SensorRules(mark_gaps=False))


def test_mostly_gaps_is_refused(wide):
    times = np.concatenate([_minutes("2024-03-01", 4), _minutes("2024-03-02", 4)])
    with pytest.raises(SensorError, match="time steps are missing"):
        read_sensor_table(wide(times), WIDE, SensorRules())


def test_duplicate_timestamps_are_refused(wide):
    times = _minutes("2024-03-01", 5)
    times[3] = times[2]
    with pytest.raises(SensorError, match="1 timestamps occur twice"):
        read_sensor_table(wide(times), WIDE, SensorRules())


def test_two_readings_of_a_sensor_are_refused(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("time,sensor,speed\n2024-03-01,a,1\n2024-03-01,a,2\n2024-03-02,a,3\n")
    with pytest.raises(SensorError, match=r"two readings at the same time.*a at 2024-03-01"):
        read_sensor_table(path, LONG, SensorRules())


def test_another_step_is_refused(wide):
    rules = SensorRules(step=timedelta(minutes=5))
    with pytest.raises(SensorError, match="900 s instead of 300 s"):
        read_sensor_table(wide(_minutes("2024-03-01", 5, step=15)), WIDE, rules)


def test_times_off_the_step_are_refused(wide):
    times = _minutes("2024-03-01", 6)
    times[4] += np.timedelta64(61, "s")
    with pytest.raises(SensorError, match="1 timestamps are off the step of 300 s"):
        read_sensor_table(wide(times), WIDE, SensorRules())


def test_step_that_does_not_divide_the_day_is_refused(wide):
    with pytest.raises(SensorError, match="whole number of time steps"):
        read_sensor_table(wide(_minutes("2024-03-01", 6, step=7)), WIDE, SensorRules())


def test_constant_sensor_is_refused_or_dropped(wide):
    path = wide(_minutes("2024-03-01", 4), ok=[1, 2, 3, 4], stuck=[7, 7, "", 7], dead=[""] * 4)
    with pytest.raises(SensorError, match=r"2 of 3 sensors never vary.*stuck, dead"):
        read_sensor_table(path, WIDE, SensorRules())
    assert read_sensor_table(path, WIDE, SensorRules(drop_constant=True)).sensors == ("ok",)


def _berlin_half_hours(day):
    """What a wall clock in Berlin shows on this day."""
    start = pd.Timestamp(day, tz="Europe/Berlin")
    times = pd.date_range(start, start + pd.DateOffset(days=1), freq="30min", inclusive="left")
    return times.tz_localize(None).to_numpy().astype("datetime64[s]")


@pytest.mark.parametrize(
    ("day", "num_steps", "at_half_past_two"), [(SPRING, 46, 0), (AUTUMN, 50, 2)]
)
def test_clock_changes_are_put_right_with_a_zone(wide, day, num_steps, at_half_past_two):
    path = wide(_berlin_half_hours(day))
    series = read_sensor_table(path, WIDE, SensorRules(zone="Europe/Berlin"))
    assert series.values_TN[:, 0].tolist() == list(range(num_steps))  # no gap, nothing moved
    assert (series.axis.slot_T == 5).sum() == at_half_past_two
    assert series.axis.slot_T[-1] == 47


def test_clock_changes_without_a_zone_are_explained(wide):
    with pytest.raises(SensorError, match="If clocks went back there, give the time zone"):
        read_sensor_table(wide(_berlin_half_hours(AUTUMN)), WIDE, SensorRules())
    with pytest.raises(SensorError, match="If clocks went forward there, give the time zone"):
        read_sensor_table(wide(_berlin_half_hours(SPRING)), WIDE, SensorRules(mark_gaps=False))


def test_an_hour_that_never_was_is_refused(wide):
    rules = SensorRules(zone="Europe/Berlin")
    with pytest.raises(SensorError, match="clocks skip in spring"):
        read_sensor_table(wide(_minutes(f"{SPRING}T01:30", 9, step=30)), WIDE, rules)


def test_unknown_zone_is_refused(wide):
    rules = SensorRules(zone="Europe/Atlantis")
    with pytest.raises(SensorError, match="'Europe/Atlantis' is not known"):
        read_sensor_table(wide(_minutes("2024-03-01", 4)), WIDE, rules)


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("when,a\n2024-03-01,1\n", WIDE, "no column 'time'"),
        ("time,a\nyesterday,1\n2024-03-02,2\n", WIDE, "timestamp cannot be read"),
        ("time,a\n1709251200,1\n1709251500,2\n", WIDE, "time column holds numbers"),
        ("time,a\n2024-03-01,fast\n2024-03-02,slow\n", WIDE, "'a' holds something"),
        ("time,a\n2024-03-01,1\n", WIDE, "fewer than two"),
        ("", WIDE, "cannot be read"),
        ("time,sensor\n2024-03-01,1\n", SensorColumns("time", "sensor"), "both a sensor and"),
    ],
)
def test_unusable_tables(tmp_path, text, columns, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(SensorError, match=message):
        read_sensor_table(path, columns, SensorRules())


def test_changed_sensor_set(wide):
    series = read_sensor_table(wide(_minutes("2024-03-01", 4)), WIDE, SensorRules())
    assert series.select(("b", "a")).values_TN[0].tolist() == [60, 0]
    with pytest.raises(SensorError, match=r"1 of 2 are missing.*c"):
        series.select(("a", "c"))
