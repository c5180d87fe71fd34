"""``python -m engine reconstruct``: the page's answers from the shell, and clear refusals."""

import io
import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.io import netcdf_file

from engine import api
from engine.api import reconstruction_stream
from engine.cli import main
from engine.errors import FieldError, MaskError, ScenarioError
from engine.models.diffrecon.ours.system import load_reconstructor, save_reconstructor
from engine.models.masks import named_masks
from engine.scenarios.npz import write_npz
from tests.small_city import START, flow_values
from tests.small_weights import write_small_weights

MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 1]], dtype=bool)
FEW = ("--samples", "9", "--steps", "2", "--seed", "3")
FIRST = 17 * 48 + 16


@pytest.fixture
def mask_file(tmp_path):
    path = tmp_path / "mask.json"
    path.write_bytes(api.mask_to_json(MASK))
    return path


def run(tmp_path, *words, out="maps.npz"):
    path = tmp_path / out
    code = main(["reconstruct", *map(str, words), *FEW, "--out", str(path)])
    return code, path


def asked(step, mask=MASK, history=api.History.NEVER, weights=""):
    when = START + timedelta(minutes=30) * step
    sampling = api.Sampling(samples=9, steps=2, seed=3)
    scenario = api.reconstruct_scenario(
        "small", when, mask, sampling=sampling, history=history, weights=weights
    )
    return api.reconstruct(scenario)


def test_the_shell_says_what_the_page_says(small, tmp_path, mask_file):
    code, path = run(
        tmp_path, "--city", "small", "--mask", mask_file, "--frames", f"{FIRST}:{FIRST + 3}"
    )
    assert code == 0
    with np.load(path) as maps:
        assert maps["frames"].tolist() == [FIRST, FIRST + 1, FIRST + 2]
        for place in (0, 2):
            result = asked(FIRST + place)
            for name in ("estimate", "lower", "upper", "coarse"):
                np.testing.assert_array_equal(maps[name][place], result.arrays[name])
        assert (maps["observed"] == MASK).all()


def test_a_drawn_mask_is_the_frames_own(small, tmp_path):
    words = ("--city", "small", "--mask", "random40", "--history", "until-now")
    code, path = run(tmp_path, *words, "--frames", "50:52")
    masks = named_masks("random40", 60, (4, 4), 3)
    assert code == 0
    with np.load(path) as maps:
        np.testing.assert_array_equal(maps["observed"], masks[50:52])
        result = asked(51, masks[51], api.History.UNTIL_NOW)
        np.testing.assert_array_equal(maps["upper"][1], result.arrays["upper"])


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("2024-09-03T08:00", [64]),
        ("2024-09-03T08:29:59+02:00", [64]),
        ("2024-09-03", list(range(48, 96))),
    ],
)
def test_frames_by_date_and_time(small, tmp_path, mask_file, monkeypatch, text, steps):
    wanted = []

    def nothing(scenario, numbers, mask_at):
        wanted.extend(numbers)
        return iter(())

    monkeypatch.setattr(reconstruction_stream, "reconstruct_steps", nothing)
    run(tmp_path, "--city", "small", "--mask", mask_file, "--frames", text)
    assert wanted == steps


def test_netcdf_and_csv_tell_time_place_and_truth(small, tmp_path, mask_file):
    words = ("--city", "small", "--mask", mask_file, "--frames", "64:66")
    code, path = run(tmp_path, *words, out="maps.nc")
    assert code == 0
    with netcdf_file(path, mmap=False) as file:
        np.testing.assert_array_equal(file.variables["truth"][:], flow_values()[64:66])
        start = file.variables["time"][0]
        assert start == (START + timedelta(hours=32)).timestamp()
        assert json.loads(file.scenario)["city_id"] == "small"
        lower = file.variables["lower"][:].copy()
    code, path = run(tmp_path, *words, out="maps.csv")
    table = pd.read_csv(path, comment="#")
    (column,) = [name for name in table.columns if name.startswith("lower")]
    np.testing.assert_array_equal(table[column].to_numpy(np.float32), lower.ravel())


