"""All forecast methods of one city in one weight file, with their calibrated bands.

Tensors are named ``METHOD.tensor``; ``METHOD.margin_2HN`` holds the band's margins and
``profile_SN`` the usual day of each sensor, from which both baselines are made; ``weekdays_DSN``
tells weekdays apart. The card lists each network's sizes under ``methods`` and the sensors under
``series``. A HimNet that has a share in our forecast is kept once, as ``paper``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import WeightsError
from engine.models.forecast_bands import Banded
from engine.models.forecast_baselines import HistoricalMean, LastValue
from engine.models.forecast_calendar import WeekdayProfile
from engine.models.forecast_windows import Forecaster
from engine.models.himnet.direct import DirectConfig, DirectNet
from engine.models.himnet.network import HimNet, HimNetConfig
from engine.models.stid.network import STID, STIDConfig
from engine.models.weights import fill_module, load_weights, save_weights

Network = HimNet | DirectNet | STID
BASELINES = ("last-value", "historical-mean")
MARGIN = "margin_2HN"
PROFILE = "profile_SN"
CALENDAR = "weekdays_DSN"


@dataclass(frozen=True)
class SeriesFacts:
    """What a series must be like to be forecast with these weights.

    Args:
        key: of its array in an ``.npz``.
        unit: of the values.
        sensors: N names, in order.
        steps_per_day: slots of a day.
        history: T.
        horizon: H.
        missing: values that stand for "not measured".
        days: the weekdays in the series.
        test_steps: steps at the end of a city's own series that no training has seen.
        earlier: steps before the history that a method may look at too.
    """

    key: str
    unit: str
    sensors: tuple[str, ...]
    steps_per_day: int = 288
    history: int = 12
    horizon: int = 12
    missing: tuple[float, ...] = (0.0,)
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    test_steps: int = 0
    earlier: int = 0


@dataclass(frozen=True, eq=False)
class ForecastBundle:
    """The methods of one weight file.

    Args:
        facts: about the series.
        profile: the usual day.
        calendar: the usual week, to find a weekday that nobody gives.
        methods: by name, ``paper``, ``ours``, ``stid`` as far as trained, and both baselines;
            each with its calibrated band.
        card: name, data, training and metrics, in plain values.
    """

    facts: SeriesFacts
    profile: HistoricalMean
    calendar: WeekdayProfile
    methods: Mapping[str, Banded]
    card: Mapping[str, Any]

    def method(self, name: str) -> Banded:
        """A method by name.

        Raises:
            WeightsError: it is not in the file.
        """
        if name not in self.methods:
            raise WeightsError(
                f"These weights hold no method '{name}'.", "", f"Use {', '.join(self.methods)}."
            )
        return self.methods[name]


def make_baseline(name: str, profile: HistoricalMean) -> Forecaster:
    """``last-value`` or ``historical-mean``."""
    return LastValue(profile) if name == "last-value" else profile


def make_network(name: str, sizes: Mapping[str, Any], num_sensors: int) -> Network:
    """A network with the sizes on a card, its parameters yet to be filled.

    Raises:
        WeightsError: the method or a size is unknown.
    """
    generator = torch.Generator().manual_seed(0)
    try:
        if name == "paper":
            return HimNet(HimNetConfig(**sizes), generator)
        if name == "stid":
            return STID(STIDConfig(**sizes), generator)
        if name == "ours":
            no_streets = torch.zeros(num_sensors, num_sensors)
            return DirectNet(DirectConfig(**sizes), no_streets, generator)
    except TypeError as error:
        raise WeightsError("The card names unknown sizes.", f"{name}: {error}") from error
    raise WeightsError("The card names an unknown method.", name)


def save_bundle(path: Path, bundle: ForecastBundle, *, half: bool = False) -> None:
    """Write all methods to ``path`` (``*.safetensors``) and the card beside it.

    Args:
        path: the weight file.
        bundle: what to write.
        half: keep the networks' parameters with 16 bits, in half the space.

    Raises:
        StorageError: writing failed.
    """
    tensors: dict[str, Tensor] = {
        PROFILE: bundle.profile.mean_SN,
        CALENDAR: bundle.calendar.mean_DSN,
    }
    sizes: dict[str, Any] = {}
    for name, banded in bundle.methods.items():
        tensors[f"{name}.{MARGIN}"] = banded.margin_2HN
        if isinstance(banded.method, Network):
            state = banded.method.state_dict()
            if half:
                state |= {key: p.half() for key, p in banded.method.named_parameters()}
            tensors |= {f"{name}.{key}": value for key, value in state.items()}
            sizes[name] = asdict(banded.method.config)
    card = {**bundle.card, "kind": "forecast", "series": asdict(bundle.facts), "methods": sizes}
    save_weights(
        path, tensors, {k: v for k, v in card.items() if k not in ("sha256", "num_values")}
    )


def load_bundle(path: Path) -> ForecastBundle:
    """Read what :func:`save_bundle` wrote; networks are ready to forecast.

    Raises:
        WeightsError: a file is missing or damaged, or holds something else.
    """
    tensors, card = load_weights(path)
    try:
        facts = SeriesFacts(**{k: _tupled(v) for k, v in card["series"].items()})
        profile = HistoricalMean(tensors[PROFILE])
        calendar = WeekdayProfile(tensors[CALENDAR], facts.days)
        methods = {
            name: Banded(
                _read_network(name, sizes, tensors, len(facts.sensors)),
                tensors[f"{name}.{MARGIN}"],
            )
            for name, sizes in card["methods"].items()
        }
        for name in BASELINES:
            baseline = make_baseline(name, profile)
            methods[name] = Banded(baseline, tensors[f"{name}.{MARGIN}"])
        _join_published(methods)
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError("The weights hold no forecasts.", f"{path.name}: {error}") from error
    return ForecastBundle(facts, profile, calendar, methods, card)


def _join_published(methods: Mapping[str, Banded]) -> None:
    """Give our network the file's HimNet, if it has a share in the forecast."""
    ours = methods["ours"].method if "ours" in methods else None
    paper = methods["paper"].method if "paper" in methods else None
    if isinstance(ours, DirectNet) and ours.config.published and isinstance(paper, HimNet):
        ours.join(paper)


def _read_network(
    name: str, sizes: Mapping[str, Any], tensors: Mapping[str, Tensor], num_sensors: int
) -> Network:
    network = make_network(name, sizes, num_sensors)
    own = {
        key.removeprefix(f"{name}."): value
        for key, value in tensors.items()
        if key.startswith(f"{name}.") and not key.endswith(MARGIN)
    }
    fill_module(network, own)
    nn.Module.eval(network)
    return network


def _tupled(value: Any) -> Any:  # noqa: ANN401 - a plain JSON value
    return tuple(value) if isinstance(value, list) else value
