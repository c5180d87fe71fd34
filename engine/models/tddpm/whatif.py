"""A painted map as a job: what the user changed, and the trips that follow from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.domain import OccupancyMap
from engine.errors import OccupancyError
from engine.models.tddpm.closed_loop import Fence
from engine.models.tddpm.edits import apply_painted, painted_fence
from engine.models.tddpm.generation import (
    GenerationConfig,
    StepListener,
    TrajectoryModel,
    TripChunk,
    generate_trips,
)
from engine.models.tddpm.occupancy import CityMap
from engine.models.tddpm.tracks import LocalPlane


@dataclass(frozen=True, eq=False)
class WhatIf:
    """A city's map before and after an edit.

    Args:
        city: the fine raster before.
        base: the map that the user was shown.
        painted: the same after the edit; equal to ``base`` for the city of today.
        plane: of the raster.

    Raises:
        OccupancyError: different grids, or nothing is left of the city.
    """

    city: CityMap
    base: OccupancyMap
    painted: OccupancyMap
    plane: LocalPlane

    def target(self) -> CityMap:
        """The fine raster after the edit."""
        return apply_painted(self.city, self.base, self.painted, self.plane)

    def fences(self) -> tuple[Fence, ...]:
        """Painted cells that no trip may enter; none when nothing was blocked."""
        fence = painted_fence(self.base, self.painted, self.plane)
        return (fence,) if fence.cells.any() else ()

    def trips(
        self,
        model: TrajectoryModel,
        num_trips: int,
        seed: int,
        config: GenerationConfig,
        closed: Sequence[Fence] = (),
        listen: StepListener | None = None,
    ) -> Iterator[TripChunk]:
        """Trips in the edited city; with nothing edited and the same seed, those of today.

        Args:
            model: trained on regions of the raster's size.
            num_trips: trips to make.
            seed: of the scenario.
            config: how.
            closed: fences besides the painted ones, such as closed streets.
            listen: progress and cancellation.

        Raises:
            OccupancyError: the model's regions do not fit the raster, or every trip is blocked.
        """
        cell_m = model.side_m / 64
        if abs(self.city.cell_m / cell_m - 1) > 1e-6:
            raise OccupancyError(
                "The city's raster does not fit the weights.",
                f"cells of {self.city.cell_m:.1f} m, weights for {cell_m:.1f} m",
            )
        fences = (*self.fences(), *closed)
        return generate_trips(model, self.target(), num_trips, seed, config, fences, listen)
