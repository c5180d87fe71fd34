"""Which weights are on this machine, told by their cards; reads no tensors and needs no torch.

Weights come with the product (``assets/weights``) or are the user's own, in ``weights`` below the
user data folder; of two that answer the same question for the same city, the user's count. A card
says under ``data`` which ``city`` and ``field`` they were trained on.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cities.registry import data_root
from engine.errors import WeightsError

WEIGHTS_ROOT = Path(__file__).parents[2] / "assets" / "weights"
"""Weights that come with the product."""

CITY_FAMILY = "city-family"
"""Weights that make trips where there are none of one's own: they know no place, and no purpose."""
SUFFIX = ".safetensors"
MAX_CARD_BYTES = 4 * 1024**2


@dataclass(frozen=True, eq=False)
class Installed:
    """A weight file, as far as its card tells.

    Args:
        path: the file of tensors.
        card: its card; ``kind`` and ``sha256`` are there.
    """

    path: Path
    card: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def kind(self) -> str:
        """Which model they are for."""
        return str(self.card.get("kind", ""))

    @property
    def sha256(self) -> str:
        """Checksum of the tensors that the card speaks of."""
        return str(self.card["sha256"])

    @property
    def source(self) -> Mapping[str, Any]:
        """The training data: ``city`` and ``field`` among others; empty where nothing is said."""
        data = self.card.get("data")
        return data if isinstance(data, Mapping) else {}


def user_weights_root() -> Path:
    """The folder of the user's own weights; it may not exist."""
    return data_root() / "weights"


def find_weights(name: str) -> Path:
    """The file of installed weights, or a file given by its path.

    Raises:
        WeightsError: there is none.
    """
    given = Path(name)
    if given.suffix == SUFFIX:
        return given
    for path in _files():
        if path.stem == given.name:
            return path
    names = ", ".join(sorted({path.stem for path in _files()})) or "none"
    raise WeightsError("There are no weights of that name.", name, f"Installed: {names}.")


def read_card(path: Path) -> dict[str, Any]:
    """The card beside a weight file.

    Raises:
        WeightsError: there is none, or it cannot be read.
    """
    card = path.with_suffix(".json")
    try:
        if card.stat().st_size > MAX_CARD_BYTES:
            raise WeightsError("The weights' card is too large.", card.name)
        data = json.loads(card.read_text("utf-8"))
    except FileNotFoundError as error:
        raise WeightsError("There are no such weights.", card.name) from error
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError("The weights' card cannot be read.", card.name) from error
    if not isinstance(data, dict) or "sha256" not in data:
        raise WeightsError("The weights' card is incomplete.", card.name)
    return data


def open_installed(name: str) -> Installed:
    """Weights by name or path, with their card.

    Raises:
        WeightsError: there are none, or the card cannot be read.
    """
    path = find_weights(name)
    return Installed(path, read_card(path))


def weights_of_city(city_id: str, field: str, kind: str) -> Installed | None:
    """The weights of one kind that were trained on a field of a city; None where there are none.

    Raises:
        WeightsError: weights that bear the city's name have a card that cannot be read.
    """
    for path in _files():
        try:
            found = Installed(path, read_card(path))
        except WeightsError:
            if path.stem == city_id:
                raise
            continue
        source = found.source
        if (found.kind, source.get("city"), source.get("field")) == (kind, city_id, field):
            return found
    return None


def _files() -> Iterator[Path]:
    """Weight files, the user's first."""
    for folder in (user_weights_root(), WEIGHTS_ROOT):
        if folder.is_dir():
            yield from sorted(folder.glob(f"*{SUFFIX}"))
