"""Samples drawn in one large batch, and what the sweep says of them."""

import pytest
import torch

from engine.diffusion.noise import draw, sample_generator
from engine.errors import InputError
from engine.evaluation.sampling import middle_frame
from engine.evaluation.sampling_sweep import BatchSampler, sweep_batches
from engine.models.diffrecon.ours.system import CHUNK, repeat_mean
from tests.engine.models.test_ours import SERIES, SYSTEM


def test_a_batch_holds_the_samples_of_the_product():
    one = middle_frame(SYSTEM, SERIES)
    condition = SYSTEM.condition(one)
    mean = SYSTEM.means(condition)[0]
    shape = mean.fine.shape[1:]
    noise = draw(shape, [sample_generator(5, i) for i in range(CHUNK)], torch.empty(0))
    sampler = BatchSampler(SYSTEM.members[0], condition, repeat_mean(mean, CHUNK), 4)
    expected = SYSTEM.sample_chunk(condition, [mean], (5, 0), 4)
    torch.testing.assert_close(sampler.sample(noise), expected)


def test_the_sweep_times_every_size():
    one = middle_frame(SYSTEM, SERIES)
    rows = list(sweep_batches(SYSTEM, one, 2, [3, 12]))
    assert [(row.arithmetic, row.samples) for row in rows] == [("float32", 3), ("float32", 12)]
    for row in rows:
        assert row.samples_per_s == pytest.approx(row.samples / row.seconds)
        assert row.achieved_flops > 0
        assert row.peak_share > 0
        assert row.difference == 0


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least one sample"):
        list(sweep_batches(SYSTEM, middle_frame(SYSTEM, SERIES), 2, [0]))
