"""The paper's system: each equation by hand, and the whole on a small city."""

import ast
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import WeightsError
from engine.models.baselines.profile import fit_profile
from engine.models.diffrecon import paper
from engine.models.diffrecon.paper import t_patternnet as tp
from engine.models.diffrecon.paper.config import Config
from engine.models.diffrecon.paper.external import External, ExternalEncoder
from engine.models.diffrecon.paper.objective import Phase, build_stages, keep_observed
from engine.models.diffrecon.paper.sequences import Scale, hide
from engine.models.diffrecon.paper.st_pointformer import (
    attend,
    attention_scores,
    feed_forward,
    stack_points,
)
from engine.models.diffrecon.paper.system import (
    PaperReconstructor,
    all_lags,
    load_paper,
    save_paper,
    sequences_of,
)
from engine.models.masks import named_masks
from engine.models.observations import observe_in_order
from engine.training.loop import Trainer, TrainingConfig
from engine.training.paper import PaperTask, fit_scale
from tests.engine.models.small_flows import small_series

CONFIG = Config(
    4, 4, 2, 12, 1, (12, 1), 6, d_model=8, heads=2, layers=1, kernels=2, width=8, num_steps=8
)
SERIES = small_series()
FOLDER = Path(paper.__file__).parent


def test_every_equation_has_its_place():
    index = ast.get_docstring(ast.parse((FOLDER / "__init__.py").read_text("utf-8")))
    rows = re.findall(r"^DiffRecon \((\d+)\)\s+(\w+)\.(\w+)$", index, re.M)
    # 2-7 and 10 are the diffusion's own, 35 and 36 the metrics'
    assert [int(number) for number, _, _ in rows] == [1, 8, 9, *range(11, 35)]
    for number, module, name in rows:
        tree = ast.parse((FOLDER / f"{module}.py").read_text("utf-8"))
        kinds = ast.FunctionDef | ast.ClassDef
        docs = {n.name: ast.get_docstring(n) for n in ast.walk(tree) if isinstance(n, kinds)}
        assert f"[DiffRecon] Eq. ({number})" in docs[name]


def test_hide():
    assert hide(torch.tensor([3.0, 4.0]), torch.tensor([True, False])).tolist() == [3, 0]


def test_attention_by_hand():
    query, key = (
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.tensor([[2 * math.log(3), 0, 0, 0], [0.0] * 4]),
    )
    scores = attention_scores(query, key)
    assert torch.allclose(scores, torch.tensor([[0.75, 0.25]]))
    value = torch.tensor([[4.0], [8.0]])
    assert attend(query, key, value).item() == pytest.approx(5)


def test_feed_forward_has_two_relus():
    first, second = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    with torch.no_grad():
        for layer, weight, bias in ((first, 2.0, 1.0), (second, -1.0, 4.0)):
            layer.weight.fill_(weight)
            layer.bias.fill_(bias)
    x = torch.tensor([[1.0], [-3.0], [9.0]])
    assert feed_forward(x, first, second).flatten().tolist() == [1, 4, 0]


def test_points_are_stacked_below_their_bottleneck_cell():
    points = torch.arange(2 * 4 * 4.0).reshape(1, -1, 1)
    stacked = stack_points(points, 2, 4, 4, (2, 2))
    assert stacked.shape == (1, 8, 2, 2)
    assert sorted(stacked[0, :, 0, 1].tolist()) == [2, 3, 6, 7, 18, 19, 22, 23]


def test_the_period_of_a_wave_is_found():
    time = torch.arange(24.0)
    wave = torch.sin(2 * math.pi * time / 6)[None, :, None] + 5
    amplitudes = tp.mean_amplitudes(wave)
    assert amplitudes.shape == (1, 13)
    assert amplitudes[0, 4].item() == pytest.approx(12, abs=1e-3)
    assert tp.top_frequencies(amplitudes, 1) == [4]
    assert tp.period_of(24, 4) == 6
    assert tp.period_of(24, 5) == 5


def test_fold_and_unfold():
    series = torch.arange(7.0).reshape(1, 7, 1)
    folded = tp.fold(series, 3)
    assert folded[0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 0, 0]]
    assert torch.equal(tp.unfold(folded, 7), series)


def test_period_weights_are_a_softmax_of_amplitudes():
    weights = tp.period_weights(torch.tensor([[9.0, 0.0, math.log(3)]]), [1, 2])
    assert torch.allclose(weights, torch.tensor([[0.25, 0.75]]))


def test_inception_averages_its_kernels():
    block = tp.InceptionBlock(1, 1, 3)
    with torch.no_grad():
        for number, kernel in enumerate(block.kernels):
            kernel.weight.zero_()
            kernel.bias.fill_(float(number))
    assert block(torch.zeros(1, 1, 4, 4)).unique().tolist() == [1.0]


