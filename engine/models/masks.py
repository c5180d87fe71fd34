"""Which coarse cells are missing.

A mask is True where a sensor works. Named patterns are written as in benchmarks: ``fix40`` (the
same 40 % of the cells missing in every frame), ``random80`` (a new draw per frame), ``quarter``
(the lower right quarter), ``blocks50`` and ``strokes50`` (rectangles, and brush strokes as a user
would paint them, the same in every frame).
"""

import re

import numpy as np
from numpy.typing import NDArray

from engine.errors import MaskError

Mask = NDArray[np.bool_]

BENCHMARK = (
    "fix20",
    "fix40",
    "fix60",
    "fix80",
    "random20",
    "random40",
    "random60",
    "random80",
    "quarter",
)
"""The nine masks of the paper."""

MAX_RATIO = 0.95
"""The largest share of missing cells that models are trained on."""


def _without(shape: tuple[int, int], missing: NDArray[np.int64]) -> Mask:
    observed = np.ones(shape, dtype=np.bool_)
    observed.flat[missing] = False
    return observed


def fixed_mask(shape: tuple[int, int], ratio: float, seed: int = 0) -> Mask:
    """The first ``ratio`` of the cells of a permutation drawn from ``seed`` are missing."""
    order = np.random.default_rng(seed).permutation(shape[0] * shape[1])
    return _without(shape, order[: round(ratio * len(order))])


def random_mask(shape: tuple[int, int], ratio: float, rng: np.random.Generator) -> Mask:
    """A new draw of missing cells."""
    order = rng.permutation(shape[0] * shape[1])
    return _without(shape, order[: round(ratio * len(order))])


def quarter_mask(shape: tuple[int, int]) -> Mask:
    """The lower right quarter is missing."""
    observed = np.ones(shape, dtype=np.bool_)
    observed[shape[0] // 2 :, shape[1] // 2 :] = False
    return observed


def block_mask(shape: tuple[int, int], ratio: float, rng: np.random.Generator) -> Mask:
    """Rectangles are missing, added until the share is reached."""
    observed = np.ones(shape, dtype=np.bool_)
    while (~observed).mean() < ratio:
        height, width = (int(rng.integers(1, max(2, side // 2 + 1))) for side in shape)
        top = int(rng.integers(0, shape[0] - height + 1))
        left = int(rng.integers(0, shape[1] - width + 1))
        observed[top : top + height, left : left + width] = False
    return observed


def stroke_mask(shape: tuple[int, int], ratio: float, rng: np.random.Generator) -> Mask:
    """Brush strokes (random walks) are missing, added until the share is reached."""
    observed = np.ones(shape, dtype=np.bool_)
    while (~observed).mean() < ratio:
        steps = rng.integers(-1, 2, (max(shape), 2))
        start = (rng.integers(0, shape[0]), rng.integers(0, shape[1]))
        walk = np.clip(start + steps.cumsum(0), 0, np.array(shape) - 1)
        observed[walk[:, 0], walk[:, 1]] = False
    return observed


def mixture_mask(shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """A mask of any shape with 0 to 95 % missing and at least one sensor, for training."""
    ratio = float(rng.uniform(0, MAX_RATIO))
    kind = rng.choice(3, p=(0.5, 0.25, 0.25))
    draw = (random_mask, block_mask, stroke_mask)[kind]
    observed = draw(shape, ratio, rng)
    if not observed.any():
        observed.flat[rng.integers(observed.size)] = True
    return observed


def named_masks(name: str, num_frames: int, shape: tuple[int, int], seed: int = 0) -> Mask:
    """The masks of all frames of a benchmark.

    Args:
        name: ``fixNN``, ``randomNN``, ``quarter``, ``blocksNN`` or ``strokesNN``, NN in percent.
        num_frames: B.
        shape: coarse rows and columns, (I, J).
        seed: of everything that is drawn.

    Returns:
        (B, I, J) bool, True where observed.

    Raises:
        MaskError: no such pattern, or a share outside 0 to 95 %.
    """
    match = re.fullmatch(r"(fix|random|blocks|strokes)(\d{1,2})", name)
    if name == "quarter":
        return np.broadcast_to(quarter_mask(shape), (num_frames, *shape))
    if not match or int(match[2]) > 100 * MAX_RATIO:
        raise MaskError(
            "There is no mask of that name.",
            name,
            "Use quarter, or fix, random, blocks or strokes with a percentage up to 95.",
        )
    ratio = int(match[2]) / 100
    if match[1] == "fix":
        return np.broadcast_to(fixed_mask(shape, ratio, seed), (num_frames, *shape))
    rng = np.random.default_rng(seed)
    if match[1] == "random":
        return np.stack([random_mask(shape, ratio, rng) for _ in range(num_frames)])
    draw = block_mask if match[1] == "blocks" else stroke_mask
    return np.broadcast_to(draw(shape, ratio, rng), (num_frames, *shape))
