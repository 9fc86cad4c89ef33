import copy

import numpy as np
import pytest
import torch
from tests.audit.zoo import ZOO, digits, made
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._directions import filter_normalized, moved
from wellposed.audit._landscape import Landscape, cost
from wellposed.errors import ArgumentError, DataError
from wellposed.losses import SquaredError
from wellposed.regularizers import L2


def direction(model, seed=0):
    return filter_normalized(model, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ZOO)
def test_it_is_the_loss_of_a_copy_that_has_the_weights_written(kind):
    model = made(kind)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    subject = Subject(model, digits(kind, 60), batch_size=16)
    land = Landscape(subject, "slice", 30)
    d = direction(model)
    found = land.line([d], [(0.1,)])[0]
    copied = copy.deepcopy(model).eval()
    with torch.no_grad():
        for name, p in copied.named_parameters():
            if name in d:
                p += 0.1 * d[name]
        right = nn.functional.cross_entropy(
            copied(land.inputs), land.targets, reduction="none"
        ).double()
    assert found == pytest.approx(right.numpy(), rel=1e-4, abs=1e-6)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())
    assert model.training


def test_the_regularizer_moves_with_the_weights(subject, net):
    model = net()
    land = Landscape(subject(model, regularizer=L2(0.5)), "slice", 60)
    plain = Landscape(subject(model), "slice", 60)
    d = direction(model)
    weights = moved(land.weights, [d], [1.0])
    penalty = 0.25 * sum(float(w.square().sum()) for n, w in weights.items() if "weight" in n)
    found = land.losses(weights) - plain.losses(weights)
    assert found == pytest.approx(np.full(60, penalty), rel=1e-5)


def test_chunks_make_no_difference(subject, net):
    model = net()
    whole, parts = (Landscape(subject(model, batch_size=k), "slice", 60) for k in (250, 7))
    assert whole.center == pytest.approx(parts.center, rel=1e-6)
    rows = slice(0, None, 2)
    for name, g in whole.gradient(rows).items():
        torch.testing.assert_close(parts.gradient(rows)[name], g, rtol=1e-4, atol=1e-6)
    d = direction(model)
    assert whole.curvature(d) == pytest.approx(parts.curvature(d), rel=1e-4)


def test_gradient_and_curvature_are_those_of_least_squares(net):
    generator = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randn(50, k, generator=generator).double() for k in (3, 2))
    model = net(0, nn.Linear(3, 2, bias=False)).double()
    subject = Subject(model, (inputs, targets), SquaredError())
    land = Landscape(subject, "slice", 50)
    w, d = model[0].weight.detach(), direction(model)["0.weight"]
    factor = float(land.center.mean() / (inputs @ w.T - targets).square().sum(1).mean())
    gradient = land.gradient(slice(None))["0.weight"]
    right = 2 * factor * (inputs @ w.T - targets).T @ inputs / 50
    torch.testing.assert_close(gradient, right)
    curvature = 2 * factor * float((inputs @ d.T).square().sum(1).mean())
    assert land.curvature({"0.weight": d}) == pytest.approx(curvature)


class Square(torch.autograd.Function):
    """Its gradient calls what a test gives it."""

    fault = RuntimeError("")

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, g):
        return Slope.apply(g, *ctx.saved_tensors)


class Slope(torch.autograd.Function):
    @staticmethod
    def forward(_, g, x):
        return 2 * g * x

    @staticmethod
    def backward(*_):
        raise Square.fault


class Squares(nn.Module):
    def forward(self, x):
        return Square.apply(x)


class Far(nn.Module):
    """Distances to four points, whose backward pass torch cannot differentiate."""

    def forward(self, x):
        return torch.cdist(x, torch.eye(4)[:, :3], p=1.5)


@pytest.mark.parametrize(
    ("layer", "fault", "kind", "said"),
    [
        (
            Far(),
            None,
            ArgumentError,
            r"no second derivatives \(.*_cdist_backward",
        ),
        (
            Squares(),
            RuntimeError("trying to differentiate twice a function"),
            ArgumentError,
            r"no second derivatives \(trying to differentiate twice a function\)",
        ),
        (Squares(), RuntimeError("a lock"), RuntimeError, "^a lock$"),
    ],
)
def test_only_missing_second_derivatives_are_called_so(
    monkeypatch, subject, net, layer, fault, kind, said
):
    monkeypatch.setattr(Square, "fault", fault)
    model = net(0, nn.Linear(4, 3), layer, nn.Linear(4 if fault is None else 3, 3))
    land = Landscape(subject(model), "slice", 60)
    with pytest.raises(kind, match=said):
        land.curvature(direction(model))


def test_the_statistics_of_batch_norm_are_those_of_the_examples(net, blobs):
    model = net(0, nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    before = {name: b.clone() for name, b in model.named_buffers()}
    land = Landscape(Subject(model, {"train": blobs(60)}, batch_size=20), "path", 60)
    found = land.statistics(land.weights, before)
    hidden = model[0](land.inputs).detach()
    torch.testing.assert_close(found["1.running_mean"], hidden.mean(0))
    right = torch.stack([part.var(0) for part in hidden.split(20)]).mean(0)
    torch.testing.assert_close(found["1.running_var"], right)
    assert all(torch.equal(dict(model.named_buffers())[n], b) for n, b in before.items())
    assert model[1].momentum == 0.1


def test_the_scale_is_what_a_constant_loses(net):
    generator = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randn(50, k, generator=generator).double() for k in (3, 2))
    model = net(0, nn.Linear(3, 2)).double()
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(targets.mean(0))
    land = Landscape(Subject(model, (inputs, targets), SquaredError()), "slice", 50)
    assert land.scale == pytest.approx(float(land.center.mean()))


def test_other_weights_must_be_of_the_same_model(subject, net):
    land = Landscape(subject(net()), "path", 60)
    weights, buffers = land.fitting(net(1).state_dict(), "initial weights", "give it")
    assert torch.equal(weights["0.weight"], net(1)[0].weight)
    assert buffers == {}
    with pytest.raises(ArgumentError, match="nobody gave; give it"):
        land.fitting(None, "initial weights", "give it")
    with pytest.raises(DataError, match="does not fit"):
        land.fitting(nn.Linear(2, 2).state_dict(), "initial weights", "give it")
    broken = net(1).state_dict()
    broken["0.bias"] = broken["0.bias"] * torch.nan
    with pytest.raises(ArgumentError, match=r"not finite in 0\.bias"):
        land.fitting(broken, "initial weights", "give it")


def test_too_few_examples_and_a_model_that_draws_are_refused(subject, net, blobs):
    with pytest.raises(ArgumentError, match="has 15; at least 20"):
        Landscape(subject(data=blobs(15)), "slice", 60)
    noisy = net(0, nn.Linear(4, 3), _Noise())
    with pytest.raises(ArgumentError, match="same outputs at every call"):
        Landscape(subject(noisy), "slice", 60)


class _Noise(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


def test_the_cost_counts_examples_that_there_are(subject):
    assert cost(subject(), 1000, 3) == 60
    assert cost(subject(), 30, 3, 2) == 30 + 60