def test_the_summary_is_that_of_the_maps(small, tmp_path, mask_file, capsys):
    words = ("--city", "small", "--mask", mask_file, "--frames", "64:66", "--json")
    _, path = run(tmp_path, *words)
    summary = json.loads(capsys.readouterr().out)
    hidden = np.repeat(np.repeat(~MASK, 4, 0), 4, 1)
    truth = flow_values()[64:66].astype(float)
    with np.load(path) as maps:
        gap = (maps["estimate"] - truth)[:, hidden]
        inside = ((maps["lower"] <= truth) & (truth <= maps["upper"]))[:, hidden]
    assert (summary["frames"], summary["hidden_cells"]) == (2, 2 * hidden.sum())
    assert summary["mae"] == pytest.approx(np.abs(gap).mean())
    assert summary["rmse"] == pytest.approx(np.sqrt((gap**2).mean()))
    assert summary["coverage90"] == pytest.approx(inside.mean())
    assert summary["conservation"] < 1e-4
    assert summary["weights"] == "small"


def test_one_frame_is_in_memory_at_a_time(small, mask_file):
    """Each answer is made when it is asked for, not before."""
    made = []
    scenario = api.reconstruct_scenario(
        "small", START, MASK, sampling=api.Sampling(samples=0, steps=1)
    )

    def steps():
        for step in range(10**9):
            made.append(step)
            yield step

    frames = api.reconstruct_steps(scenario, (step % 900 for step in steps()))
    for _ in range(3):
        next(frames)
    assert made == [0, 1, 2]


def test_a_stream_can_be_stopped(small):
    scenario = api.reconstruct_scenario("small", START, MASK)

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(api.reconstruct_steps(scenario, [0], check=stop))


def test_a_stopped_command_leaves_no_file(small, tmp_path, mask_file, monkeypatch):
    def broken(*_args):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(reconstruction_stream, "reconstruct_steps", broken)
    code, path = run(tmp_path, "--city", "small", "--mask", mask_file)
    assert code == 130
    assert list(tmp_path.iterdir()) == [mask_file]
    assert not path.exists()


def refused(capsys, tmp_path, *words, out="maps.npz"):
    code, path = run(tmp_path, *words, out=out)
    assert code == 2
    assert not path.exists()
    return capsys.readouterr().err.split("Error:")[-1]


def test_masks_that_do_not_fit_are_refused(small, tmp_path, capsys):
    for content, words in (
        (np.zeros((4, 4), bool), "No sensor is left"),
        (np.ones((4, 4), bool), "No sensor is missing"),
        (np.eye(5, dtype=bool), "another shape"),
    ):
        path = tmp_path / "other.csv"
        path.write_bytes(api.mask_to_csv(content))
        assert words in refused(capsys, tmp_path, "--city", "small", "--mask", path)
    assert "no mask of that name" in refused(capsys, tmp_path, "--city", "small", "--mask", "fix99")
    gone = tmp_path / "gone.json"
    assert "cannot be read" in refused(capsys, tmp_path, "--city", "small", "--mask", gone)
    with pytest.raises(MaskError, match="another shape"):
        scenario = api.reconstruct_scenario("small", START, MASK)
        next(api.reconstruct_steps(scenario, [0], lambda _step: np.eye(3, dtype=bool)))
    with pytest.raises(ScenarioError, match="no such time step"):
        next(api.reconstruct_steps(scenario, [10**6]))


@pytest.mark.parametrize("more", [("--samples", "999"), ("--steps", "0"), ("--steps", "65")])
def test_caps(small, tmp_path, mask_file, capsys, more):
    path = tmp_path / "maps.npz"
    words = ["reconstruct", "--city", "small", "--mask", str(mask_file), "--out", str(path)]
    assert main([*words, *more]) == 2
    assert "out of range" in capsys.readouterr().err


