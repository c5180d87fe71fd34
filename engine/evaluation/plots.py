"""Benchmark figures as a picture."""

from collections.abc import Mapping
from pathlib import Path

WIDTH_PER_MASK_IN = 1.1
HEIGHT_IN = 3.2


def plot_errors(
    figures: Mapping[str, Mapping[str, Mapping[str, float | None]]], path: Path
) -> None:
    """Draw MAE, RMSE and CRPS of every method on every mask, in counts, on a logarithmic scale.

    Args:
        figures: by mask, method and figure, as the benchmark gives them.
        path: a picture to write, PNG, SVG or PDF by its ending.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter

    names = ("mae", "rmse", "crps")
    masks = list(figures)
    methods = list(next(iter(figures.values())))
    figure = Figure(figsize=(2 + WIDTH_PER_MASK_IN * len(masks), HEIGHT_IN * len(names)))
    for axes, name in zip(figure.subplots(len(names), 1, squeeze=False)[:, 0], names, strict=True):
        for number, method in enumerate(methods):
            values = [figures[mask][method][name] for mask in masks]
            offset = (number - (len(methods) - 1) / 2) * 0.5 / len(methods)
            places = [place + offset for place in range(len(masks))]
            # points, not bars: a bar's length means nothing on an axis without zero
            axes.plot(places, values, "o", markersize=5, label=method)
        axes.set_xticks(range(len(masks)), masks)
        axes.set_yscale("log")
        for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            which(FormatStrFormatter("%g"))
        axes.grid(axis="y", which="both", alpha=0.3)
        axes.set_ylabel(f"{name.upper()}, counts per cell")
    figure.axes[0].legend(ncols=len(methods), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