def test_external_features_unknown_and_known_differ():
    encoder = ExternalEncoder(8)
    unknown = External.of_moments(torch.tensor([0.5]), torch.full((1, 5), math.nan))
    monday = External(
        unknown.time_of_day, torch.tensor([0]), unknown.holiday, unknown.weather, unknown.numbers
    )
    warm = External(
        unknown.time_of_day,
        unknown.weekday,
        unknown.holiday,
        unknown.weather,
        torch.tensor([[0.0, math.nan]]),
    )
    values = [encoder(features) for features in (unknown, monday, warm)]
    assert all(torch.isfinite(value).all() for value in values)
    assert not torch.allclose(values[0], values[1])
    assert not torch.allclose(values[0], values[2])


def test_scale_round_trip():
    scale = fit_scale(SERIES)
    counts = torch.tensor([0.0, 1.0, 50.0])
    assert torch.allclose(scale.to_fine(scale.fine(counts)), counts, atol=1e-4)
    assert torch.allclose(scale.to_coarse(scale.coarse(counts)), counts, atol=1e-4)
    assert scale.to_fine(torch.tensor(-99.0)) == 0
    roots = scale.fine(torch.from_numpy(SERIES.values))
    assert roots.mean().item() == pytest.approx(0, abs=1e-3)
    assert roots.std().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("points", [True, False])
@pytest.mark.parametrize("patterns", [True, False])
def test_every_switch_trains_in_both_phases(points, patterns):
    values = {**CONFIG.to_json(), "use_st_pointformer": points, "use_t_patternnet": patterns}
    config = Config.from_json(values)
    valid = small_series(days=2, seed=5)
    settings = TrainingConfig(steps=4, batch_size=4, validate_every=4, warmup_steps=1, half=False)
    first = Trainer(PaperTask(SERIES, valid, config, 0), settings)
    assert all(math.isfinite(state.loss) for state in first.run())
    task = PaperTask(SERIES, valid, config, 0, Phase.JOINT, first.best)
    second = Trainer(task, settings)
    assert all(math.isfinite(state.loss) for state in second.run())
    assert task.network.phase is Phase.JOINT


def test_joint_training_reaches_the_completion_through_the_inference():
    task = PaperTask(SERIES, small_series(days=2, seed=5), CONFIG, 0, Phase.JOINT)
    batch = task.batch(np.arange(6), [np.random.default_rng(i) for i in range(6)])
    _, fine = task.network(batch)
    fine.backward()
    gradient = sum(
        p.grad.abs().sum() for p in task.network.completion.parameters() if p.grad is not None
    )
    assert gradient > 0


def paper_system(seed=0):
    step_means = fit_profile(SERIES).step_means(0)
    return PaperReconstructor(CONFIG, build_stages(CONFIG, seed), fit_scale(SERIES), step_means)


def seen_with(name="random40"):
    masks = named_masks(name, len(SERIES.regular_starts()), SERIES.coarse_shape, 1)
    return observe_in_order(SERIES, masks, all_lags(CONFIG))


def test_sequences_hide_what_is_missing_and_complete_the_series():
    seen = seen_with()
    system = paper_system()
    one = sequences_of(seen[20:21], CONFIG, system._usual, system.scale)
    assert one.maps.shape == (1, 3, 4, 4)
    assert (one.maps[~one.observed] == 0).all()
    assert one.series.shape == (1, 5, 4, 4)
    known = seen.past_observed[20, -1]
    totals = system.scale.to_coarse(one.series[0, -1]).numpy()
    assert np.allclose(totals[known], seen.past[20, -1][known], rtol=1e-3, atol=1e-2)
    assert (totals[~known] > 0).any()


@pytest.mark.parametrize("evaluations", [None, 3])
def test_samples_are_maps_and_depend_on_seed_and_number(evaluations):
    system, seen = paper_system(), seen_with()
    many = system.sample(seen[20:21], 3, 2, evaluations)
    assert many.shape == (2, 8, 8)
    assert np.isfinite(many).all()
    assert many.min() >= 0
    assert np.array_equal(system.sample(seen[20:21], 3, 1, evaluations)[0], many[0])
    assert not np.array_equal(many[0], many[1])


def test_observed_cells_are_kept_in_the_completed_map():
    seen = seen_with()
    one = sequences_of(seen[20:21], CONFIG, paper_system()._usual, paper_system().scale)
    kept = keep_observed(torch.full((1, 4, 4), 7.0), one)
    observed = one.observed[:, -1]
    assert torch.equal(kept[observed], one.maps[:, -1][observed])
    assert (kept[~observed] == 7).all()


def test_weights_round_trip(tmp_path):
    path = tmp_path / "paper.safetensors"
    save_paper(path, paper_system())
    again = load_paper(path)
    assert again.config == CONFIG
    a, b = (s.sample(seen_with()[9:10], 0, 1, 2) for s in (again, paper_system()))
    assert np.allclose(a, b, rtol=0.1, atol=0.5)
    assert Scale(**again.card["scale"]) == again.scale
    path.with_suffix(".json").unlink()
    with pytest.raises(WeightsError):
        load_paper(path)
