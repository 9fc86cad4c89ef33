"""Each wrong value gets its sentence."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import Picard


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"lr": -1}, r"lr=-1 was given; it is at least 0 and finite: try 0.05"),
        ({"spread": -0.1}, "spread=-0.1 was given"),
        ({"momentum": -0.1}, "momentum=-0.1 was given"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 was given"),
        ({"inner_steps": 0}, "inner_steps=0 was given; it is a whole number"),
        pytest.param(
            {"inner_steps": 2.5}, "inner_steps=2.5 was given", marks=pytest.mark.wrong_types
        ),
        ({"pde_time": float("inf")}, "pde_time=inf was given; it is finite"),
        ({"spread": float("nan")}, "it is at least 0"),
        ({"mean": 0}, "mean=0 was given"),
        ({"mean": True}, "mean=True was given"),
        ({"mean": "median"}, "mean='median' was given"),
        ({"normalize": "max"}, "normalize='max' was given; it is None, 'norm' or 'adaptive'"),
        ({"spread": 0.1, "pde_time": 0.1}, "set one of them to 0"),
        ({"spread": 0.1, "inner_steps": 3}, "pairs need an even number, try inner_steps=4"),
        ({"dampening": 0.5}, "dampening=0.5 was given with nesterov=True"),
        ({"fused": True, "foreach": True}, "choose one"),
    ],
)
def test_it_is_refused(arguments, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        Picard([nn.Parameter(torch.ones(2))], **arguments)


def test_a_group_is_checked_as_well():
    with pytest.raises(ArgumentError, match="spread=-1 was given"):
        Picard([{"params": [nn.Parameter(torch.ones(2))], "spread": -1.0}])
