import argparse
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from engine.cli import forecast as commands
from engine.errors import EngineError, WeightsError
from engine.models.forecast_bands import Banded
from engine.models.forecast_bundle import BASELINES, load_bundle, save_bundle
from engine.models.forecast_levers import silence_sensors
from engine.models.forecast_windows import WindowSet
from engine.models.himnet.blending import Beside, blend
from engine.models.himnet.direct import DirectNet
from engine.models.himnet.network import HimNet, HimNetConfig

RECIPE = """
[data]
name = "made in a test"
description = "waves"
terms = "none"
[series]
key = "speed"
unit = "km/h"
steps_per_day = 24
held_out_steps = 60
start_weekday = 0
[streets]
scale_m = 100.0
threshold = 0.1
[methods.stid]
epochs = 2
learning_rate = 5e-3
half = false
[methods.ours]
epochs = 1
half = false
"""


def _run(*words):
    parser = argparse.ArgumentParser()
    areas = parser.add_subparsers()
    commands.add_commands(areas)
    commands.add_bench(areas.add_parser("bench").add_subparsers())
    args = parser.parse_args([str(word) for word in words])
    return args.run(args)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecast")
    rng = np.random.default_rng(0)
    time = np.arange(400)[:, None]
    values = 60 + 15 * np.sin(time / 24 * 2 * np.pi + np.arange(3)) + rng.normal(size=(400, 3))
    np.savez(folder / "series.npz", speed=values.astype(np.float32))
    np.savez(folder / "four.npz", speed=np.c_[values, values[:, 0]].astype(np.float32))
    np.savetxt(
        folder / "distances.csv", 100 * np.abs(np.subtract.outer(range(3), range(3))), delimiter=","
    )
    (folder / "waves.toml").write_text(RECIPE)
    for method in ("stid", "ours"):
        assert not _run(
            "forecast", "train", "--config", folder / "waves.toml", "--method", method,
            "--series", folder / "series.npz", "--distances", folder / "distances.csv",
            "--out", folder / "waves.safetensors", "--checkpoints", folder / "checkpoints",
        )  # fmt: skip
    return folder


@pytest.mark.thorough
def test_training_adds_methods_to_one_file(place):
    bundle = load_bundle(place / "waves.safetensors")
    assert set(bundle.methods) == {"stid", "ours", "last-value", "historical-mean"}
    card = bundle.card
    assert card["training"]["stid"]["parameters"] > 0
    assert card["training"]["ours"]["metrics_held_out"]["score"] > 0
    assert card["data"]["terms"] == "none"
    streets = bundle.methods["ours"].method.adjacency_NN
    assert streets[0].tolist() == pytest.approx([0, np.exp(-1), 0])  # exp(-4) is too little


def test_bench_writes_the_figures_of_all_methods(place):
    assert not _run(
        "bench", "forecast", "--weights", place / "waves.safetensors",
        "--series", place / "series.npz", "--start-step", 0, "--json", place / "out.json",
    )  # fmt: skip
    figures = json.loads((place / "out.json").read_text())
    assert set(figures) == {"stid", "ours", "last-value", "historical-mean"}
    for rows in figures.values():
        assert set(rows) == {"60", "mean", "seconds_per_window"}  # steps of an hour
        assert set(rows["60"]) == {"mae", "rmse", "mape", "coverage90"}
    assert figures["historical-mean"]["mean"]["mae"] < 1.2  # the noise's own error is 0.8
    assert figures["last-value"]["mean"]["mae"] > 5
    assert figures["last-value"]["mean"]["coverage90"] == pytest.approx(0.9, abs=0.05)


def test_clock_shifts_the_historical_mean(place):
    errors = {}
    for step in (0, 12):
        _run(
            "bench", "forecast", "--weights", place / "waves.safetensors", "--series",
            place / "series.npz", "--start-step", step, "--methods", "historical-mean",
            "--json", place / "out.json",
        )  # fmt: skip
        errors[step] = json.loads((place / "out.json").read_text())["historical-mean"]["mean"][
            "mae"
        ]
    assert errors[12] > 10 * errors[0]


