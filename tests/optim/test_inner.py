"""The inner step: first steps, late parameters, and the choice of kernel."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import SGD, Relaxation
from wellposed.optim import _inner as inner


def reference(late, steps, **flags):
    """torch's own loop, which knows a first step per tensor."""
    params = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))]
    optimizer = SGD(params, 0.1, 0.9, foreach=False, fused=False, **flags)
    run(params, optimizer, late, steps)
    return params


def run(params, optimizer, late, steps):
    for step in range(steps):
        params[0].grad = torch.tensor([1.0, 2.0, float(step)])
        params[1].grad = torch.tensor([1.0, -2.0, float(step)]) if step >= late else None
        optimizer.step()


@pytest.mark.parametrize("flags", [{"nesterov": True}, {"dampening": 0.5, "nesterov": False}],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("kernel", [{}, {"foreach": True}, {"foreach": False}], ids=str)
def test_a_parameter_that_comes_late_has_its_own_first_step(flags, kernel):
    params = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))]
    run(params, Relaxation(params, lr=0.1, momentum=0.9, inner_steps=50, **flags, **kernel), 3, 8)
    for p, q in zip(params, reference(3, 8, **flags), strict=True):
        torch.testing.assert_close(p, q)


@pytest.mark.parametrize(("arguments", "strided", "expected"), [
    ({}, False, [True, None]),
    ({"foreach": True}, False, [None, True]),
    ({"foreach": False}, False, [None, False]),
    ({"fused": False}, False, [False, True]),
    ({"fused": True}, False, [True, None]),
    ({}, True, [False, True]),
    ({"fused": True}, True, [False, True]),
], ids=str)  # fmt: skip
def test_the_kernel_is_fused_where_that_is_safe(monkeypatch, arguments, strided, expected):
    asked = []
    original = inner.sgd

    def spy(*args, fused, foreach, **kwargs):
        asked.append([fused, foreach])
        original(*args, fused=fused, foreach=foreach, **kwargs)

    monkeypatch.setattr(inner, "sgd", spy)
    p = nn.Parameter(torch.ones(4, 3, 2, 2))
    p.grad = torch.ones(4, 3, 2, 2)
    if strided:
        p.grad = p.grad.to(memory_format=torch.channels_last)
    Relaxation([p], **arguments).step()
    ((fused, foreach),) = asked
    assert [bool(fused), bool(foreach)] == [bool(e) for e in expected]


def test_dense_gradients_pass_and_sparse_ones_do_not():
    inner.check_gradients([torch.ones(2)])
    sparse = torch.sparse_coo_tensor([[1]], [1.0], (4,), check_invariants=True)
    with pytest.raises(ArgumentError, match="sparse gradient"):
        inner.check_gradients([torch.ones(2), sparse])


def test_the_explicit_pull_is_the_gradient_of_the_penalty():
    x = torch.tensor([1.0, -2.0], dtype=torch.float64)
    y = nn.Parameter(x.clone())
    optimizer = Relaxation([y], lr=0.1, gamma=3.0, integrator="explicit", momentum=0)
    y.grad = torch.tensor([1.0, 1.0], dtype=torch.float64)
    optimizer.step()
    bucket = optimizer._rosters.whole(0, optimizer.param_groups[0], optimizer.state)[0]
    shifted = inner.pulled(bucket, [y.grad], optimizer.param_groups[0])
    point = y.detach().clone().requires_grad_()
    (point.sum() + 1.5 * (point - x).square().sum()).backward()
    torch.testing.assert_close(shifted[0], point.grad)


@pytest.mark.parametrize("flags", [{}, {"weight_decay": 0.1}, {"maximize": True}], ids=str)
@pytest.mark.parametrize("kernel", [{}, {"foreach": True}, {"foreach": False}], ids=str)
def test_no_kernel_writes_to_the_gradients(flags, kernel):
    # torch's own list kernel adds the momentum to the gradients it is given.
    p = nn.Parameter(torch.ones(3))
    optimizer = Relaxation([p], nesterov=True, **flags, **kernel)
    p.grad = torch.ones(3)
    for _ in range(3):
        optimizer.step()
    assert p.grad.tolist() == [1.0, 1.0, 1.0]
