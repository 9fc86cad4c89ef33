"""Curvature products against dense second derivatives."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError
from wellposed.linalg import flatten, gauss_newton, hessian, unflatten


def network(*, linear=False):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if linear:
            return nn.Linear(3, 2).double()
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def sample():
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(6, 3, dtype=torch.float64, generator=generator)
    return inputs, torch.tensor([0, 1, 1, 0, 1, 0])


def squared(outputs, labels):
    return 0.5 * (outputs - functional.one_hot(labels, 2)).square().sum(1).mean()


LOSSES = {"squared error": squared, "cross-entropy": functional.cross_entropy}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def functions(model, loss):
    """Outputs and loss as functions of one vector of weights, and the vector."""
    inputs, labels = sample()
    params = list(model.parameters())
    names = [name for name, _ in model.named_parameters()]

    def outputs(vector):
        values = dict(zip(names, unflatten(vector, params), strict=True))
        return torch.func.functional_call(model, values, (inputs,))

    return outputs, lambda v: loss(outputs(v), labels), flatten(params, params).detach()


def columns(product, n):
    return torch.stack([product(e) for e in torch.eye(n, dtype=torch.float64)], 1)


@each_loss
def test_hessian_products_are_those_of_the_dense_hessian(loss):
    model = network()
    inputs, labels = sample()
    _, objective, at = functions(model, loss)
    gradient, product = hessian(loss(model(inputs), labels), list(model.parameters()))
    torch.testing.assert_close(
        gradient, torch.autograd.functional.jacobian(objective, at), rtol=1e-12, atol=1e-14
    )
    torch.testing.assert_close(
        columns(product, len(at)),
        torch.autograd.functional.hessian(objective, at),
        rtol=1e-11,
        atol=1e-13,
    )


@each_loss
def test_gauss_newton_products_are_those_of_the_dense_matrices(loss):
    model = network()
    inputs, labels = sample()
    outputs, objective, at = functions(model, loss)
    values = model(inputs)
    gradient, product = gauss_newton(loss(values, labels), values, list(model.parameters()))
    inner = torch.autograd.functional.jacobian(outputs, at).reshape(12, -1)
    outer = torch.autograd.functional.hessian(
        lambda f: loss(f.reshape(6, 2), labels), outputs(at).reshape(-1)
    )
    torch.testing.assert_close(
        gradient, torch.autograd.functional.jacobian(objective, at), rtol=1e-12, atol=1e-14
    )
    found = columns(product, len(at))
    torch.testing.assert_close(found, inner.T @ outer @ inner, rtol=1e-11, atol=1e-13)
    assert torch.linalg.eigvalsh(found)[0] > -1e-14


def test_the_output_hessian_of_the_cross_entropy_is_diag_p_minus_pp():
    # With f = w, J = I, so the product is that of diag(p) - pp'.
    w = nn.Parameter(torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64))
    outputs = w * 1.0
    _, product = gauss_newton(functional.cross_entropy(outputs, torch.tensor([1])), outputs, [w])
    p = w.detach().softmax(1)[0]
    torch.testing.assert_close(
        columns(product, 3), torch.diag(p) - torch.outer(p, p), rtol=1e-12, atol=1e-15
    )


@each_loss
def test_for_outputs_linear_in_the_weights_both_are_the_same(loss):
    model = network(linear=True)
    inputs, labels = sample()
    params = list(model.parameters())
    outputs = model(inputs)
    _, one = gauss_newton(loss(outputs, labels), outputs, params)
    _, other = hessian(loss(model(inputs), labels), params)
    torch.testing.assert_close(columns(one, 8), columns(other, 8), rtol=1e-12, atol=1e-14)


def test_a_penalty_counts_in_the_gradient_and_not_in_the_product():
    model = network()
    inputs, labels = sample()
    params = list(model.parameters())
    outputs = model(inputs)
    bare = squared(outputs, labels)
    full = bare + 0.5 * sum(p.square().sum() for p in params)
    plain, product = gauss_newton(bare, outputs, params)
    penalized, same = gauss_newton(full, outputs, params)
    at = flatten(params, params).detach()
    torch.testing.assert_close(penalized, plain + at, rtol=1e-12, atol=1e-14)
    assert torch.equal(product(at), same(at))


def test_what_the_loss_does_not_depend_on_gets_zeros():
    used, idle = (nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2))
    gradient, product = hessian(used.pow(3).sum(), [idle, used])
    assert gradient.tolist() == [0, 0, 3, 3]
    assert product(torch.ones(4, dtype=torch.float64)).tolist() == [0, 0, 6, 6]


def test_a_linear_loss_has_no_curvature():
    w = nn.Parameter(torch.ones(2))
    gradient, product = hessian(w.sum(), [w])
    assert gradient.tolist() == [1, 1]
    assert product(torch.ones(2)).tolist() == [0, 0]


def test_a_loss_of_other_outputs_is_refused():
    model = network()
    inputs, labels = sample()
    loss = squared(model(inputs), labels)
    with pytest.raises(ArgumentError, match=r"does not depend on the outputs.*one evaluation"):
        gauss_newton(loss, model(inputs), list(model.parameters()))


def test_a_loss_linear_in_the_outputs_is_refused():
    model = network()
    outputs = model(sample()[0])
    with pytest.raises(ArgumentError, match="linear in the outputs"):
        gauss_newton(outputs.sum(), outputs, list(model.parameters()))


def test_a_loss_of_another_model_is_refused():
    used, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    with pytest.raises(ArgumentError, match="loss depends on none of the 1 weight tensors"):
        hessian(used.square().sum(), [idle])
