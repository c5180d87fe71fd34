"""Drawing training examples, in this process or in several; the examples are the same."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from engine.errors import InputError
from engine.models.tddpm.pieces import RegionExample, RegionSampler

_CHUNK = 8
"""Examples that a process draws at a time."""


def draw_examples(
    sampler: RegionSampler,
    num: int,
    seed: int,
    listen: Callable[[int], None] | None = None,
    workers: int = 1,
) -> list[RegionExample]:
    """``num`` regions; number i depends on (seed, i) alone.

    Args:
        sampler: draws one region.
        num: how many.
        seed: of all.
        listen: called with the number of regions drawn; may raise to cancel.
        workers: processes that draw; each holds the trips once. 1 draws in this process.

    Raises:
        InputError: fewer than one worker.
    """
    if workers < 1:
        raise InputError("Drawing needs at least one worker.", str(workers))
    draw = _draw_here if workers == 1 else _draw_apart
    examples = []
    for example in draw(sampler, num, seed, workers):
        examples.append(example)
        if listen is not None:
            listen(len(examples))
    return examples


def _draw_here(
    sampler: RegionSampler, num: int, seed: int, workers: int
) -> Iterator[RegionExample]:
    del workers
    return (sampler.draw((seed, index)) for index in range(num))


def _draw_apart(
    sampler: RegionSampler, num: int, seed: int, workers: int
) -> Iterator[RegionExample]:
    # a fresh interpreter: forking a process with threads of torch can hang
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_take, initargs=(sampler,))
    try:
        yield from pool.map(_draw, ((seed, index) for index in range(num)), chunksize=_CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


_taken: list[RegionSampler] = []
"""The sampler of a drawing process; empty elsewhere."""


def _take(sampler: RegionSampler) -> None:
    _taken[:] = [sampler]


def _draw(seed: tuple[int, int]) -> RegionExample:
    return _taken[0].draw(seed)
