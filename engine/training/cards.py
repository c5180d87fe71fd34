"""The card that travels with weights: what they are, what they were trained on, how good."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import torch


def training_card(
    name: str,
    data: Mapping[str, Any],
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    seconds: float,
    metrics: Mapping[str, float],
) -> dict[str, Any]:
    """The card of freshly trained weights.

    Args:
        name: of the weights.
        data: name, description and terms of the training data.
        settings: of the training loop.
        seeds: one per member.
        seconds: wall-clock time of training, all members.
        metrics: figures on the validation days.
    """
    return {
        "name": name,
        "data": dict(data),
        "training": {
            **settings,
            "seeds": list(seeds),
            "seconds": round(seconds, 1),
            "device": _device_name(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        "metrics": dict(metrics),
    }


def _device_name() -> str:
    """What training uses when it may choose: the accelerator, else the processor."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return platform.processor() or platform.machine()
