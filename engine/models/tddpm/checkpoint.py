"""Trained trajectory models on disk: weights, what belongs to them, and a card."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from engine.errors import EngineError, WeightsError
from engine.models.tddpm.generation import TrajectoryModel
from engine.models.tddpm.network import MapReader, NetworkConfig
from engine.models.tddpm.paper import JointConfig, JointDenoiser, PaperModel
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.trip_ends import EndsRule
from engine.models.weights import fill_module, load_weights, save_weights

KIND = "trajectories"
PAPER_KIND = "trajectories-paper"
_NETWORK, _EDGES, _COUNTS, _LENGTHS = "network.", "prior.edges", "prior.counts", "piece_lengths"
_SPEEDS = "prior.speeds"
_USUAL = "usual"
_MAX_CHANNELS, _MAX_LAYERS, _MAX_PIECE_POINTS, _MAX_STEPS = 1_024, 48, 1_024, 4_000
AnyModel = TrajectoryModel | PaperModel
_Network = TypeVar("_Network", bound=nn.Module)


def save_model(path: Path, model: AnyModel, card: Mapping[str, Any], half: bool = False) -> None:
    """Write ``path`` (``*.safetensors``) and its card.

    Args:
        path: of the weights.
        model: what to keep.
        card: name, data and its terms, training, metrics.
        half: keep the network in half precision; what belongs to it stays as it is.

    Raises:
        StorageError: writing failed.
    """
    state = model.network.state_dict().items()
    tensors = {_NETWORK + name: t.half() if half else t for name, t in state}
    facts = {
        "network": asdict(model.network.config),
        "step_s": model.step_s,
        "side_m": model.side_m,
    }
    if isinstance(model, PaperModel):
        tensors[_LENGTHS] = torch.from_numpy(model.piece_lengths)
        save_weights(path, tensors, {**card, **facts, "kind": PAPER_KIND})
        return
    tensors[_EDGES] = torch.from_numpy(model.prior.edges)
    tensors[_COUNTS] = torch.from_numpy(model.prior.counts)
    if model.prior.speeds is not None:
        tensors[_SPEEDS] = torch.from_numpy(model.prior.speeds)
    facts["piece_points"] = model.piece_points
    facts["most_moved"] = model.most_moved
    facts["busy_length"] = model.busy_length
    facts["ends"] = asdict(model.ends) if model.ends else None
    if model.usual is not None:
        tensors[_USUAL] = torch.from_numpy(model.usual)
    save_weights(path, tensors, {**card, **facts, "kind": KIND})


def load_model(path: Path) -> tuple[AnyModel, dict[str, Any]]:
    """The model and its card.

    Raises:
        WeightsError: missing, damaged, or weights of something else.
    """
    tensors, card = load_weights(path)
    readers = {KIND: _read_ours, PAPER_KIND: _read_paper}
    if card.get("kind") not in readers:
        raise WeightsError("These weights do not make trajectories.", path.name)
    try:
        return readers[card["kind"]](tensors, card), card
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError("The weights' card is incomplete.", f"{path.name}: {error}") from error
    except WeightsError:
        raise
    except EngineError as error:
        raise WeightsError(
            "The weights hold impossible values.", f"{path.name}: {error}"
        ) from error


def _read_ours(tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> AnyModel:
    config = NetworkConfig(**{name: int(v) for name, v in card["network"].items()})
    piece_points = int(card["piece_points"])
    _check_sizes(config, piece_points)
    network = _fill(MapReader(config), tensors)
    speeds = tensors[_SPEEDS].double().numpy() if _SPEEDS in tensors else None
    edges, counts = (tensors[name].double().numpy() for name in (_EDGES, _COUNTS))
    prior = TripPrior(edges, counts, speeds)
    step_s, side_m = float(card["step_s"]), float(card["side_m"])
    usual = tensors[_USUAL].double().numpy() if _USUAL in tensors else None
    moved, tie = (float(card.get(name, 0.0)) for name in ("most_moved", "busy_length"))
    if not -1 < tie < 1:
        raise WeightsError("The weights' card names an impossible correlation.", f"{tie}")
    return TrajectoryModel(
        network, prior, piece_points, step_s, side_m, usual, moved, tie, _read_ends(card)
    )


def _read_ends(card: Mapping[str, Any]) -> EndsRule | None:
    if not card.get("ends"):
        return None
    rule = EndsRule(*(float(card["ends"][name]) for name in ("cell_m", "power")))
    if not (0 < rule.cell_m < 1e6 and 0 < rule.power < 10):
        raise WeightsError("The weights' card names an impossible rule of trips' ends.", f"{rule}")
    return rule


def _read_paper(tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> AnyModel:
    config = JointConfig(**{name: int(v) for name, v in card["network"].items()})
    fits = 1 <= config.num_steps <= _MAX_STEPS and config.map_patch in (4, 8, 16, 32)
    if not fits or not _is_wide(config.channels, config.heads, config.layers):
        raise WeightsError("The weights' card names impossible sizes.", str(config))
    network = _fill(JointDenoiser(config), tensors)
    lengths = tensors[_LENGTHS].double().numpy()
    return PaperModel(network, lengths, float(card["step_s"]), float(card["side_m"]))


def _fill(network: _Network, tensors: Mapping[str, Tensor]) -> _Network:
    parts = {n[len(_NETWORK) :]: t for n, t in tensors.items() if n.startswith(_NETWORK)}
    fill_module(network, parts)
    return network.eval()


def _is_wide(channels: int, heads: int, layers: int) -> bool:
    return (
        1 <= channels <= _MAX_CHANNELS
        and 1 <= layers <= _MAX_LAYERS
        and heads >= 1
        and channels % (2 * heads) == 0
    )


def _check_sizes(config: NetworkConfig, piece_points: int) -> None:
    """Refuse sizes that would fill the memory before the weights are even compared."""
    fits = (
        _is_wide(config.channels, config.heads, config.layers)
        and 0 <= config.map_layers <= _MAX_LAYERS
        and 1 <= config.feature_channels <= _MAX_CHANNELS
        and 1 <= config.point_patch <= piece_points <= _MAX_PIECE_POINTS
        and piece_points % config.point_patch == 0
        and config.map_patch in (4, 8, 16, 32)
    )
    if not fits:
        raise WeightsError("The weights' card names impossible sizes.", str(config))
