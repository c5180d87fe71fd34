"""One set of trips for a city before and after an edit, so that it differs only where it has to.

Half of the trips are made for either map. All of them count in both versions, and what differs is
how many vehicles each stands for (:mod:`engine.models.tddpm.expansion`); only a trip that enters a
closed place after the edit is stood in for by another. Trips made for each version by themselves
differ by chance almost everywhere, and that chance would hide what the edit does.

Legend: N trips, G cells.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from engine.errors import OccupancyError
from engine.models.tddpm.expansion import paired_factors
from engine.models.tddpm.tracks import Floats, Indices


def split_number(num: int) -> tuple[int, int]:
    """How many of ``num`` trips are made for the map before, and how many for the one after."""
    return num - num // 2, num // 2


def stand_ins(
    counts: sparse.csr_matrix,
    maps: tuple[Floats, Floats],
    allowed: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Indices:
    """(N,) which trip is made after the edit in place of each: itself wherever it may be.

    Others are drawn among those that may be made, by what their factors rise.

    Args:
        counts: (N, G) points of each trip in each cell of the maps.
        maps: (G,) before and after.
        allowed: (N,) which trips may be made after the edit.
        rng: of the draw.

    Raises:
        OccupancyError: none of them.
        InputError: no trip passes a place of a map.
    """
    index = np.arange(len(allowed))
    if allowed.all():
        return index
    if not allowed.any():
        raise OccupancyError(
            "Every trip enters a blocked place.", f"{len(allowed)} trips", "Block fewer places."
        )
    before, after = paired_factors(counts, counts, maps)
    risen = np.where(allowed, np.maximum(after - before, 0), 0)
    if not risen.any():
        risen = allowed * after
    index[~allowed] = rng.choice(len(index), size=int((~allowed).sum()), p=risen / risen.sum())
    return index
