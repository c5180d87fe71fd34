"""The smallest reconstruction training that still has every part."""

from engine.models.diffrecon.ours.config import Config
from engine.training.reconstruction import ReconstructionTask
from tests.engine.models.small_flows import small_series


def small_task(dropout=0.2, seed=0, kinds=1):
    config = Config(
        4,
        4,
        2,
        12,
        1,
        (0, 1),
        1,
        (1, 12),
        width=16,
        blocks=1,
        place_rank=4,
        heads=2,
        latents=3,
        residual_width=16,
        residual_blocks=1,
        dropout=dropout,
    )
    train = small_series(days=6, kinds=kinds)
    valid = small_series(days=2, seed=9, kinds=kinds)
    return ReconstructionTask(train, valid, config, seed)
