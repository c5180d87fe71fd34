"""What the networks have learned about places and times, as pictures.

Sensors in groups of alike spatial embeddings, the week's clock in groups of alike temporal
embeddings, and how much of each meta-parameter a context mixes.

Shapes: N sensors, S slots of the day, D candidates in the pool.
"""

# ruff: noqa: N815 - fields carry shape suffixes like the arrays elsewhere

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.api.forecast_case import Forecaster, find_forecaster
from engine.cities.registry import open_city
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job, JobContext, Progress
from engine.compute.service import ComputeService
from engine.domain import Question, Result, Scenario
from engine.domain.scenario import Scalar
from engine.errors import WeightsError

if TYPE_CHECKING:
    from engine.models.forecast_bundle import ForecastBundle
    from engine.models.himnet.direct import DirectNet
    from engine.models.himnet.network import HimNet

FUNCTION = "engine.api.forecast_pictures.run"
GROUPS = 6
SLOT_MIN = 15
_ROUNDS = 40


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of one network.

    Args:
        method: ``ours`` or ``paper``.
        group_N: group of each sensor, 0 the slowest on average.
        mean_G: mean speed of each group of sensors.
        clock_7S: group of each quarter of an hour of the week, Monday first.
        clock_mean_G: mean speed of each group of times.
        mixture_7HD: share of each candidate by weekday and hour, mean of the sensors.
        mixture_ND: share of each candidate by sensor, mean of the week.
    """

    method: str
    group_N: NDArray[np.int64]
    mean_G: NDArray[np.float64]
    clock_7S: NDArray[np.int64]
    clock_mean_G: NDArray[np.float64]
    mixture_7HD: NDArray[np.float64]
    mixture_ND: NDArray[np.float64]


def pictures_scenario(city_id: str, method: str) -> Scenario:
    """The scenario of "what has this network learned": ``ours`` or ``paper``."""
    return Scenario(city_id, Question.FORECAST, parameters={"pictures": method})


def ask_pictures(service: ComputeService, scenario: Scenario, session: str = "local") -> JobHandle:
    """Have the pictures of a city's network made by a worker; returns at once."""
    label = "what the network has learned"
    return service.submit(Job(FUNCTION, scenario.to_json(), session, label=label))


def read_pictures(scenario: Scenario, answer: Mapping[str, Any]) -> Result:
    """The result of a scenario from what :func:`run` returned."""
    return Result(scenario, answer["arrays"], {}, answer["manifest"])


def pictures_of(result: Result) -> Pictures:
    """The pictures that a result holds."""
    arrays = {name: np.asarray(array) for name, array in result.arrays.items()}
    return Pictures(method=str(result.scenario.parameters["pictures"]), **arrays)


def pictured_methods(forecaster: Forecaster) -> tuple[str, ...]:
    """Which networks have embeddings to show."""
    return tuple(name for name in forecaster.methods if name in ("ours", "paper"))


def run(
    request: dict[str, Any],
    context: JobContext | None = None,  # noqa: ARG001 - jobs are given one
) -> Generator[Progress, None, dict[str, Any]]:
    """The job: arrays are the fields of :class:`Pictures`.

    Raises:
        WeightsError: there are no weights for the city, or the method has no embeddings.
    """
    from engine.models.forecast_bundle import load_bundle
    from engine.models.himnet.direct import DirectNet
    from engine.models.himnet.network import HimNet

    scenario = Scenario.from_json(request)
    forecaster = find_forecaster(open_city(scenario.city_id))
    if forecaster is None:
        raise WeightsError("There are no forecasts for this city.", scenario.city_id)
    name = str(scenario.parameters.get("pictures"))
    yield Progress(0.1, "Reading what the network has learned")
    bundle = load_bundle(forecaster.path)
    network = bundle.method(name).method
    if isinstance(network, DirectNet):
        sensors, times, mixture = _direct_parts(network)
    elif isinstance(network, HimNet):
        sensors, times, mixture = _published_parts(network)
    else:
        raise WeightsError("This method has no embeddings to show.", name)
    manifest: dict[str, Scalar] = {"weights": forecaster.name, "method": name}
    return {"arrays": _pictures(bundle, sensors, times, mixture), "manifest": manifest}


