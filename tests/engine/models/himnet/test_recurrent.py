from math import exp, tanh

import pytest
import torch

from engine.models.himnet.meta import Hoisted
from engine.models.himnet.recurrent import MetaGraphConv, MetaGRU, learn_graph


def test_graph_by_hand():
    # E E^T = [[1, -2], [-2, 4]], ReLU takes the negatives away
    graph = learn_graph(torch.tensor([[1.0], [-2.0]]))
    e, e4 = exp(1), exp(4)
    expected = [[e / (e + 1), 1 / (e + 1)], [1 / (e4 + 1), e4 / (e4 + 1)]]
    torch.testing.assert_close(graph, torch.tensor(expected))


def test_graph_of_each_sample():
    embedding = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(learn_graph(embedding)[1], learn_graph(embedding[1]))


def test_convolution_sees_itself_and_its_neighbours():
    conv = MetaGraphConv(1, 1, 1)
    with torch.no_grad():
        conv.linear.pool_DKO[:] = torch.tensor([[[10.0], [1.0]]])
    graph = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    y = conv.bind(torch.ones(1, 2, 1), graph, Hoisted)(torch.tensor([[[2.0], [3.0]]]))
    assert y.flatten().tolist() == [10 * 2 + 3, 10 * 3 + 2]


def test_cell_by_hand():
    cell = MetaGRU(1, 1, 1)
    with torch.no_grad():
        for linear in (cell.gate.linear, cell.update.linear):
            torch.nn.init.zeros_(linear.pool_DKO)
        # gate: z from x, r from h; update: x + z h (rows: x, h, A x, A h)
        cell.gate.linear.pool_DKO[0, 0, 0] = 1
        cell.gate.linear.pool_DKO[0, 1, 1] = 1
        cell.update.linear.pool_DKO[0, 0, 0] = 1
        cell.update.linear.pool_DKO[0, 1, 0] = 1
    step = cell.bind(torch.ones(1, 1, 1), torch.zeros(1, 1), Hoisted)
    x, h = 0.3, -0.4
    z, r = 1 / (1 + exp(-x)), 1 / (1 + exp(-h))
    expected = r * h + (1 - r) * tanh(x + z * h)
    actual = step(torch.tensor([[[x]]]), torch.tensor([[[h]]]))
    assert actual.item() == pytest.approx(expected, rel=1e-6)
