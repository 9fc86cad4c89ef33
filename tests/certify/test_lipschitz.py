import math

import pytest
import torch
from torch import nn

from wellposed.certify import certify, lipschitz


def test_no_pair_of_inputs_is_stretched_more(traced, kind):
    graph = traced(kind)
    found = lipschitz(graph)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((40, 2, 6, 6), generator=generator, dtype=torch.float64)
    for scale in (1e-4, 0.1, 3.0):
        step = scale * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        far = (graph(x + step) - graph(x)).norm(dim=1) / step.flatten(1).norm(dim=1)
        assert (far <= found.constant).all()


def test_linear_networks_are_exact_and_layers_multiply():
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.diag(torch.tensor([3.0, 1, 1, 1])))
        second.weight.copy_(torch.diag(torch.tensor([2.0, 1, 1, 1])))
    found = lipschitz(nn.Sequential(first, nn.ReLU(), second, nn.Sigmoid()), (4,))
    assert found.constant == pytest.approx(1.5, rel=1e-3)
    assert found.constant >= 1.5
    assert [name for name, _ in found.layers] == ["linear 0", "linear 2", "sigmoid 3"]
    assert found.layers[2][1] == 0.25


class Joined(nn.Module):
    def forward(self, x):
        y = x + 2 * x
        return torch.cat([y, -y], 1)


def test_branches_add_up_and_parts_are_orthogonal():
    assert lipschitz(Joined(), (2, 3, 3)).constant == pytest.approx(3 * math.sqrt(2), rel=1e-9)


def test_windows_of_a_pool_that_overlap_count():
    assert lipschitz(nn.MaxPool2d(2), (1, 4, 4)).constant == pytest.approx(1)
    assert lipschitz(nn.MaxPool2d(3, 2), (1, 5, 5)).constant == pytest.approx(2)


def test_the_radius_is_that_of_a_linear_pair_and_below_the_certified_one(traced, ball):
    graph = traced("dense")
    found = lipschitz(graph)
    x = torch.rand((3, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    z = graph(x.double())
    labels = z.argmax(1)
    top = z.topk(2, dim=1).values
    radius = found.radius(top[:, 0] - top[:, 1])
    assert (radius > 0).all()
    for i in range(3):
        one = certify(graph, x[i : i + 1], labels[i : i + 1], ball(radius[i].item(), "l2"))
        assert one.certified.all()
    assert found.radius(torch.tensor([-1.0])).tolist() == [0.0]
    flat = lipschitz(nn.Sequential(nn.Linear(2, 2), Zero()), (2,))
    assert flat.constant == 0
    assert flat.radius(torch.tensor([1.0])).tolist() == [math.inf]


class Zero(nn.Module):
    def forward(self, x):
        return x * 0
