"""Weights for the small city's missing sensors, made in a moment: shaken networks, untrained.

Not good, but what must hold for any weights holds for them, and they differ from every baseline.
"""

from pathlib import Path

import torch

from engine.cities import City
from engine.models.baselines.profile import fit_profile
from engine.models.diffrecon.ours.config import Config
from engine.models.diffrecon.ours.objective import build_networks
from engine.models.diffrecon.ours.system import Reconstructor, save_reconstructor
from engine.models.diffrecon.paper.config import Config as PaperConfig
from engine.models.diffrecon.paper.objective import build_stages
from engine.models.diffrecon.paper.system import PaperReconstructor, save_paper
from engine.models.flows import flows_of_field
from engine.training.paper import fit_scale
from tests.small_city import GRID


def write_small_weights(
    root: Path, trained_on: City, name: str = "", has_calendar: bool = True, **data: str
) -> Path:
    """Write weights of a city below ``root``.

    Args:
        root: folder of weights.
        trained_on: whose field "flow" gives the mean day.
        name: of the file; the city's id if empty.
        has_calendar: whether kinds of days and weather are known to them.
        data: more of the card's data.
    """
    context = trained_on.context() if has_calendar else None
    flows = flows_of_field(trained_on.field("flow"), context)
    config = Config(
        GRID.rows // 4,
        GRID.cols // 4,
        4,
        flows.slots_per_day,
        1,
        (0, 1),
        1,
        (1, 48),
        width=16,
        blocks=1,
        heads=2,
        latents=3,
        residual_width=16,
        use_conditions=has_calendar,
        day_kinds=flows.num_day_kinds,
    )
    networks = build_networks(config, 0)
    generator = torch.Generator()
    generator.manual_seed(0)
    with torch.no_grad():
        for parameter in networks.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    card = {"data": {"city": trained_on.id, "field": "flow", **data}}
    system = Reconstructor(config, fit_profile(flows).step_means(0), [networks], card=card)
    path = root / f"{name or trained_on.id}.safetensors"
    save_reconstructor(path, system, half=False)
    return path


def write_small_paper(root: Path, trained_on: City) -> Path:
    """Untrained weights of the paper's system for the city, below ``root``."""
    flows = flows_of_field(trained_on.field("flow"), trained_on.context())
    config = PaperConfig(
        GRID.rows // 4,
        GRID.cols // 4,
        4,
        flows.slots_per_day,
        1,
        (48, 1),
        6,
        d_model=8,
        heads=2,
        layers=1,
        kernels=2,
        width=8,
        num_steps=12,
    )
    system = PaperReconstructor(
        config,
        build_stages(config, 0),
        fit_scale(flows),
        fit_profile(flows).step_means(0),
        {"data": {"city": trained_on.id, "field": "flow"}},
    )
    path = root / f"{trained_on.id}-paper.safetensors"
    save_paper(path, system)
    return path
