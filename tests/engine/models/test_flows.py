from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.domain import Aggregation, FieldSeries, Grid
from engine.errors import FieldError
from engine.models.fieldfiles import FieldRecipe, read_flows
from engine.models.flows import FlowSeries, coarsen, flows_of_field, spread

VALUES = np.arange(6 * 4 * 4, dtype=np.float32).reshape(6, 4, 4)


def test_frames_sum_base_steps_from_any_beginning():
    series = FlowSeries(VALUES, slots_per_day=3, window=2, magnification=2)
    assert series.num_starts == 5
    assert series.regular_starts().tolist() == [0, 2, 4]
    frames = series.frames(np.array([1]))
    assert frames[0, 0, 0] == 16 + 32
    assert series.slots(np.array([0, 4])).tolist() == [0, 1]
    assert series.days(np.array([0, 4])).tolist() == [0, 1]


def test_coarsen_sums_blocks_and_spread_repeats():
    coarse = coarsen(VALUES[:1], 2)
    assert coarse.shape == (1, 2, 2)
    assert coarse[0, 0, 0] == 0 + 1 + 4 + 5
    assert spread(coarse, 2)[0, 1, 1] == coarse[0, 0, 0]
    assert coarse.sum() == VALUES[0].sum()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (VALUES[0], "steps, rows"),
        (VALUES - 1, "negative"),
        (np.where(VALUES == 3, np.nan, VALUES), "no number"),
        (VALUES[:, :3], "magnification"),
    ],
)
def test_impossible_flows_are_refused(values, words):
    with pytest.raises(FieldError, match=words):
        FlowSeries(values, 3, 1, 2)


def test_flows_of_a_city_field():
    grid = Grid(13.5, 52.4, 13.6, 52.5, 4, 4, 2)
    start = datetime(2026, 3, 2, 6, tzinfo=ZoneInfo("Europe/Berlin"))
    step = timedelta(hours=1)
    field = FieldSeries("flow", VALUES, grid, start, step, "vehicles", Aggregation.SUM)
    series = flows_of_field(field)
    assert (series.slots_per_day, series.first_slot, series.magnification) == (24, 6, 2)
    speed = FieldSeries("speed", VALUES, grid, start, step, "km/h", Aggregation.MEAN)
    with pytest.raises(FieldError, match="add up"):
        flows_of_field(speed)


RECIPE = FieldRecipe((1, 3), (0, 2), 1, slots_per_day=3, magnification=2)


def test_both_file_layouts_are_read(tmp_path):
    days = np.zeros((2, 3, 4, 4, 2), dtype=np.int16)
    days[1, 0, 1, 0, 1] = 7
    np.savez(tmp_path / "a.npz", flow=days)
    flat = np.moveaxis(days.reshape(6, 4, 4, 2), -1, 1).astype(np.float32)
    np.savez(tmp_path / "b.npz", flow=flat)
    for name in ("a.npz", "b.npz"):
        series = read_flows(tmp_path / name, RECIPE)
        assert series.values.shape == (6, 2, 2)
        assert series.values[3].tolist() == [[7, 0], [0, 0]]


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(FieldError, match="no such"):
        read_flows(tmp_path / "none.npz", RECIPE)
    (tmp_path / "broken.npz").write_bytes(b"not a zip")
    with pytest.raises(FieldError, match="cannot be read"):
        read_flows(tmp_path / "broken.npz", RECIPE)
    np.savez(tmp_path / "other.npz", speed=np.zeros(3))
    with pytest.raises(FieldError, match="'flow'"):
        read_flows(tmp_path / "other.npz", RECIPE)
    np.savez(tmp_path / "pickled.npz", flow=np.array([{}], dtype=object))
    with pytest.raises(FieldError, match="cannot be read"):
        read_flows(tmp_path / "pickled.npz", RECIPE)
    np.savez(tmp_path / "small.npz", flow=np.zeros((6, 2, 2, 2)))
    with pytest.raises(FieldError, match="smaller"):
        read_flows(tmp_path / "small.npz", RECIPE)
    np.savez(tmp_path / "flat.npz", flow=np.zeros((6, 2)))
    with pytest.raises(FieldError, match="layout"):
        read_flows(tmp_path / "flat.npz", RECIPE)


def test_recipe_round_trip():
    assert FieldRecipe.from_json(RECIPE.to_json()) == RECIPE
    with pytest.raises(FieldError):
        FieldRecipe.from_json({"rows": [1, 2]})
