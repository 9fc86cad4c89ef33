"""Forward and backward products of all four matrices against dense ones."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.linalg import MeanLoss, flatten, unflatten
from wellposed.linalg._kinds import KINDS, backward, directional, form


def setting():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)).double()
        x = torch.randn(5, 3, dtype=torch.float64)
    return MeanLoss(net, nn.CrossEntropyLoss(reduction="none")), x, torch.tensor([0, 1, 2, 0, 1])


def dense(kind):
    """The matrix by its definition, from dense derivatives of torch.autograd.functional."""
    mean, x, y = setting()
    at = flatten(mean.params, mean.params).detach()

    def outputs(w):
        return mean.functional(mean.outputs, [])(unflatten(w, mean.params), x)

    jacobian = torch.autograd.functional.jacobian(outputs, at)
    p = outputs(at).softmax(1)
    if kind == "hessian":
        return torch.autograd.functional.hessian(lambda w: mean.loss(outputs(w), y).mean(), at)
    if kind == "empirical-fisher":
        g = torch.einsum("ikn,ik->in", jacobian, p - nn.functional.one_hot(y, 3))
        return g.T @ g / 5
    inner = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    return torch.einsum("ikn,ikl,ilm->nm", jacobian, inner, jacobian) / 5


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_give_the_dense_matrix(kind):
    mean, x, y = setting()
    matrix, n = dense(kind), 24
    point = [p.detach() for p in mean.params]
    one, other = directional(mean, kind), backward(mean, kind, x, y)
    for column in range(0, n, 5):
        e = torch.eye(n, dtype=torch.float64)[column]
        found = flatten(one(unflatten(e, point), point, [x, y]), point)
        torch.testing.assert_close(found, matrix[:, column], rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(other(e), matrix[:, column], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_the_form_has_the_same_jacobian(kind):
    mean, x, y = setting()
    function, between = form(mean, kind, x, y)
    shape = {"hessian": (24,), "empirical-fisher": (5,)}.get(kind, (5, 3))
    assert function().shape == shape
    assert (between is None) == (kind == "hessian")


def test_the_fisher_matrix_is_that_of_classes():
    mean, x, y = setting()
    flat = MeanLoss(nn.Sequential(mean.model, nn.Flatten(0)), lambda f, _: f)
    with pytest.raises(ArgumentError, match="Fisher matrix is that of classes"):
        backward(flat, "fisher", x, y)
