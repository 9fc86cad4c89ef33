"""A base optimizer inside another: one set of groups, one state."""

import copy

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import EntropySGD, Relaxation
from wellposed.optim._two_level import TwoLevel, set_gradients


@pytest.fixture
def weights():
    return [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([3.0]))]


def step(optimizer):
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = p.detach().clone()
    optimizer.step()


def test_it_cannot_be_made_itself(weights):
    with pytest.raises(TypeError, match="abstract"):
        TwoLevel(weights, None, lr=0.1, sgd={}, own={})


def test_the_base_works_on_the_same_groups_and_state(weights):
    optimizer = Relaxation(weights, torch.optim.AdamW, lr=0.1)
    step(optimizer)
    assert optimizer._base.param_groups is optimizer.param_groups
    assert optimizer._base.state is optimizer.state
    assert {"anchor", "exp_avg"} <= optimizer.state[weights[0]].keys()


def test_a_copy_has_a_base_of_its_own(weights):
    optimizer = Relaxation(weights, torch.optim.AdamW, lr=0.1)
    step(optimizer)
    twin = copy.deepcopy(optimizer)
    assert twin._base is not optimizer._base
    assert twin._base.param_groups is twin.param_groups
    assert twin._base.state is twin.state


@pytest.mark.parametrize("base", [torch.optim.LBFGS, EntropySGD, lambda params, lr: (params, lr)])
def test_a_base_that_is_none_is_refused(weights, base):
    with pytest.raises(ArgumentError, match=r"base made a .*needs one gradient per step"):
        Relaxation(weights, base)


def test_arguments_of_sgd_beside_another_base_are_refused(weights):
    with pytest.raises(ArgumentError, match="momentum, fused was given beside a base"):
        Relaxation(weights, torch.optim.AdamW, momentum=0.5, fused=True)


def test_a_group_enters_the_present_cycle(weights):
    optimizer = Relaxation(weights[:1], lr=0.1, inner_steps=3)
    step(optimizer)
    optimizer.add_param_group({"params": weights[1:]})
    assert [g["inner_index"] for g in optimizer.param_groups] == [1, 1]
    with pytest.raises(ArgumentError, match="inner_steps=4 was given for a group"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))], "inner_steps": 4})


def test_gradients_are_given(weights):
    kept = [(p, p.grad) for p in weights]
    set_gradients((p, torch.ones_like(p)) for p in weights)
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in weights)
    set_gradients(kept)
    assert all(p.grad is None for p in weights)
