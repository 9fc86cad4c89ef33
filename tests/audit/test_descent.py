import pytest
import torch
from torch import nn

from wellposed.audit import Descent
from wellposed.errors import ArgumentError


@pytest.fixture
def parameters():
    return list(nn.Linear(2, 2).parameters())


def test_sgd_says_its_step_and_momentum(parameters):
    made = torch.optim.SGD(parameters, 0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    assert Descent.of(made, batch_size=32) == Descent(
        "sgd", 0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, batch_size=32
    )


def test_adam_says_its_betas(parameters):
    found = Descent.of(torch.optim.AdamW(parameters, torch.tensor(0.01), betas=(0.8, 0.99)))
    assert (found.name, found.betas, found.momentum) == ("adamw", (0.8, 0.99), 0.0)
    assert found.lr == pytest.approx(0.01)


def test_the_largest_step_of_the_groups_is_judged(parameters):
    weight, bias = parameters
    groups = [{"params": [weight], "lr": 0.1}, {"params": [bias], "lr": 0.5, "momentum": 0.3}]
    found = Descent.of(torch.optim.SGD(groups, 0.2))
    assert (found.lr, found.momentum) == (0.5, 0.3)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"lr": 0.0}, "above 0, got lr=0"),
        ({"lr": float("nan")}, "above 0, got lr=nan"),
        ({"lr": 1.0, "momentum": 1.0}, r"momentum is in \[0, 1\), got 1"),
        ({"lr": 1.0, "betas": (0.9, 1.0)}, r"betas are in \[0, 1\)"),
        ({"lr": 1.0, "weight_decay": -1.0}, "weight_decay is at least 0, got -1"),
        ({"lr": 1.0, "batch_size": -1}, "batch_size is at least 1"),
    ],
    ids=range(6),
)
def test_what_is_no_step_is_refused(numbers, said):
    with pytest.raises(ArgumentError, match=said):
        Descent("sgd", **numbers)
