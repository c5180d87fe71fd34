"""``train reconstruct``, ``reconstruct`` and ``bench reconstruct`` on small files, in processes."""

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.cli import reconstruct, reconstruct_bench, sample, train
from engine.errors import FieldError, InputError, WeightsError
from engine.models.diffrecon.ours.system import load_reconstructor
from tests.engine.models.small_flows import small_series

ROOT = Path(__file__).parents[3]
RECIPE = """
seeds = [0, 1]

[data]
name = "small"
terms = "made in a test"

[field]
rows = [0, 8]
cols = [0, 8]
channel = 0
slots_per_day = 12
magnification = 2

[network]
half_widths = [0, 1]
base_scale = 1
lags = [1, 12]
width = 16
blocks = 1
place_rank = 4
heads = 2
latents = 3
residual_width = 16
residual_blocks = 1

[training]
steps = 6
batch_size = 8
warmup_steps = 2
validate_every = 3
checkpoint_every = 3
half = false
"""


def parse(*words):
    parser = argparse.ArgumentParser()
    areas = parser.add_subparsers()
    train.add_commands(areas)
    reconstruct.add_commands(areas)
    benches = areas.add_parser("bench").add_subparsers()
    reconstruct_bench.add_bench(benches)
    sample.add_bench(benches)
    return parser.parse_args([str(word) for word in words])


def run(*words):
    args = parse(*words)
    return args.run(args)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with fields, a recipe, and weights trained by the command."""
    path = tmp_path_factory.mktemp("small")
    for name, days, seed in (("train", 5, 0), ("valid", 2, 9)):
        values = small_series(days=days, seed=seed).values
        np.savez(path / f"{name}.npz", flow=values[:, None])
    (path / "small.toml").write_text(RECIPE)
    assert run(*train_words(path)) == 0
    return path


def train_words(path, recipe="small.toml"):
    return (
        *("train", "reconstruct", "--config", path / recipe, "--field", path / "train.npz"),
        *("--valid", path / "valid.npz", "--out", path / "small.safetensors"),
        *("--checkpoints", path / "checkpoints"),
    )


@pytest.mark.thorough
def test_the_card_says_what_was_trained_on_what(folder):
    card = json.loads((folder / "small.json").read_text())
    assert card["data"] == {"name": "small", "terms": "made in a test"}
    assert card["training"]["seeds"] == [0, 1]
    assert card["members"] == 2
    assert card["field"]["slots_per_day"] == 12
    assert card["metrics"]["score"] > 0
    assert len(card["sha256"]) == 64


@pytest.mark.thorough
def test_reconstruct_writes_maps_and_repeats_itself(folder):
    words = ("reconstruct", "--weights", folder / "small.safetensors")
    words += ("--field", folder / "valid.npz", "--samples", 4, "--steps", 2, "--frames", "3:5")
    for name in ("a.npz", "b.npz"):
        assert run(*words, "--out", folder / name) == 0
    with np.load(folder / "a.npz") as a, np.load(folder / "b.npz") as b:
        assert a["frames"].tolist() == [3, 4]
        assert a["estimate"].shape == (2, 8, 8)
        for name in a:
            assert np.array_equal(a[name], b[name])
        assert (a["lower"] <= a["upper"]).all()


@pytest.mark.thorough
def test_bench_compares_all_methods_on_all_masks(folder):
    out = folder / "bench.json"
    words = ("bench", "reconstruct", "--weights", folder / "small.safetensors", "--field")
    words += (folder / "valid.npz", "--masks", "fix40,quarter", "--num-frames", 4, "--json", out)
    words += ("--plot", folder / "bench.png", "--card", "--seed", 3)
    assert run(*words, "--samples", 4, "--steps", 2) == 0
    figures = json.loads(out.read_text())
    assert set(figures) == {"fix40", "quarter"}
    card = json.loads((folder / "small.json").read_text())
    assert card["benchmark"] == {"3": {"every": 1, "masks": figures}}
    load_reconstructor(folder / "small.safetensors")  # the card is still that of the weights
    assert (folder / "bench.png").read_bytes().startswith(b"\x89PNG")
    for methods in figures.values():
        names = {"ours", "historical-share", "historical-mean", "nearest", "bicubic"}
        assert set(methods) == names
        for name, row in methods.items():
            keys = {"mae", "rmse", "crps", "coverage90", "seconds", "evaluations"}
            assert set(row) == keys
            assert (row["coverage90"] is None) == (name != "ours")
            assert 0 < row["crps"] <= row["rmse"]
        assert methods["ours"]["evaluations"] == 2 + 2
        assert methods["nearest"]["mae"] > methods["historical-share"]["mae"]


@pytest.mark.thorough
def test_bench_sample_reports_speed(folder, capsys):
    words = ("bench", "sample", "--weights", folder / "small.safetensors", "--field")
    words += (folder / "valid.npz", "--ancestral-steps", 20, "--compared-frames", 1)
    words += ("--steps", 2, "--threads", 1, "--sweep", "4,8", "--json")
    assert run(*words) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["samples"] for row in report["sweep"]] == [4, 8]
    assert report["speed_up"] > 1
    assert 0 < report["achieved_flops"] < 10 * report["peak_flops"]
    with pytest.raises(InputError, match="no device 'nowhere'"):
        run(*words, "--device", "nowhere")


PAPER = (
    RECIPE.split("[network]")[0]
    + """