def test_forecast_follows_the_series(place):
    assert not _run(
        "forecast", "run", "--weights", place / "waves.safetensors", "--series",
        place / "series.npz", "--method", "historical-mean", "--out", place / "next.npz",
    )  # fmt: skip
    with np.load(place / "next.npz") as answer:
        assert answer["middle"].shape == (12, 3)
        assert (answer["lower"] <= answer["middle"]).all()
        time = np.arange(400, 412)[:, None]
        truth = 60 + 15 * np.sin(time / 24 * 2 * np.pi + np.arange(3))
        assert np.abs(answer["middle"] - truth).mean() < 0.6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--series", "series.npz", "--methods", "sarima"], "no method 'sarima'"),
        (["--series", "four.npz"], "4 sensors, the weights know 3"),
        (["--series", "none.npz"], "'speed' cannot be read"),
        (["--series", "series.npz", "--start-step", "24"], "from 0 to 23"),
    ],
)
def test_bad_input_is_explained(place, words, message):
    words = [place / word if word.endswith(".npz") else word for word in words]
    with pytest.raises(EngineError, match=message):
        _run("bench", "forecast", "--weights", place / "waves.safetensors", *words)


def test_kernels(capsys):
    assert not _run("bench", "forecast", "--kernels", "--batch", 1, "--sensors", 4)
    assert "reassociated" in capsys.readouterr().out


def test_bench_without_a_series_is_refused():
    with pytest.raises(EngineError, match="Give --weights and --series"):
        _run("bench", "forecast")


def test_merged_file_holds_the_methods_of_all(place, tmp_path):
    whole = load_bundle(place / "waves.safetensors")
    for name in ("stid", "ours"):
        kept = {key: value for key, value in whole.methods.items() if key in (name, *BASELINES)}
        card = {**whole.card, "training": {name: whole.card["training"][name]}}
        save_bundle(tmp_path / f"{name}.safetensors", replace(whole, methods=kept, card=card))
    parts = [tmp_path / "stid.safetensors", tmp_path / "ours.safetensors"]
    for words in ((), ("--half",)):
        out = tmp_path / f"merged{len(words)}.safetensors"
        assert not _run("forecast", "merge", *parts, "--out", out, *words)
        merged = load_bundle(out)
        assert set(merged.methods) == set(whole.methods)
        assert merged.card["training"] == whole.card["training"]
        for name in ("stid", "ours"):
            before, after = (b.methods[name].method.state_dict() for b in (whole, merged))
            for key, value in before.items():
                if words:
                    torch.testing.assert_close(after[key], value, rtol=1e-3, atol=1e-6)
                else:
                    assert torch.equal(after[key], value), key
            assert torch.equal(merged.methods[name].margin_2HN, whole.methods[name].margin_2HN)
    assert out.stat().st_size < (tmp_path / "merged0.safetensors").stat().st_size


def test_files_of_other_sensors_are_not_merged(place, tmp_path):
    whole = load_bundle(place / "waves.safetensors")
    other = replace(whole, facts=replace(whole.facts, unit="mph"))
    save_bundle(tmp_path / "other.safetensors", other)
    with pytest.raises(EngineError, match="different series"):
        _run(
            "forecast", "merge", place / "waves.safetensors", tmp_path / "other.safetensors",
            "--out", tmp_path / "out.safetensors",
        )  # fmt: skip


def test_blend_of_two_files(place, tmp_path):
    source, out = place / "waves.safetensors", tmp_path / "out.safetensors"
    assert not _run("forecast", "merge", source, source, "--blend", 1, "--out", out)
    blended = load_bundle(out)
    config = blended.methods["ours"].method.config
    assert (config.members, config.plain) == (2, 2)
    assert len(blended.card["training"]["ours"]["blended"]) == 3
    parameters = blended.methods["ours"].method.parameters()
    assert blended.card["training"]["ours"]["parameters"] == sum(p.numel() for p in parameters)


