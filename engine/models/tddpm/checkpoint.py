"""A trained trajectory model on disk: weights, prior and a card."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from engine.errors import EngineError, WeightsError
from engine.models.tddpm.generation import TrajectoryModel
from engine.models.tddpm.network import MapReader, NetworkConfig
from engine.models.tddpm.prior import TripPrior
from engine.models.weights import fill_module, load_weights, save_weights

KIND = "trajectories"
_NETWORK, _EDGES, _COUNTS = "network.", "prior.edges", "prior.counts"
_MAX_CHANNELS, _MAX_LAYERS, _MAX_PIECE_POINTS = 1_024, 48, 1_024


def save_model(path: Path, model: TrajectoryModel, card: Mapping[str, Any]) -> None:
    """Write ``path`` (``*.safetensors``) and its card.

    Args:
        path: of the weights.
        model: what to keep.
        card: name, data and its terms, training, metrics.

    Raises:
        StorageError: writing failed.
    """
    tensors = {_NETWORK + name: t for name, t in model.network.state_dict().items()}
    tensors[_EDGES] = torch.from_numpy(model.prior.edges)
    tensors[_COUNTS] = torch.from_numpy(model.prior.counts)
    sizes = {
        "kind": KIND,
        "network": asdict(model.network.config),
        "piece_points": model.piece_points,
        "step_s": model.step_s,
        "side_m": model.side_m,
    }
    save_weights(path, tensors, {**card, **sizes})


def load_model(path: Path) -> tuple[TrajectoryModel, dict[str, Any]]:
    """The model and its card.

    Raises:
        WeightsError: missing, damaged, or weights of something else.
    """
    tensors, card = load_weights(path)
    if card.get("kind") != KIND:
        raise WeightsError("These weights do not make trajectories.", path.name)
    try:
        config = NetworkConfig(**{name: int(v) for name, v in card["network"].items()})
        piece_points = int(card["piece_points"])
        _check_sizes(config, piece_points)
        network = MapReader(config)
        parts = {n[len(_NETWORK) :]: t for n, t in tensors.items() if n.startswith(_NETWORK)}
        fill_module(network, parts)
        prior = TripPrior(tensors[_EDGES].double().numpy(), tensors[_COUNTS].double().numpy())
        model = TrajectoryModel(
            network.eval(), prior, piece_points, float(card["step_s"]), float(card["side_m"])
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError("The weights' card is incomplete.", f"{path.name}: {error}") from error
    except WeightsError:
        raise
    except EngineError as error:
        raise WeightsError(
            "The weights hold impossible values.", f"{path.name}: {error}"
        ) from error
    return model, card


def _check_sizes(config: NetworkConfig, piece_points: int) -> None:
    """Refuse sizes that would fill the memory before the weights are even compared."""
    fits = (
        1 <= config.channels <= _MAX_CHANNELS
        and 1 <= config.layers <= _MAX_LAYERS
        and 0 <= config.map_layers <= _MAX_LAYERS
        and 1 <= config.feature_channels <= _MAX_CHANNELS
        and 1 <= config.point_patch <= piece_points <= _MAX_PIECE_POINTS
        and piece_points % config.point_patch == 0
        and config.map_patch in (4, 8, 16, 32)
        and config.heads >= 1
        and config.channels % (2 * config.heads) == 0
    )
    if not fits:
        raise WeightsError("The weights' card names impossible sizes.", str(config))
