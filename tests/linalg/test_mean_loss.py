"""The mean loss as a function of the trainable weights."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.linalg import MeanLoss


def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    net[0].bias.requires_grad_(requires_grad=False)
    return net.eval()


def data():
    x = torch.arange(15.0).reshape(5, 3) / 10
    return x, torch.tensor([0, 1, 1, 0, 1])


def norm(net, inputs, targets):
    return 0.5 * sum(p.square().sum() for p in net.parameters())


def test_value_and_functional_value_agree():
    net = model()
    mean = MeanLoss(net, nn.CrossEntropyLoss(reduction="none"), norm)
    x, y = data()
    expected = nn.functional.cross_entropy(net(x), y) + norm(net, x, y)
    torch.testing.assert_close(mean.objective(x, y), expected)
    others = list(mean.constants().values())
    call = mean.functional(mean.objective, others)
    torch.testing.assert_close(call([p.detach() for p in mean.params], x, y), expected)
    before = [p.detach().clone() for p in net.parameters()]
    doubled = call([2 * p.detach() for p in mean.params], x, y)
    assert float(doubled.detach()) != pytest.approx(float(expected.detach()))
    assert all(torch.equal(p, b) for p, b in zip(net.parameters(), before, strict=True))


def test_frozen_parameters_and_buffers_are_constants():
    mean = MeanLoss(model(), nn.CrossEntropyLoss(reduction="none"))
    assert [tuple(p.shape) for p in mean.params] == [(4, 3), (4,), (4,), (2, 4), (2,)]
    assert list(mean.constants()) == [
        "0.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
    ]  # fmt: skip


def test_a_model_in_training_mode_stays_there():
    net = model().train()
    mean = MeanLoss(net, nn.CrossEntropyLoss(reduction="none"))
    mean.functional(mean.objective, list(mean.constants().values()))
    assert net.training
    assert net[1].training


def test_what_cannot_be_averaged_is_refused():
    x, y = data()
    with pytest.raises(ArgumentError, match=r"shape \(\) for 5 examples.*reduction='none'"):
        MeanLoss(model(), nn.CrossEntropyLoss()).losses(x, y)
    frozen = model().requires_grad_(requires_grad=False)
    with pytest.raises(ArgumentError, match="no parameters that require a gradient"):
        MeanLoss(frozen, nn.CrossEntropyLoss(reduction="none"))


def test_weights_without_a_shape_and_complex_ones_are_refused():
    loss = nn.CrossEntropyLoss(reduction="none")
    with pytest.raises(ArgumentError, match="lazy model gets them in its first forward pass"):
        MeanLoss(nn.Sequential(nn.LazyLinear(3)), loss)
    with pytest.raises(ArgumentError, match=r"complex weights.*view_as_real"):
        MeanLoss(nn.Linear(3, 2, dtype=torch.complex64), loss)
