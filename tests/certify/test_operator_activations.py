import pytest
import torch
from tests.certify.test_operators import kinds
from torch import nn
from torch.nn import functional

from wellposed.errors import ArgumentError

PRELU = ["LeakyReLU", "Scale", "Scale", "Sum"]
READ = {
    "relu6": (nn.ReLU6(), ["Clip"]),
    "relu6 in place": (lambda x: functional.relu6(x - 1, inplace=True), ["Scale", "Clip"]),
    "hardsigmoid": (nn.Hardsigmoid(), ["Scale", "Clip", "Scale"]),
    "hardswish": (nn.Hardswish(), ["HardSwish"]),
    "silu": (nn.SiLU(), ["SiLU"]),
    "gelu": (nn.GELU(), ["GELU"]),
    "approximate gelu": (nn.GELU("tanh"), ["GELUTanh"]),
    "softplus": (nn.Softplus(2.0), ["Softplus"]),
    "mish": (nn.Mish(), ["Mish"]),
    "elu": (nn.ELU(0.7), ["ELU"]),
    "selu": (nn.SELU(), ["ELU"]),
    "celu": (nn.CELU(0.5), ["ELU"]),
    "prelu": (nn.PReLU(), ["LeakyReLU"]),
    "prelu of channels": (nn.PReLU(2), PRELU),
    "rising below 0": (lambda x: functional.leaky_relu(x - 0.5, -0.5), ["Scale", *PRELU]),
    "rrelu": (nn.RReLU(), ["LeakyReLU"]),
    "absolute": (lambda x: (x - 0.5).abs(), ["Scale", "LeakyReLU", "Sum"]),
    "above": (lambda x: x.clamp(min=0.3), ["Scale", "LeakyReLU", "Scale"]),
    "below": (lambda x: x.clamp_max(0.3), ["Scale", "LeakyReLU", "Scale"]),
    "between": (lambda x: x.clamp(0.2, 0.3), ["Clip"]),
    "smaller": (lambda x: torch.minimum(x, 1 - x), ["Scale", "Sum", "LeakyReLU", "Sum"]),
    "power": (lambda x: x**2 + x**1, ["Square", "Sum"]),
}


@pytest.mark.parametrize("name", READ)
def test_activations_are_read(name):
    function, right = READ[name]
    assert kinds(function) == right


REFUSED = {
    "with tensors as limits": lambda x: x.clamp(min=torch.tensor(0.5)),
    "to the power 3": lambda x: x**3,
    "a threshold below 15": lambda x: functional.softplus(x, 1, 2),
    "with a factor that is not positive": lambda x: functional.elu(x, -1.0),
    "at random even in eval mode": lambda x: functional.rrelu(x, training=True),
    "applies maximum, with a constant": lambda x: torch.maximum(x, torch.ones(6)),
    "of values of different shapes": lambda x: torch.maximum(x, x[:, :1]),
}


@pytest.mark.parametrize("message", REFUSED)
def test_others_are_refused_by_name(message):
    with pytest.raises(ArgumentError, match=message):
        kinds(REFUSED[message])