def test_frames_kinds_and_histories_that_do_not_exist(small, tmp_path, mask_file, capsys):
    city = ("--city", "small", "--mask", mask_file)
    for text in ("9999", "-1", "5:5", "noon", "2024-13-01"):
        assert "frames" in refused(capsys, tmp_path, *city, "--frames", text)
    assert "no such day" in refused(capsys, tmp_path, *city, "--frames", "2031-01-01")
    assert "kind of file" in refused(capsys, tmp_path, *city, out="maps.xlsx")
    assert "kind of history" in refused(capsys, tmp_path, *city, "--history", "maybe")
    assert "nothing to reconstruct" in refused(capsys, tmp_path)


def test_weights_of_another_city_and_damaged_ones(small, tmp_path, mask_file, capsys):
    city = ("--city", "small", "--mask", mask_file)
    other = write_small_weights(tmp_path, small, "other", city="elsewhere")
    assert "another city" in refused(capsys, tmp_path, *city, "--weights", other)
    damaged = write_small_weights(tmp_path, small, "damaged")
    card = json.loads(damaged.with_suffix(".json").read_text())
    damaged.with_suffix(".json").write_text(json.dumps({**card, "sha256": "0" * 64}))
    assert "damaged" in refused(capsys, tmp_path, *city, "--weights", damaged)
    assert "no weights" in refused(capsys, tmp_path, *city, "--weights", "nothing")


def test_a_field_in_another_unit_is_refused(small, tmp_path, mask_file, capsys):
    other = write_small_weights(tmp_path, small, "people", unit="people")
    words = ("--city", "small", "--mask", mask_file, "--weights", other)
    assert "another unit" in refused(capsys, tmp_path, *words)


@pytest.fixture
def from_file(small, tmp_path):
    """Weights that say how to read a research file, which has no calendar, and such a file."""
    system = load_reconstructor(write_small_weights(tmp_path, small, has_calendar=False))
    recipe = {"rows": [0, 16], "cols": [0, 16], "channel": 0, "slots_per_day": 48}
    system.card = {**system.card, "name": "file", "field": {**recipe, "first_slot": 0}}
    weights = tmp_path / "file.safetensors"
    save_reconstructor(weights, system, half=False)
    field = tmp_path / "field.npz"
    np.savez(field, flow=flow_values()[: 3 * 48, None])
    return weights, field


def test_a_file_of_frames_is_answered_alike(from_file, tmp_path, mask_file):
    weights, field = from_file
    words = ("--weights", weights, "--field", field, "--mask", mask_file, "--frames", "64:66")
    code, path = run(tmp_path, *words)
    assert code == 0
    with np.load(path) as maps:
        answer = asked(65, weights=str(weights))
        np.testing.assert_array_equal(maps["estimate"][1], answer.arrays["estimate"])
        np.testing.assert_array_equal(maps["lower"][1], answer.arrays["lower"])


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "no number"), (-1.0, "negative"), (np.inf, "no number")]
)
def test_values_that_are_no_counts_are_refused(from_file, tmp_path, capsys, value, words):
    weights, field = from_file
    flow = flow_values()[: 3 * 48, None].astype(np.float32)
    flow[60, 0, 2, 2] = value
    np.savez(field, flow=flow)
    given = ("--weights", weights, "--field", field)
    assert words in refused(capsys, tmp_path, *given, "--mask", "fix40")


def test_a_file_knows_no_places(from_file, tmp_path, capsys):
    weights, field = from_file
    given = ("--weights", weights, "--field", field)
    assert "--city" in refused(capsys, tmp_path, *given, out="maps.nc")


def test_npz_stacks_frames_and_refuses_what_differs():
    frames = [{"a": np.full((2, 3), i, np.float32), "b": np.int64(i)} for i in range(4)]
    content = io.BytesIO()
    write_npz(content, iter(frames))
    content.seek(0)
    with np.load(content) as arrays:
        np.testing.assert_array_equal(arrays["b"], [0, 1, 2, 3])
        np.testing.assert_array_equal(arrays["a"], np.stack([f["a"] for f in frames]))
    for bad in ([], [*frames, {"a": frames[0]["a"]}]):
        with pytest.raises(FieldError):
            write_npz(io.BytesIO(), bad)
