"""Training trips again, weighted until their points are spread as the map says.

Shapes: N training trips, Q match cells.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from engine.errors import InputError
from engine.models.tddpm.closed_loop import touches
from engine.models.tddpm.expansion import likelier_weights
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.tracks import Floats, Tracks

MATCH_FACTOR = 3
ITERATIONS = 30


def fit_weights(training: Tracks, city: CityMap) -> Floats:
    """(N,) weights, summing to 1, under which the trips' points are closest to the map.

    Expectation maximisation of a mixture: a trip is a distribution over cells, the weights are
    those of the mixture that makes the map's points most likely. Weights are per point, and are
    divided by the trips' lengths at the end.

    Raises:
        InputError: no training trip passes a place of the map.
    """
    matrix = _cell_shares(training, city)
    target = _match_map(city)
    weight = np.full(len(training), 1 / len(training))
    for _ in range(ITERATIONS):
        weight = likelier_weights(weight, matrix, target)
        if not weight.sum() > 0:
            raise InputError("No training trip passes a place of the map.")
        weight /= weight.sum()
    per_trip = weight / training.num_points
    return np.asarray(per_trip / per_trip.sum())


def resample_trips(
    training: Tracks,
    city: CityMap,
    num_trips: int,
    rng: np.random.Generator,
    blocked: NDArray[np.bool_] | None = None,
    survey: TripPrior | None = None,
) -> Tracks:
    """Training trips drawn with replacement, by the weights of :func:`fit_weights`.

    Args:
        training: trips to draw from.
        city: the map.
        num_trips: number of trips.
        rng: of the draw.
        blocked: (Y, X) cells; trips that enter one are not drawn.
        survey: durations and speeds that the trips are to have; None leaves them to the map.

    Raises:
        InputError: no trip is left, or none is like those of the survey.
    """
    if blocked is not None:
        training = training.select(~touches(training, city, blocked))
    if not len(training):
        raise InputError("Every training trip enters a blocked place.")
    weight = fit_weights(training, city)
    if survey is not None:
        weight = survey.weigh(training, weight)
    return training.select(rng.choice(len(training), size=num_trips, p=weight))


def _match_map(city: CityMap) -> Floats:
    cells = np.arange(city.counts.size)
    return np.asarray(
        np.bincount(_match_cell(city, cells), city.counts.ravel()) / city.counts.sum()
    )


def _match_cell(city: CityMap, cells: NDArray[np.int64]) -> NDArray[np.int64]:
    row, col = np.divmod(cells, city.shape[1])
    return np.asarray(
        row // MATCH_FACTOR * (-(-city.shape[1] // MATCH_FACTOR)) + col // MATCH_FACTOR
    )


def _cell_shares(tracks: Tracks, city: CityMap) -> sparse.csr_matrix:
    """(N, Q) share of each trip's points in each match cell."""
    cell = city.cell_of(tracks.points_m)
    inside = cell >= 0
    trip = tracks.trip_of_point()[inside]
    share = 1 / tracks.num_points[trip]
    num_cells = int(_match_cell(city, np.array([city.counts.size - 1]))[0]) + 1
    shape = len(tracks), num_cells
    return sparse.csr_matrix((share, (trip, _match_cell(city, cell[inside]))), shape=shape)
