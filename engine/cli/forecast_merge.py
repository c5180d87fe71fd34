"""``python -m engine forecast merge``: methods that were trained apart, in one weight file."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import InputError

if TYPE_CHECKING:
    from engine.models.forecast_bands import Banded
    from engine.models.forecast_bundle import ForecastBundle


def add_merge(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register ``merge`` below ``forecast``."""
    merge = commands.add_parser("merge", help="put methods that were trained apart into one file")
    merge.add_argument("files", type=Path, nargs="+", help="weights of the same sensors")
    merge.add_argument("--out", type=Path, required=True, help="weights to write")
    merge.add_argument(
        "--blend",
        type=int,
        metavar="K",
        help="ours is then the mean of the first K members of each file's, and of each one's stid",
    )
    merge.add_argument(
        "--published",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of HimNet, the method 'paper' of one of the files, in such a blend",
    )
    merge.add_argument(
        "--companions",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="weights of ours in other sizes, which such a blend moves towards",
    )
    merge.add_argument(
        "--companion-share", type=float, default=0.0, metavar="SHARE", help="theirs in the blend"
    )
    merge.add_argument("--half", action="store_true", help="keep parameters with 16 bits")
    merge.set_defaults(run=run_merge)


def run_merge(args: argparse.Namespace) -> int:
    """The first file's baselines and card, and each file's networks; an earlier file's count."""
    from dataclasses import replace

    from engine.models.forecast_bundle import load_bundle, save_bundle

    bundles = [load_bundle(path) for path in args.files]
    first = bundles[0]
    methods, trainings = dict(first.methods), dict(first.card.get("training", {}))
    for path, other in zip(args.files[1:], bundles[1:], strict=True):
        if other.facts != first.facts:
            raise InputError(
                "These weights are of different series.",
                f"{args.files[0].name} and {path.name}",
                "Merge weights that were trained with one recipe.",
            )
        for name in other.methods.keys() - methods.keys():
            methods[name] = other.methods[name]
            trainings[name] = other.card.get("training", {}).get(name, {})
    if args.blend is not None:
        companions = [load_bundle(path) for path in args.companions]
        shares = args.companion_share, args.published
        methods["ours"], trainings["ours"] = _blend(bundles, companions, args.blend, shares)
        if args.published:
            _join(methods)
    elif args.published or args.companions:
        raise InputError(
            "HimNet and companions have a share in a blend only.", "", "Give --blend as well."
        )
    card = {**first.card, "training": trainings}
    save_bundle(args.out, replace(first, methods=methods, card=card), half=args.half)
    return 0


def _join(methods: "Mapping[str, Banded]") -> None:
    from engine.models.himnet.direct import DirectNet
    from engine.models.himnet.network import HimNet

    ours = methods["ours"].method
    paper = methods["paper"].method if "paper" in methods else None
    if not isinstance(paper, HimNet):
        raise InputError("None of these weights has a HimNet.", "", "Leave out --published.")
    assert isinstance(ours, DirectNet)
    ours.join(paper)


def _blend(
    bundles: "Sequence[ForecastBundle]",
    companions: "Sequence[ForecastBundle]",
    members: int,
    shares: tuple[float, float],
) -> "tuple[Banded, dict[str, Any]]":
    """Ours and stid of all bundles as one method, its training told for each.

    The margins are the mean of those of ours, each from a training that had not seen the end.
    """
    import torch

    from engine.models.forecast_bands import Banded
    from engine.models.himnet.blending import Beside, blend

    own, trainings = _networks(bundles, "ours")
    plain, plain_trainings = _networks(bundles, "stid")
    beside, beside_trainings = _networks(companions, "ours")
    if not own:
        raise InputError("None of these weights has a network of ours.", "", "Leave out --blend.")
    companion_share, published = shares
    if bool(beside) != bool(companion_share):
        raise InputError("Companions and their share go together.", f"{companion_share:g}")
    if min(shares) < 0 or sum(shares) >= 1:
        raise InputError(
            "A share of HimNet or of companions is 0 to below 1.",
            f"{published:g} and {companion_share:g}",
        )
    whole = blend(
        [banded.method for banded in own],
        members,
        Beside(
            [banded.method for banded in plain],
            [banded.method for banded in beside],
            companion_share,
            published,
        ),
    )
    margins = torch.stack([banded.margin_2HN for banded in own])
    told = {**trainings[0], "blended": [*trainings[1:], *plain_trainings]}
    if beside:
        told |= {"companions": beside_trainings, "companion_share": companion_share}
    if published:
        told["published"] = published
    told["parameters"] = sum(parameter.numel() for parameter in whole.parameters())
    return Banded(whole, margins.mean(dim=0)), told


def _networks(
    bundles: "Sequence[ForecastBundle]", name: str
) -> tuple[list[Any], list[dict[str, Any]]]:
    """A method of all bundles that hold it, and their trainings."""
    holders = [bundle for bundle in bundles if name in bundle.methods]
    trainings = [bundle.card.get("training", {}).get(name, {}) for bundle in holders]
    return [bundle.methods[name] for bundle in holders], trainings
