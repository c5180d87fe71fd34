"""What the proving job is asked and answers; the server knows it without torch.

The job itself is :mod:`engine.compute.proving_sampler`. Requests and results of jobs live apart
from the code that needs torch, since the server imports them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError

FUNCTION = "engine.compute.proving_sampler.run"


@dataclass(frozen=True)
class ProvingRequest:
    """What to sample.

    Args:
        num_steps: steps of the sampler.
        num_samples: B.
        size: rows and columns of a map.
        num_components: K, with weights 1 : 2 : ... : K.
        spread: standard deviation around each component.

    Raises:
        InputError: a number out of range.
    """

    num_steps: int = 300
    num_samples: int = 4
    size: int = 32
    num_components: int = 3
    spread: float = 0.05

    def __post_init__(self) -> None:
        bounds = (
            ("steps", self.num_steps, 2, 100_000),
            ("samples", self.num_samples, 1, 4096),
            ("rows", self.size, 2, 256),
            ("components", self.num_components, 1, 64),
        )
        for name, value, low, high in bounds:
            if not low <= value <= high:
                raise InputError(f"The number of {name} must lie between {low} and {high}.")
        if not 0 < self.spread <= 1:
            raise InputError("The spread must lie between 0 and 1.")


@dataclass(frozen=True, eq=False)
class ProvingResult:
    """What came out.

    Args:
        maps: sampled maps, float32, B×H×W.
        components: index of the component nearest to each, B.
        distances: root mean square distance from it, B; about the request's spread.
    """

    maps: NDArray[np.float32]
    components: NDArray[np.int64]
    distances: NDArray[np.float32]
