"""Every optimizer of ours asks for numbers where numbers belong, in one sentence."""

import inspect

import numpy as np
import pytest
import torch
from torch import nn

from wellposed import optim
from wellposed.errors import ArgumentError
from wellposed.optim._number import count, maker, number


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), torch.tensor(0.5), torch.tensor([1])])
def test_numbers_are_numbers(value):
    assert number("lr", value, least=0, hint="try 0.1") in {0.5, 1.0}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("0.1", r"lr='0.1' was given; it is a number and at least 0: try 0.1"),
        (None, "lr=None was given"),
        (True, "lr=True was given"),
        (torch.ones(2), r"lr=tensor"),
        (float("nan"), "lr=nan was given; it is at least 0 and finite"),
        (float("inf"), "lr=inf was given"),
        (-1, "lr=-1 was given; it is at least 0 and finite: try 0.1"),
    ],
)
def test_what_is_none_is_refused(value, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        number("lr", value, least=0, hint="try 0.1")


def test_without_a_least_value_it_is_finite():
    assert number("t", -3.0, hint="try 1") == -3.0
    with pytest.raises(ArgumentError, match="t=inf was given; it is finite: try 1"):
        number("t", float("inf"), hint="try 1")


@pytest.mark.parametrize("value", [0, 2.0, True, "3", None])
def test_counts(value):
    count("steps", np.int64(3), hint="3")
    with pytest.raises(ArgumentError, match=r"steps=.* was given; it is a whole number"):
        count("steps", value, hint="3")


def test_bases_can_be_called():
    assert maker(torch.optim.SGD) is torch.optim.SGD
    with pytest.raises(ArgumentError, match="base='adamw' was given; it is a function of param"):
        maker("adamw")


WRONG = {
    "lr": ["0.1", None, float("nan"), float("inf"), -1.0],
    "momentum": ["a", float("nan"), -0.1],
    "weight_decay": [None, float("nan"), -1.0],
    "gamma": [float("nan"), float("inf"), "1", -1.0],
    "gamma_growth": [float("inf"), float("nan"), -0.5],
    "temperature": [float("nan"), float("inf"), -1.0],
    "spread": [float("nan"), float("inf"), -1.0],
    "inner_steps": [True, 2.5, 0, "4"],
    "noise_seed": [-5, 1.5, None],
    "base": ["adamw", 3],
}
OURS = [
    value
    for value in vars(optim).values()
    if isinstance(value, type)
    and issubclass(value, optim.Anchored | optim.GradientNoise | optim.LaplacianSmoothing)
    and not inspect.isabstract(value)
]
CASES = [
    pytest.param(
        cls, name, value, id=f"{cls.__name__} {name}={value!r}", marks=pytest.mark.wrong_types
    )
    for cls in OURS
    for name, values in WRONG.items()
    if name in inspect.signature(cls).parameters
    for value in values
]


@pytest.mark.parametrize(("cls", "name", "value"), CASES)
def test_no_optimizer_takes_them(cls, name, value):
    with pytest.raises(ArgumentError) as refused:
        cls([nn.Parameter(torch.ones(2))], **{name: value})
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
