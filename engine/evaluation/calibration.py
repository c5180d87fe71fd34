"""Band widths measured on frames that were not trained on."""

from collections.abc import Sequence

import numpy as np

from engine.models.diffrecon.ours.bands import Bands, calibrate, spread_of
from engine.models.diffrecon.ours.system import Reconstructor
from engine.models.flows import FlowSeries, spread
from engine.models.masks import named_masks
from engine.models.observations import observe_in_order

MASKS = ("fix20", "fix60", "random40", "random80", "quarter", "blocks50", "strokes70")


def measure_bands(
    system: Reconstructor,
    series: FlowSeries,
    masks: Sequence[str] = MASKS,
    every: int = 7,
    seed: int = 1,
) -> Bands:
    """Bands that hold the truth nine times in ten, over several masks.

    Args:
        system: trained networks.
        series: days that were not trained on.
        masks: names of mask patterns; each takes other frames of the series.
        every: take each ``every``-th frame.
        seed: of masks and samples; other than the benchmark's.

    Returns:
        Factors per bin, for cells below working and below missing sensors.
    """
    truth = series.frames(series.regular_starts())
    columns: list[list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]] = [[], [], [], []]
    for number, name in enumerate(masks):
        drawn = named_masks(name, len(truth), series.coarse_shape, seed)
        seen = observe_in_order(series, drawn, system.config.lags)
        for frame in range(number % every, len(truth), every):
            *_, answer = system.reconstruct(seen[frame : frame + 1], seed=seed + frame)
            known = spread(drawn[frame].astype(np.float32), system.config.magnification) > 0
            parts = answer.estimate, spread_of(answer.samples, answer.estimate), known
            for column, part in zip(columns, (*parts, truth[frame]), strict=True):
                column.append(part)
    estimate, width, known_cells, true = (np.stack(column) for column in columns)
    return calibrate(
        estimate.astype(np.float32),
        width.astype(np.float32),
        known_cells.astype(np.bool_),
        true.astype(np.float32),
    )
