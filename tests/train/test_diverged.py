import math

import pytest
import torch
from torch import nn

from wellposed.losses import CrossEntropy
from wellposed.optim import SGD
from wellposed.problem import Problem
from wellposed.train import steps
from wellposed.train._diverged import first_culprit


class Poison(torch.autograd.Function):
    """The identity, whose gradient is infinite."""

    @staticmethod
    def forward(_, value):
        return value.clone()

    @staticmethod
    def backward(_, gradient):
        return gradient * math.inf


class Broken(nn.Module):
    def __init__(self, where):
        super().__init__()
        self.where = where
        self.first = nn.Linear(3, 4)
        self.second = nn.Linear(4, 2)
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, x):
        h = self.first(x)
        if self.where == "layer":
            h = self.second(h * 1e38 * 1e38)
        elif self.where == "gradient":
            h = self.second(Poison.apply(h))
        elif self.where == "model":
            h = self.second(h) / 0
        else:
            h = self.second(h)
        return h


def culprit(where, batch=None, lr=0.1, loss=None):
    torch.manual_seed(0)
    model = Broken(where)
    data = [batch or (torch.ones(2, 3), torch.tensor([0, 1]))] * 3
    problem = Problem(None, model, loss or CrossEntropy())
    found = first_culprit(model, steps(problem, SGD(model.parameters(), lr=lr), data))
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    assert not model.second._forward_hooks
    return found


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("layer", "output of second (Linear)"),
        ("model", "output of the model"),
        ("gradient", "gradient of first.weight"),
        ("nowhere", None),
    ],
)
def test_names_what_was_not_finite_first(where, expected):
    found = culprit(where)
    assert found == expected or (where == "gradient" and found == "gradient of first.bias")


def test_names_inputs_losses_and_updates():
    assert culprit("nowhere", (torch.full((2, 3), math.nan), torch.tensor([0, 1]))) == (
        "the inputs of the batch"
    )
    infinite = culprit("nowhere", loss=lambda outputs, _: outputs[:, 0] + math.inf)
    assert infinite == "the loss or the penalty, where all outputs are finite"
    found = culprit("nowhere", (torch.full((2, 3), 1e4), torch.tensor([0, 1])), lr=3e38)
    assert found.endswith("after a finite gradient: the update overflowed")


def test_layers_that_do_not_give_tensors_are_passed_over():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair, self.head = Pair(), nn.Linear(3, 2)

        def forward(self, x):
            return self.head(self.pair(x)[0])

    model = Net()
    data = [(torch.ones(2, 3), torch.tensor([0, 1]))]
    problem = Problem(None, model, CrossEntropy())
    assert first_culprit(model, steps(problem, SGD(model.parameters()), data)) is None
