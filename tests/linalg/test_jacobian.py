"""Products with the Jacobian against the dense one of autograd."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.linalg import flatten, jacobian, unflatten


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def dense(model, inputs):
    params = list(model.parameters())
    names = [name for name, _ in model.named_parameters()]

    def outputs(vector):
        values = dict(zip(names, unflatten(vector, params), strict=True))
        return torch.func.functional_call(model, values, (inputs,)).reshape(-1)

    return torch.autograd.functional.jacobian(outputs, flatten(params, params).detach())


def test_both_products_are_those_of_the_dense_jacobian():
    model = network()
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    params = list(model.parameters())
    expected = dense(model, inputs)
    found = jacobian(model(inputs), params)
    v = torch.randn(expected.shape[1], dtype=torch.float64, generator=generator)
    u = torch.randn(5, 2, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(found.forward(v).reshape(-1), expected @ v, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.adjoint(u), expected.T @ u.reshape(-1), rtol=1e-12, atol=1e-12)
    # ... and are adjoint to each other, many times on one graph
    for _ in range(3):
        assert abs(found.forward(v).reshape(-1) @ u.reshape(-1) - v @ found.adjoint(u)) < 1e-12


def test_parameters_that_do_not_matter_get_zeros():
    model, idle = network(), nn.Parameter(torch.ones(2, dtype=torch.float64))
    found = jacobian(model(torch.ones(1, 3, dtype=torch.float64)), [idle, model[0].weight])
    one = torch.zeros(14, dtype=torch.float64)
    one[0] = 1.0
    assert not found.forward(one).any()
    assert not found.adjoint(torch.ones(1, 2, dtype=torch.float64))[:2].any()
    assert found.adjoint(torch.ones(1, 2, dtype=torch.float64))[2:].any()


def test_outputs_of_another_model_are_refused():
    idle = nn.Parameter(torch.ones(2, dtype=torch.float64))
    with pytest.raises(ArgumentError, match="depend on none of the 1 weight tensors"):
        jacobian(network()(torch.ones(1, 3, dtype=torch.float64)), [idle])
