"""Lists are kept while nothing changes, and made anew when something does."""

import pytest
import torch
from torch import nn

from wellposed.optim import EntropySGD


def setup():
    params = [nn.Parameter(torch.ones(2)) for _ in range(3)]
    for p in params:
        p.grad = torch.ones(2)
    optimizer = EntropySGD(params, inner_steps=3)
    optimizer.step()
    return params, optimizer


def buckets(optimizer):
    return optimizer._rosters.stepped(0, optimizer.param_groups[0], optimizer.state)


def test_they_are_kept_from_step_to_step_and_shared_with_the_outer_step():
    _, optimizer = setup()
    first = buckets(optimizer)
    for _ in range(4):
        optimizer.step()
    assert buckets(optimizer) is first
    assert optimizer._rosters.whole(0, optimizer.param_groups[0], optimizer.state) is first


def test_they_follow_the_gradients():
    params, optimizer = setup()
    params[1].grad = None
    assert [p is q for p, q in zip(buckets(optimizer)[0].params, params[::2], strict=True)]
    assert len(buckets(optimizer)[0].params) == 2
    whole = optimizer._rosters.whole(0, optimizer.param_groups[0], optimizer.state)
    assert len(whole[0].params) == 3


def test_they_follow_tensors_that_others_put_into_the_state():
    params, optimizer = setup()
    for p in params:  # as Lightning does when it moves a state to a device
        optimizer.state[p] = {name: value.clone() for name, value in optimizer.state[p].items()}
    optimizer.step()
    assert buckets(optimizer)[0].anchors[0] is optimizer.state[params[0]]["anchor"]


@pytest.mark.parametrize("at", [2, 3])
def test_they_follow_a_model_into_another_memory_layout(at):
    torch.manual_seed(0)
    start, grads = torch.randn(4, 3, 2, 2), torch.randn(7, 4, 3, 2, 2)
    ends = []
    for relaid in (False, True):
        layer = nn.Conv2d(3, 4, 2, bias=False)
        layer.weight.data.copy_(start)
        optimizer = EntropySGD(layer.parameters(), lr=0.1, gamma=1.0, inner_steps=3)
        for step, grad in enumerate(grads):
            if relaid and step == at:
                layer.to(memory_format=torch.channels_last)
            layer.weight.grad = torch.empty_like(layer.weight).copy_(grad)
            optimizer.step()
        ends.append(layer.weight.detach())
    torch.testing.assert_close(*ends)


def test_a_mean_or_outer_momentum_switched_on_later_gets_its_slots():
    params = [nn.Parameter(torch.ones(2))]
    params[0].grad = torch.ones(2)
    optimizer = EntropySGD(params, mean=None, inner_steps=4)
    optimizer.step()
    assert "mean" not in optimizer.state[params[0]]
    optimizer.param_groups[0].update(mean=0.25, outer_momentum=0.5)
    for _ in range(5):
        optimizer.step()
    assert {"mean", "outer_momentum_buffer"} <= set(optimizer.state[params[0]])


def test_no_parameters_with_gradients_is_an_empty_list():
    optimizer = EntropySGD([nn.Parameter(torch.ones(2))])
    assert buckets(optimizer) == []
    optimizer.step()
    assert optimizer.diagnostics()["anchor_distance"] == 0.0
