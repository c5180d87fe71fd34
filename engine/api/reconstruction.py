"""Missing sensors: the whole fine map from the sensors that are left, with how sure that is.

The same generator answers in a worker for the pages and in this process for Python users and the
command line, always with one thread of torch, so that a scenario and its seed have one answer.

What comes back, as arrays of a :class:`~engine.domain.Result` (S samples, I x J coarse cells,
R x C fine cells; vehicles or whatever the field counts, per step):

``estimate``           (R, C) the most likely map
``lower``, ``upper``   (R, C) ends of the 90 % band
``samples``            (S, R, C) possible maps
``coarse``             (I, J) completed totals
``totals``             (I, J) observed totals; NaN where the sensor is missing
``truth``              (R, C) the true map, where the city knows it
``method/NAME``        (R, C) the map of another method: the paper's, and simple baselines
``oddity``             (I, J) how far each cell is outside of what was trained on; above 1 is far
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import __version__
from engine.api.reconstruction_card import score_methods
from engine.api.reconstruction_case import PAPER, Case, open_case, sampling_of
from engine.compute.handle import JobHandle
from engine.compute.jobs import Job, JobContext, Plain, Progress
from engine.compute.service import ComputeService
from engine.compute.worker_cache import worker_cache
from engine.domain import Result, Scenario
from engine.domain.scenario import Scalar
from engine.models.installed import Installed, weights_of_city
from engine.models.observations import Observations

if TYPE_CHECKING:
    from engine.diffusion.reverse import SamplingStep
    from engine.evaluation.familiarity import Unfamiliarity
    from engine.evaluation.reconstruction import Estimator
    from engine.models.diffrecon.ours.system import Reconstruction, Reconstructor
    from engine.models.diffrecon.paper.system import PaperReconstructor
    from engine.models.flows import Maps

FUNCTION = "engine.api.reconstruction.run"
PREVIEW_SHARE, SAMPLES_SHARE = 0.1, 0.7
PAPER_SAMPLES, PAPER_STEPS = 4, 10
"""The paper's system beside ours: as many samples and sampler steps as a live session allows."""

Check = Callable[[], None]
Steps = Generator[Progress, None, dict[str, Any]]


def ask_reconstruct(
    service: ComputeService, scenario: Scenario, session: str = "local"
) -> JobHandle:
    """Have missing sensors filled in by a worker; returns at once.

    Raises:
        QueueFullError: the line or the session's quota is full.
    """
    job = Job(FUNCTION, scenario.to_json(), session, scenario.seed, label="missing sensors")
    return service.submit(job)


def read_reconstruction(scenario: Scenario, answer: Mapping[str, Any]) -> Result:
    """The result of a scenario from what :func:`run` returned."""
    return Result(scenario, answer["arrays"], answer["metrics"], answer["manifest"])


def reconstruct(scenario: Scenario, report: Callable[[Progress], None] | None = None) -> Result:
    """Answer a question about missing sensors here and now, in this process.

    Args:
        scenario: as :func:`~engine.api.reconstruction_case.reconstruct_scenario` makes it.
        report: told of each step, the first estimate among them; may raise to stop.

    Raises:
        EngineError: the scenario does not fit its city and weights.
    """
    steps = _answer(open_case(scenario), _find_device(), _go_on)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return read_reconstruction(scenario, end.value)
        if report is not None:
            report(step)


def run(request: dict[str, Any], context: JobContext) -> Steps:
    """The job: a first estimate, then samples, then the other methods on the same cells.

    Args:
        request: a scenario as JSON.
        context: of the job.

    Returns:
        ``arrays``, ``metrics`` and ``manifest`` of the result. Steps carry (3, R, C): estimate,
        lower and upper map as they stand.
    """
    case = open_case(Scenario.from_json(request))
    return (yield from _answer(case, context.device, context.raise_if_cancelled))


def _go_on() -> None:
    """Nobody cancels a call that is waited for."""


def _find_device() -> str:
    from engine.compute.hardware import find_device

    return find_device("").torch_name


