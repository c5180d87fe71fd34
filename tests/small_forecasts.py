"""Forecasts for the small city's four sensors, made in a moment: shaken networks, untrained.

Not good, but what must hold for any weights holds for them, and they differ from every baseline.
"""

from pathlib import Path

import torch

from engine.cities import City
from engine.cities.street_sensors import read_street_sensors
from engine.models.forecast_bands import calibrate
from engine.models.forecast_baselines import HistoricalMean
from engine.models.forecast_bundle import (
    BASELINES,
    ForecastBundle,
    SeriesFacts,
    make_baseline,
    save_bundle,
)
from engine.models.forecast_calendar import WeekdayProfile
from engine.models.forecast_windows import Scale, WindowSet
from engine.models.himnet.direct import DirectConfig, DirectNet
from engine.models.himnet.network import HimNet, HimNetConfig
from engine.models.stid.network import STID, STIDConfig

TEST_STEPS = 3 * 288
EARLIER = 6
CLOSURE = {"sensors": 10, "same_sign": 0.9, "slope": 0.5, "correlation": 0.8}
"""As if a test closure had gone well: the lever is offered."""
CHAIN = torch.diag(torch.ones(3), 1) + torch.diag(torch.ones(3), -1)


def write_small_forecasts(root: Path, city: City) -> Path:
    """Write weights ``small-forecast`` below ``root``."""
    series = read_street_sensors(city)
    windows = WindowSet.of(series.part(0, len(series) - TEST_STEPS))
    profile = HistoricalMean.fit(windows)
    generator = torch.Generator().manual_seed(0)
    scale = Scale.of(windows)
    sizes = {"embedding": 4, "graph_embedding": 3, "pool": 2, "members": 2, "heads": 2}
    direct = DirectNet(DirectConfig(4, **sizes, earlier=EARLIER), CHAIN, generator)
    direct.set_scale(scale, profile.mean_SN)
    published = HimNet(HimNetConfig(4, hidden=6), generator)
    published.set_scale(scale)
    plain = STID(STIDConfig(4, embedding=4), generator)
    plain.set_scale(scale)
    methods = {"ours": direct, "paper": published, "stid": plain}
    methods |= {name: make_baseline(name, profile) for name in BASELINES}
    last = WindowSet.of(series.part(len(series) - 400, len(series)), earlier=EARLIER)
    bundle = ForecastBundle(
        SeriesFacts(
            "speed_kmh",
            "km/h",
            series.sensors,
            missing=(),
            test_steps=TEST_STEPS,
            earlier=EARLIER,
        ),
        profile,
        WeekdayProfile.fit(windows, tuple(range(7))),
        {name: calibrate(method.eval() if hasattr(method, "eval") else method, last, stride=40)
         for name, method in methods.items()},
        {
            "name": "small-forecast",
            "data": {"city": city.id, "field": "speed_kmh"},
            "assessment": {"closures": [{"title": "x", **CLOSURE}]},
        },
    )  # fmt: skip
    path = root / f"{city.id}-forecast.safetensors"
    save_bundle(path, bundle)
    return path