Parts = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _direct_parts(network: "DirectNet") -> Parts:
    """Sensors (N, E), times (7, S, 2E), and the head's mixture (N, 7, S, D)."""
    import torch

    with torch.no_grad():
        slots_SE = network.slot_embedding_SE[:: _every(network.config.steps_per_day)]
        days_7E, sensors_NE = network.weekday_embedding_7E, network.sensor_embedding_NE
        s, n = len(slots_SE), len(sensors_NE)
        times = torch.cat(
            [slots_SE.expand(7, -1, -1), days_7E.unsqueeze(1).expand(-1, s, -1)], dim=-1
        )
        places = sensors_NE[:, None, None].expand(-1, 7, s, -1)
        context = torch.cat([places, times.expand(n, -1, -1, -1)], dim=-1)
        mixture = torch.softmax(network.mixture(context), dim=-1)
    return _numpy(sensors_NE), _numpy(times), _numpy(mixture)


def _published_parts(network: "HimNet") -> Parts:
    """The same of HimNet: how much a context takes of each candidate is the embedding's size."""
    import torch

    with torch.no_grad():
        slots_SE = network.slot_embedding.weight[:: _every(network.config.steps_per_day)]
        days_7E = network.weekday_embedding.weight
        s = len(slots_SE)
        times = torch.cat(
            [slots_SE.expand(7, -1, -1), days_7E.unsqueeze(1).expand(-1, s, -1)], dim=-1
        )
        sensors_ND = network.sensor_embedding_ND
        size = times.abs()[None] + sensors_ND.abs()[:, None, None]
        mixture = size / size.sum(dim=-1, keepdim=True)
    return _numpy(sensors_ND), _numpy(times), _numpy(mixture)


def _every(steps_per_day: int) -> int:
    return max(1, round(SLOT_MIN * steps_per_day / 1440))


def _numpy(values: Any) -> NDArray[np.float64]:  # noqa: ANN401 - a tensor, without importing torch
    found: NDArray[np.float64] = values.detach().double().numpy()
    return found


def _pictures(
    bundle: "ForecastBundle",
    sensors: NDArray[np.float64],
    times: NDArray[np.float64],
    mixture: NDArray[np.float64],
) -> dict[str, NDArray[np.generic]]:
    usual_SN = bundle.profile.mean_SN.numpy().astype(np.float64)
    by_slot = usual_SN[:: _every(bundle.facts.steps_per_day)].mean(axis=1)
    group_N, mean_G = group_alike(sensors, usual_SN.mean(axis=0))
    num_slots = times.shape[1]
    clock, clock_mean_G = group_alike(times.reshape(7 * num_slots, -1), np.tile(by_slot, 7))
    per_hour = max(1, num_slots // 24)
    by_time = mixture.mean(axis=0)[:, : 24 * per_hour]
    return {
        "group_N": group_N,
        "mean_G": mean_G,
        "clock_7S": clock.reshape(7, num_slots),
        "clock_mean_G": clock_mean_G,
        "mixture_7HD": by_time.reshape(7, -1, per_hour, by_time.shape[-1]).mean(axis=2),
        "mixture_ND": mixture.mean(axis=(1, 2)),
    }


def group_alike(
    points: NDArray[np.float64], rank_by: NDArray[np.float64], groups: int = GROUPS
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """k-means; groups are numbered by the mean of another quantity, so that colours mean it.

    Args:
        points: (M, E), each column scaled to unit spread first.
        rank_by: (M,), what the groups are ordered by, smallest first.
        groups: how many, fewer where there are fewer points.

    Returns:
        The group of each point, and the mean of ``rank_by`` in each group.
    """
    from scipy.cluster.vq import kmeans2, whiten

    spread = points.std(axis=0)
    known = whiten(points[:, spread > 0]) if (spread > 0).any() else np.zeros((len(points), 1))
    count = min(groups, len(np.unique(known, axis=0)))
    rng = np.random.default_rng(0)
    _, label = kmeans2(known, count, iter=_ROUNDS, minit="++", rng=rng)
    present = np.unique(label)
    means = np.array([rank_by[label == one].mean() for one in present])
    order = np.argsort(means)
    number = {int(present[old]): new for new, old in enumerate(order)}
    return np.array([number[int(one)] for one in label], dtype=np.int64), means[order]
