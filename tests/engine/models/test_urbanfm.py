import math

import numpy as np
import pytest
import torch

from engine.errors import WeightsError
from engine.models.baselines.urbanfm import (
    Config,
    UrbanFM,
    UrbanFMFill,
    distribute,
    load_urbanfm,
    save_urbanfm,
)
from engine.models.flows import coarsen
from engine.models.masks import named_masks
from engine.models.observations import observe_in_order
from engine.training.loop import Trainer, TrainingConfig
from engine.training.urbanfm import UrbanFMTask
from tests.engine.models.small_flows import small_series

CONFIG = Config(4, 4, 2, 12, width=8, blocks=1, external=8)


def test_distribution_by_hand():
    weights = torch.tensor([[[1.0, 3.0], [0.0, 0.0]]])
    fine = distribute(weights, torch.tensor([[[8.0]]]), 2)
    assert torch.allclose(fine, torch.tensor([[[2.0, 6.0], [0.0, 0.0]]]), atol=1e-4)


@pytest.mark.thorough
def test_training_improves_and_totals_are_kept():
    series = small_series(days=6)
    task = UrbanFMTask(series, small_series(days=2, seed=3), CONFIG, 0)
    settings = TrainingConfig(
        steps=40, batch_size=16, validate_every=20, warmup_steps=5, half=False, learning_rate=3e-3
    )
    trainer = Trainer(task, settings)
    losses = [state.loss for state in trainer.run()]
    assert all(math.isfinite(loss) for loss in losses)
    assert trainer.curve[-1]["score"] < trainer.curve[0]["score"]
    seen = observe_in_order(series, named_masks("fix40", len(series.values), (4, 4)))
    estimate = UrbanFMFill(trainer.best).estimate(seen)
    assert estimate.shape == (72, 8, 8)
    assert estimate.min() >= 0
    totals = coarsen(estimate, 2)[seen.observed]
    kept = np.isclose(totals, seen.coarse[seen.observed], rtol=1e-3, atol=1e-2)
    # a block whose weights are all zero loses its total: the published network's own weakness
    assert kept.mean() > 0.9


def test_magnification_must_be_a_power_of_two():
    with pytest.raises(WeightsError):
        UrbanFM(Config(4, 4, 3, 12))


def test_weights_round_trip(tmp_path):
    task = UrbanFMTask(small_series(), small_series(days=2), CONFIG, 0)
    path = tmp_path / "small.safetensors"
    save_urbanfm(path, task.network, {"data": {"name": "small"}})
    again = load_urbanfm(path)
    coarse, slots = torch.rand(2, 4, 4) * 9, torch.tensor([0, 5])
    assert torch.equal(again(coarse, slots), task.network.eval()(coarse, slots))
    assert again.config.largest_fine == task.config.largest_fine > 1
    card = path.with_suffix(".json")
    card.write_text(card.read_text().replace('"urbanfm"', '"other"'))
    with pytest.raises(WeightsError, match="not UrbanFM"):
        load_urbanfm(path)
