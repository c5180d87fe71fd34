"""Weights on disk: ``NAME.safetensors`` with a card ``NAME.json`` beside it. No pickle.

The card is plain JSON: what the weights are for, the data they were trained on and its terms,
parameters, seeds, training time and device, metrics, and the file's SHA-256. A file whose checksum
is not the card's is refused before anything is read from it.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

from engine.errors import StorageError, WeightsError
from engine.models.installed import read_card

MAX_BYTES = 256 * 1024**2
"""The largest weight file that is read."""


@contextmanager
def replace_atomically(path: Path) -> Iterator[IO[bytes]]:
    """A file under a temporary name in the same folder; flushed to disk and renamed at the end.

    Raises:
        StorageError: writing failed; what was there before is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError("The file could not be written.", str(path), str(error)) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary name in the same folder, flush to disk, rename.

    Raises:
        StorageError: writing failed; what was there before is untouched.
    """
    with replace_atomically(path) as file:
        file.write(content)


def save_weights(path: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write tensors to ``path`` (``*.safetensors``) and their card beside it.

    Args:
        path: ends in ``.safetensors``.
        tensors: by name; copied to the CPU.
        card: plain values; ``sha256`` and ``num_values`` are added.

    Raises:
        StorageError: writing failed.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save_safetensors(plain)
    full = {
        **card,
        "num_values": sum(tensor.numel() for tensor in plain.values()),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_atomically(path, content)
    text = json.dumps(full, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path.with_suffix(".json"), f"{text}\n".encode())


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and card of a weight file.

    Raises:
        WeightsError: a file is missing, too large, damaged, or not the one that the card names.
    """
    card = read_card(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WeightsError("The weight file is too large.", path.name)
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError("The weight file cannot be read.", path.name) from error
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise WeightsError(
            "The weight file is damaged or was replaced.", path.name, "Install it again."
        )
    try:
        return load_safetensors(content), card
    except SafetensorError as error:
        raise WeightsError("The weight file is damaged.", path.name) from error


def fill_module(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load tensors into a network of the same shapes, converting to its types.

    Raises:
        WeightsError: names or shapes differ.
    """
    try:
        module.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise WeightsError("The weights belong to another network.", str(error)[:200]) from error