def test_himnet_has_its_share_in_a_blend(place, tmp_path):
    whole, out = load_bundle(place / "waves.safetensors"), tmp_path / "out.safetensors"
    ours, stid = whole.methods["ours"], whole.methods["stid"]
    network = ours.method
    himnet = HimNet(HimNetConfig(3, steps_per_day=24), torch.Generator().manual_seed(1)).eval()
    himnet.value_mean.fill_(55.0)
    himnet.value_std.fill_(9.0)
    paper = {**whole.methods, "paper": Banded(himnet, stid.margin_2HN.clone())}
    source = tmp_path / "with-paper.safetensors"
    save_bundle(source, replace(whole, methods=paper))
    words = ("forecast", "merge", source, "--blend", 1, "--out", out)
    assert not _run(*words, "--published", 0.25)
    blended = load_bundle(out).methods["ours"].method
    series = commands.read_series(place / "series.npz", whole.facts, 0, 0)
    batch = WindowSet.of(series).batch(np.arange(4))
    with torch.inference_mode():
        plain = (network.forecast(batch).middle_BHN + stid.method.forecast(batch).middle_BHN) / 2
        wanted = 0.75 * plain + 0.25 * himnet.forecast(batch).middle_BHN
        torch.testing.assert_close(blended.forecast(batch).middle_BHN, wanted)
        # HimNet is never given a reading that was not made
        silent = silence_sensors(batch, [1])
        other = silence_sensors(replace(batch, history_BTN=batch.history_BTN + 5.0), [1])
        kept = [0, 2]
        other.history_BTN[..., kept] = silent.history_BTN[..., kept]
        torch.testing.assert_close(
            blended.forecast(other).middle_BHN, blended.forecast(silent).middle_BHN
        )
    # its parameters are in the file once
    with safe_open(out, "pt") as file:
        assert sum("joint_decoder" in name for name in file.keys()) == len(  # noqa: SIM118
            [name for name in himnet.state_dict() if "joint_decoder" in name]
        )


def test_companions_of_other_sizes_have_their_share_in_a_blend(place, tmp_path):
    source, out = place / "waves.safetensors", tmp_path / "out.safetensors"
    whole = load_bundle(source)
    ours = whole.methods["ours"]
    sizes = replace(ours.method.config, members=1, recurrent=3)
    network = DirectNet(sizes, ours.method.adjacency_NN, torch.Generator().manual_seed(2)).eval()
    for name, buffer in ours.method.named_buffers(recurse=False):
        network.get_buffer(name).copy_(buffer)
    stepwise = tmp_path / "stepwise.safetensors"
    methods = {**whole.methods, "ours": Banded(network, ours.margin_2HN.clone())}
    save_bundle(stepwise, replace(whole, methods=methods))
    words = ("forecast", "merge", source, "--blend", 1, "--out", out, "--companions", stepwise)
    assert not _run(*words, "--companion-share", 0.4)
    blended = load_bundle(out)
    assert len(blended.card["training"]["ours"]["companions"]) == 1
    series = commands.read_series(place / "series.npz", whole.facts, 0, 0)
    batch = WindowSet.of(series).batch(np.arange(4))
    with torch.inference_mode():
        own = ours.method.forecast(batch).middle_BHN
        plain = whole.methods["stid"].method.forecast(batch).middle_BHN
        wanted = 0.6 * (own + plain) / 2 + 0.4 * network.forecast(batch).middle_BHN
        found = blended.methods["ours"].method.forecast(batch).middle_BHN
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--published", 0.25), "blend only"),
        (("--blend", 1, "--published", 1.5), "share of HimNet"),
        (("--blend", 1, "--published", 0.25), "None of these weights has a HimNet"),
        (("--blend", 1, "--companion-share", 0.25), "go together"),
    ],
)
def test_a_share_that_cannot_be_is_refused(place, tmp_path, words, told):
    with pytest.raises(EngineError, match=told):
        _run(
            "forecast", "merge", place / "waves.safetensors", *words,
            "--out", tmp_path / "out.safetensors",
        )  # fmt: skip


def test_a_network_that_lacks_its_himnet_says_so(place, tmp_path):
    network = load_bundle(place / "waves.safetensors").methods["ours"].method
    lonely = blend([network], 1, Beside(published=0.5))
    series = commands.read_series(
        place / "series.npz", load_bundle(place / "waves.safetensors").facts, 0, 0
    )
    with pytest.raises(WeightsError, match="lack the HimNet"):
        lonely.forecast(WindowSet.of(series).batch(np.arange(2)))
    other = HimNet(HimNetConfig(4, steps_per_day=24), torch.Generator().manual_seed(1))
    with pytest.raises(WeightsError, match="other sensors"):
        lonely.join(other)
