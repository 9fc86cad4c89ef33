"""The SGD inside is torch's, leaves gradients alone, and never trusts a fused kernel blindly."""

import copy

import pytest
import torch
from torch import nn

from wellposed.optim._plain_sgd import PlainSGD


def steps(params, optimizer, first, last):
    for step in range(first, last):
        for i, p in enumerate(params):
            generator = torch.Generator().manual_seed(100 * step + i)
            grad = torch.randn(p.shape, generator=generator)
            p.grad = torch.empty_like(p).copy_(grad)
        optimizer.step()


def images(memory_format=torch.contiguous_format):
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(3, 4, 5, 6, generator=generator)
    return [nn.Parameter(value.to(memory_format=memory_format)), nn.Parameter(torch.ones(3))]


@pytest.mark.parametrize(
    "arguments", [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}]
)
def test_it_is_torchs_fused_sgd_bitwise(arguments):
    ours, theirs = images(), images()
    optimizer = PlainSGD(ours, lr=0.1, **arguments)
    steps(ours, optimizer, 0, 10)
    steps(theirs, torch.optim.SGD(theirs, lr=0.1, fused=True, **arguments), 0, 10)
    assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))
    assert optimizer.param_groups[0]["fused"]


def test_gradients_are_left_alone_where_lists_would_change_them():
    def after(optimizer_class, **arguments):
        p = nn.Parameter(torch.ones(4))
        optimizer = optimizer_class([p], lr=0.1, momentum=0.9, nesterov=True, **arguments)
        p.grad = torch.ones(4)
        optimizer.step()
        optimizer.step()
        return p.grad

    assert torch.equal(after(PlainSGD), torch.ones(4))
    assert not torch.equal(after(torch.optim.SGD, foreach=True), torch.ones(4))


def channels_last(p):
    return p.detach().to(memory_format=torch.channels_last)


def relaid_weights(params, optimizer):
    params[0].data = channels_last(params[0])


def relaid_gradients(params, optimizer):
    def contiguous(step):
        for p in params:
            p.grad = p.grad.to(
                memory_format=torch.channels_last if p.dim() == 4 else torch.preserve_format
            )
        return step()

    step = optimizer.step
    optimizer.step = lambda: contiguous(step)


def relaid_momentum(params, optimizer):
    state = optimizer.state[params[0]]
    state["momentum_buffer"] = channels_last(state["momentum_buffer"])


def sliced_weights(params, optimizer):
    room = torch.zeros(3, 4, 5, 12)
    room[..., ::2] = params[0].detach()
    params[0].data = room[..., ::2]


@pytest.mark.parametrize(
    "change", [relaid_weights, relaid_gradients, relaid_momentum, sliced_weights]
)
def test_a_change_of_layout_changes_no_number(change):
    ours, theirs = images(), images()
    arguments = {"lr": 0.1, "momentum": 0.9, "nesterov": True}
    optimizer = PlainSGD(ours, **arguments)
    reference = torch.optim.SGD(theirs, **arguments, foreach=False)
    steps(ours, optimizer, 0, 3)
    steps(theirs, reference, 0, 3)
    change(ours, optimizer)
    steps(ours, optimizer, 3, 6)
    steps(theirs, reference, 3, 6)
    assert not optimizer.param_groups[0]["fused"]
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-6)


def test_sparse_gradients_and_copies():
    embedding = nn.Embedding(4, 2, sparse=True)
    embedding.weight.data.fill_(1.0)
    optimizer = copy.deepcopy(PlainSGD(embedding.parameters(), lr=0.5))
    (weight,) = optimizer.param_groups[0]["params"]
    nn.functional.embedding(torch.tensor([1]), weight, sparse=True).sum().backward()
    optimizer.step()
    assert weight[:, 0].tolist() == [1.0, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_parameter_that_joins_later_has_a_first_step_of_its_own(nesterov):
    def trained(optimizer_class, **implementation):
        params = images()
        optimizer = optimizer_class(
            params, lr=0.1, momentum=0.9, nesterov=nesterov, **implementation
        )
        steps(params[:1], optimizer, 0, 3)
        steps(params, optimizer, 3, 7)
        return params

    for ours, theirs in zip(
        trained(PlainSGD), trained(torch.optim.SGD, foreach=False), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
