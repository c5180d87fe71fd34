"""Resumable state of a training: tensors as safetensors, the rest as JSON, no pickle.

``latest.json`` names the tensor file that belongs to it and its SHA-256; it is renamed into place
last, so that a crash leaves the previous checkpoint whole.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn
from torch.optim import Optimizer

from engine.errors import WeightsError
from engine.models.weights import write_atomically

POINTER = "latest.json"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a training needs to go on.

    Args:
        tensors: by name.
        facts: plain values: step, best score, validation curve, seconds, configuration.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and remove the one before.

    Raises:
        StorageError: writing failed; the previous checkpoint is untouched.
    """
    content = save_safetensors(checkpoint.tensors)
    name = f"step-{int(checkpoint.facts['step']):08d}.safetensors"
    facts = {**checkpoint.facts, "file": name, "sha256": hashlib.sha256(content).hexdigest()}
    write_atomically(folder / name, content)
    write_atomically(folder / POINTER, json.dumps(facts, indent=2).encode())
    for old in folder.glob("step-*.safetensors"):
        if old.name != name:
            old.unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The latest checkpoint of a folder; None if there is none.

    Raises:
        WeightsError: it is damaged.
    """
    pointer = folder / POINTER
    if not pointer.exists():
        return None
    try:
        facts = json.loads(pointer.read_text("utf-8"))
        content = (folder / facts["file"]).read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError("The checkpoint cannot be read.", str(pointer)) from error
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise WeightsError(
            "The checkpoint is damaged.", str(folder), "Remove the folder to start anew."
        )
    return Checkpoint(load_safetensors(content), facts)


def named_tensors(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """Copies of a network's tensors, with a prefix to their names."""
    state = module.state_dict().items()
    return {f"{prefix}.{name}": tensor.detach().clone().cpu() for name, tensor in state}


def part_of(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors with that prefix, without it."""
    head = f"{prefix}."
    return {name[len(head) :]: t for name, t in tensors.items() if name.startswith(head)}


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as named tensors: ``optimiser.PARAMETER.KEY``."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{number}.{key}": value.detach().clone().cpu()
        for number, values in state.items()
        for key, value in values.items()
    }


def restore_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Undo :func:`optimiser_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in part_of(tensors, "optimiser").items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
