"""Who is held out: whole groups of people, so that nothing of them is in the training trips.

The same recording can stand under several people's names: of the prepared trips of Geolife, one
in ten has an identical twin under another number. Holding out single numbers would then put
held-out trips into training, and the copy test and every comparison would be worth nothing.

Shapes: N trips, U people.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from engine.errors import InputError
from engine.models.tddpm.tracks import Tracks

_GRID_M = 0.1
"""Positions closer than this are the same: what rounding to millionths of a degree leaves."""


def number_recordings(tracks: Tracks) -> NDArray[np.int64]:
    """(N,) a number that trips share when they are the same recording.

    The same means: the same start, number of points, first, middle and last position.
    """
    first, last = tracks.ends_m()
    middle = tracks.points_m[(tracks.offsets[:-1] + tracks.offsets[1:]) // 2]
    places = np.round(np.concatenate([first, middle, last], axis=1) / _GRID_M)
    times = np.stack([tracks.start_s, tracks.num_points], axis=1)
    key = np.concatenate([times, places], axis=1)
    _, number = np.unique(key, axis=0, return_inverse=True)
    return np.asarray(number.ravel(), dtype=np.int64)


def drop_twins(tracks: Tracks) -> Tracks:
    """Each recording once: under the first person that has it."""
    _, first = np.unique(number_recordings(tracks), return_index=True)
    return tracks.select(np.sort(first))


def group_people(tracks: Tracks) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """People who share a recording, directly or through others, form one group.

    Returns:
        (U,) the people, ascending, and (U,) the group of each.
    """
    people, person = np.unique(tracks.person, return_inverse=True)
    recording = number_recordings(tracks)
    num = len(people) + int(recording.max()) + 1
    # people and recordings are the two sides of one graph
    edges = coo_matrix((np.ones(len(tracks)), (person, len(people) + recording)), (num, num))
    _, label = connected_components(edges, directed=False)
    _, group = np.unique(label[: len(people)], return_inverse=True)
    return people, np.asarray(group, dtype=np.int64)


def hold_out_people(tracks: Tracks, share: float, seed: int) -> tuple[Tracks, Tracks]:
    """Training and held-out trips, each recording once, nobody's on both sides.

    Groups are drawn in a random order and held out as long as that brings the number of people
    closer to the share that was asked for.

    Args:
        tracks: trips with known persons.
        share: part of the people to hold out, in (0, 1).
        seed: of the draw; the same seed and trips give the same split.

    Returns:
        Trips of the people kept, and trips of the people held out.

    Raises:
        InputError: the share, or the groups, leave nobody on one side.
    """
    people, group = group_people(tracks)
    wanted = share * len(people)
    sizes = np.bincount(group)
    held = np.zeros(len(sizes), dtype=bool)
    num_held = 0
    for number in np.random.default_rng(seed).permutation(len(sizes)):
        if abs(num_held + sizes[number] - wanted) < abs(num_held - wanted):
            held[number] = True
            num_held += int(sizes[number])
    if not 0 < num_held < len(people):
        raise InputError(
            "The share leaves nobody on one side.",
            f"{share} of {len(people)} people in {len(sizes)} groups that share recordings",
        )
    once = drop_twins(tracks)
    out = np.isin(once.person, people[held[group]])
    return once.select(~out), once.select(out)
