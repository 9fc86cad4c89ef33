"""ProximalSGD against closed forms."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import SGD, ProximalSGD
from wellposed.regularizers import ElasticNet


def soft(l1, l2=0.0):
    def prox_(weights, step):
        for w in weights:
            w.copy_(w.sign() * (w.abs() - step * l1).clamp(min=0) / (1 + step * l2))

    return prox_


def minimize(q, b, prox_, lr, steps):
    w = nn.Parameter(torch.zeros(q.shape[1], 1, dtype=torch.float64))
    optimizer = ProximalSGD([w], lr, prox_=prox_)
    for _ in range(steps):
        w.grad = q.T @ (q @ w.detach() - b)
        optimizer.step()
    return w.detach()


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
@pytest.mark.parametrize("library", [False, True])
def test_orthonormal_elastic_net_equals_soft_threshold(l1, l2, library):
    # For Q'Q = I the minimizer of |Qw - b|^2/2 + R(w) is prox_R(Q'b), componentwise.
    generator = torch.Generator().manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(9, 5, dtype=torch.float64, generator=generator))
    b = torch.randn(9, 1, dtype=torch.float64, generator=generator)
    c = q.T @ b
    expected = c.sign() * (c.abs() - l1).clamp(min=0) / (1 + l2)
    prox_ = ElasticNet(l1, l2).prox_ if library else soft(l1, l2)
    found = minimize(q, b, prox_, lr=0.5, steps=80)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert torch.equal(found == 0, expected == 0)  # zeros are exact, not small


@pytest.mark.parametrize("lr", [0.1, 0.5, 0.9])
def test_it_converges_linearly_at_the_rate_of_the_theory(lr):
    # On f = w^2/2 + R the distance to the minimizer shrinks by 1 - lr per step.
    errors = []
    for steps in (10, 11):
        w = minimize(torch.eye(1, dtype=torch.float64), torch.tensor([[2.0]]).double(),
                     soft(0.5), lr, steps)  # fmt: skip
        errors.append(abs(w.item() - 1.5))
    assert errors[1] / errors[0] == pytest.approx(1 - lr, rel=1e-6)


def test_with_the_identity_it_is_bitwise_sgd():
    p, q = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    ours, theirs = ProximalSGD([p], 0.1, prox_=lambda _w, _s: None), SGD([q], 0.1)
    for step in range(10):
        p.grad = torch.linspace(-1, step, 5)
        q.grad = p.grad.clone()
        ours.step()
        theirs.step()
    assert torch.equal(p, q)


@given(start=st.floats(-5, 5), lr=st.floats(1e-3, 1), l1=st.floats(0, 3))
def test_a_weight_with_zero_gradient_still_shrinks(start, lr, l1):
    w = nn.Parameter(torch.tensor([start], dtype=torch.float64))
    w.grad = torch.zeros(1, dtype=torch.float64)
    ProximalSGD([w], lr, prox_=soft(l1)).step()
    assert w.item() == pytest.approx(max(abs(start) - lr * l1, 0.0) * (1 if start > 0 else -1))


def test_a_negative_step_is_refused():
    with pytest.raises(ArgumentError, match="lr=-1"):
        ProximalSGD([nn.Parameter(torch.ones(1))], -1.0, prox_=soft(1.0))


def test_a_copy_keeps_its_proximal_map():
    optimizer = ProximalSGD([nn.Parameter(torch.ones(3))], 0.1, prox_=soft(1.0))
    twin = copy.deepcopy(optimizer)
    (w,) = twin.param_groups[0]["params"]
    w.grad = torch.zeros(3)
    twin.step()
    torch.testing.assert_close(w.detach(), torch.full((3,), 0.9))
