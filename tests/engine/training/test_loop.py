import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import WeightsError
from engine.training.checkpoints import POINTER, load_checkpoint
from engine.training.loop import Trainer, TrainingConfig, examples_of_step, learning_rate_at
from tests.engine.training.small_task import small_task

ROOT = Path(__file__).parents[3]
CONFIG = TrainingConfig(
    steps=12,
    batch_size=8,
    validate_every=4,
    checkpoint_every=4,
    warmup_steps=2,
    half=False,
    learning_rate=3e-3,
)


def losses_of(trainer):
    return [state.loss for state in trainer.run()]


def test_an_epoch_sees_every_example_once():
    seen = [examples_of_step(20, 5, 3, step)[0] for step in range(4)]
    assert sorted(np.concatenate(seen)) == list(range(20))
    again = [examples_of_step(20, 5, 3, step)[0] for step in range(4, 8)]
    assert sorted(np.concatenate(again)) == list(range(20))
    assert not np.array_equal(seen[0], again[0])
    assert examples_of_step(20, 5, 3, 5)[1][2] == (3, 1, 5, 2)


def test_few_examples_still_fill_a_batch():
    assert len(examples_of_step(3, 8, 0, 1)[0]) == 8


def test_learning_rate_rises_and_falls():
    config = TrainingConfig(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate_at(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9]
    assert rates[50] == pytest.approx(0.5)
    assert rates[99] < 0.001


def test_training_learns_what_the_mean_day_cannot_know():
    config = TrainingConfig(
        steps=40,
        batch_size=16,
        validate_every=20,
        warmup_steps=3,
        half=False,
        learning_rate=1e-2,
        ema=0.9,
    )
    task = small_task(dropout=0.0, kinds=2)
    untrained = task.validate(task.network)["score"]
    trainer = Trainer(task, config)
    states = list(trainer.run())
    figures = [state.figures for state in states if state.figures]
    assert len(figures) == 2
    # 1 is historical share, which averages the two kinds of days
    assert untrained > 0.95
    assert trainer.best_score < 0.85
    assert trainer.best_score == min(point["score"] for point in trainer.curve)
    assert states[-1].remaining_s == 0


def test_a_resumed_run_repeats_the_uninterrupted_one(tmp_path):
    whole = Trainer(small_task(), CONFIG)
    expected = losses_of(whole)
    asked = iter([False, False, False, False, False, True])
    first = Trainer(small_task(), CONFIG, tmp_path, lambda: next(asked))
    begun = losses_of(first)
    second = Trainer(small_task(), CONFIG, tmp_path)
    rest = losses_of(second)
    assert len(begun) == 6
    assert begun + rest == expected
    assert [point["score"] for point in second.curve] == [p["score"] for p in whole.curve]
    for a, b in zip(second.best.parameters(), whole.best.parameters(), strict=True):
        assert torch.equal(a, b)
    assert losses_of(Trainer(small_task(), CONFIG, tmp_path)) == []


def test_one_checkpoint_is_kept_and_damage_is_noticed(tmp_path):
    losses_of(Trainer(small_task(), CONFIG, tmp_path))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [POINTER, "step-00000012.safetensors"]
    assert load_checkpoint(tmp_path).facts["step"] == 12
    file = tmp_path / names[1]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="damaged"):
        load_checkpoint(tmp_path)


def test_another_configuration_does_not_continue(tmp_path):
    losses_of(Trainer(small_task(), CONFIG, tmp_path))
    other = TrainingConfig(**{**vars(CONFIG), "learning_rate": 1.0})
    with pytest.raises(WeightsError, match="another training configuration"):
        losses_of(Trainer(small_task(), other, tmp_path))


def test_early_stopping():
    config = TrainingConfig(
        steps=50, batch_size=8, validate_every=1, patience=2, learning_rate=0.0, half=False
    )
    trainer = Trainer(small_task(), config)
    # a learning rate of nothing never improves on the first validation
    assert len(losses_of(trainer)) == 3


def run_in_processes(count, out):
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", str(count)),
            str(ROOT / "tests" / "engine" / "training" / "parallel_run.py"),
            str(out),
        ],
        cwd=ROOT,
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "OMP_NUM_THREADS": "1",
            "ACCELERATE_USE_CPU": "true",
        },
        check=True,
        capture_output=True,
        timeout=300,
    )
    return json.loads(out.read_text())


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tmp_path):
    two = run_in_processes(2, tmp_path / "two.json")
    one = run_in_processes(1, tmp_path / "one.json")
    assert (two["ranks"], one["ranks"]) == (2, 1)
    assert len(two["losses"]) == 20
    assert np.allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)


def test_batches_made_ahead_are_the_same():
    alone = losses_of(Trainer(small_task(), CONFIG))
    ahead = losses_of(Trainer(small_task(), CONFIG, workers=2))
    assert ahead == alone
