"""Values without meaning are refused, naming the argument and a remedy."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import Relaxation


@pytest.mark.parametrize(("arguments", "said"), [
    ({"momentum": -0.5}, "momentum=-0.5.*at least 0"),
    ({"weight_decay": -1e-4}, "weight_decay=-0.0001"),
    ({"temperature": -1.0}, "temperature=-1"),
    ({"gamma_growth": -0.1}, "gamma_growth=-0.1"),
    ({"gamma_max": 0.0}, "gamma_max=0"),
    ({"inner_steps": 0}, "inner_steps=0.*whole number"),
    ({"mean": 0.0}, "mean=0.0.*newest point"),
    ({"mean": 1.5}, "mean=1.5"),
    ({"mean": True}, "mean=True"),
    ({"mean": "median"}, "mean='median'"),
    ({"outer_lr": 0.0}, "outer_lr=0"),
    ({"outer_lr": 1e300}, "outer_lr=1e"),
    ({"outer_momentum": 1.0}, "outer_momentum=1"),
    ({"integrator": "implicit"}, "integrator='implicit'"),
    ({"dampening": 0.5}, "nesterov=False"),
    ({"fused": True, "foreach": True}, "choose one"),
    ({"lr": torch.tensor(-0.5)}, "lr=-0.5"),
    ({"lr": float("nan")}, "lr=nan"),
])  # fmt: skip
def test_out_of_range(arguments, said):
    with pytest.raises(ArgumentError, match=said):
        Relaxation([nn.Parameter(torch.ones(1))], **arguments)


def test_a_group_is_checked_as_the_defaults_are():
    for key, value in (("outer_lr", -1.0), ("inner_steps", 2.5)):
        with pytest.raises(ArgumentError, match=f"{key}={value}"):
            Relaxation([{"params": [nn.Parameter(torch.ones(1))], key: value}])


@pytest.mark.parametrize("mean", [None, "uniform", 1, 0.25])
def test_what_is_right_passes(mean):
    Relaxation([nn.Parameter(torch.ones(1))], mean=mean, gamma_max=2.0, momentum=0.0)
