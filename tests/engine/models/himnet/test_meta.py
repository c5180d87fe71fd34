import pytest
import torch

from engine.models.himnet import meta
from engine.models.himnet.meta import Hoisted, MetaLinear, Reassociated, Regenerated

B, N, D, K, OUT = 3, 5, 4, 6, 7
EMBEDDINGS = {"spatial": (1, N, D), "temporal": (B, 1, D), "joint": (B, N, D)}


def _linear(generator):
    linear = MetaLinear(D, K, OUT).double()
    linear.initialise(generator)
    torch.nn.init.normal_(linear.bias_DO, generator=generator)
    return linear


def _draw(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)


def test_two_candidates_by_hand():
    linear = MetaLinear(2, 1, 1)
    with torch.no_grad():
        linear.pool_DKO[:] = torch.tensor([[[2.0]], [[10.0]]])
        linear.bias_DO[:] = torch.tensor([[1.0], [100.0]])
    # e = (3, 0.5): weight 3 * 2 + 0.5 * 10 = 11, bias 3 * 1 + 0.5 * 100 = 53; x = 4
    for form in (Regenerated, Hoisted, Reassociated):
        y = linear.bind(torch.tensor([[[3.0, 0.5]]]), form)(torch.tensor([[[4.0]]]))
        assert y.item() == pytest.approx(11 * 4 + 53)


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("form", [Hoisted, Reassociated])
def test_forms_give_the_same_values_and_gradients(kind, form, monkeypatch):
    monkeypatch.setattr(meta, "ROWS_PER_BLOCK", 4)  # several blocks, the last one short
    generator = torch.Generator().manual_seed(1)
    linear, x = _linear(generator), _draw(generator, B, N, K)
    embedding, pull = _draw(generator, *EMBEDDINGS[kind]), _draw(generator, B, N, OUT)
    wanted = (x, embedding, linear.pool_DKO, linear.bias_DO)
    results = []
    for candidate in (Regenerated, form):
        y = linear.bind(embedding, candidate)(x)
        results.append((y, *torch.autograd.grad((y * pull).sum(), wanted)))
    for expected, actual in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


def test_reassociated_gradient_is_the_numerical_one(monkeypatch):
    monkeypatch.setattr(meta, "ROWS_PER_BLOCK", 4)
    generator = torch.Generator().manual_seed(2)
    inputs = _draw(generator, 6, K), _draw(generator, 6, D), _draw(generator, D, K, OUT)
    assert torch.autograd.gradcheck(meta._MixedProduct.apply, inputs)


def test_bound_map_serves_many_steps():
    generator = torch.Generator().manual_seed(3)
    linear, embedding = _linear(generator), _draw(generator, B, N, D)
    bound = linear.bind(embedding, Hoisted)
    for _ in range(3):
        x = _draw(generator, B, N, K)
        torch.testing.assert_close(bound(x), linear.bind(embedding, Regenerated)(x))


def test_autocast_keeps_the_pools_gradient_in_float32():
    generator = torch.Generator().manual_seed(4)
    linear = _linear(generator).float()
    x, embedding = _draw(generator, B, N, K).float(), _draw(generator, B, N, D).float()
    exact = linear.bind(embedding, Regenerated)(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = linear.bind(embedding, Reassociated)(x)
    y.float().sum().backward()
    assert linear.pool_DKO.grad.dtype == torch.float32
    torch.testing.assert_close(y.float(), exact, rtol=0.05, atol=0.05)
