"""Networks that were trained apart on the same series, as one that averages them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from engine.errors import WeightsError
from engine.models.himnet.direct import DirectNet
from engine.models.stid.network import STID


@dataclass(frozen=True)
class Beside:
    """Networks of other kinds in a blend.

    Args:
        plain: STIDs with their usual sizes; each counts as much as a member.
        companions: direct networks of other sizes.
        companion_share: their share in the middle.
        published: share of HimNet, which is yet to be joined (:meth:`DirectNet.join`).
    """

    plain: Sequence[STID] = ()
    companions: Sequence[DirectNet] = ()
    companion_share: float = 0.0
    published: float = 0.0


def blend(networks: Sequence[DirectNet], members: int, beside: Beside = Beside()) -> DirectNet:
    """One network that averages several that were trained apart on the same series.

    Args:
        networks: of the same sizes.
        members: how many members to take of each network, its first ones.
        beside: networks of other kinds.

    Raises:
        WeightsError: their sizes or data differ, or a network has fewer members.
    """
    first = networks[0]
    direct = [*networks, *beside.companions]
    every: list[DirectNet | STID] = [*direct, *beside.plain]
    scales = {(float(each.value_mean), float(each.value_std)) for each in every}
    same_days = all(torch.equal(each.profile_SN, first.profile_SN) for each in direct)
    same_sizes = all(each.config == first.config for each in networks)
    fits = all(each.config.num_features == first.config.num_features for each in direct)
    if len(scales) > 1 or not (same_days and same_sizes and fits):
        raise WeightsError("Networks of other sizes or other data cannot be averaged.")
    if first.config.plain or not 1 <= members <= first.config.members:
        raise WeightsError("The networks do not have so many members.", str(members))
    companions = [m for each in beside.companions for m in (each, *each.others)]
    config = replace(
        first.config,
        members=members * len(networks),
        plain=len(beside.plain),
        published=beside.published,
        companions=tuple(replace(each.config, members=1) for each in companions),
        companion_share=beside.companion_share,
    )
    whole = DirectNet(config, first.adjacency_NN, torch.Generator().manual_seed(0))
    taken = [m for each in networks for m in (each, *each.others)[:members]]
    _copy((whole, *whole.others), taken)
    _copy(whole.companions, companions)
    for target_plain, source_plain in zip(whole.plain, beside.plain, strict=True):
        target_plain.load_state_dict(source_plain.state_dict())
    for name, buffer in first.named_buffers(recurse=False):
        whole.get_buffer(name).copy_(buffer)
    return whole.eval()


def _copy(targets: Iterable[nn.Module], sources: Iterable[nn.Module]) -> None:
    """Parameters of single networks; what they hold beside them stays where it is."""
    for target, source in zip(targets, sources, strict=True):
        wanted = dict(source.named_parameters())
        for name, parameter in target.named_parameters():
            if not name.startswith(("others.", "plain.", "companions.")):
                parameter.data.copy_(wanted[name])