[network]
lags = [12, 1]
series = 4
d_model = 8
heads = 2
layers = 1
kernels = 2
width = 8
num_steps = 4
"""
    + RECIPE[RECIPE.index("[training]") :]
)
URBANFM = (
    RECIPE.split("[network]")[0]
    + """
[network]
width = 8
blocks = 1
external = 8
"""
    + RECIPE[RECIPE.index("[training]") :]
)


@pytest.mark.slow
def test_the_papers_system_and_urbanfm_stand_beside_ours(folder):
    for name, text in (("paper", PAPER), ("urbanfm", URBANFM)):
        (folder / f"{name}.toml").write_text(f'system = "{name}"\n{text}')
        words = list(train_words(folder, f"{name}.toml"))
        words[words.index("--out") + 1] = folder / f"{name}.safetensors"
        words[-1] = folder / f"checkpoints-{name}"
        assert run(*words) == 0
    assert json.loads((folder / "paper.json").read_text())["phases"] == ["pretraining", "joint"]
    out = folder / "all.json"
    words = ["bench", "reconstruct", "--weights", folder / "small.safetensors", "--json", out]
    words += ["--paper", folder / "paper.safetensors", "--paper-steps", 2]
    words += ["--urbanfm", folder / "urbanfm.safetensors", "--field", folder / "valid.npz"]
    assert run(*words, "--masks", "fix40", "--num-frames", 3, "--samples", 3, "--steps", 2) == 0
    methods = json.loads(out.read_text())["fix40"]
    assert methods["paper"]["evaluations"] == 2 * 2 * 3
    assert 0 <= methods["paper"]["coverage90"] <= 1
    assert methods["urbanfm"]["coverage90"] is None


@pytest.mark.thorough
@pytest.mark.parametrize("frames", ["99", "-1", "5:3", "some"])
def test_impossible_frames_are_refused(folder, frames):
    words = ("reconstruct", "--weights", folder / "small.safetensors", "--field")
    with pytest.raises(InputError):
        run(*words, folder / "valid.npz", f"--frames={frames}", "--out", folder / "x.npz")


@pytest.mark.thorough
def test_unknown_weights_and_fields_are_refused(folder):
    words = ("reconstruct", "--out", folder / "x.npz", "--field")
    with pytest.raises(WeightsError, match="Installed"):
        run(*words, folder / "valid.npz", "--weights", "atlantis")
    with pytest.raises(FieldError, match="no such"):
        run(*words, folder / "no.npz", "--weights", folder / "small.safetensors")
    (folder / "broken.toml").write_text("seeds = [0]")
    with pytest.raises(InputError, match="recipe"):
        run(*train_words(folder, "broken.toml"))


@pytest.mark.slow
def test_a_terminated_training_saves_and_continues(folder, tmp_path):
    (folder / "long.toml").write_text(RECIPE.replace("steps = 6", "steps = 100000"))
    words = [str(word) for word in train_words(folder, "long.toml")]
    words[-1] = str(tmp_path / "checkpoints")
    code = "import sys; from engine.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, *words], cwd=ROOT)
    pointer = tmp_path / "checkpoints" / "seed-0" / "latest.json"
    for _ in range(600):
        if pointer.exists():
            break
        time.sleep(0.1)
    first = json.loads(pointer.read_text())["step"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    facts = json.loads(pointer.read_text())
    assert facts["step"] >= first
    assert (pointer.parent / facts["file"]).exists()
