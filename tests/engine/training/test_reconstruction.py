import numpy as np
import pytest

from engine.models.flows import coarsen
from engine.training.reconstruction import blend_counts, draw_masks
from tests.engine.training.small_task import small_task


def rngs(count, seed=0):
    return [np.random.default_rng((seed, row)) for row in range(count)]


def test_a_blend_keeps_mean_and_poisson_noise():
    rng = np.random.default_rng(0)
    first, second = rng.poisson(8.0, 100_000), rng.poisson(2.0, 100_000)
    blend = blend_counts(first.astype(np.float32), second.astype(np.float32), 0.25, rng)
    assert blend.mean() == pytest.approx(0.25 * 8 + 0.75 * 2, rel=0.02)
    assert blend.var() == pytest.approx(blend.mean(), rel=0.03)


def test_batches_agree_with_their_truth():
    task = small_task()
    batch = task.batch(np.arange(40), rngs(40))
    condition = batch.condition
    coarse = coarsen(batch.truth.numpy(), 2)
    known = condition.observed.numpy()
    assert np.allclose(condition.coarse.numpy(), np.where(known, coarse, 0))
    assert 0 < (~known).mean() < 0.95
    assert ((batch.time > 0) & (batch.time <= 1)).all()
    assert (condition.past.numpy()[~condition.past_observed.numpy()] == 0).all()
    whole = task.train.frames(np.arange(40))
    changed = (batch.truth.numpy() != whole).any((1, 2))
    assert 5 < changed.sum() < 35


def test_a_row_depends_on_its_own_generator_alone():
    task = small_task()
    together = task.batch(np.array([3, 30, 9]), rngs(3))
    alone = task.batch(np.array([9]), rngs(3)[2:])
    assert np.array_equal(together.truth[2], alone.truth[0])
    assert np.array_equal(together.noise[2], alone.noise[0])
    assert np.array_equal(together.condition.coarse[2], alone.condition.coarse[0])
    assert np.array_equal(together.condition.past_prior[2], alone.condition.past_prior[0])


def test_the_prior_of_a_training_frame_does_not_know_it():
    task = small_task()
    before = task._history.frame_means(np.array([14]))[0]
    louder = small_task()
    values = louder.train.values.copy()
    values[14] += 1000
    object.__setattr__(louder.train, "values", values)
    again = type(louder)(louder.train, louder.valid, louder.config, 0)
    assert np.allclose(again._history.frame_means(np.array([14]))[0], before)
    assert not np.allclose(again._history.frame_means(np.array([2]))[0], before)


def test_training_masks_are_of_both_kinds():
    masks = [draw_masks((4, 4), 3, rng) for rng in rngs(200)]
    same = [bool((m == m[0]).all()) for m in masks]
    none = [not m[1:].any() for m in masks]
    assert 0.3 < np.mean(same) < 0.6
    assert 0.03 < np.mean(none) < 0.2
