from dataclasses import fields

import numpy as np
import pytest

from engine.errors import InputError, JobCancelledError
from engine.models.tddpm.drawing import draw_examples
from engine.models.tddpm.pieces import PieceConfig, RegionExample, RegionSampler
from engine.models.tddpm.tracks import tracks_from_trips


@pytest.fixture(scope="module")
def sampler():
    rng = np.random.default_rng(0)
    trips = [np.cumsum(rng.normal(0, 25, (100, 2)), axis=0) for _ in range(20)]
    return RegionSampler(tracks_from_trips(trips, 5.0), PieceConfig(pieces_per_region=2))


def test_several_processes_draw_the_same_examples_in_order(sampler):
    told = []
    alone = draw_examples(sampler, 11, 5)
    apart = draw_examples(sampler, 11, 5, told.append, workers=2)
    assert told == list(range(1, 12))
    for first, second in zip(alone, apart, strict=True):
        for field in fields(RegionExample):
            np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))
    assert not np.array_equal(alone[0].points, alone[1].points)


def test_drawing_is_cancelled_by_its_listener(sampler):
    def cancel(drawn):
        if drawn == 3:
            raise JobCancelledError("enough")

    with pytest.raises(JobCancelledError, match="enough"):
        draw_examples(sampler, 1_000, 0, cancel, workers=2)
    with pytest.raises(InputError, match="at least one worker"):
        draw_examples(sampler, 1, 0, workers=0)