def _answer(case: Case, device: str, check: Check) -> Steps:
    began_s = time.perf_counter()
    system = load_ours(case.model.weights, device)
    seen = case.observe(system.config.lags)
    last = None
    for last in sample_ours(system, seen, case.scenario, check):
        share = last.evaluations / max(1, last.total_evaluations)
        words = f"{len(last.samples)} possible maps" if len(last.samples) else "First estimate"
        maps = np.stack([last.estimate, last.lower, last.upper])
        yield Progress(PREVIEW_SHARE + (SAMPLES_SHARE - PREVIEW_SHARE) * share, words, maps)
        check()
    assert last is not None
    arrays = _arrays_of(case, last)
    others: dict[str, np.ndarray] = _baselines(system, seen)
    paper = yield from _ask_paper(case, check)
    if paper is not None:
        others["paper"] = paper.mean(0)
    arrays |= {f"method/{name}": values for name, values in others.items()}
    oddity = _find_oddity(system, seen)
    if oddity is not None:
        arrays["oddity"] = oddity.cells
    metrics = score_methods(case, last, others, paper)
    metrics["conservation"] = last.conservation
    metrics["evaluations"] = float(last.evaluations)
    manifest: dict[str, Scalar] = {
        "version": __version__,
        "city": case.city.digest,
        "weights": case.model.weights.name,
        "weights_sha256": case.model.weights.sha256,
        "device": device,
        "seconds": round(time.perf_counter() - began_s, 3),
    }
    if oddity is not None:
        metrics["oddity"] = oddity.overall
        manifest["oddity"] = "\n".join(oddity.reasons)
    return {"arrays": arrays, "metrics": metrics, "manifest": manifest}


def _arrays_of(case: Case, last: "Reconstruction") -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {
        "estimate": last.estimate,
        "lower": last.lower,
        "upper": last.upper,
        "samples": last.samples,
        "coarse": last.coarse,
        "totals": np.where(case.mask, case.totals, np.nan).astype(np.float32),
    }
    truth = case.truth
    return arrays if truth is None else {**arrays, "truth": truth}


def sample_ours(
    system: "Reconstructor", seen: Observations, scenario: Scenario, check: Check
) -> "Iterator[Reconstruction]":
    """Our system on one frame, one thread of torch, checked before every evaluation."""
    from engine.diffusion.fewstep import sample_straight

    def stoppable(*args: Plain) -> "Iterator[SamplingStep]":
        for step in sample_straight(*args):
            check()
            yield step

    samples, evaluations = sampling_of(scenario)
    steps = system.reconstruct(seen, scenario.seed, samples, evaluations, stoppable)
    while True:
        with one_thread():
            step = next(steps, None)
        if step is None:
            return
        yield step


def _find_oddity(system: "Reconstructor", seen: Observations) -> "Unfamiliarity | None":
    """How far the question lies outside of what was trained on; None where nobody measured."""
    from engine.evaluation.familiarity import score_familiarity

    return next(iter(score_familiarity(system, seen)), None)


def _baselines(system: "Reconstructor", seen: Observations) -> dict[str, "Maps"]:
    from engine.models.baselines.historical import HistoricalMean, HistoricalShare
    from engine.models.baselines.interpolation import Bicubic, NearestFill

    n = system.config.magnification
    methods: dict[str, Estimator] = {
        "historical-share": HistoricalShare(system.profile),
        "historical-mean": HistoricalMean(system.profile),
        "nearest": NearestFill(n),
        "bicubic": Bicubic(n),
    }
    return {name: method.estimate(seen)[0] for name, method in methods.items()}


def _ask_paper(case: Case, check: Check) -> Generator[Progress, None, "np.ndarray | None"]:
    """(S, R, C) samples of the paper's system; None where its weights are not installed."""
    model = case.model
    field = str(model.weights.source.get("field"))
    installed = weights_of_city(case.city.id, field, PAPER)
    if installed is None:
        return None
    from engine.models.diffrecon.paper.system import all_lags

    yield Progress(SAMPLES_SHARE, "The paper's method on the same cells")
    system = _load_paper(installed)
    check()
    seen = case.observe(all_lags(system.config))
    with one_thread():
        return system.sample(seen, case.scenario.seed, PAPER_SAMPLES, PAPER_STEPS, check)


def load_ours(installed: Installed, device: str) -> "Reconstructor":
    """The trained system, kept in this process between questions."""
    import torch

    from engine.models.diffrecon.ours.system import load_reconstructor

    return worker_cache.get(
        f"{installed.sha256}/{device}",
        lambda: load_reconstructor(installed.path, torch.device(device)),
    )


def _load_paper(installed: Installed) -> "PaperReconstructor":
    from engine.models.diffrecon.paper.system import load_paper

    return worker_cache.get(installed.sha256, lambda: load_paper(installed.path))


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch: sums that are split among threads round differently."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
