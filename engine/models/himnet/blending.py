"""Networks that were trained apart on the same series, as one that averages them."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from engine.errors import WeightsError
from engine.models.himnet.direct import DirectNet
from engine.models.stid.network import STID


def blend(
    networks: Sequence[DirectNet], plain: Sequence[STID], members: int, published: float = 0.0
) -> DirectNet:
    """One network that averages several that were trained apart on the same series.

    Args:
        networks: of the same sizes.
        plain: with the usual sizes of STID.
        members: how many members to take of each network, its first ones.
        published: share of HimNet, which is yet to be joined (:meth:`DirectNet.join`).

    Raises:
        WeightsError: their sizes or scales differ, or a network has fewer members.
    """
    first = networks[0]
    every: list[DirectNet | STID] = [*networks, *plain]
    scales = {(float(each.value_mean), float(each.value_std)) for each in every}
    if len(scales) > 1 or any(each.config != first.config for each in networks):
        raise WeightsError("Networks of other sizes or other data cannot be averaged.")
    if first.config.plain or not 1 <= members <= first.config.members:
        raise WeightsError("The networks do not have so many members.", str(members))
    total = members * len(networks)
    config = replace(first.config, members=total, plain=len(plain), published=published)
    whole = DirectNet(config, first.adjacency_NN, torch.Generator().manual_seed(0))
    taken = [m for each in networks for m in (each, *each.others)[:members]]
    for target, source in zip((whole, *whole.others), taken, strict=True):
        wanted = dict(source.named_parameters())
        for name, parameter in target.named_parameters():
            if not name.startswith(("others.", "plain.")):
                parameter.data.copy_(wanted[name])
    for target_plain, source_plain in zip(whole.plain, plain, strict=True):
        target_plain.load_state_dict(source_plain.state_dict())
    for name, buffer in first.named_buffers(recurse=False):
        whole.get_buffer(name).copy_(buffer)
    return whole.eval()
